"""Which requests are drawn, period by period, along one hash chain of this run (`interlock.sampling`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from inspectorate.mechanisms.guarantee.interlock.sampling import Chain, Sampler

PERIODS = 100_000
"""Links of one chain: a report a minute for two months. Then the processor has to start anew."""


@dataclass(kw_only=True)
class Draws:
    """One run's draws. The share is read anew for every period."""

    chain: Chain
    share: Callable[[], float]
    period: int = 0
    index: int = 0
    sampler: Sampler = field(init=False)

    def __post_init__(self) -> None:
        self.sampler = self.chain.sampler(self.period, self.share())

    def next(self) -> bool:
        """Whether the request that is admitted next is drawn."""
        drawn = self.sampler.draws(self.index)
        self.index += 1
        return drawn

    def opened(self) -> bytes:
        """What the report of this period publishes: it opens the draw that ends, and commits to the next one."""
        return self.chain.opened(self.period)

    @property
    def is_last(self) -> bool:
        """Whether the chain ends with this period."""
        return self.period + 1 >= self.chain.periods

    def turn(self) -> None:
        """The period was reported. Raises `ValueError` at the end of the chain."""
        self.period += 1
        self.index = 0
        self.sampler = self.chain.sampler(self.period, self.share())
