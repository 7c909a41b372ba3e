"""Inference packets run again: `InferenceReplayer`, one result for each packet, in a process apart (`worker`).

What the process reads is the prover's: the declared model, the content of the run's folder, and the packets. It closes itself in
before it reads any of it (`inspectorate.apart`), evaluates the model with numpy, and says one line for each packet. A packet on
which it dies, or for which its time or memory does not suffice, is `NOT_RUN`; the others go on in a new process.

Exact comparison makes every pass with the batch size that the transcript states, on a stack equal to the prover's, and refuses
others.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import Field

from inspectorate.apart import Closed, Enclosure, run_apart
from inspectorate.canonical import Record, Text, parse_json
from inspectorate.errors import EnvironmentError_, EvidenceError, InputError
from inspectorate.evidence.inspected import ReplayMethod
from inspectorate.mechanisms.inspection.results import Outcome, PacketResult, Tolerance
from inspectorate.mechanisms.inspection.tokens.decoder import Precision
from inspectorate.mechanisms.inspection.tokens.exact import own_stack, unlike
from inspectorate.mechanisms.inspection.transcripts.types import InferenceContent, InferenceHeader, Packet, Stack
from inspectorate.quantities import Positive

WORKER = "inspectorate.mechanisms.inspection.tokens.worker"
REASON_MAX = 500


class Bounds(Record):
    """What running packets again may take."""

    seconds: Positive = 600.0
    """Of processor time for one process; `apart.WALL` times as long on the wall."""
    memory_bytes: Annotated[int, Field(ge=1 << 28, le=1 << 44)] = 8 << 30
    flop_max: Positive = 1e14
    """Of one packet."""


class ReplayJob(Record):
    """What the process is asked."""

    header: InferenceHeader
    folder: Text
    model: Text
    method: ReplayMethod
    tolerance: Tolerance | None
    precision: Precision
    flop_max: Positive
    packets: tuple[Packet, ...] = Field(min_length=1)


class Ready(Record):
    """Its first line: what the kernel gave, and why no packet can be run, if so."""

    closed: Closed
    problem: Text | None = None


@dataclass(frozen=True, kw_only=True)
class InferenceReplayer:
    """Runs opened packets of one run again. `folder` is the prover's folder of the run, `model` that of the declared model."""

    folder: Path
    model: Path
    header: InferenceHeader
    packets: Mapping[int, Packet]
    """As opened: what the folder holds in their place is not looked at."""
    method: ReplayMethod
    tolerance: Tolerance | None = None
    precision: Precision = Precision.FLOAT32
    bounds: Bounds = field(default_factory=Bounds)

    def __post_init__(self) -> None:
        if self.method not in (ReplayMethod.EXACT, ReplayMethod.TOPLOC, ReplayMethod.DIFR):
            raise ValueError(f"{self.method} is no method for answers")
        if (self.method is ReplayMethod.EXACT) != (self.tolerance is None):
            raise ValueError("a method that is not exact, and no other, has a tolerance")
        if self.tolerance is not None and self.tolerance.method is not self.method:
            raise ValueError(f"the tolerance is for {self.tolerance.method}, not for {self.method}")

    @property
    def stack(self) -> Stack:
        """The verifier's: this program on this machine."""
        return own_stack(self.precision.value)

    def replay(self, numbers: Sequence[int]) -> tuple[PacketResult, ...]:
        """Run these packets again: one result each, in order. Never raises on what a packet holds.

        Raises `InputError` where the folder or the model is not there, `EnvironmentError_` where no process can be started.
        """
        if not numbers:
            raise ValueError("no packet was asked for: an empty sample shows nothing")
        for place in (self.folder, self.model):
            if not place.is_dir():
                raise InputError("is no folder", where=str(place))
        done = {number: problem for number in numbers if (problem := self._unfit(number)) is not None}
        left = [number for number in dict.fromkeys(numbers) if number not in done]
        while left:
            found, why = self._one_process([self.packets[number] for number in left])
            for result in found:
                if result.packet in left:
                    done.setdefault(result.packet, result)
            left = [number for number in left if number not in done]
            if left:
                lost = left.pop(0)
                done[lost] = not_run(lost, why)
        return tuple(done[number] for number in numbers)

    def _unfit(self, number: int) -> PacketResult | None:
        packet = self.packets.get(number)
        if packet is None:
            return not_run(number, "the packet was not opened")
        if packet.number != number or not isinstance(packet.content, InferenceContent):
            return not_run(number, "what was opened is no inference packet of this number")
        subject = None if self.tolerance is None else self.tolerance.subject
        if subject not in (None, self.header.model):
            return not_run(number, f"the tolerance was calibrated on another model, {subject}")
        if self.method is ReplayMethod.EXACT and (why := unlike(self.header.stack, self.stack)) is not None:
            return not_run(number, f"not comparable bit by bit: {why}")
        return None

    def _one_process(self, packets: Sequence[Packet]) -> tuple[list[PacketResult], str]:
        """What one process said before it ended, and why it ended."""
        job = ReplayJob(
            header=self.header,
            folder=str(self.folder.resolve()),
            model=str(self.model.resolve()),
            method=self.method,
            tolerance=self.tolerance,
            precision=self.precision,
            flop_max=self.bounds.flop_max,
            packets=tuple(packets),
        )
        enclosure = Enclosure(
            seconds=self.bounds.seconds, memory_bytes=self.bounds.memory_bytes, readable=(job.folder, job.model)
        )
        said = run_apart(WORKER, json.dumps(job.model_dump(mode="json")).encode(), enclosure)
        if not said.lines:
            raise EnvironmentError_(f"it never began: {said.ended}", where=said.complaint or WORKER)
        ready = Ready.parse(parse_json(said.lines[0], where=WORKER), where=WORKER, error=EvidenceError)
        if ready.problem is not None:
            return [not_run(packet.number, ready.problem) for packet in packets], ready.problem
        found = []
        for line in said.lines[1:]:
            try:
                found.append(PacketResult.parse(parse_json(line, where=WORKER), where=WORKER, error=EvidenceError))
            except EvidenceError:
                break
        return found, said.ended


def not_run(number: int, why: str) -> PacketResult:
    return PacketResult(packet=number, outcome=Outcome.NOT_RUN, reason=why[:REASON_MAX] or "unknown")
