"""Training packets run again (`results.Replayer`): records first, then the work, then the comparison.

1. Records: header, seed, order of data, first weights, seams (`records`). 2. The work is run again from the checkpoint before, in a
process that does not see the result (`runner`). 3. Another process holds what came out against what was committed to (`judge`).
4. The verdict:

- bit by bit equal: `MATCHED`, whatever the method;
- else, exact: on equal stacks that are set to be deterministic `DIFFERED`; on others `NOT_RUN`, because nothing follows;
- else, within a tolerance that was calibrated for this program, on both stacks and up to as many steps: `MATCHED` if all of
  weights, optimiser and losses lie within their thresholds, `DIFFERED` if one does not; without such a calibration `NOT_RUN`.

`NOT_RUN` is never a pass: whoever counts takes it as dirty. A process that dies, runs out of time or memory, or finds a file that
is not what was committed to, gives `NOT_RUN`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from inspectorate.canonical import digest_of
from inspectorate.errors import InputError, InspectorateError
from inspectorate.evidence import ReplayMethod, WorkKind
from inspectorate.mechanisms.inspection.rerun.jobs import Judged
from inspectorate.mechanisms.inspection.rerun.measure import Again, Measured, Work, measure
from inspectorate.mechanisms.inspection.rerun.program import DecoderProgram, ModuleProgram, Program
from inspectorate.mechanisms.inspection.rerun.records import (
    Fault,
    code_fault,
    data_items,
    header_fault,
    items_of,
    packet_fault,
)
from inspectorate.mechanisms.inspection.results import Outcome, PacketResult, ReplayReport, Tolerance
from inspectorate.mechanisms.inspection.transcripts.folder import FolderReader
from inspectorate.mechanisms.inspection.transcripts.types import Packet, TrainingContent, TrainingHeader

STEPS = "steps-max"
LARGEST = "largest"
OPTIMISER = "optimiser"
LOSSES = "losses"
"""Parameters of a tolerance of method `weights`."""


@dataclass(frozen=True, kw_only=True)
class TrainingReplayer:
    """Runs packets of one training run again.

    `packets` are the records that were opened, already held against the leaves that were committed to; content is read from
    `folder` by digest. `code` is the folder of the snapshot, for a program that is a module.
    """

    folder: FolderReader
    packets: Mapping[int, Packet]
    program: Program
    again: Again
    tolerance: Tolerance | None = None
    code: Path | None = None

    @property
    def method(self) -> ReplayMethod:
        return ReplayMethod.EXACT if self.tolerance is None else ReplayMethod.WEIGHTS

    def replay(self, numbers: Sequence[int]) -> tuple[PacketResult, ...]:
        """One result for each packet, in order. Never raises on what a packet holds.

        Raises `EnvironmentError_` where nothing can be run at all.
        """
        works, faults = self.works(numbers)
        measured = measure(works, self.program, self.again, code=self.code)
        return tuple(self.result(number, faults.get(number) or measured[number]) for number in numbers)

    def report(self, numbers: Sequence[int]) -> ReplayReport:
        """The results as an inspector states them. Raises `InputError` where nothing was drawn."""
        if not numbers:
            raise InputError("no packet was drawn", where="replay", remedy="an empty challenge shows nothing")
        return ReplayReport(
            run=self.folder.header.run,
            work=WorkKind.TRAINING,
            method=self.method,
            tolerance=None if self.tolerance is None else digest_of(self.tolerance.canonical_bytes()),
            stack=self.again.stack,
            results=self.replay(numbers),
        )

    def works(self, numbers: Sequence[int]) -> tuple[dict[int, Work], dict[int, Fault]]:
        """What of these packets there is to run again, and what their records already say: each number is in one of both."""
        header = self.folder.header
        if not isinstance(header, TrainingHeader):
            return {}, dict.fromkeys(numbers, Fault(Outcome.NOT_RUN, "the run is no training run"))
        if (wrong := self._run_fault(header)) is not None:
            return {}, dict.fromkeys(numbers, wrong)
        faults: dict[int, Fault] = {}
        works: dict[int, Work] = {}
        try:
            items = data_items(header, self.folder)
        except InspectorateError as fault:
            return {}, dict.fromkeys(numbers, Fault(Outcome.NOT_RUN, str(fault)[:500]))
        rows = _rows(self.program, header)
        for number in dict.fromkeys(numbers):
            found = packet_fault(number, self.packets, header)
            if found is not None:
                faults[number] = found
                continue
            content = _content(self.packets[number])
            works[number] = Work(
                folder=self.folder,
                header=header,
                content=content,
                items=items_of(content, items, rows, header.seed),
                from_seed=number == 0 and header.parent is None,
            )
        return works, faults

    def _run_fault(self, header: TrainingHeader) -> Fault | None:
        """What is wrong with the run as a whole, or leaves nothing to say of it."""
        if (fault := header_fault(header, self.program)) is not None:
            return fault
        if isinstance(self.program, ModuleProgram) and (fault := code_fault(self.program, self.code)) is not None:
            return fault
        tolerance = self.tolerance
        if tolerance is None:
            return None
        if tolerance.method is not ReplayMethod.WEIGHTS or tolerance.work is not WorkKind.TRAINING:
            return Fault(Outcome.NOT_RUN, "the tolerance is none of weights after training")
        if tolerance.subject is not None and tolerance.subject != self.program.digest:
            return Fault(Outcome.NOT_RUN, "the tolerance was calibrated on another program")
        missing = [one.hardware for one in (header.stack, self.again.stack) if one not in tolerance.stacks]
        if missing:
            return Fault(Outcome.NOT_RUN, f"the tolerance was not calibrated on the stack {missing[0]!r}")
        return None

    def result(self, number: int, found: Fault | Measured | str) -> PacketResult:
        """What came of one packet: `found` by its records, or by running it again."""
        if isinstance(found, str):
            found = Fault(Outcome.NOT_RUN, found)
        if isinstance(found, Fault):
            return PacketResult(packet=number, outcome=found.outcome, reason=found.reason)
        content = _content(self.packets[number])
        outcome, reason = self._verdict(content, found.judged)
        return PacketResult(
            packet=number,
            outcome=outcome,
            reason=reason,
            distance=found.judged.distance,
            flop_counted=found.ran.flop,
            replayed_s=found.ran.seconds,
            tokens=content.tokens,
        )

    def _verdict(self, content: TrainingContent, judged: Judged) -> tuple[Outcome, str]:
        """Rule 4."""
        if judged.contradicts is not None:
            return Outcome.DIFFERED, judged.contradicts
        if not judged.generator:
            return Outcome.DIFFERED, "the random generators do not end where the packet says"
        if judged.equal and judged.losses == 0:
            return Outcome.MATCHED, "weights, optimiser and losses are equal bit by bit"
        if self.tolerance is None:
            header = self.folder.header
            if header.stack == self.again.stack and header.stack.deterministic:
                return Outcome.DIFFERED, f"differs by {judged.distance:.3g} of the update in {judged.tensor}"
            return (
                Outcome.NOT_RUN,
                "differs on another stack, or one that is not deterministic: exact comparison says nothing",
            )
        limits = self.tolerance.parameters
        if content.steps > limits.get(STEPS, 0.0):
            return Outcome.NOT_RUN, f"has {content.steps} steps, and the tolerance holds for {limits.get(STEPS, 0.0):g}"
        beyond = [
            f"{name} {value:.3g} > {most:.3g}"
            for name, value, most in (
                (f"weights ({judged.tensor})", judged.distance, self.tolerance.threshold),
                ("largest weight", judged.largest, limits.get(LARGEST, math.inf)),
                ("optimiser", judged.optimiser, limits.get(OPTIMISER, 0.0)),
                ("loss", judged.losses, limits.get(LOSSES, 0.0)),
            )
            if not value <= most
        ]
        if beyond:
            return Outcome.DIFFERED, ("beyond the tolerance: " + "; ".join(beyond))[:500]
        return (
            Outcome.MATCHED,
            f"within the tolerance: {judged.distance:.3g} of {self.tolerance.threshold:.3g} of the update",
        )


def _rows(program: Program, header: TrainingHeader) -> int:
    """Data items of one batch. A module states them in the header as `rows`."""
    if isinstance(program, DecoderProgram):
        return program.rows
    rows = header.hyper_parameters.get("rows")
    return rows if isinstance(rows, int) and 0 < rows < 1 << 20 else 1


def _content(packet: Packet) -> TrainingContent:
    if not isinstance(packet.content, TrainingContent):
        raise InputError("is no training packet", where=f"packet {packet.number}")
    return packet.content
