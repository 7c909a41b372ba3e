"""Signed statements of the gateway: what ran, and what became of each loading window.

Statements and payloads go into a spool of the collector's form (`spool`), durable before the ledger hears of them. The
subject of a `LimitAttested` is a snapshot of the kernel at the end of its period, from which limits are read (`snapshot`):
what a plan said never enters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from inspectorate.canonical import canonical_bytes, digest_of
from inspectorate.evidence import LimitAttested, Origin, WindowUsed, make_statement, sign_statement
from inspectorate.keys import SigningKey
from inspectorate.mechanisms.interconnect.enforce.readback import Running
from inspectorate.mechanisms.interconnect.enforce.snapshot import Snapshot
from inspectorate.quantities import Period


class Spool(Protocol):
    """Where files go. `put` returns when the file is durable, whole and under its name."""

    def put(self, name: str, chunks: Sequence[bytes | memoryview]) -> None: ...


@dataclass(kw_only=True)
class Attester:
    """Signs and files what one gateway states."""

    reporter: str
    key: SigningKey
    spool: Spool
    origin: Origin
    on_statement: Callable[[bytes], None] | None = None
    """Called with the raw SHA-256 of every statement's envelope, once it is durable."""
    filed: int = 0

    def attest(self, snapshot: Snapshot, running: Running, period: Period, *, unchanged: bool) -> str:
        """State what ran throughout a period; the digest of the statement."""
        predicate = LimitAttested(
            origin=self.origin,
            reporter=self.reporter,
            period=period,
            limits=running.limits,
            others_dropped=not running.faults,
            unchanged=unchanged,
            lifted=running.lifted,
        )
        return self._state(predicate, "ruleset", snapshot.payload())

    def window_used(self, used: WindowUsed, account: dict[str, object]) -> str:
        """State how a window went; the account is its payload."""
        return self._state(used, "window", canonical_bytes(account))

    def file(self, envelope: bytes) -> str:
        """File a statement of somebody else's, such as an approval."""
        hexadecimal = digest_of(envelope).removeprefix("sha256:")
        self.spool.put(f"statements/{hexadecimal}.json", [envelope])
        if self.on_statement is not None:
            self.on_statement(bytes.fromhex(hexadecimal))
        self.filed += 1
        return f"sha256:{hexadecimal}"

    def _state(self, predicate: LimitAttested | WindowUsed, name: str, payload: bytes) -> str:
        digest = digest_of(payload)
        self.spool.put(f"payloads/{digest.removeprefix('sha256:')}", [payload])
        return self.file(sign_statement(make_statement(predicate, {name: digest}), self.key))
