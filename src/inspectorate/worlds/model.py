"""Every number of the simulated sites, with the reason for it.

Rates are shares of the agreement's limit, never absolute, so that the worlds stay hard when the limit changes. Sizes of
requests and tokens are absolute where they were measured on a real service: small language models served over HTTP
behind a gateway, 64 tokens asked and 64 answered, spent 94 B per token downstream and about 5 kB per request upstream.
"""

from __future__ import annotations

NS_PER_S = 1_000_000_000

# --- the site
PODS_MIN, PODS_MAX = 4, 6
"""Enough pods for pairs that have nothing to do with each other, few enough that a world costs milliseconds."""
DURATION_S = (600, 900, 1200)
"""Ten to twenty minutes: 60 to 120 intervals of ten seconds, several times the memory of any detector of this version."""
CORES_PER_POD = 2
CHIP = "x86-64-core-avx512"
"""A pod of two cores: the size for which the shipped agreement's limit was set."""
LINK_BYTES_PER_S = 125e6
LINK_MAU = "1000BaseTFD - Four-pair Category 5 UTP, full duplex mode"
"""That rate in the words of `lldpcli`."""
"""1 Gbit/s, what the hardware of a pod link carries."""
SECOND_SENSOR_SHARE = 0.3
"""Share of sites in which one pod's link is watched by two sensors of different protocols."""

# --- requests
TOKEN_BYTES = 94
"""Downstream bytes per token of a streamed answer, measured: one JSON chunk and its headers per packet."""
ACK_BYTES = 52
"""An IPv4 TCP acknowledgement with timestamps; one per streamed packet gives the measured balance of both directions."""
REQUEST_HEAD_BYTES = 1_700
"""Upstream bytes per request before prompt and acknowledgements: 5 kB measured, less 64 acknowledgements."""
PACKET_BYTES_MAX = 1_500
TOKENS_MEDIAN, TOKENS_SIGMA = 110.0, 0.9
"""Answer lengths are skewed to the right: log-normal body ..."""
TOKENS_TAIL_SHARE, TOKENS_TAIL_ALPHA, TOKENS_TAIL_MIN = 0.03, 1.3, 600.0
"""... and a Pareto tail of infinite variance, as in traces of public services; both cut at `TOKENS_MAX`."""
TOKENS_MIN, TOKENS_MAX = 4, 4_096
TOKENS_PER_S = (20.0, 60.0)
"""Speed of one streamed answer."""
PROMPT_MEDIAN_BYTES, PROMPT_SIGMA = 1_200.0, 1.0
LONG_CONTEXT_SHARE = 0.02
"""Requests that upload a document: the bursts in the direction in which training would pull in data."""
LONG_CONTEXT_BYTES = (20_000, 120_000)
UPLOAD_BYTES_PER_S = (20_000.0, 200_000.0)
"""Speed at which one client uploads."""
REQUESTS_PER_S_MAX = 4.0
"""Requests per second and pod. At a limit that would need more, answers get longer instead, so that cost stays bounded."""
DUPLICATE_SHARE, DUPLICATE_AFTER_S = 0.02, (2.0, 10.0)
"""Clients that lose patience and send the same request again."""
RETRY_SHARE, RETRY_AFTER_S = 0.5, 6.0
"""Of those refused at the door, this share comes back, after this long on average."""
CHAIN_SHARE, CHAIN_TEXT_BYTES_PER_TOKEN = 0.04, 5
"""Agents: the text of one pod's answer is sent to another pod as a prompt. An exchange through the outside, and honest."""

# --- load over time, common to all pods behind one balancer
DRIFT_AMPLITUDE, DRIFT_PERIOD_S = 0.4, (400.0, 3_600.0)
"""A slow swing; a day's curve, run fast enough to be seen in minutes."""
NOISE_SIGMA, NOISE_TIME_S = 0.25, 45.0
"""Ornstein-Uhlenbeck noise of the logarithm of load: bursts of clients that last for several intervals."""
CROWDS_MAX, CROWD_HEIGHT, CROWD_RISE_S, CROWD_FALL_S = 3, (1.5, 6.0), (3.0, 20.0), (20.0, 180.0)
"""Flash crowds: everybody comes at once, to all pods."""
IDLE_POD_SHARE = 0.15
"""Pods that serve nobody: health checks and the canary only."""
PEAK_SHARE = (0.90, 0.97)
"""A site admits requests until a pod is at this share of the limit: honest pods at their peak are right below it."""
UTILISATION = (0.1, 1.1)
"""Mean demand as a share of what may be admitted: from quiet to overloaded."""
ADMISSION_SHARE = 0.5
"""Admission control budgets half-intervals of the limit's clause, so that whole ones keep the limit too."""

# --- what else honest pods do
HEALTH_EVERY_S, HEALTH_IN_BYTES, HEALTH_OUT_BYTES = 5.0, 320, 210
"""The balancer asks every pod at the same moment: small traffic that is in step everywhere."""
CANARY_EVERY_S, CANARY_BYTES = 1.0, 60
"""The verifier's own datagram to every pod, so that a live exporter always has something to report."""
PIPELINE_RATE_SHARE = (0.05, 0.4)
"""Declared peers hand over work (prompt processing to generation) at this share of the limit on average."""
PIPELINE_BYTES = (4_000, 60_000)

# --- sensors and exporters
ACTIVE_TIMEOUT_S = 4.0
"""A flow that goes on is reported this often; as short as on the real bench, since longer ones blur intervals of ten seconds."""
SILENCE_S_MAX = 12.0
TICK_S = 1.0
"""An exporter looks for flows to report once a second."""
FIN_WAIT_S = 2.0
"""A flow that ended is reported this long after its last packet."""
RECORDS_PER_DATAGRAM = 24
TEMPLATE_EVERY = 20
"""Datagrams between two announcements of templates and options."""
SAMPLING_RATE = 64
"""sFlow: one packet in so many, each drawn by itself."""
SAMPLES_PER_DATAGRAM = 7
COUNTERS_EVERY_S = 5.0
ETHERNET_BYTES = 14
"""Interface counters and sampled frame lengths count the Ethernet header, which the limit does not."""
METER_GAIN_SHARE = 0.5
"""A meter is off by at most this share of the clause's tolerance, either way, the same for all it counts."""
CLOCK_OFFSET_S = 0.02
"""Exporters keep time by NTP to about this."""

# --- the way to the collector
DELAY_S, JITTER_S = 0.0003, 0.0005
LATE_SHARE, LATE_S = 0.003, (0.005, 0.4)
"""Datagrams that others overtake."""
LOSS_SHARE = 0.004
"""Loss where a world has it: visible in the sequence numbers of what did arrive."""
LEAD_S, TAIL_S = 15.0, 15.0
"""Collectors start before the declared period and listen on after it, until the last flows have been reported."""
SEGMENT_S = 240.0
