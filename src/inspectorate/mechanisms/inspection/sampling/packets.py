"""A share of all work packets is recomputed at random: how soon false ones are found.

Every packet is recomputed with probability c, and a false one that is recomputed is found. N false packets stay unseen
with probability

    exact          (1 - c)^N
    first order    exp(-c N)

The published figures follow the first order form, with packets that need not be whole, and cut to whole packets. First
order is the safe side: it states less power than there is, and asks for more packets.

A packet of w H100-hours: chips that do hidden work W hand in W/w false packets for it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from inspectorate.statistics.numerics import checked_probability


@dataclass(frozen=True, kw_only=True)
class Recomputation:
    """A share of packets, and how large a packet is."""

    share: float
    packet_h100_hours: float

    def __post_init__(self) -> None:
        checked_probability("the share that is recomputed", self.share)
        if not 0 < self.packet_h100_hours < math.inf:
            raise ValueError("a packet must take some time")

    def false_packets(self, chips: float, hours: float) -> float:
        """False packets that chips hand in which do something else for so long."""
        return chips * hours / self.packet_h100_hours

    def detection(self, chips: float, hours: float, *, exact: bool = False) -> float:
        """Probability to have found one of them by then."""
        log_miss = math.log1p(-self.share) if exact else -self.share
        return -math.expm1(self.false_packets(chips, hours) * log_miss)

    def packets_for(self, probability: float, *, exact: bool = False) -> float:
        """False packets by which one is found with this probability."""
        checked_probability("the probability of detection", probability)
        return math.log1p(-probability) / (math.log1p(-self.share) if exact else -self.share)

    def work_for(self, probability: float, *, exact: bool = False) -> float:
        """Hidden work, in H100-hours, by which it is found with this probability."""
        return self.packets_for(probability, exact=exact) * self.packet_h100_hours

    def packets_for_hidden(self, h100_hours: float, probability: float) -> Recomputation:
        """Packets so small that this much hidden work is found with this probability, at the same share."""
        return Recomputation(share=self.share, packet_h100_hours=h100_hours / self.packets_for(probability))
