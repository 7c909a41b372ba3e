"""Thresholds of the integrity checks, each with its reason and where it was measured.

"Measured" means on published node power of MLPerf submissions (5,050 series, 1-2 s), by the commands in `docs/integrity.md`.
"""

from __future__ import annotations

# --- copies and replays --------------------------------------------------------------------------------------------------

COPY_SAMPLES_MIN = 16
"""No stretch shorter than this is called a copy, however much information it holds."""
COPY_BITS_MIN = 64.0
"""Information that a stretch must hold to be called a copy. A fleet of 10,000 series of a day at 1 Hz has 2^29 samples, so
2^58 alignments: 64 bits keep the chance of one accidental copy in all of them near one in a hundred."""
GRAM = 12
"""Samples hashed together. With `WINNOW` windows of which one is kept, every common stretch of GRAM + WINNOW - 1 is met."""
WINNOW = COPY_SAMPLES_MIN - GRAM + 1
LINKS_PER_HASH_MAX = 4
"""Occurrences of one hash are linked to this many that follow: a chain of copies stays one group, and time stays linear."""
INFORMATION_BITS_MAX = 16.0
"""One sample is credited with no more than this."""

NEAR_WINDOW = 32
"""Innovations of one sketch."""
NEAR_SAMPLES_MIN = 48
NEAR_CORRELATION_MIN = 0.995
"""Rank correlation of innovations from which two series are alike. Honest meters of one load come close: nodes of one job reach
0.98, and two runs of a server under the same sequence of requests 0.997. So what is alike is told and looked into, and
does not make evidence invalid; a copy under noise of a tenth of its innovations is alike."""
NEAR_BANDS = 8
NEAR_BITS = 12
NEAR_BITS_APART_MAX = 14
"""Of 96 signs: a rank correlation of 0.9 turns one in seven."""
REPLAY_MEMORY_SAMPLES = 1_000_000
"""Hashes that a replay index keeps by default, one for each third sample or so."""

# --- frozen and coarse sensors -------------------------------------------------------------------------------------------

STUCK_S_MIN = 30.0
"""A power sensor that repeats one value, to its last digit, for longer than this is stuck: measured values that repeat within
the polling of a management controller last up to 8 s."""
STUCK_SAMPLES_MIN = 8
STEP_SHARE_MAX = 0.05
"""A grid coarser than this part of the median level can hide what two meters of one load are compared by."""
NOISE_STEPS_MIN = 0.3
"""Below this many grid steps of noise (standard deviation of innovations), a busy power sensor is too quiet: smoothed, or made."""
NOISE_SHARE_MIN = 2e-4
"""A busy node or chip whose innovations are smaller than this part of its level is quieter than any that was measured."""
SATURATED_SHARE_MIN = 0.05
"""This share of samples at exactly the highest value, more than `SATURATED_FACTOR` times those one step below, is a limit."""
SATURATED_FACTOR = 10.0
IDLE_SHARE = 0.25
"""A unit is busy above its lowest level plus this part of its range."""

# --- two meters of one load ----------------------------------------------------------------------------------------------

SMOOTHING_S = (-3.0, -2.0, -1.0, 0.0, 1.0)
SMOOTHING_WEIGHTS = (0.06, 0.15, 0.25, 0.36, 0.18)
"""How an AC reading averages over what a DC reading samples, by offset. Least squares over true pairs gives nearly the same
weights in each of ten benchmarks on three systems, so it belongs to the power supply and its meter, not to the load."""
LAG_S_MAX = 20.0
LAG_STEP_S = 0.5
OVERLAP_SHARE_MIN = 0.7
OVERLAP_SAMPLES_MIN = 12
AC_PER_DC_MIN, AC_PER_DC_MAX = 1.0, 1.25
"""An AC reading is the larger by the loss of the supply: 3 to 12 % at 80 PLUS Platinum and Titanium from a fifth of load up,
and more below. What meters themselves may differ by comes on top (`disagreement_share_max`)."""
COHORT_NEAREST = 20
"""Strangers nearest to a pair against which its match is measured."""
RUNS_TO_FIT_MIN = 4
FOLDS = 10

# --- sums and activity ---------------------------------------------------------------------------------------------------

REST_SHARE_MAX = 0.6
"""Fans, processors, memory and supplies of a node take at most this part of it when its chips are busy."""
LOSS_SHARE_MAX = 0.08
"""Between nodes and the outlet of their distribution unit."""
BUSY_SHARE_MIN = 0.5
"""Utilisation from which a chip is said to work."""
IDLE_UTILISATION_MAX = 0.02
POWER_WITHOUT_WORK_FACTOR = 1.6
"""A chip said to be idle that takes this many times its own idle power works."""
WORK_WITHOUT_POWER_FACTOR = 1.15
"""A chip said to work that takes less than this many times its own idle power does not."""

# --- clocks --------------------------------------------------------------------------------------------------------------

CLOCK_OFF_S_MAX = 5.0
CLOCK_DRIFT_MAX = 2e-4
"""200 ppm: ten times what an undisciplined crystal drifts."""
CLOCK_LAG_S_MAX = 120.0
