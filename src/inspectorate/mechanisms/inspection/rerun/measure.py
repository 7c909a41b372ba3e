"""Works run again and compared, without a verdict: what a replay judges, and what a calibration is made of.

1. Content that the work needs is copied to a folder of its own: checkpoints before, and batches. The result is not among it.
2. `runner` runs it. A declared decoder runs many works in one process; code of the prover gets a process for each, so that nothing
   of one packet is known when another is run. 3. `judge` compares what came out with what was committed to.

Each work gives a `Measured`, or the reason why there is none.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inspectorate.apart import Enclosure
from inspectorate.errors import EvidenceError, InspectorateError
from inspectorate.mechanisms.inspection.rerun.jobs import (
    JUDGE,
    RUNNER,
    FileOfTensors,
    Judged,
    JudgeItem,
    JudgeJob,
    RanItem,
    RunItem,
    RunJob,
    each_apart,
)
from inspectorate.mechanisms.inspection.rerun.program import DecoderProgram, Program
from inspectorate.mechanisms.inspection.rerun.reference import FILE_BYTES_MAX, JUDGE_SECONDS, MEMORY_BYTES, SECONDS
from inspectorate.mechanisms.inspection.transcripts.folder import FolderReader
from inspectorate.mechanisms.inspection.transcripts.types import Stack, TrainingContent, TrainingHeader

ENCLOSURE = Enclosure(seconds=SECONDS, memory_bytes=MEMORY_BYTES, file_bytes=FILE_BYTES_MAX, files=256)


@dataclass(frozen=True, kw_only=True)
class Again:
    """How work is run again."""

    stack: Stack
    """Of the verifier."""
    threads: int = 1
    split: int | None = None
    """Of a batch, instead of the program's own."""
    environment: Mapping[str, str] = field(default_factory=dict)
    enclosure: Enclosure = ENCLOSURE


@dataclass(frozen=True, kw_only=True)
class Work:
    """One packet to run again. `items`: the data items that are due in it, as the seed orders them; none: not looked at."""

    folder: FolderReader
    header: TrainingHeader
    content: TrainingContent
    items: tuple[str, ...] = ()
    from_seed: bool = False
    """Whether it starts from what the seed gives, not from a checkpoint."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One packet that was run again and compared."""

    ran: RanItem
    judged: Judged


def measure(
    works: Mapping[int, Work], program: Program, again: Again, *, code: Path | None = None
) -> dict[int, Measured | str]:
    """Run works again: what came of each, or why nothing did. Raises `EnvironmentError_` where nothing can be run here."""
    groups = [list(works)] if isinstance(program, DecoderProgram) else [[number] for number in works]
    found: dict[int, Measured | str] = {}
    for group in groups:
        if group:
            found |= _Group({number: works[number] for number in group}, program, again, code).measured()
    return {number: found[number] for number in works}


@dataclass(frozen=True)
class _Group:
    """Works of one process."""

    works: Mapping[int, Work]
    program: Program
    again: Again
    code: Path | None

    def measured(self) -> dict[int, Measured | str]:
        found: dict[int, Measured | str] = {}
        with tempfile.TemporaryDirectory(prefix="rerun-") as made:
            scratch, out = Path(made) / "in", Path(made) / "out"
            scratch.mkdir()
            out.mkdir()
            items = []
            for number, work in self.works.items():
                try:
                    items.append(self._run_item(number, work, scratch))
                except (InspectorateError, OSError) as fault:
                    found[number] = f"content cannot be read: {fault}"[:500]
            ran: dict[int, RanItem] = {}
            for number, answer in self._run(items, scratch, out).items():
                if isinstance(answer, str) or answer.problem is not None:
                    why = answer if isinstance(answer, str) else answer.problem
                    found[number] = f"could not be run again: {why}"[:500]
                else:
                    ran[number] = answer
            for number, said in self._judge([self._judge_item(n, one, out) for n, one in ran.items()], out).items():
                if isinstance(said, str) or said.problem is not None:
                    why = said if isinstance(said, str) else said.problem
                    found[number] = f"could not be compared: {why}"[:500]
                else:
                    found[number] = Measured(ran=ran[number], judged=said)
        return found

    # --- running -------------------------------------------------------------------------------------------------------

    def _run_item(self, number: int, work: Work, scratch: Path) -> RunItem:
        """Lay out what the process may read: copies, so that the folder with the results stays out of its sight."""
        before = work.content.before
        generator = None if isinstance(self.program, DecoderProgram) else before.generator

        def laid(digest: str) -> FileOfTensors:
            return _laid(work.folder, digest, scratch)

        return RunItem(
            number=number,
            first_step=work.content.first_step,
            weights=None if work.from_seed else laid(before.weights),
            optimiser=None if work.from_seed else laid(before.optimiser),
            generator=None if generator is None else laid(generator),
            batches=tuple(laid(one) for one in work.content.batches),
            seed=work.header.seed,
        )

    def _run(self, items: Sequence[RunItem], scratch: Path, out: Path) -> dict[int, RanItem | str]:
        if not items:
            return {}
        header: dict[str, Any] = next(iter(self.works.values())).header.model_dump(mode="json")
        code = None if self.code is None else str(self.code.resolve())

        def given(left: Sequence[RunItem]) -> bytes:
            job = RunJob(
                program=self.program,
                header=header,
                source=code,
                out=str(out),
                threads=self.again.threads,
                split=self.again.split,
                items=tuple(left),
            )
            return job.model_dump_json().encode()

        readable = (str(scratch), *(() if code is None else (code,)))
        enclosure = self.again.enclosure.model_copy(update={"readable": readable, "writable": (str(out),)})
        environment = {"OMP_NUM_THREADS": str(self.again.threads), "TMPDIR": str(out)} | dict(self.again.environment)
        return each_apart(RUNNER, items, given, RanItem, enclosure, environment)[0]

    # --- comparing -----------------------------------------------------------------------------------------------------

    def _judge_item(self, number: int, ran: RanItem, out: Path) -> JudgeItem:
        work = self.works[number]
        content, header = work.content, work.header
        first, states = out / f"{number}.first", out / f"{number}.first-optimiser"
        generator = out / f"{number}.generator"

        def there(digest: str) -> FileOfTensors:
            """A file in the prover's folder; whether it is there is found out by whoever reads it."""
            name = digest.removeprefix("sha256:") + ".tensors"
            return FileOfTensors(path=str(work.folder.path.resolve() / "content" / name), digest=digest)

        def made(path: Path, digest: str) -> FileOfTensors | None:
            return FileOfTensors(path=str(path), digest=digest) if path.exists() else None

        claimed_generator = content.after.generator if generator.exists() else None
        return JudgeItem(
            number=number,
            first=made(first, header.weights_first),
            first_optimiser=made(states, content.before.optimiser),
            batches=tuple(there(one) for one in content.batches),
            items=work.items,
            before=there(content.before.weights),
            before_optimiser=there(content.before.optimiser),
            claimed=there(content.after.weights),
            claimed_optimiser=there(content.after.optimiser),
            generator=None if claimed_generator is None else there(claimed_generator),
            again=str(out / f"{number}.weights"),
            again_optimiser=str(out / f"{number}.optimiser"),
            again_generator=str(generator) if generator.exists() else None,
            claimed_losses=content.losses,
            losses=ran.losses,
        )

    def _judge(self, items: Sequence[JudgeItem], out: Path) -> dict[int, Judged | str]:
        def given(left: Sequence[JudgeItem]) -> bytes:
            return JudgeJob(items=tuple(left)).model_dump_json().encode()

        if not items:
            return {}
        folders = dict.fromkeys(str(work.folder.path.resolve() / "content") for work in self.works.values())
        enclosure = self.again.enclosure.model_copy(update={"readable": (*folders, str(out)), "seconds": JUDGE_SECONDS})
        return each_apart(JUDGE, items, given, Judged, enclosure, {})[0]


def _laid(folder: FolderReader, digest: str, scratch: Path) -> FileOfTensors:
    source, target = folder.content_path(digest), scratch / digest.removeprefix("sha256:")
    if not target.exists():
        descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file, target.open("xb") as copy:
            if (size := os.fstat(descriptor).st_size) > MEMORY_BYTES:
                raise EvidenceError(f"has {size} bytes, and {MEMORY_BYTES} are read at most", where=str(source))
            shutil.copyfileobj(file, copy, 1 << 20)
    return FileOfTensors(path=str(target), digest=digest)
