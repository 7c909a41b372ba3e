"""What one draw alone does not show: second draws, secrets used twice, promises passed over.

- A promise is for one register. Drawing from a second one by the same secret could be foreseen.
- Where a register names no promise, a draw must use the oldest open one: else a verifier promises many secrets, and keeps the one
  that draws what it wants.
- An inspector draws once from a register. Several inspectors may each draw.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from inspectorate.evidence.envelope import VerifiedStatement
from inspectorate.evidence.fair import Uses, misused
from inspectorate.mechanisms.custody.counting.faults import Fault, Found
from inspectorate.mechanisms.custody.counting.selection import parse_randomness


def check_uses(
    draws: Sequence[VerifiedStatement],
    promises: Sequence[VerifiedStatement],
    *,
    naming: Mapping[str, str],
    payload: Callable[[str], bytes],
) -> tuple[Found, ...]:
    """Judge all draws that a reviewer knows of together. Each fault names the draw (`statement`) that it voids.

    `naming` gives, for the digest of a register, the promise that it names; registers that name none are not in it.
    """
    uses = Uses(
        draws=draws, promises=promises, naming=naming, noun="register",
        randomness=partial(parse_randomness, where="randomness"), payload=payload,
    )  # fmt: skip
    return tuple(Found(fault=Fault(one.value), detail=detail, statement=draw) for draw, one, detail in misused(uses))
