"""Constants of the enforcing gateway, each with its reason or source."""

from __future__ import annotations

FAMILY = "inet"
TABLE = "inspectorate"
PRIORITY = -300
"""Before other filters. Drops are final in netfilter whatever comes after, so the place decides nothing but the counts."""

SWITCH_TIMEOUT_S = 0.8
"""The kernel forgets the switch after this long: a killed daemon stops traffic within a second, with 0.2 s to spare."""
SWITCH_EVERY_S = 0.2
"""The daemon renews it this often: three renewals may be late before traffic stops."""
CHECK_EVERY_S = 2.0
"""The whole of rules, queues, links and forwarding is compared with what was loaded this often; the generation of the
rules, which any change raises, at every renewal."""

BUCKET_S = 1.0
"""The token bucket of nft's byte limit holds one second of the rate *and* the burst (Linux, net/netfilter/nft_limit.c,
`nft_limit_init`: tokens = nsecs x (rate + burst) / rate). What may pass at once is therefore never less than this."""

SHAPER_SHARE = 0.96
"""The shaper runs this much below the policer, so that what it lets through is not dropped. A packet that the shaper
counts with its Ethernet header (14 bytes) and the policer without is at most 2 % smaller there at 576 bytes and more."""
SHAPER_LATENCY_S = 0.25
"""Longest wait in a shaper's queue. Longer queues hide loss from TCP for longer than its timers bear."""
SHAPER_QUEUE_BYTES_MIN = 16_384
SHAPER_BURST_BYTES_MIN = 3_100
"""Two full Ethernet frames: with less, a token bucket passes no full-sized packet at all."""

LOCK_DEFAULT = 0xFF
"""Minor number of the class that drops what no rule accepted."""
ACCEPTED_PRIORITY = "1:1"
"""The priority that an accepting rule gives; the queue of the interface passes this class and no other."""
ARP_RATE = "64kbit"
"""Address resolution passes without a rule, since no rule sees it, at this rate. It ends at the gateway."""
ACCEPTED_RATE = "100gbit"

FRAME_BYTES_MAX = 1_514
PODS_MAX = 256
"""Pods of one gateway. Its rules are gone through one by one for every packet."""
COMMAND_LIMIT_S = 20.0
PLAN_BYTES_MAX = 1024 * 1024

ATTEST_EVERY_S = 10.0

RELAY_CHUNK_BYTES = 256 * 1024
RELAY_CONNECT_S = 5.0
ORDER_BYTES_MAX = 1024 * 1024
APPROVALS_MAX = 32
HEADER_SHARE = 0.06
"""IP and TCP headers and repeats over content: 52 of 1,500 bytes are headers, the rest is allowed for repeats."""
RELAY_ACCEPT_S = 600.0
"""How long the relay waits for the content to be delivered from outside."""
RELAY_IDLE_S = 60.0
"""A relay in which nothing moves for this long gives up."""

ATTESTATION_EXCESS_RATE = 1e-6
"""Chance, given all before, that an intact gateway which enforces the agreed limit attests a higher one, or a loading window
that broke its terms. An assumption like `METER_EXCESS_RATE` of the interconnect's `reference`: what is attested is parsed out
of the kernel's own list, and not a measurement that could scatter."""
WINDOW_SLACK_S = 1.5
"""The kernel forgets windows in whole seconds and the daemon looks five times a second; a window is not called too long, nor
two too close, within this."""
ATTESTED_EVERY_S = 60.0
"""Where an agreement has loading windows but no clause on enforcing, a longer stretch without an attestation is a gap."""
