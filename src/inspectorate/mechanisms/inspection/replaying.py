"""The last act of an exchange: what came of running drawn packets again, ready to be signed.

The results are for exactly the packets that were drawn: one that was not opened is `NOT_RUN`. Records that were shown only as seams
are used, and not judged.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from inspectorate.canonical import digest_of
from inspectorate.errors import EnvironmentError_, InputError
from inspectorate.evidence import PacketsReplayed, ReplayMethod
from inspectorate.evidence.act import Act, Who
from inspectorate.mechanisms.inspection.challenge.opening import Asked, Opened
from inspectorate.mechanisms.inspection.rerun.measure import ENCLOSURE, Again
from inspectorate.mechanisms.inspection.rerun.program import Program
from inspectorate.mechanisms.inspection.rerun.replay import TrainingReplayer
from inspectorate.mechanisms.inspection.results import PacketResult, ReplayReport, Tolerance
from inspectorate.mechanisms.inspection.tokens.decoder import Precision
from inspectorate.mechanisms.inspection.tokens.replay import Bounds, InferenceReplayer
from inspectorate.mechanisms.inspection.transcripts.folder import FolderReader
from inspectorate.mechanisms.inspection.transcripts.types import InferenceHeader, Packet, Stack
from inspectorate.quantities import Period


@dataclass(frozen=True, kw_only=True)
class Means:
    """What the verifier runs packets again with."""

    folder: Path
    """Of the run, as the prover gives it: content by digest."""
    method: ReplayMethod
    tolerance: Tolerance | None
    chips: int | None
    """Of the verifier's, that a packet keeps busy."""
    model: Path | None = None
    """Of answers: the declared model."""
    precision: Precision = Precision.FLOAT32
    program: Program | None = None
    """Of training."""
    code: Path | None = None
    """Of training whose program is code: the folder of the snapshot."""
    stack: Stack | None = None
    """Of training: the verifier's own."""
    bounds: Bounds = field(default_factory=Bounds)


def run_again(asked: Asked, opened: Opened, means: Means) -> ReplayReport:
    """Run the packets of a draw again. Raises `InputError` where what is needed for it was not given."""
    reader = FolderReader(means.folder)
    if digest_of(reader.header.canonical_bytes()) != asked.commitment.header:
        raise InputError("is the folder of another run than was drawn from", where=str(means.folder))
    shown: Mapping[int, Packet] = {**opened.seams, **opened.packets}
    stack, results = _answers(reader, asked, shown, means) or _training(reader, asked, shown, means)
    return ReplayReport(
        run=asked.commitment.run,
        work=asked.commitment.work,
        method=means.method,
        tolerance=None if means.tolerance is None else digest_of(means.tolerance.canonical_bytes()),
        stack=stack,
        chips=means.chips,
        results=results,
    )


def _answers(
    reader: FolderReader, asked: Asked, shown: Mapping[int, Packet], means: Means
) -> tuple[Stack, tuple[PacketResult, ...]] | None:
    header = reader.header
    if not isinstance(header, InferenceHeader):
        return None
    if means.program is not None:
        raise InputError("answers were drawn, and a program is for training", where="--program", remedy="leave it out")
    if means.model is None:
        raise InputError("answers are run again with the declared model", where="--model", remedy="name its folder")
    replayer = InferenceReplayer(
        folder=reader.path,
        model=means.model,
        header=header,
        packets=shown,
        method=means.method,
        tolerance=means.tolerance,
        precision=means.precision,
        bounds=means.bounds,
    )
    return replayer.stack, replayer.replay(asked.drawn.packets)


def _training(
    reader: FolderReader, asked: Asked, shown: Mapping[int, Packet], means: Means
) -> tuple[Stack, tuple[PacketResult, ...]]:
    if means.program is None or means.stack is None:
        raise InputError("training is run again with its program", where="--program", remedy="name its file")
    if means.model is not None:
        raise InputError("training was drawn, and a model is for answers", where="--model", remedy="leave it out")
    if means.program.digest != reader.header.code:
        # Nothing is stated of the prover because the verifier named another file.
        raise InputError(
            f"is the program {means.program.digest[:19]}…, and the run was committed to as {reader.header.code[:19]}…",
            where="--program",
            remedy="name the program of the run",
        )
    enclosure = ENCLOSURE.model_copy(update={"seconds": means.bounds.seconds})
    replayer = TrainingReplayer(
        folder=reader,
        packets=shown,
        program=means.program,
        again=Again(stack=means.stack, enclosure=enclosure),
        tolerance=means.tolerance,
        code=means.code,
    )
    if replayer.method is not means.method:
        raise InputError(f"training is checked by {replayer.method.value} here", where="--method")
    return means.stack, replayer.replay(asked.drawn.packets)


def make_replay(
    asked: Asked, answer: str, report: ReplayReport, tolerance: Tolerance | None, who: Who, *, begun: datetime
) -> Act:
    """The statement of a report. `answer` is the digest of the envelope of the opening; `who.at` is when it was done."""
    predicate = PacketsReplayed(
        origin=who.origin,
        by=who.name,
        reporter=asked.commitment.reporter,
        drawn=asked.digest,
        opened=answer,
        method=report.method,
        period=Period(start=begun, end=who.at),
    )
    payloads = {"results": report.canonical_bytes()}
    if tolerance is not None:
        payloads["tolerance"] = tolerance.canonical_bytes()
    return Act(
        predicate=predicate,
        subjects={name: digest_of(data) for name, data in payloads.items()},
        payloads=tuple(payloads.values()),
    )


def own_stack() -> Stack:
    """The verifier's stack for training that is run again here: one thread, set to be deterministic, as the runner is.

    Raises `EnvironmentError_` where torch is not installed.
    """
    try:
        torch = importlib.import_module("torch")
        stack = importlib.import_module("inspectorate.mechanisms.inspection.transcripts.stack")
    except ImportError:
        raise EnvironmentError_(
            "training is run again with torch", where="torch", remedy="pip install torch==2.13.0"
        ) from None
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    found = stack.stack_of()
    assert isinstance(found, Stack)
    return found
