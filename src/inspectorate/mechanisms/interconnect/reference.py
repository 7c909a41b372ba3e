"""Constants of the interconnect mechanism, each with its source.

Limits stand in the agreement; these are properties of meters and of training methods.
"""

from __future__ import annotations

METER_EXCESS_RATE = 1e-6
"""Chance, given all before, that an intact meter reports more than limit x (1 + tolerance) in an interval in which the pod
kept the limit. An assumption on the verifier's meters, stated in every assessment: exact meters do not over-count, and
for sampled ones the lower bound is taken at this miss probability. Two meters of one run differed by 0.55 % at most in
the lab (docs/lab.md), all of it under-counting."""

ARRIVAL_SLACK_S = 2.0
"""A record may arrive this much later than its exporter's active timeout says: export queues and clock granularity."""

DECISIVE_STAKE = 0.5
"""Where a single exceedance all but excludes compliance, half of the capital is staked on it."""

CLOCK_GRAIN_S = 1.0
"""Times in exports are known no better: NetFlow v9 states its own time in whole seconds (RFC 3954, section 5.1)."""
CLOCK_OFF_S_MAX = 10.0
"""An exporter whose stated time stays further than this from arrival has a wrong clock, or replays."""
LAYER2_BYTES_MAX = 22.0
"""What a frame has beyond its IP packet: Ethernet header, VLAN tag and check sequence. sFlow counts frames, the agreement
counts IP bytes, so this much is taken off every sampled packet of a lower bound."""
SAMPLES_TO_JUDGE_RATE = 200
"""From this many samples on, an announced sampling rate is compared with the one at which packets were really sampled."""
SAMPLING_RATE_OFF_MAX = 0.35
"""Relative difference beyond which it is called wrong: five standard errors at 200 samples."""

FRAME_BYTES_MAX = 9_216.0
"""No packet is larger: jumbo frames, as switches configure them. Bounds on sampled traffic are scaled by it."""

METER_DISAGREEMENT = 0.02
"""Two intact meters of one link may differ by this much beyond their bounds: layer-2 against layer-3 counts, flows that
one of them dropped. Four sources agreed within 0.55 % in the lab (docs/lab.md)."""

ISOLATION_EXCESS_RATE = 1e-6
"""As METER_EXCESS_RATE, for traffic between two pods that did not declare each other."""

MATCH_LAGS = 16
"""An exchange is looked for by asking whether what left one pod equals what entered another at the same time better than
it equals what entered at any of this many earlier times."""
MATCH_RATE_MAX = 0.25
"""Chance, given all before, that two pods that do not exchange anything match best at lag zero in both directions. For
exchangeable values it is at most (1/17)^2; load that is common to all pods raises it. Set far above what honest simulated
sites with common flash crowds show (docs/worlds.md)."""
MATCH_BYTES_PER_S_MIN = 1_000.0
"""Traffic below this is not compared: keep-alives and canaries of different pods are alike without being an exchange."""
PAIRS_MAX = 2_000
"""Sites with more pairs of pods than this are not searched for exchanges through third parties, and told so."""

RUN_FLOP_DEFAULT = 1e24
"""Stands for the thresholds of an agreement without any: the strict threshold of arXiv 2511.10783."""
RUN_FLOP_ABOVE = 10.0
"""Runs of up to this multiple of the largest threshold are looked at when pods are joined."""
RUN_SIZES_PER_DECADE = 2
JOINING_RULE = (
    "{case} adversary of the interconnect planner, over all its methods and sizes of model, "
    "for runs of {least:.3g} to {most:.3g} FLOP"
)
