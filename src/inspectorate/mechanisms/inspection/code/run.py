"""The dynamic check: run the declared entry point apart, and hold what was seen beside the static pointers.

The audited program is hostile. It runs in a process of its own

- that closes itself in (`apart`): limits, no network, and of the file system only the interpreter and a scratch folder. Where
  the kernel does not give that, nothing runs, and that is an `EnvironmentError_`;
- from a copy that was held against the digests, in a folder that is removed afterwards.

What it reports, it reports about itself from within: a program that knows the probe can hide from it. So a parameter that is
reported as changed is a fact to explain, and none reported is no proof. The report is parsed under limits; where it cannot be read,
`ended` says so and there is no result. It runs with the interpreter and the libraries of the verifier, which may differ from the
operator's.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from pydantic import Field

from inspectorate.apart import Closed, Enclosure, Said, run_apart
from inspectorate.canonical import Digest, Record, digest_of, parse_json
from inspectorate.errors import EnvironmentError_, EvidenceError
from inspectorate.mechanisms.inspection.code import reference
from inspectorate.mechanisms.inspection.code.archives import files_of
from inspectorate.mechanisms.inspection.code.snapshot import Snapshot, unpack
from inspectorate.mechanisms.inspection.code.types import PARAMETERS_CHANGE, Doubt, Pointer, Review
from inspectorate.quantities import Positive

BY_ITSELF = "by itself"
PROBE = "inspectorate.mechanisms.inspection.code.probe"
Count = Annotated[int, Field(ge=0, le=10**12)]
Words = Annotated[str, Field(max_length=400)]


class RunBounds(Record):
    """What the run may take."""

    seconds: Positive = reference.RUN_SECONDS
    memory_bytes: Annotated[int, Field(ge=1 << 28, le=1 << 44)] = reference.RUN_MEMORY_BYTES
    watch_tensors: bool = True
    """Whether torch is loaded and watched; without it no parameter is looked at, and the report says so."""


class Event(Record):
    event: Words
    said: Words
    count: Count


class Write(Record):
    """Operations that wrote to memory of a parameter or buffer: while it was made, while it was loaded, or otherwise."""

    when: Annotated[str, Field(pattern=r"^(making|loading|other)$")]
    operation: Words
    where: Words
    count: Count


class Changed(Record):
    """A tensor that does not hold what it held when it was first used."""

    name: Words
    before: Annotated[str, Field(max_length=80)]
    after: Annotated[str, Field(max_length=80)]
    elements: Count
    is_parameter: bool
    largest_change: float | None = None


class Seen(Record):
    """What the probe says; the word of the audited program."""

    ended: Words
    torch: bool
    counts: dict[Words, Count] = Field(max_length=1000)
    events: tuple[Event, ...] = Field(max_length=reference.RUN_EVENTS_MAX)
    lines: dict[str, tuple[Count, ...]] = Field(max_length=reference.FILES_MAX)
    native: tuple[str, ...] = Field(max_length=2000)
    modules: tuple[str, ...] = Field(max_length=5000)
    tensors: Count = 0
    changed: tuple[Changed, ...] = Field(default=(), max_length=5000)
    writes: tuple[Write, ...] = Field(default=(), max_length=5000)
    backward: Count = 0
    steps: Count = 0
    gradients: Count = 0


class RunReport(Record):
    """One run of an entry point."""

    snapshot: Digest
    entry: str
    ended: Words
    exit_code: int | None
    network: bool = Field(description="whether the program could reach a network")
    seen: Seen | None = Field(
        default=None, description="none where the program ended without a report that can be read"
    )
    executed: tuple[Digest, ...] = Field(default=(), description="keys of pointers whose lines ran")
    never_executed: tuple[Digest, ...] = ()
    unforeseen: tuple[str, ...] = Field(
        default=(), description="what ran and no pointer that must be answered pointed at"
    )

    @property
    def digest(self) -> str:
        return digest_of(self.canonical_bytes())

    @property
    def parameters_changed(self) -> int | None:
        """How many parameters the run reports as changed; none where that cannot be told: no report, or no change in a run that
        was cut off or failed, as for want of an argument."""
        if self.seen is None or not self.seen.torch:
            return None
        changed = sum(c.is_parameter for c in self.seen.changed)
        return changed if changed or self.seen.ended == BY_ITSELF else None


def run_entry(
    path: Path, snapshot: Snapshot, review: Review, *, arguments: tuple[str, ...] = (), bounds: RunBounds | None = None
) -> RunReport:
    """Run the entry point of a reviewed snapshot. Raises `EnvironmentError_`, `EvidenceError` if the files changed."""
    bounds = bounds or RunBounds()
    with _scratch() as scratch:
        code = scratch / "code"
        code.mkdir()
        unpack(snapshot, files_of(path), code)
        job = {
            "code": str(code), "output": str(scratch / "output"), "entry": review.entry, "arguments": list(arguments),
            "events_max": reference.RUN_EVENTS_MAX, "torch": bounds.watch_tensors,
        }  # fmt: skip
        enclosure = Enclosure(
            seconds=bounds.seconds,
            memory_bytes=bounds.memory_bytes,
            output_bytes=reference.RUN_OUTPUT_BYTES_MAX,
            file_bytes=1 << 28,
            files=512,
            writable=(str(scratch),),
        )
        variables = {"HOME": str(scratch), "TMPDIR": str(scratch), "PATH": "/usr/bin:/bin"}
        said = run_apart(PROBE, json.dumps(job).encode(), enclosure, environment=variables)
    closed = _closed(said)
    seen = _parsed(said.lines[1]) if len(said.lines) > 1 else None
    ended = said.ended if seen is None else seen.ended
    return _compared(review, seen, ended, said.returned, network=not closed.network)


def _closed(said: Said) -> Closed:
    """What the kernel gave. Raises `EnvironmentError_` where that is not enough to run code of another party."""
    try:
        closed = Closed.parse(parse_json(said.lines[0], where=PROBE), where=PROBE, error=EvidenceError)
    except (IndexError, EvidenceError):
        raise EnvironmentError_("the process did not start", where=said.complaint or PROBE) from None
    if not (closed.network and closed.files):
        lacks = "a network namespace" if not closed.network else "Landlock"
        raise EnvironmentError_(f"the kernel gives no {lacks}, so nothing was run", where="the dynamic check")
    return closed


@contextlib.contextmanager
def _scratch() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="inspectorate-run-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _parsed(data: bytes) -> Seen | None:
    """The report, if it is one."""
    if not 0 < len(data) <= reference.RUN_OUTPUT_BYTES_MAX:
        return None
    try:
        return Seen.parse(parse_json(data, where="report of the run"), where="report of the run", error=EvidenceError)
    except EvidenceError:
        return None


def _compared(review: Review, seen: Seen | None, ended: str, exit_code: int | None, *, network: bool) -> RunReport:
    """Pointers that ran and pointers that did not, and what ran without a pointer."""
    ran: list[Pointer] = []
    idle: list[Pointer] = []
    lines = {file: set(numbers) for file, numbers in (seen.lines if seen else {}).items()}
    for pointer in review.pointers:
        executed = any(pointer.line <= line <= pointer.end_line for line in lines.get(pointer.file, ()))
        (ran if executed else idle).append(pointer)
    unforeseen = [] if seen is None else _unforeseen(seen, review)
    return RunReport(
        snapshot=review.snapshot,
        entry=review.entry,
        ended=ended[:400],
        exit_code=exit_code,
        network=network,
        seen=seen,
        executed=tuple(p.key for p in ran),
        never_executed=tuple(p.key for p in idle) if seen is not None else (),
        unforeseen=tuple(unforeseen),
    )


def _unforeseen(seen: Seen, review: Review) -> list[str]:
    pointed = [p for p in review.pointers if p.doubt is Doubt.MUST_ANSWER and p.kind in PARAMETERS_CHANGE]
    found = [
        f"{write.where or 'outside of the snapshot'} wrote to a parameter by {write.operation}"
        for write in seen.writes
        if write.when == "other" and not any(_at(p, write.where) for p in pointed)
    ]
    if not pointed and any(c.is_parameter for c in seen.changed):
        found.append("parameters changed, and no pointer says where")
    if not pointed and (seen.backward or seen.steps):
        found.append("gradients were computed, and no pointer says where")
    return found[:1000]


def _at(pointer: Pointer, where: str) -> bool:
    file, _, line = where.rpartition(":")
    return file == pointer.file and line.isdigit() and pointer.line <= int(line) <= pointer.end_line
