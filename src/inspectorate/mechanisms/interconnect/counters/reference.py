"""Constants of the counter mechanism, each with its source."""

from __future__ import annotations

from inspectorate.evidence.pages import OF_NUMBERS, Bounds

LINK_SPEED_MARGIN = 1.01
"""A port may carry this much more than its nominal speed: clocks of ports are within 100 ppm (IEEE 802.3, 100GBASE-R), clocks of
pollers within 500 ppm (the slew that ntpd allows). The rest is reserve."""
WRAP_BYTES_32 = float(1 << 32)
"""A 32-bit octet counter wraps in 3.4 s at 10 Gbit/s and in 86 ms at 400 Gbit/s (RFC 2863, section 3.1.6)."""

GAP_STEPS = 10.0
"""A stretch without readings longer than this many usual steps is a gap ..."""
GAP_S_MIN = 10.0
"""... if it is also longer than this: pollers of half a second are late by up to 5.2 s in the recorded cluster
(`inspectorate counters check` on it, without this floor, names 5 s delays as gaps)."""

FROZEN_S_MIN = 120.0
"""A port that moves at other times sends or receives something within this time, if only LLDP: one frame every 30 s, and
the neighbour is forgotten after 120 s (IEEE 802.1AB-2016, msgTxInterval 30 and msgTxHold 4)."""

FRAME_BYTES_MIN = 60.0
"""The least frame without its check sequence (IEEE 802.3, minFrameSize 64 octets with it): bounds how many frames octets were."""
FRAME_BYTES_MAX = 65_550.0
"""The most that is counted as one frame: 65,535 bytes of IP, held together by segmentation offload, and a header."""
NON_IP_BYTES_PER_S = 1_000.0
"""What a port may carry that is no IP: LLDP, spanning tree (a frame every 2 s), fast LACP (one a second), ARP. Taken off every
lower bound. A port that carries more of it than this is not what the agreement speaks of."""

BALANCE_WINDOW_S = 60.0
"""Conservation is asked over windows of about this length; each edge is placed where the node is quietest nearby."""
NODE_OWN_SHARE = 3e-4
"""A switch drops, replicates and originates a little: an imbalance below this share of its traffic is called small. Whole, the five
leaf switches of the recorded cluster exceed it in 7 % of the windows at most (docs/counters.md)."""
LASTING_SHARE = 0.25
"""An imbalance is lasting if it exceeds that share, whatever the reading times hide, in at least this part of the windows, ..."""
LASTING_WINDOWS_MIN = 3
"""... and in at least so many of them."""

PERIOD_CYCLES_MIN = 6
"""A period is looked for only if the record holds this many of it: fewer cannot be told from a slow drift."""
PERIOD_HARMONICS = 4
"""A step of training is a burst, not a sine: power at the first four multiples of a frequency is added up."""
PERIOD_BACKGROUND_BINS = 61
"""Width [independent frequencies] of the running median that stands for the background of the spectrum."""
PERIOD_LEVEL = 0.01
"""Chance, over all ports of a record together, that a load without a period is given one."""

PORTS_MAX = 100_000
READINGS_MAX = 50_000_000
INPUT_BYTES_MAX = 1 << 30
LINE_BYTES_MAX = 65_536
"""Bounds on what is read from outside."""
TABLE_BOUNDS = Bounds(
    rows=READINGS_MAX,
    values=20 * READINGS_MAX,
    groups=10_000,
    footer_bytes=1 << 20,
    header_bytes=64 * 1024,
    unpacked_bytes=4 << 30,
    encodings=OF_NUMBERS,
)
"""Of a table of increases: five whole numbers of eight bytes in each of the rows, and as much again; other columns may stand there,
and are not read."""
NAME_CHARS_MAX = 200
SPEED_BITS_PER_S_MAX = 1 << 50
"""A thousand times the fastest port that is sold (1.6 Tbit/s): beyond it a speed is a mistake."""
