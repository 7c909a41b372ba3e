"""Constants of the appraisal, each with its source. Constants of the other parts stand beside them."""

from __future__ import annotations

WRONG_REPORT_RATE = 1e-6
"""Chance, given all before, that an intact processor of a party that keeps the clause states the contrary in a report: another
program than it runs, a ruleset that nobody signed, more work than was licensed. An assumption, stated in every assessment. What is
stated is read out of the processor's own state and is no measurement that could scatter."""
DECISIVE_STAKE = 0.5
"""Where a single such report all but excludes compliance, half of the capital is staked on it."""

CLOCK_SLACK_S = 5.0
"""A processor's clock may run behind that of the inspector by this much before an answer that precedes its question is called
wrong. Hosts that synchronise by NTP keep within a second (RFC 5905, section 1)."""
TPM_CLOCK_SHARE, TPM_CLOCK_SLACK_S = 0.5, 30.0
"""A TPM's clock runs as long as it has power, whatever the host's clock is set to, but by an oscillator of its own that its owner
may adjust (TPM 2.0 Library 1.59, part 3, `TPM2_ClockRateAdjust`). Half as much again as two reports say lies between them, and half
a minute, is more than that."""
ANSWER_REPORTS = 2
"""A challenge is answered in time by one of the two reports whose period ends after it was issued: it may arrive just after
one ends."""

REPORTS_MAX = 500_000
"""Reports of one processor that are put in order: a year of one a minute. More are refused by name."""
ROWS_MAX = 1_000
"""Rows of an exhibit."""
REASONS_MAX = 6
SPANS_SHOWN = 4

CELL_LENGTHS_S = (60.0, 300.0, 900.0, 3600.0, 14_400.0, 86_400.0)
"""Lengths of account intervals for which bounds are given exactly, cut from the start of the period as the account cuts it. The
review's own default is 3600 s. For any other length there is the bound of the whole stretch."""
SCOPES_MAX = 1_000
"""Bounds of one length for one pod."""
STRETCH_REPORTS_MIN = 4
"""The bound over a whole stretch holds for cells of at least so many reports: a cell covers parts of two more at its edges."""

STOP_S = 2.0
"""A processor that finds a budget used up has stopped the work within this: a second is what it may take
(`Ruleset.lost_after_s`, and the target of a halt), and as much again for the tick of its clock. What is used meanwhile is owed,
and no overdraft."""
UNBOUNDED_STOP_SHARE = 0.01
"""For meters whose rate nothing here bounds (energy, bytes between chips): the share of its budgets that may be owed."""
ROUNDING_SHARE = 0.1
"""Reports round amounts up to one, two or three digits; a sum of them is called within a budget if it is so within this share,
and what speaks against a party is the sum of lower bounds, rounded down."""

BOUNDING = ("clock", "outside", "kernel")
"""Sources of the FLOP meter that bound what chips did: time in which work was possible, a meter beside the machine, the host's
kernel. What passed on the path prices requests only; a chip's own counters and what a workload says of itself are the prover's
word."""
