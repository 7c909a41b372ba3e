"""The judge of a room's log: it believes no figure that it can make again.

`check_room_log` is pure, and raises nothing on what the bytes hold: problems are data. What it makes again: the chain, the order of
entries, every bit that was charged, the budget, whether each output stands in its form, the slots, and the host's signatures where
its key is given.
"""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal

from inspectorate.canonical import digest_of, parse_canonical
from inspectorate.errors import EvidenceError
from inspectorate.evidence import RoomClosed
from inspectorate.keys import PublicKey
from inspectorate.mechanisms.inspection.room.types import (
    ENTRIES_MAX,
    LINE_BYTES_MAX,
    LOG_BYTES_MAX,
    OBJECTION_BITS,
    Closed,
    Entry,
    HostAgreed,
    HostObjected,
    InputRead,
    JobStarted,
    Offered,
    Opened,
    Refused,
    Released,
    Resumed,
    due_slot,
    edge_of,
    offered_bits,
    slot_of,
)

NEAR = 1e-9


class RoomProblemKind(StrEnum):
    """What may be wrong with a log."""

    MALFORMED = "malformed"
    CHAIN = "chain"
    ORDER = "order"
    OUTSIDE_LIST = "outside-list"
    BITS = "bits"
    BUDGET = "budget"
    SIGNATURE = "signature"
    SLOT = "slot"
    UNCLOSED = "unclosed"
    RESUMED = "resumed"
    """It was cut off and went on: no fault, to be known."""
    STATEMENT_DIFFERS = "statement-differs"


@dataclass(frozen=True)
class RoomProblem:
    """One problem, and the line it is in."""

    kind: RoomProblemKind
    text: str
    line: int | None = None

    @property
    def invalid(self) -> bool:
        return self.kind is not RoomProblemKind.RESUMED


@dataclass(kw_only=True)
class RoomReport:
    """What a log says, made again, and what is wrong with it."""

    opened: Opened | None = None
    entries: list[Entry] = field(default_factory=list)
    inputs: dict[str, str] = field(default_factory=dict)
    jobs: dict[int, JobStarted] = field(default_factory=dict)
    offered: dict[int, Offered] = field(default_factory=dict)
    agreed: set[int] = field(default_factory=set)
    answered: set[int] = field(default_factory=set)
    released: dict[int, Released] = field(default_factory=dict)
    started_slot: dict[int, int] = field(default_factory=dict)
    answered_slot: dict[int, int] = field(default_factory=dict)
    ended: set[int] = field(default_factory=set)
    """Jobs that were offered or refused."""
    lines: dict[int, str] = field(default_factory=dict)
    """Digest of the line in which the output of a job was offered."""
    bits_out: float = 0.0
    closed: Closed | None = None
    problems: list[RoomProblem] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        return not any(one.invalid for one in self.problems)

    @property
    def sound_but_open(self) -> bool:
        """Whether nothing is wrong but that it was not closed yet."""
        wrong = [one.kind for one in self.problems if one.invalid]
        return wrong == [RoomProblemKind.UNCLOSED]

    @property
    def outputs(self) -> Literal["verdict", "verdict-and-count", "scores"]:
        """The widest kind of form that was offered."""
        kinds = set()
        for job in self.offered:
            form = self.opened.form(self.jobs[job].form) if self.opened is not None and job in self.jobs else None
            if form is not None:
                kinds.add(form.kind)
        return "scores" if "scores" in kinds else "verdict-and-count" if "verdict-and-count" in kinds else "verdict"

    @property
    def pending(self) -> int | None:
        """The job whose output waits for the host."""
        return next((job for job in self.offered if job not in self.answered), None)

    @property
    def running(self) -> int | None:
        return next((job for job in self.jobs if job not in self.ended), None)

    def slot(self, at: datetime) -> int:
        assert self.opened is not None
        return slot_of(self.entries[0].at, self.opened.slot_s, at)

    def edge(self, slot: int) -> datetime:
        assert self.opened is not None
        return edge_of(self.entries[0].at, self.opened.slot_s, slot)

    def leaves_in(self, job: int) -> int:
        """The slot in which an output that the host agreed to leaves."""
        return max(self.answered_slot[job] + 1, due_slot(self.started_slot[job]))

    @property
    def bits_left(self) -> float:
        """For an output, with what an objection to it would cost kept free."""
        assert self.opened is not None
        return self.opened.bits_max - self.bits_out - OBJECTION_BITS

    def report(self, kind: RoomProblemKind, text: str, line: int | None = None) -> None:
        self.problems.append(RoomProblem(kind, text, line))


def check_room_log(data: bytes, *, host_key: PublicKey | None = None) -> RoomReport:
    """Read a log and judge it. Without the host's key its signatures are not checked."""
    found = RoomReport()
    lines = _lines(data, found)
    previous: str | None = None
    for number, line in enumerate(lines):
        try:
            entry = Entry.parse(
                parse_canonical(line, where=f"line {number}"), where=f"line {number}", error=EvidenceError
            )
        except EvidenceError as fault:
            found.report(RoomProblemKind.MALFORMED, str(fault), number)
            return found
        if entry.number != number or entry.previous != previous:
            found.report(RoomProblemKind.CHAIN, "does not follow the line before it", number)
        if found.entries and entry.at < found.entries[-1].at:
            found.report(RoomProblemKind.ORDER, "time goes back", number)
        previous = digest_of(line)
        _take(entry, previous, found, host_key)
        found.entries.append(entry)
    if found.closed is None and found.sound:
        found.report(RoomProblemKind.UNCLOSED, "the session was never closed")
    return found


def check_room(predicate: RoomClosed, payload: bytes, *, host_key: PublicKey | None = None) -> RoomReport:
    """The log behind a statement, and the statement held against it."""
    found = check_room_log(payload, host_key=host_key)
    if not found.entries or found.opened is None:
        return found
    said = (predicate.session, predicate.host, predicate.by, predicate.origin, predicate.inputs, predicate.outputs)
    opened = found.opened
    held = (opened.session, opened.host, opened.by, opened.origin, len(found.inputs), found.outputs)
    period = (found.entries[0].at, found.entries[-1].at)
    if said != held or (predicate.period.start, predicate.period.end) != period:
        found.report(RoomProblemKind.STATEMENT_DIFFERS, "the statement says other things than its log")
    if not math.isclose(predicate.bits_out, found.bits_out, rel_tol=NEAR, abs_tol=NEAR):
        found.report(
            RoomProblemKind.STATEMENT_DIFFERS,
            f"{predicate.bits_out:g} bits are stated, and the log has {found.bits_out:g}",
        )
    return found


def _lines(data: bytes, found: RoomReport) -> list[bytes]:
    if len(data) > LOG_BYTES_MAX:
        found.report(RoomProblemKind.MALFORMED, f"a log of {len(data)} bytes exceeds {LOG_BYTES_MAX}")
        return []
    if not data.endswith(b"\n"):
        found.report(RoomProblemKind.MALFORMED, "is empty, or its last line is unfinished")
    lines = data.split(b"\n")[:-1]
    if len(lines) > ENTRIES_MAX or any(len(line) > LINE_BYTES_MAX for line in lines):
        found.report(RoomProblemKind.MALFORMED, "holds too many lines, or one that is too long")
        return []
    return lines


def _take(entry: Entry, digest: str, found: RoomReport, host_key: PublicKey | None) -> None:
    """One entry, after all before it."""
    body, line = entry.body, entry.number
    if isinstance(body, Opened):
        if found.entries:
            found.report(RoomProblemKind.ORDER, "is opened a second time", line)
        else:
            found.opened = body
        return
    if found.opened is None:
        found.report(RoomProblemKind.ORDER, "a log begins with its opening", line)
        return
    if found.closed is not None:
        found.report(RoomProblemKind.ORDER, "follows after the session was closed", line)
        return
    if entry.at != found.edge(found.slot(entry.at)):
        found.report(RoomProblemKind.SLOT, "is written between two edges", line)
    match body:
        case InputRead():
            if found.inputs.setdefault(body.name, body.digest) != body.digest:
                found.report(RoomProblemKind.ORDER, f"input {body.name} is another file than before", line)
        case JobStarted():
            _started(body, entry, found)
        case Offered():
            _offered(entry, body, digest, found)
        case Refused():
            _refused(body, found, line)
        case HostAgreed() | HostObjected():
            _answered(body, entry, found, host_key)
        case Released():
            _released(body, entry, found)
        case Resumed():
            found.report(RoomProblemKind.RESUMED, f"was cut off; {body.struck_bytes} bytes were struck", line)
        case Closed():
            _closed(body, found, line)


def _started(body: JobStarted, entry: Entry, found: RoomReport) -> None:
    assert found.opened is not None
    line = entry.number
    if body.job != len(found.jobs) or found.pending is not None or found.running is not None:
        found.report(RoomProblemKind.ORDER, f"job {body.job} starts out of turn", line)
    if found.opened.form(body.form) is None:
        found.report(RoomProblemKind.OUTSIDE_LIST, f"form {body.form} was not agreed", line)
    if set(body.inputs) - set(found.inputs):
        found.report(RoomProblemKind.ORDER, "names an input that was not read", line)
    found.jobs[body.job] = body
    found.started_slot[body.job] = found.slot(entry.at)


def _offered(entry: Entry, body: Offered, digest: str, found: RoomReport) -> None:
    assert found.opened is not None
    line = entry.number
    job = found.jobs.get(body.job)
    form = None if job is None else found.opened.form(job.form)
    if job is None or body.job in found.ended:
        found.report(RoomProblemKind.ORDER, "offers the output of no running job", line)
        return
    found.ended.add(body.job)
    found.offered[body.job] = body
    found.lines[body.job] = digest
    if form is None or not body.output.fits(form):
        found.report(RoomProblemKind.OUTSIDE_LIST, f"{body.output.word} is no output of this form", line)
        found.bits_out += body.bits
        return
    if found.slot(entry.at) != due_slot(found.started_slot[body.job]) + body.late_slots:
        found.report(RoomProblemKind.SLOT, "is not written at the edge at which it was due", line)
    bits = offered_bits(form, body.late_slots)
    if not math.isclose(bits, body.bits, rel_tol=NEAR):
        found.report(RoomProblemKind.BITS, f"{body.bits:g} bits are charged for {bits:g}", line)
    _charge(max(bits, body.bits), found, line)
    if found.opened.bits_max - found.bits_out < OBJECTION_BITS * (1 - NEAR):
        found.report(RoomProblemKind.BUDGET, "nothing is kept free for an objection", line)


def _refused(body: Refused, found: RoomReport, line: int) -> None:
    assert found.opened is not None
    if body.job not in found.jobs or body.job in found.ended:
        found.report(RoomProblemKind.ORDER, "refuses the output of no running job", line)
        return
    found.ended.add(body.job)
    if body.bits <= found.bits_left:
        found.report(RoomProblemKind.BUDGET, "is refused though the budget had room", line)


def _answered(body: HostAgreed | HostObjected, entry: Entry, found: RoomReport, host_key: PublicKey | None) -> None:
    line = entry.number
    if body.job not in found.offered or body.job in found.answered:
        found.report(RoomProblemKind.ORDER, "answers no output that waits", line)
        return
    found.answered.add(body.job)
    found.answered_slot[body.job] = found.slot(entry.at)
    if isinstance(body, HostObjected):
        _charge(OBJECTION_BITS, found, line)
        return
    found.agreed.add(body.job)
    if host_key is not None and not _signed(body.signature, found.lines[body.job], host_key):
        found.report(RoomProblemKind.SIGNATURE, "is not signed by the host", line)


def _signed(signature: str, digest: str, key: PublicKey) -> bool:
    try:
        raw = base64.b64decode(signature, validate=True)
    except ValueError:
        return False
    return key.verifies(raw, answer_bytes(digest))


def answer_bytes(digest: str) -> bytes:
    """What the host signs: that this very output may leave."""
    return b"inspectorate room output v1\n" + digest.encode()


def _released(body: Released, entry: Entry, found: RoomReport) -> None:
    assert found.opened is not None
    if body.job not in found.agreed or body.job in found.released:
        found.report(RoomProblemKind.ORDER, "leaves without the host's answer, or twice", entry.number)
        return
    found.released[body.job] = body
    slot = found.leaves_in(body.job)
    if body.slot != slot or found.slot(entry.at) < slot:
        found.report(RoomProblemKind.SLOT, f"leaves in another slot than {slot}", entry.number)


def _closed(body: Closed, found: RoomReport, line: int) -> None:
    if found.pending is not None or found.running is not None:
        found.report(RoomProblemKind.ORDER, "is closed while an output waits", line)
    if not math.isclose(body.bits_out, found.bits_out, rel_tol=NEAR, abs_tol=NEAR):
        found.report(
            RoomProblemKind.BITS, f"{body.bits_out:g} bits are summed, and there were {found.bits_out:g}", line
        )
    if body.inputs != len(found.inputs):
        found.report(RoomProblemKind.BITS, "another number of inputs was read", line)
    found.closed = body


def _charge(bits: float, found: RoomReport, line: int) -> None:
    assert found.opened is not None
    found.bits_out += bits
    if found.bits_out > found.opened.bits_max * (1 + NEAR):
        found.report(RoomProblemKind.BUDGET, f"{found.bits_out:g} bits exceed {found.opened.bits_max:g}", line)
