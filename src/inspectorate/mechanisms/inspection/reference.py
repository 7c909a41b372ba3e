"""Constants of the appraisal, each with its source. Constants of the other parts stand beside them."""

from __future__ import annotations

EXACT_DIFFERS_RATE = 1e-4
"""Chance, given all before, that a packet of honest work differs bit by bit on an equal, deterministic stack: silent corruption.
Llama 3 met 6 such events in 54 days on 16,384 GPUs (arXiv 2407.21783, table 5; provisional), 7e-6 per GPU-day; a packet of 14
GPU-days then has 1e-4. One packet that differs is therefore no alarm by itself. That a machine which miscomputes again and again
was taken out of service is an assumption."""
CONTRARY_RATE = 1e-6
"""Chance that a party which keeps a clause states the contrary over its own signature: that it ran code after inspectors had
refused it, or a run above a threshold. An assumption, stated in every assessment that uses it."""
DECISIVE_STAKE = 0.5
"""Where a single observation all but excludes compliance, half of the capital is staked on it."""
TOLERANCE_STAKES = (0.02, 0.1, 0.5)
"""Stakes on packets beyond a tolerance, whose honest rate may be a few in a thousand or in ten."""

PEAK_SLACK_SHARE = 0.01
"""Declared peak rates are rounded; what runs at one time on one pod may state so much more than its peak and be believed."""
FLOP_LEVELS = (0.98, 0.75, 0.5, 0.25)
"""Shares of what was stated at which drawn packets are counted, to bound a mean share from below (`appraise.bound`). The first lets
pass what two counters of one job differ by (attention, norms)."""
CELL_LENGTHS_S = (3600.0, 86_400.0)
"""Lengths of account intervals for which bounds are given, cut from the start of the period as the account cuts it. The review's
own default is 3600 s. More lengths would share out the same miss probability."""
SCOPES_MAX = 1_000
"""Bounds of one length for one pod."""

CLOCK_SLACK_S = 5.0
"""Clocks of both sides may differ by this much before times that contradict one another are called wrong. Hosts that synchronise by
NTP keep within a second (RFC 5905, section 1)."""
RUN_GAP_S = 3600.0
"""Where no clause says how far apart commitments may be, code that ran is unknown for stretches longer than this."""
UNACCOUNTED_SHARE_MAX = 0.01
"""Of a claim's time, what accounts may leave out: restarts and hand-overs. An assumption."""
DAY_S = 86_400.0

COMMITMENTS_MAX = 200_000
"""Commitments of one review that are put in order: a year of one every three minutes. More are refused by name."""
ROWS_MAX = 1_000
"""Rows of an exhibit."""
REASONS_MAX = 6
SPANS_SHOWN = 4
CURVE_SHARES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 2e-2, 3e-2, 5e-2, 0.1, 0.2, 0.3, 0.5, 1.0)
"""Dirty shares at which the chance of being seen is shown."""
