"""A witness: it remembers the largest checkpoint of each log it watches, and cosigns only what continues it.

C2SP tlog-witness, without HTTP (that is in `witness_http`). `Witness.add_checkpoint` is the protocol as a function of a
request body; the clock and the disk come in as arguments.

Rules:

- A cosignature is released only after the checkpoint it is for is durable as the new state. A witness that is killed at
  any moment has at worst recorded a checkpoint for which nobody received its cosignature.
- Checking the old size and recording the new one is one step under a lock; the folder is locked against a second process.
- A checkpoint that is smaller than the recorded one, or does not continue it, is never cosigned, whoever signed it.
- A second root for a recorded size, signed by the log, is proof that the log forked. Both notes are kept in `conflicts/`,
  up to `CONFLICTS_MAX`.
- The log's signature alone is recorded with the state: what others signed beside it is not our business.

Not defended here: an operator of the witness who deletes or restores its state. Ask several witnesses.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

from inspectorate.errors import EvidenceError, InputError
from inspectorate.keys import SigningKey
from inspectorate.ledger.checkpoint import Checkpoint, Policy, parse_decimal
from inspectorate.ledger.disk import Disk
from inspectorate.ledger.merkle import EMPTY_ROOT, PROOF_HASHES_MAX, verify_consistency
from inspectorate.ledger.note import NOTE_BYTES_MAX, KeyKind, Note, VerifierKey, cosign_note
from inspectorate.ledger.proof import format_hashes, parse_hashes

REQUEST_BYTES_MAX = NOTE_BYTES_MAX + (PROOF_HASHES_MAX + 2) * 64
CONFLICTS_MAX = 1_000
_TEXT = "text/plain; charset=utf-8"
_SIZE = "text/x.tlog.size"


@dataclass(frozen=True, kw_only=True)
class Reply:
    """An HTTP status, content type and body."""

    status: int
    body: str
    content_type: str = _TEXT


@dataclass(frozen=True, kw_only=True)
class Request:
    """The body of an add-checkpoint request (C2SP tlog-witness, "add-checkpoint")."""

    old_size: int
    proof: tuple[bytes, ...]
    checkpoint: bytes

    def __bytes__(self) -> bytes:
        lines = (f"old {self.old_size}", *format_hashes(self.proof), "")
        return "".join(f"{line}\n" for line in lines).encode() + self.checkpoint

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read a request body under limits. Raises `EvidenceError`."""
        if len(data) > REQUEST_BYTES_MAX:
            raise EvidenceError(f"request of {len(data)} bytes exceeds {REQUEST_BYTES_MAX}")
        head, blank, checkpoint = data.partition(b"\n\n")
        lines = head.decode("utf-8", errors="replace").split("\n")
        old_size = parse_decimal(lines[0].removeprefix("old ")) if lines[0].startswith("old ") else None
        if not blank or old_size is None:
            raise EvidenceError("request does not begin with an old size line, proof lines and an empty line")
        return cls(old_size=old_size, proof=parse_hashes(lines[1:], where="request"), checkpoint=checkpoint)


class Witness:
    """A witness with its key, its name, and the logs it watches. Safe for several threads."""

    def __init__(
        self, disk: Disk, key: SigningKey, *, name: str, logs: Sequence[VerifierKey], clock_s: Callable[[], int]
    ) -> None:
        """`logs` are the verifier keys of the watched logs, whose names are their origins; `clock_s` gives seconds
        since 1970. Raises `InputError`."""
        self.verifier_key = VerifierKey.of(key, name=name, kind=KeyKind.WITNESS)
        self._policies = {log.name: Policy(origin=log.name, log=log) for log in logs}
        if not logs or len(self._policies) != len(logs):
            raise InputError("a witness watches one or more logs, each with one key", where=name)
        self._disk = disk
        self._key = key
        self._clock_s = clock_s
        self._lock = threading.Lock()
        self._conflicts = 0

    def latest(self, origin: str) -> Checkpoint | None:
        """The recorded checkpoint of a watched log. Raises `EvidenceError` where the record was altered."""
        where = _state_path(origin)
        data = self._disk.read(where, NOTE_BYTES_MAX)
        return None if data is None else self._policies[origin].verify(data, where=where).checkpoint

    def add_checkpoint(self, body: bytes) -> Reply:
        """Answer one add-checkpoint request. The status codes are those of C2SP tlog-witness.

        1. The request is well formed (400), and names a log we watch (404) in a note the log signed (403).
        2. The old size does not exceed the new one (400), and is the recorded one (409, with the recorded size).
        3. At equal sizes the roots are equal (409); else the consistency proof leads from one to the other (422).
        4. Record the checkpoint durably; only then cosign (200).
        """
        try:  # 1.
            request = Request.parse(body)
            note = Note.parse(request.checkpoint, where="checkpoint")
            claimed = Checkpoint.parse(note.text, where="checkpoint")
        except EvidenceError as fault:
            return Reply(status=400, body=f"{fault}\n")
        policy = self._policies.get(claimed.origin)
        if policy is None:
            return Reply(status=404, body="unknown log\n")
        try:
            new = policy.verify(request.checkpoint).checkpoint
        except EvidenceError as fault:
            return Reply(status=403, body=f"{fault}\n")
        if request.old_size > new.size:
            return Reply(status=400, body="the old size exceeds the size of the checkpoint\n")
        with self._lock:
            return self._continue(request, note, new)

    def _continue(self, request: Request, note: Note, new: Checkpoint) -> Reply:
        """Steps 2 to 4 of `add_checkpoint`, under the lock."""
        recorded = self.latest(new.origin)
        size, root = (recorded.size, recorded.root) if recorded else (0, EMPTY_ROOT)
        if recorded and new.size == size and new.root != root:
            self._keep_conflict(new.origin, request.checkpoint)
        if request.old_size != size:  # 2.
            return Reply(status=409, body=f"{size}\n", content_type=_SIZE)
        if new.size == size:  # 3.
            if new.root != root:
                return Reply(status=409, body=f"{size}\n", content_type=_SIZE)
            if request.proof:
                return Reply(status=422, body="a proof between equal sizes must be empty\n")
        elif size == 0:
            if request.proof:
                return Reply(status=422, body="a proof from size 0 must be empty\n")
        else:
            try:
                verify_consistency(size, new.size, request.proof, root, new.root)
            except EvidenceError as fault:
                return Reply(status=422, body=f"{fault}\n")
        log_key = self._policies[new.origin].log  # 4.
        own = tuple(s for s in note.signatures if (s.name, s.key_hash) == (log_key.name, log_key.key_hash))
        self._disk.replace(_state_path(new.origin), bytes(Note(text=note.text, signatures=own[:1])))
        signature = cosign_note(note.text, self._key, name=self.verifier_key.name, time_s=self._clock_s())
        return Reply(status=200, body=signature.line)

    def _keep_conflict(self, origin: str, checkpoint: bytes) -> None:
        """Keep the proof of a fork: the note we recorded and the one that contradicts it, both signed by the log."""
        recorded = self._disk.read(_state_path(origin), NOTE_BYTES_MAX) or b""
        path = f"conflicts/{hashlib.sha256(recorded + checkpoint).hexdigest()}"
        if self._conflicts < CONFLICTS_MAX and self._disk.read(path, 2 * NOTE_BYTES_MAX) is None:
            self._disk.replace(path, recorded + b"\n" + checkpoint)
            self._conflicts += 1


def _state_path(origin: str) -> str:
    return f"logs/{hashlib.sha256(origin.encode()).hexdigest()}"
