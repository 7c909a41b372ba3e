"""What is asked of processes apart, and what they say: one line of JSON each, read back under limits.

    runner:  RunJob on standard input;    `Ready`, then one `RanItem` for each item, as soon as it is known
    judge:   JudgeJob on standard input;  `Ready`, then one `Judged` for each item
    losses:  LossJob on standard input;   `Ready`, then one `Losses` for each item

A process that dies, or says what is not one of these records for an item that was asked, gives no result for that item.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar

from pydantic import Field

from inspectorate.apart import Closed, Enclosure, Said, run_apart
from inspectorate.canonical import Digest, Record, parse_json
from inspectorate.errors import EnvironmentError_, EvidenceError
from inspectorate.mechanisms.inspection.rerun.program import DecoderProgram, ModuleProgram
from inspectorate.mechanisms.inspection.rerun.reference import ITEMS_MAX, STEPS_MAX
from inspectorate.quantities import NonNegative

LOSSES_OF = "inspectorate.mechanisms.inspection.rerun.losses"
RUNNER = "inspectorate.mechanisms.inspection.rerun.runner"
JUDGE = "inspectorate.mechanisms.inspection.rerun.judge"
Path_ = Annotated[str, Field(min_length=1, max_length=4096)]
Words = Annotated[str, Field(max_length=600)]


class FileOfTensors(Record):
    """A file, and the digest that its tensors must have."""

    path: Path_
    digest: Digest


class RunItem(Record):
    """One packet to run again."""

    number: Annotated[int, Field(ge=0)]
    first_step: Annotated[int, Field(ge=0)]
    weights: FileOfTensors | None = Field(default=None, description="before; none: those that the program starts with")
    optimiser: FileOfTensors | None = None
    generator: FileOfTensors | None = Field(default=None, description="none: seeded by the number of each step")
    seed: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    batches: tuple[FileOfTensors, ...] = Field(min_length=1, max_length=STEPS_MAX)


class RunJob(Record):
    """Packets to run again, and how."""

    program: Annotated[DecoderProgram | ModuleProgram, Field(discriminator="kind")]
    header: dict[str, Any]
    source: Path_ | None = Field(default=None, description="folder of the code, for a module")
    out: Path_
    threads: Annotated[int, Field(ge=1, le=1024)] = 1
    split: Annotated[int, Field(ge=1, le=4096)] | None = Field(default=None, description="instead of the program's own")
    items: tuple[RunItem, ...] = Field(min_length=1)


class LossItem(Record):
    """Data whose losses at one checkpoint are asked for, row by row. Of a declared decoder only."""

    number: Annotated[int, Field(ge=0)]
    weights: FileOfTensors
    batches: tuple[FileOfTensors, ...] = Field(min_length=1, max_length=STEPS_MAX)


class LossJob(Record):
    program: DecoderProgram
    items: tuple[LossItem, ...] = Field(min_length=1)


class Losses(Record):
    """Losses of the rows of one item's batches, in order."""

    number: int
    problem: Words | None = None
    losses: tuple[float, ...] = Field(default=(), max_length=ITEMS_MAX)


class RanItem(Record):
    """One packet that was run again; its tensors lie in `out`, by number."""

    number: int
    problem: Words | None = None
    losses: tuple[float, ...] = Field(default=(), max_length=STEPS_MAX)
    flop: NonNegative = 0.0
    seconds: NonNegative = 0.0


class JudgeItem(Record):
    """One packet: before, as committed to, and as it came out."""

    number: Annotated[int, Field(ge=0)]
    first: FileOfTensors | None = Field(default=None, description="what the seed gave; it must be the weights before")
    batches: tuple[FileOfTensors, ...] = Field(default=(), max_length=STEPS_MAX)
    items: tuple[Digest, ...] = Field(
        default=(), max_length=ITEMS_MAX, description="that stand in these batches, row by row, as the seed orders them"
    )
    first_optimiser: FileOfTensors | None = None
    generator: FileOfTensors | None = Field(default=None, description="claimed, for code that may use random numbers")
    before: FileOfTensors
    before_optimiser: FileOfTensors
    claimed: FileOfTensors
    claimed_optimiser: FileOfTensors
    again: Path_
    again_optimiser: Path_
    again_generator: Path_ | None = None
    claimed_losses: tuple[float, ...] = Field(default=(), max_length=STEPS_MAX)
    losses: tuple[float, ...] = Field(default=(), max_length=STEPS_MAX)


class JudgeJob(Record):
    items: tuple[JudgeItem, ...] = Field(min_length=1)


class Judged(Record):
    """How far one packet is from what was committed to."""

    number: int
    problem: Words | None = Field(default=None, description="what the prover gave is not what it says it is")
    contradicts: Words | None = Field(
        default=None, description="what it gave is what it says, and breaks its own commitment"
    )
    equal: bool = False
    distance: NonNegative = 0.0
    largest: NonNegative = 0.0
    optimiser: NonNegative = 0.0
    losses: NonNegative = 0.0
    tensor: Words = ""
    update: NonNegative = 0.0
    generator: bool = Field(default=True, description="whether random generators end where the prover says")


class Ready(Record):
    """The first line: what the kernel gave, and whether the work can begin."""

    ready: bool
    closed: Closed
    problem: Words | None = None


Item = TypeVar("Item", RunItem, JudgeItem, LossItem)
Answer = TypeVar("Answer", RanItem, Judged, Losses)


def each_apart(
    module: str,
    items: Sequence[Item],
    given: Callable[[Sequence[Item]], bytes],
    answer: type[Answer],
    enclosure: Enclosure,
    environment: dict[str, str],
) -> tuple[dict[int, Answer | str], Closed]:
    """One answer, or the reason why there is none, for each item. An item on which a process dies is lost; the others go on.

    Raises `EnvironmentError_` where the process never came to its items.
    """
    done: dict[int, Answer | str] = {}
    closed = Closed(network=False, files=False)
    left = list(items)
    while left:
        said = run_apart(module, given(left), enclosure, environment=environment)
        closed = _ready(said, module).closed
        wanted = {one.number for one in left}
        for line in said.lines[1:]:
            found = _parsed(line, answer, module)
            if found is None:
                break
            if found.number in wanted:
                done.setdefault(found.number, found)
        left = [one for one in left if one.number not in done]
        if left:
            lost = left.pop(0)
            done[lost.number] = f"{said.ended}: {said.complaint}"[:500]
    return done, closed


def _ready(said: Said, module: str) -> Ready:
    ready = _parsed(said.lines[0], Ready, module) if said.lines else None
    if ready is None or not ready.ready:
        why = ready.problem if ready is not None and ready.problem else f"{said.ended}: {said.complaint}"
        raise EnvironmentError_(f"work cannot be run again here: {why}"[:600], where=module)
    return ready


Said_ = TypeVar("Said_", bound=Record)


def _parsed(line: bytes, kind: type[Said_], where: str) -> Said_ | None:
    try:
        return kind.parse(parse_json(line, where=where), where=where, error=EvidenceError)
    except EvidenceError:
        return None
