"""Which requests are drawn for re-execution: by a secret that was committed to beforehand and is opened afterwards.

Rules:

- Request `index` of a period (0, 1, 2, ... in the order of admission) is drawn if HMAC-SHA256(secret, index), as a fraction of
  2^64, is below the share that the ruleset names. Nobody without the secret can tell drawn requests from others.
- The secrets of successive periods are links of one hash chain, used backwards: link[i] = SHA-256(link[i + 1]). Period i is drawn
  by link[i + 1]. The report of period i publishes `opened(i)` = link[i + 1]: it opens the secret of the period that has ended, and
  commits to that of the next one. The first link is published before anything is served.
- The reviewer checks one hash per report (`follows`), and counts again how many of so many requests had to be drawn (`drawn_of`).

The processor draws the end of the chain by itself, and it never leaves; 32 bytes a report do, and they say nothing of the work.
A chain is not used again after a restart: requests of an unfinished period would be drawn by indices that were used already.

Not shown by this: that the processor kept what it drew, and that it counted every request. Its measured program has to show that.
"""

from __future__ import annotations

import hashlib
import hmac
from fractions import Fraction

LINK_BYTES = 32
PERIODS_MAX = 1 << 20
_LABEL = b"inspectorate guard sampling v1\0"
_SPACE = 1 << 64


def _before(link: bytes) -> bytes:
    return hashlib.sha256(_LABEL + link).digest()


class Chain:
    """The links of one run of the processor, from a seed that its caller drew."""

    def __init__(self, seed: bytes, *, periods: int) -> None:
        if len(seed) != LINK_BYTES or not 1 <= periods <= PERIODS_MAX:
            raise ValueError(f"a chain needs {LINK_BYTES} bytes, and 1 to {PERIODS_MAX} periods")
        links = [seed]
        for _ in range(periods):
            links.append(_before(links[-1]))
        links.reverse()
        self._links = links
        self.periods = periods

    @property
    def commitment(self) -> bytes:
        """The first link: published before the first period."""
        return self._links[0]

    def opened(self, period: int) -> bytes:
        """What is published once `period` has ended."""
        if not 0 <= period < self.periods:
            raise ValueError(f"the chain has {self.periods} periods")
        return self._links[period + 1]

    def sampler(self, period: int, share: float) -> Sampler:
        return Sampler(self.opened(period), share)


class Sampler:
    """Draws requests of one period. The same for the processor, and for a reviewer after the secret was opened."""

    def __init__(self, secret: bytes, share: float) -> None:
        if len(secret) != LINK_BYTES or not 0 <= share <= 1:
            raise ValueError(f"sampling needs {LINK_BYTES} bytes of secret and a share from 0 to 1")
        self._secret = secret
        self._below = int(Fraction(share) * _SPACE)

    def draws(self, index: int) -> bool:
        mac = hmac.digest(self._secret, _LABEL + index.to_bytes(8, "big"), "sha256")
        return int.from_bytes(mac[:8], "big") < self._below


def follows(opened: bytes, commitment: bytes) -> bool:
    """Whether `opened` is what `commitment` was made of."""
    return len(opened) == LINK_BYTES and hmac.compare_digest(_before(opened), commitment)


def drawn_of(secret: bytes, share: float, requests: int) -> int:
    """How many of the first `requests` of a period had to be drawn."""
    sampler = Sampler(secret, share)
    return sum(sampler.draws(index) for index in range(requests))
