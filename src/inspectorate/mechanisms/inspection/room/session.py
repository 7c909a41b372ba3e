"""A session in a folder: one log, written line by line, each durable before anything that it says happens.

1. Open: budget, forms and slots are fixed.
2. Inputs: files of the host are hashed where they lie. Nothing is copied.
3. A job runs with a form. What its output would cost is known before it starts; where the budget has no room, it does not start.
4. Its output stands in the form, or it is `failed`. Nothing shows before the slot in which it is due, however soon the job ended.
   Then it is charged, written, and waits.
5. The host sees it, and signs or objects. An objection costs a bit and stays in the log.
6. At the edge of the next slot it leaves, padded to one length.
7. Close: the sums are written, and a statement of the whole log can be made.

A crash leaves a log without an end, which every reader sees. `Room.resume` strikes an unfinished line and says so in the log; a job
that was running ends as failed. Clock and sleep come in as arguments.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from inspectorate.canonical import digest_of
from inspectorate.errors import EnvironmentError_, EvidenceError, InputError
from inspectorate.evidence import RoomClosed
from inspectorate.evidence.statement import Statement, make_statement
from inspectorate.files import make_durable
from inspectorate.keys import SigningKey
from inspectorate.mechanisms.inspection.room.check import RoomReport, answer_bytes, check_room_log
from inspectorate.mechanisms.inspection.room.types import (
    ENTRIES_MAX,
    FAILED,
    LOG_BYTES_MAX,
    Body,
    Closed,
    Entry,
    Form,
    HostAgreed,
    HostObjected,
    InputRead,
    JobStarted,
    Offered,
    Opened,
    Output,
    Refused,
    Released,
    Resumed,
    due_slot,
    offered_bits,
)
from inspectorate.quantities import Period

LOG = "log.jsonl"
SUBJECT = "log"
CHUNK_BYTES = 1 << 20
INPUT_BYTES_MAX = 1 << 44
ENTRIES_KEPT = 4
"""So many entries are kept free, so that a session can always be ended."""

Job = Callable[[], Output]


@dataclass(frozen=True, kw_only=True)
class Around:
    """What a room needs of the world: the time, a way to wait for it, and whom to tell the digest of each line."""

    clock: Callable[[], datetime]
    wait_until: Callable[[datetime], None]
    on_entry: Callable[[bytes], None] | None = None


class Room:
    """A session that goes on, for one writer."""

    def __init__(self, folder: Path, around: Around) -> None:
        """Not for others: `open` and `resume` make it."""
        self._path = folder / LOG
        self._around = around
        try:
            self._file = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._file)
            raise EnvironmentError_("another process writes this session", where=str(folder)) from None
        except OSError as fault:
            raise EnvironmentError_(f"cannot be written: {fault.strerror}", where=str(self._path)) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._file)

    @classmethod
    def open(cls, folder: Path, opening: Opened, around: Around) -> Self:
        """Open a session in a folder that holds none. Raises `InputError`."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as fault:
            raise EnvironmentError_(f"cannot be written: {fault.strerror}", where=str(folder)) from None
        if (folder / LOG).exists():
            raise InputError("holds a session already", where=str(folder), remedy="give each session its own folder")
        room = cls(folder, around)
        room._write(opening)
        make_durable(folder)
        return room

    @classmethod
    def resume(cls, folder: Path, around: Around) -> Self:
        """Go on with a session. Raises `InputError` if there is none or it is closed, `EvidenceError` if its log is not sound."""
        if not (folder / LOG).exists():
            raise InputError("holds no session", where=str(folder), remedy="open one with `inspectorate room open`")
        room = cls(folder, around)
        try:
            room._take_up()
        except (InputError, EvidenceError):
            os.close(room._file)
            raise
        return room

    @property
    def report(self) -> RoomReport:
        """The log as it stands, judged."""
        return check_room_log(self._bytes())

    @property
    def bits_left(self) -> float:
        return max(0.0, self.report.bits_left)

    def read_input(self, name: str, path: Path) -> str:
        """Hash a file of the host where it lies, and write its digest down. Raises `InputError`."""
        hasher, size = hashlib.sha256(), 0
        try:
            with path.open("rb") as file:
                while chunk := file.read(CHUNK_BYTES):
                    hasher.update(chunk)
                    size += len(chunk)
                    if size > INPUT_BYTES_MAX:
                        raise InputError(f"exceeds {INPUT_BYTES_MAX} bytes", where=str(path))
        except OSError as fault:
            raise InputError(f"cannot be read: {fault.strerror}", where=str(path)) from None
        digest = f"sha256:{hasher.hexdigest()}"
        before = self.report.inputs.get(name)
        if before is not None and before != digest:
            raise InputError(f"is another file than input {name!r} was before", where=str(path))
        if before is None:
            self._write(InputRead(name=name, digest=digest))
        return digest

    def run(
        self, name: str, form_id: str, job: Job, *, inputs: Sequence[str] = (), arguments: bytes | None = None
    ) -> int:
        """Run a job and offer its output to the host; its number. The output is not returned: nobody sees it before the host.

        Raises `InputError` where the form was not agreed, another output waits, or the budget has no room. An error of ours that
        the job raises is the outcome `failed`. A fault of the program is written down as that, too, and goes on: a job that can
        have one belongs into a process of its own.
        """
        found = self.report
        form = self._form(found, form_id)
        if found.pending is not None:
            raise InputError("the output before it waits for the host", where=name, remedy="`inspectorate room answer`")
        unknown = set(inputs) - set(found.inputs)
        if unknown:
            raise InputError(f"input {sorted(unknown)[0]!r} was not read", where=name)
        self._afford(found, form.bits, name)
        number = len(found.jobs)
        self._write(
            JobStarted(
                job=number, name=name, form=form_id, inputs=tuple(sorted(set(inputs))),
                arguments=None if arguments is None else digest_of(arguments),
            )
        )  # fmt: skip
        output = _failed(form)
        try:
            output = job()
        except (InputError, EvidenceError, EnvironmentError_, OSError):
            output = _failed(form)
        finally:
            offered = self._offer(number, form, output if output.fits(form) else _failed(form))
        if not offered:
            raise InputError("the output came so late that the budget has no room for it", where=name)
        return number

    def waiting(self) -> tuple[int, Output] | None:
        """What the host has to look at."""
        found = self.report
        job = found.pending
        return None if job is None else (job, found.offered[job].output)

    def agree(self, key: SigningKey) -> int:
        """The host lets the waiting output go; the slot in which it leaves. Raises `InputError` where none waits."""
        found = self.report
        job = found.pending
        if job is None:
            raise InputError("no output waits for the host", where=str(self._path))
        signature = base64.b64encode(key.sign(answer_bytes(found.lines[job]))).decode()
        self._write(HostAgreed(job=job, signature=signature))
        return self.report.leaves_in(job)

    def object(self) -> None:
        """The host keeps the waiting output back. Raises `InputError` where none waits."""
        job = self.report.pending
        if job is None:
            raise InputError("no output waits for the host", where=str(self._path))
        self._write(HostObjected(job=job))

    def release(self) -> tuple[tuple[int, bytes], ...]:
        """Let go what the host agreed to and whose slot has come: job and padded bytes."""
        found = self.report
        left = []
        for job in sorted(found.agreed - set(found.released)):
            slot = found.leaves_in(job)
            if self._around.clock() >= found.edge(slot):
                self._write(Released(job=job, slot=slot))
                left.append((job, found.offered[job].output.padded()))
        return tuple(left)

    def close(self) -> tuple[Statement, bytes]:
        """End the session, when what the host agreed to has left: its statement, to be signed, and its log.

        Raises `InputError` while an output waits for the host.
        """
        found = self.report
        if found.pending is not None:
            raise InputError("an output waits for the host", where=str(self._path), remedy="the host agrees or objects")
        if found.running is not None:
            raise InputError("a job is running", where=str(self._path))
        edge = found.edge(found.slot(self._around.clock()) + 1)
        self._around.wait_until(edge)
        with contextlib.suppress(InputError):  # a full log holds no more than its end
            self.release()
        self._write(Closed(bits_out=found.bits_out, inputs=len(found.inputs)), last=True, at=edge)
        return closed_statement(self._bytes())

    def _take_up(self) -> None:
        data = self._bytes()
        torn = len(data) - (data.rfind(b"\n") + 1)
        found = check_room_log(data[: len(data) - torn])
        if found.closed is not None:
            raise InputError("the session is closed", where=str(self._path))
        if torn and found.opened is not None:
            os.ftruncate(self._file, len(data) - torn)
            self._write(Resumed(struck_bytes=torn))
            found = self.report
        if found.opened is None or not found.sound_but_open:
            raise EvidenceError(found.problems[0].text if found.problems else "is empty", where=str(self._path))
        if found.running is not None:
            # The process ended in the middle of a job: that it failed is what the log says of it.
            form = self._form(found, found.jobs[found.running].form)
            self._offer(found.running, form, _failed(form))

    def _offer(self, number: int, form: Form, output: Output) -> bool:
        """Wait for the slot in which the output is due, then write it down; whether the budget had room for it."""
        found = self.report
        due = due_slot(found.started_slot[number])
        late = max(0, found.slot(self._around.clock()) + 1 - due)
        edge = found.edge(due + late)
        self._around.wait_until(edge)
        bits = offered_bits(form, late)
        room = bits <= found.bits_left
        body = (
            Offered(job=number, output=output, late_slots=late, bits=bits) if room else Refused(job=number, bits=bits)
        )
        self._write(body, at=edge)
        return room

    def _afford(self, found: RoomReport, bits: float, name: str) -> None:
        if bits > found.bits_left:
            raise InputError(
                f"an output of {bits:.3g} bits exceeds the {max(0.0, found.bits_left):.3g} that are left", where=name
            )

    def _form(self, found: RoomReport, form_id: str) -> Form:
        assert found.opened is not None
        form = found.opened.form(form_id)
        if form is None:
            known = ", ".join(one.id for one in found.opened.forms)
            raise InputError(f"form {form_id!r} was not agreed", where=str(self._path), remedy=f"one of: {known}")
        return form

    def _bytes(self) -> bytes:
        size = os.fstat(self._file).st_size
        if size > LOG_BYTES_MAX:
            raise EvidenceError(f"exceeds {LOG_BYTES_MAX} bytes", where=str(self._path))
        return os.pread(self._file, size, 0)

    def _write(self, body: Body, *, last: bool = False, at: datetime | None = None) -> None:
        """One line, durable. Its time is the edge before, and never before the time of the line before it."""
        lines = self._bytes().split(b"\n")[:-1]
        if len(lines) > ENTRIES_MAX - (1 if last else ENTRIES_KEPT):
            raise InputError("the log is full", where=str(self._path), remedy="close it and open another session")
        time = at or self._around.clock()
        if lines:
            found = self.report
            time = max(found.edge(found.slot(time)), found.entries[-1].at)
        entry = Entry(number=len(lines), previous=digest_of(lines[-1]) if lines else None, at=time, body=body)
        line = entry.canonical_bytes()
        try:
            written = os.write(self._file, line + b"\n")
            os.fsync(self._file)
        except OSError as fault:
            raise EnvironmentError_(f"cannot be written: {fault.strerror}", where=str(self._path)) from None
        if written != len(line) + 1:
            raise EnvironmentError_("the disk is full", where=str(self._path))
        if self._around.on_entry is not None:
            self._around.on_entry(bytes.fromhex(digest_of(line).removeprefix("sha256:")))


def closed_statement(log: bytes) -> tuple[Statement, bytes]:
    """The statement of a closed session. Raises `EvidenceError` if its log is not sound."""
    found = check_room_log(log)
    if not found.sound or found.opened is None:
        raise EvidenceError(next((one.text for one in found.problems if one.invalid), "is empty"), where=SUBJECT)
    predicate = RoomClosed(
        origin=found.opened.origin,
        by=found.opened.by,
        session=found.opened.session,
        host=found.opened.host,
        period=Period.parse(
            {"start": found.entries[0].at, "end": found.entries[-1].at}, where=SUBJECT, error=EvidenceError
        ),
        inputs=len(found.inputs),
        bits_out=found.bits_out,
        outputs=found.outputs,
    )
    return make_statement(predicate, {SUBJECT: digest_of(log)}), log


def read_log(folder: Path) -> bytes:
    """The log of a session, open or closed. Raises `InputError`."""
    try:
        with (folder / LOG).open("rb") as file:
            return file.read(LOG_BYTES_MAX + 1)
    except OSError as fault:
        raise InputError(f"holds no session: {fault.strerror}", where=str(folder)) from None


def _failed(form: Form) -> Output:
    return Output(word=FAILED, counts=tuple(one.least for one in form.counts))
