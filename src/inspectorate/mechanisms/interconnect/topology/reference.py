"""Constants of the appraisal of cabling, each with its source or its reason."""

from __future__ import annotations

FASTEST_PORT_BYTES_PER_S = 200_000_000_000
"""What a wire is counted for whose rate nobody states: 1.6 Tb/s in each direction, the fastest port of Ethernet (IEEE P802.3dj)
and of InfiniBand (8 lanes of XDR) that is sold or in standardisation in 2026. An assumption: raise it when one is faster."""

MISREAD_BOTH_ENDS_RATE = 1e-6
"""Chance that a pod which is wired as declared throughout a period is nevertheless shown, in any survey of the period, with
an undeclared wire that both of its ends report. Both surveys would have to be wrong in the same way: each names the other's
node and port. An assumption on the verifier's surveys, stated in every assessment, not a measurement."""

MISREAD_ONE_END_RATE = 1e-3
"""The same for a wire that only one end reports. A host that was given a wrong name, a survey filed under the wrong node, or a
device that forwards LLDP frames instead of consuming them (IEEE 802.1AB-2016, 7.1, forbids it to conformant bridges; cheap ones do
it) is enough. Set so that such a report alone is a reason to go and look, and seldom an alarm."""

DECISIVE_STAKE = 0.5
"""What of the capital is bet on the two misreadings together; the rest is kept. A misreading lasts: the same device misleads
every survey. So one bet is made per period and pod, not one per survey."""

IB_LANE_BITS_PER_S = {
    "SDR": 2_000_000_000,
    "DDR": 4_000_000_000,
    "QDR": 8_000_000_000,
    "FDR10": 10_000_000_000,
    "FDR": 13_636_363_637,
    "EDR": 25_000_000_000,
    "HDR": 50_000_000_000,
    "NDR": 100_000_000_000,
    "XDR": 200_000_000_000,
}
"""Data rate of one InfiniBand lane after line coding: 8b/10b up to QDR, 64b/66b from FDR10 (14.0625 Gb/s x 64/66 for FDR). IBTA,
InfiniBand roadmap and Architecture Specification, volume 1, release 1.6; names as `ibnetdiscover` prints them."""

PAIRS_SHOWN_MAX = 20
"""Pairs of pods that a result lists; all are computed."""
DIFFERENCES_SHOWN_MAX = 50
"""Rows of one pod's exhibit, its own first; what is left out is counted in the title."""
STATEMENTS_MAX = 200_000
"""More surveys than this in one case are not read, and the case is told so."""
