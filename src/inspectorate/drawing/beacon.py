"""A public beacon that both sides can check: a round of drand, verified without a network.

The message of a round is SHA-256 of its number as 8 bytes, most significant first; its randomness is SHA-256 of the
signature. A threshold of the network's members signs, so that no member alone knows a round before it is made, or can
choose it.

What the beacon needs of whoever uses it: the round must be fixed by rule before it is made, and what is drawn from must
be fixed before, too. Whoever draws checks both.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Callable

from inspectorate.drawing.chain import ROUND_MAX, Chain
from inspectorate.errors import EnvironmentError_


def round_verifies(chain: Chain, number: int, signature: str) -> bool:
    """Whether `signature` (hex) is the chain's for round `number`.

    Raises `EnvironmentError_` where the library is not installed: what cannot be checked is never taken as checked.
    """
    if not 1 <= number <= ROUND_MAX:
        return False
    try:
        data = bytes.fromhex(signature)
    except ValueError:
        return False
    message = hashlib.sha256(number.to_bytes(8, "big")).digest()
    return _verifier()(data, message, bytes.fromhex(chain.public_key))


def randomness_of(signature: str) -> bytes:
    """The randomness of a round, as drand publishes it: SHA-256 of the signature."""
    return hashlib.sha256(bytes.fromhex(signature)).digest()


def _verifier() -> Callable[[bytes, bytes, bytes], bool]:
    try:
        module = importlib.import_module(f"{__package__}.beacon_bls")
    except ImportError as fault:
        raise EnvironmentError_(
            f"needs {fault.name}, which is not installed", where="beacon", remedy="install inspectorate[beacon]"
        ) from None
    found: Callable[[bytes, bytes, bytes], bool] = module.verifies
    return found
