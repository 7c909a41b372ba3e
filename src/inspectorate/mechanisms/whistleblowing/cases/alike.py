"""Texts that resemble one another more than two people's words do: they may have one author, or one origin.

That is pointed out, and nothing else: it lowers nothing, raises nothing and is counted nowhere. Two honest people who sat down
together write alike; so does one who writes twice out of fear to have been lost; so does a campaign that makes up reports.

1. A text is its letters and digits in lower case (NFKC), without anything between them, so that spacing, case and punctuation hide
   nothing, and languages without spaces are like the others.
2. It is cut into all stretches of `SHINGLE` characters. Two texts are alike if of the shorter one's stretches at least
   `ALIKE_SHARE_MIN` stand in the other, or if they carry the same file.
3. What they have in common is shown as passages, for people to judge.

Not seen: a translation, and a text that was written anew throughout.
"""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from inspectorate.mechanisms.whistleblowing.cases import reference
from inspectorate.mechanisms.whistleblowing.cases.state import CaseState

PASSAGES_SHOWN = 3
PASSAGE_CHARACTERS_MIN = 24
COMPARED_CHARACTERS_MAX = 20_000
"""Passages are looked for in so much of each text."""


@dataclass(frozen=True, kw_only=True)
class Told:
    """What one case says in words, and the digests of its files."""

    case: str
    text: str
    files: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Alike:
    """Two cases that may have one author or one origin, and what shows it."""

    cases: tuple[str, str]
    passages: tuple[str, ...]
    same_files: int

    def __str__(self) -> str:
        return f"{self.cases[0]} and {self.cases[1]} may have one author or one origin"


def told(case: CaseState) -> Told:
    """All that the source of a case wrote, and its files."""
    texts = [text for report in case.reports for _, text in sorted(report.opened.answers.items())]
    return Told(
        case=case.case,
        text="\n".join(texts),
        files=frozenset(file.digest for report in case.reports for file in report.opened.files),
    )


def alike(cases: Sequence[Told]) -> tuple[Alike, ...]:
    """All pairs of cases that are alike, in order of their names."""
    stretches = [shingles(one.text) for one in cases]
    where: dict[str, list[int]] = defaultdict(list)
    for place, found in enumerate(stretches):
        for stretch in found:
            where[stretch].append(place)
    shared: Counter[tuple[int, int]] = Counter()
    for places in where.values():
        shared.update((one, other) for n, one in enumerate(places) for other in places[n + 1 :])
    pairs = {
        pair: common
        for pair, common in shared.items()
        if common >= reference.ALIKE_SHARE_MIN * min(len(stretches[pair[0]]), len(stretches[pair[1]]))
    }
    for pair in _same_files(cases):
        pairs.setdefault(pair, 0)
    pairs_found = [_pair(cases[one], cases[other], words=bool(common)) for (one, other), common in pairs.items()]
    return tuple(sorted(pairs_found, key=lambda one: one.cases))


def shingles(text: str) -> frozenset[str]:
    """Steps 1 and 2: the stretches of a text; none if it is too short to say anything."""
    plain = plainly(text)
    if len(plain) < reference.ALIKE_CHARACTERS_MIN:
        return frozenset()
    return frozenset(plain[at : at + reference.SHINGLE] for at in range(len(plain) - reference.SHINGLE + 1))


def plainly(text: str) -> str:
    return "".join(one for one in unicodedata.normalize("NFKC", text).casefold() if one.isalnum())


def _same_files(cases: Sequence[Told]) -> list[tuple[int, int]]:
    holding: Mapping[str, list[int]] = defaultdict(list)
    for place, one in enumerate(cases):
        for digest in one.files:
            holding[digest].append(place)
    return [(one, other) for places in holding.values() for n, one in enumerate(places) for other in places[n + 1 :]]


def _pair(one: Told, other: Told, *, words: bool) -> Alike:
    names = (one.case, other.case) if one.case < other.case else (other.case, one.case)
    return Alike(
        cases=names, passages=_passages(one.text, other.text) if words else (), same_files=len(one.files & other.files)
    )


def _passages(one: str, other: str) -> tuple[str, ...]:
    """The longest passages that stand in both, as they were written."""
    first, second = one[:COMPARED_CHARACTERS_MAX], other[:COMPARED_CHARACTERS_MAX]
    blocks = SequenceMatcher(None, first, second, autojunk=len(first) > 2000).get_matching_blocks()
    longest = sorted((block for block in blocks if block.size >= PASSAGE_CHARACTERS_MIN), key=lambda block: -block.size)
    return tuple(" ".join(first[block.a : block.a + block.size].split()) for block in longest[:PASSAGES_SHOWN])
