"""Constants of the test for lock-step, each with its reason. What was measured is in docs/synchrony.md, with the commands."""

from __future__ import annotations

BYTES_PER_S_FLOOR = 1_000.0
"""Traffic is compared as log(1 + rate / floor), and what differs from its prediction by less than this is no surprise:
health checks and canaries of idle pods are alike without anything behind it. The same as MATCH_BYTES_PER_S_MIN."""

WARM_UP = 24
"""Intervals from which nothing but predictions is learnt."""
REFIT_GROWTH, REFIT_MAX = 1.4, 32
"""Predictions are fitted anew each time the record has grown by this factor, or by this many intervals."""
ORDER_MAX = 32
"""Intervals of its own past from which a pod's traffic is predicted; an even number."""
INTERVALS_PER_TERM = 6
"""Intervals of experience before the prediction takes in one interval more of the past."""
RIDGE = 0.02
"""Share of the variance that is added to the diagonal, so that few intervals do not teach too much."""

TIMETABLE_S = (10, 15, 20, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 21_600, 86_400)
"""Periods of timers: the steps of cron and of systemd calendar timers, and usual scrape and push intervals. What a pod
did before at the same place of one of these is expected of it again."""
TIMETABLE_REPEATS_MIN = 3
"""Repeats of a place of a timetable before anything is expected of it ..."""
TIMETABLE_SIGNIFICANT = 2.5
"""... and standard errors by which its mean must differ from zero, so that noise is not learnt."""

COMMON_SHARE_MIN = 0.1
"""Where the two groups of other pods are less correlated than this, the weight of the common load is held back."""
COMMON_WEIGHT_MAX = 3.0
"""No pod follows the common load more than this many times as strongly as the others do."""

COMMON_PRIOR = 0.1
"""Variance of the weights of pods about 1, before their own traffic says more. Without it a crowd that comes after an idle
hour would be news to all pods at once."""

RANKED_AMONG = 64
"""A surprise is ranked among this many before it: enough to call a twentieth of them peaks, few enough that what changes
within the hour is not taken for a surprise of every interval after it."""
RANKED_MIN = 8
"""Fewer than this tell nothing."""

SCALES, SCALE_WEIGHTS = (1, 2, 4, 8, 16), (0.4, 0.2, 0.2, 0.1, 0.1)
"""Traffic is compared per interval, and per two to sixteen intervals together: coarse grids forgive delays. The weights are
shares of the capital."""

TOLERANCE = 0.02
"""The most that the product of two pods' surprises may be above zero on average if they have nothing to do with each
other: a rank correlation of 0.06. It pays for what removing the common load and predicting leave behind. Honest traffic
showed less than a third of it, over pods (docs/synchrony.md)."""
STAKES = (0.9, 0.35, 0.12)
"""Shares of the capital that are staked on the product: fit for rank correlations from 0.1 to 1."""

PEAK_SHARE = 0.05
"""A peak is a surprise among the highest twentieth of those before it."""
PEAK_TOLERANCE = 4.0
"""Peaks of two unrelated pods may coincide this many times as often as chance has it: pods that are volatile at the same
hours have more peaks then. Honest traffic showed up to 2.3 times as many, over the pods of a kind of site."""
PEAK_STAKES = (0.15, 0.04)

ROUND = 20
"""Intervals per round of betting: bets start and stop between rounds."""
STOP_PER_STAKE = 1 / 16
"""A bet with stake s rests with probability s/16 after a round: once in 18 to 130 rounds."""

BETS_WEIGHTS = (0.5, 0.3, 0.2)
"""Of the capital, what is bet throughout, what starts and stops, and what is bet on peaks."""

PODS_SPLIT = 16
"""From this many pods on, pods are compared with quarters of the site, which have at least three or four pods each."""
PAIRS_AT_ONCE = 256
"""Pairs on which bets are computed together: a working set of some hundred megabytes for a day of ten-second intervals."""
ROWS_MAX = 4_000_000
"""Pods x intervals beyond this are refused: a day of ten-second intervals of 463 pods."""
SEGMENT = 64
"""Intervals per segment of the spectra that are shown (not of the evidence)."""
