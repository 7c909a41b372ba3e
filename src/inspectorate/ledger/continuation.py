"""Proof that a log continues what somebody saw of it before: an older tree is the beginning of a newer one.

As text: the older size, then the hashes of the consistency proof in base64, one a line; the head of a request to a witness (C2SP
tlog-witness), without its checkpoint. Both roots come from elsewhere: the older one from whoever saw it, the newer one from a
verified checkpoint.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, Self

from inspectorate.errors import EvidenceError, InputError
from inspectorate.ledger.checkpoint import parse_decimal
from inspectorate.ledger.merkle import PROOF_HASHES_MAX, verify_consistency
from inspectorate.ledger.proof import format_hashes, parse_hashes

CONTINUATION_BYTES_MAX = (PROOF_HASHES_MAX + 2) * 64


class Continued(Protocol):
    """What `continuation` needs of a log; `Log` and `MemoryLog` both are."""

    def consistency(self, size1: int, size2: int | None = None) -> tuple[bytes, ...]: ...


@dataclass(frozen=True, kw_only=True)
class Continuation:
    """A proof as read; nothing in it is verified."""

    old_size: int
    hashes: tuple[bytes, ...]

    def __bytes__(self) -> bytes:
        return "".join(f"{line}\n" for line in (f"old {self.old_size}", *format_hashes(self.hashes))).encode()

    @classmethod
    def parse(cls, data: bytes, *, where: str) -> Self:
        """Read a proof under limits. Raises `EvidenceError`."""
        if len(data) > CONTINUATION_BYTES_MAX:
            raise EvidenceError(f"proof of {len(data)} bytes exceeds {CONTINUATION_BYTES_MAX}", where=where)
        lines = data.decode("utf-8", errors="replace").split("\n")
        old_size = parse_decimal(lines[0].removeprefix("old ")) if lines[0].startswith("old ") else None
        if old_size is None or lines[-1] != "":
            raise EvidenceError("is not an old size line with lines of hashes", where=where)
        return cls(old_size=old_size, hashes=parse_hashes(lines[1:-1], where=where))

    def verify(self, old_root: bytes, *, size: int, root: bytes, where: str) -> None:
        """Check that the tree of `old_size` with `old_root` is the beginning of this one. Raises `EvidenceError`."""
        if self.old_size > size:
            raise EvidenceError(f"a log of {size} entries does not continue one of {self.old_size}", where=where)
        verify_consistency(self.old_size, size, self.hashes, old_root, root, where=where)


def continuation(log: Continued, old_size: int, size: int) -> bytes:
    """The proof that a log of `size` entries continues its first `old_size`. Raises `InputError` where it never had so many."""
    if not 0 < old_size <= size:
        raise InputError(f"a log of {size} entries cannot continue one of {old_size}", where="--since",
                         remedy="give the size that the earlier review states")  # fmt: skip
    return bytes(Continuation(old_size=old_size, hashes=log.consistency(old_size, size)))
