"""Names and numbers that case handling uses, each with its source."""

from __future__ import annotations

from inspectorate.canonical import digest_of

CHALLENGE_CLAUSE = "challenge-inspections"
ACCESS_CLOCK = "challenge-access"
"""arXiv 2511.10783, Article X paragraph 3: at most 20 per party and year, access within 24 hours. Shipped agreements use these
names."""
RETALIATION_CLOCK = "retaliation"
"""The clock of a report that somebody is silenced or punished (Article X: retaliation and leaks of identity are violations)."""
DANGER_FIELD, DANGERS = "danger", frozenset({"punished", "now"})
KIND_FIELD = "kind"
"""Fields of the intake's form in which a source says that somebody is punished or in danger, or what kind of thing it reports."""
NO_STATEMENT = digest_of(b"")

SHINGLE = 8
"""Characters, letters and digits of any script alone: words of languages without spaces are compared like all others."""
ALIKE_SHARE_MIN = 0.25
"""Of the shingles of the shorter text that stand in the other one, too. See docs/cases.md for what this passes over."""
ALIKE_CHARACTERS_MIN = 120
"""Shorter texts resemble one another by chance."""

CELL_MIN = 10
"""A published count below this is held back. Statistical offices hold back cells below 3 to 10 of people; here one person's life
may hang on a cell."""
EPSILON = 1.0
"""Of differential privacy, per case and quarter: whether one case is in a cell or not changes the chance of any release by no more
than a factor of e^1 = 2.7. Dwork and Roth 2014 (doi 10.1561/0400000042), section 3.3; the geometric form is that of Ghosh,
Roughgarden and Sundararajan 2009 (arXiv 0811.2841)."""
RELEASE_DAYS = 45
"""From the end of a quarter to its only release, always: late enough that cases of its last day are linked."""
