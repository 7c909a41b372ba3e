"""What can be said of a training packet from its records alone, before anything is run: seed, order of data, and seams.

1. The seed is the one that the data and the random part give, and the list of data items is the committed one.
2. The first packet starts from the weights that the header names; a decoder's follow from the seed, a module's are built under it.
3. A later packet starts from the checkpoint, and at the step, at which the one before it ended. Steps that were made in between, a
   warm start and a checkpoint that was put in are seen here, and only here: so of every drawn packet the record of the one before
   it must be opened too (`with_seams`). Where it is not, the packet is `NOT_RUN`.
4. It has one batch for each step, and as many losses, or none.

What contradicts is `DIFFERED`; what is missing is `NOT_RUN`. Both count as dirty.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from inspectorate.canonical import canonical_bytes, parse_json
from inspectorate.errors import EvidenceError, InputError, InspectorateError
from inspectorate.mechanisms.inspection.code.snapshot import folder_files, snapshot_of
from inspectorate.mechanisms.inspection.rerun.program import DecoderProgram, ModuleProgram, Program
from inspectorate.mechanisms.inspection.rerun.reference import STEPS_MAX
from inspectorate.mechanisms.inspection.rerun.tensors import raw
from inspectorate.mechanisms.inspection.results import Outcome
from inspectorate.mechanisms.inspection.transcripts.folder import FolderReader
from inspectorate.mechanisms.inspection.transcripts.hashing import digest_of_tensors
from inspectorate.mechanisms.inspection.transcripts.seeds import data_digest, data_order, seed_is_of
from inspectorate.mechanisms.inspection.transcripts.types import Packet, TrainingContent, TrainingHeader


@dataclass(frozen=True)
class Fault:
    """Why a packet is dirty."""

    outcome: Outcome
    reason: str


def with_seams(numbers: Iterable[int]) -> tuple[int, ...]:
    """Packets whose records must be opened when `numbers` are drawn: these, and the one before each."""
    drawn = set(numbers)
    return tuple(sorted(drawn | {number - 1 for number in drawn if number > 0}))


def module_program(code: Path, file: str) -> ModuleProgram:
    """The program that a file of a folder of code is. Raises `InputError`, `EvidenceError`."""
    snapshot = snapshot_of(folder_files(code), where=str(code))
    source = next((one.digest for one in snapshot.files if one.path == file), None)
    if source is None:
        raise InputError("is not in the snapshot of the code", where=file)
    return ModuleProgram.parse(
        {"kind": "module", "file": file, "snapshot": snapshot.code, "source": source}, where=file, error=InputError
    )


def code_fault(program: ModuleProgram, code: Path | None) -> Fault | None:
    """Whether the folder of code is the snapshot that the program names: all of it, since any file may be imported."""
    if code is None:
        return Fault(Outcome.NOT_RUN, "the code of the program was not given")
    try:
        found = snapshot_of(folder_files(code), where=str(code), keep=False).code
    except InspectorateError as fault:
        return Fault(Outcome.NOT_RUN, f"the code cannot be read: {fault}"[:500])
    if found != program.snapshot:
        return Fault(Outcome.NOT_RUN, "the code at hand is not the snapshot that the program names")
    return None


def data_items(header: TrainingHeader, reader: FolderReader) -> tuple[str, ...]:
    """The digests of all data items in the order of their numbers. Raises `EvidenceError` where they are not the committed ones."""
    value = parse_json(reader.read_bytes(header.data), where="data items")
    if not isinstance(value, list) or not value or not all(isinstance(one, str) for one in value):
        raise EvidenceError("is no list of digests", where="data items")
    try:
        same = data_digest(value) == header.data and canonical_bytes(value) is not None
        rightly = seed_is_of(header.seed, value, header.seed_random)
    except ValueError as fault:
        raise EvidenceError(f"the seed cannot be formed: {fault}", where="header") from None
    if not same:
        raise EvidenceError("is not the list that the header names", where="data items")
    if not rightly:
        raise EvidenceError("the seed is not the one that these data and the random part give", where="header")
    return tuple(value)


def items_of(packet: TrainingContent, items: tuple[str, ...], rows: int, seed: str) -> tuple[str, ...]:
    """The data items that are due in a packet, step by step and row by row."""
    end = (packet.first_step + packet.steps) * rows
    order = data_order(len(items), seed, draws=end)[packet.first_step * rows :]
    return tuple(items[number] for number in order.tolist())


def first_digest(program: DecoderProgram, seed: str) -> str:
    """The digest of the weights that a seed gives."""
    return digest_of_tensors({name: raw(one) for name, one in program.first_weights(seed).items()})


def header_fault(header: TrainingHeader, program: Program) -> Fault | None:
    """Whether the header is of this program, and its first weights are those of the seed (or of a declared model)."""
    if header.code != program.digest:
        return Fault(Outcome.DIFFERED, "the header names other code than the program that is run again")
    if isinstance(program, DecoderProgram):
        if header.parent is None and header.weights_first != first_digest(program, header.seed):
            return Fault(Outcome.DIFFERED, "the first weights are not those that the seed gives")
        stated, declared = header.hyper_parameters, program.model_dump(mode="json")
        wrong = {key for key, value in stated.items() if declared.get(key, value) != value}
        if wrong:
            return Fault(Outcome.DIFFERED, f"the header states other hyper-parameters: {sorted(wrong)}"[:500])
    return None


def packet_fault(number: int, packets: Mapping[int, Packet], header: TrainingHeader) -> Fault | None:
    """What is wrong with the records of one packet, and of the one before it."""
    packet = packets.get(number)
    if packet is None:
        return Fault(Outcome.NOT_RUN, "was not opened")
    content = packet.content
    if packet.number != number or not isinstance(content, TrainingContent):
        return Fault(Outcome.DIFFERED, "is not the training packet that was drawn")
    if content.steps > STEPS_MAX:
        return Fault(Outcome.NOT_RUN, f"has {content.steps} steps, and {STEPS_MAX} are run again at most")
    if len(content.batches) != content.steps or len(content.losses) not in (0, content.steps):
        return Fault(Outcome.DIFFERED, f"states {content.steps} steps and {len(content.batches)} batches")
    if number == 0:
        if content.first_step != 0 or content.before.weights != header.weights_first:
            return Fault(Outcome.DIFFERED, "the first packet does not start from the first weights")
        return None
    before = packets.get(number - 1)
    if before is None or not isinstance(before.content, TrainingContent):
        return Fault(Outcome.NOT_RUN, "the record of the packet before it was not opened: the seam cannot be seen")
    if before.number != number - 1 or before.content.after != content.before:
        return Fault(Outcome.DIFFERED, "does not start from the checkpoint with which the packet before it ended")
    if before.content.first_step + before.content.steps != content.first_step:
        return Fault(Outcome.DIFFERED, "does not start at the step at which the packet before it ended")
    return None
