"""The operator's side: what a collector left in its spool, with a signed declaration and ledger proofs, as one bundle.

    1. every statement of the spool must stand in the log; one that does not was made behind its back, and is refused
    2. the declaration is signed, and its statement appended to the log: last, since what the log has taken it never loses
    3. the log's checkpoint is taken, cosigned by witnesses where the caller has some
    4. every statement gets its proof under that one checkpoint; and for a reviewer who saw the log before, that it continues
    5. the manifest is signed over all of it

The entry of a statement in the log is the raw SHA-256 of its envelope. Nothing is checked here that a reviewer would
rely on: `review.py` checks all of it again, with keys of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime
from pathlib import Path
from typing import Protocol

from inspectorate.canonical import digest_of
from inspectorate.declaration import Declaration
from inspectorate.errors import EnvironmentError_, InputError
from inspectorate.evidence import DeclarationMade, Origin, bundle_contents, make_statement, sign_statement
from inspectorate.keys import SigningKey
from inspectorate.ledger import Checkpoint, Note, continuation, prove_entry


class Ledger(Protocol):
    """A log, in a folder or in memory."""

    @property
    def size(self) -> int: ...

    def append(self, entries: list[bytes]) -> range: ...

    def find(self, entry: bytes) -> int | None: ...

    def entry(self, index: int) -> bytes: ...

    def inclusion(self, index: int, size: int | None = None) -> tuple[bytes, ...]: ...

    def checkpoint(self) -> bytes: ...

    def consistency(self, size1: int, size2: int | None = None) -> tuple[bytes, ...]: ...


def ledger_entry(envelope: bytes) -> bytes:
    """The entry under which an envelope stands in the log."""
    return bytes.fromhex(digest_of(envelope).removeprefix("sha256:"))


def read_spool(spool: Path) -> tuple[list[bytes], dict[str, bytes]]:
    """Envelopes and payloads of a collector's folder. Raises `InputError` if there are none, or a name is wrong."""
    try:
        envelopes = [path.read_bytes() for path in sorted((spool / "statements").glob("*.json"))]
        payloads = {digest_of(data): data for data in (p.read_bytes() for p in sorted((spool / "payloads").iterdir()))}
    except OSError as fault:
        raise EnvironmentError_(f"cannot be read: {fault.strerror}", where=str(spool)) from None
    if not envelopes:
        raise InputError("holds no statements", where=str(spool), remedy="name the --out folder of a collector")
    return envelopes, payloads


def submit(
    *,
    envelopes: list[bytes],
    payloads: dict[str, bytes],
    declaration: Declaration,
    declaration_key: SigningKey,
    log: Ledger,
    bundle_key: SigningKey,
    created_at: datetime,
    origin: Origin,
    cosign: Callable[[], bytes] | None = None,
    since: Collection[int] = (),
) -> dict[str, bytes]:
    """The files of a bundle (steps in the module's docstring).

    `cosign` gives the log's checkpoint with cosignatures; without it the checkpoint bears the log's signature alone. `since`
    are sizes of the log under which earlier bundles were made. Raises `InputError` if a statement is not in the log, or the log
    never had such a size.
    """
    # (1)
    places: dict[str, int] = {}
    for data in envelopes:
        index = log.find(ledger_entry(data))
        if index is None:
            raise InputError(
                f"statement {digest_of(data)} is not in the log", remedy="append its digest, or leave it out"
            )
        places[digest_of(data)] = index
    for size in since:
        continuation(log, size, log.size)
    # (2)
    declared = declaration.canonical_bytes()
    made = DeclarationMade(origin=origin, party=declaration.party, period=declaration.period, made_at=created_at)
    envelope = sign_statement(make_statement(made, {"declaration": digest_of(declared)}), declaration_key)
    places[digest_of(envelope)] = log.append([ledger_entry(envelope)]).start
    # (3)
    checkpoint = cosign() if cosign else log.checkpoint()
    # (4)
    proofs = {digest: prove_entry(log, index, checkpoint) for digest, index in places.items()}
    size = Checkpoint.parse(Note.parse(checkpoint, where="checkpoint").text, where="checkpoint").size
    # (5)
    return bundle_contents(
        envelopes=[*envelopes, envelope],
        payloads={**payloads, digest_of(declared): declared},
        proofs=proofs,
        continues={old: continuation(log, old, size) for old in since},
        key=bundle_key,
        created_at=created_at,
        origin=origin,
    )
