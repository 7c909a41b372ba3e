"""What became of every packet that was drawn, under the terms of a clause.

Rules:

- A packet matched if it was opened within the agreed time, as committed to, and an agreed method within an agreed tolerance found
  it so, and none found otherwise. Whatever else became of it counts as dirty: refused, late, not run, run by nobody, differed.
- A result is held against its own numbers: what is called matched at a distance beyond the tolerance is not.
- Two opened packets with one content are one piece of work shown twice; neither counts. A training packet that does not start
  from where the one before it ended does not count.
- A packet that differed speaks against the party only if every agreed re-run of it says so, on a stack for which the rate at which
  honest packets differ is bounded: by the agreed tolerance, calibrated on both stacks, or on equal deterministic stacks. That
  rate is never taken lower than what so many honest re-runs can show at the agreed false-accusation rate.
- A refusal speaks against nobody: discs are lost. It takes assurance away, is named, and is never made good by another draw.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from inspectorate.agreement import ReplayedWork
from inspectorate.canonical import digest_of
from inspectorate.evidence import ReplayMethod
from inspectorate.mechanisms.inspection import reference
from inspectorate.mechanisms.inspection.linking import Opening, Replay
from inspectorate.mechanisms.inspection.observe import Committed, Drawn, Run, WorkSeen
from inspectorate.mechanisms.inspection.results import Outcome, PacketResult
from inspectorate.mechanisms.inspection.transcripts.types import Packet, RunHeader, TrainingContent, TrainingHeader
from inspectorate.statistics.sampling import dirty_share_upper

Place = tuple[str, int]
"""The digest of a commitment, and the number of a packet in it."""


class Fate(StrEnum):
    """What became of a packet that was drawn."""

    MATCHED = "matched"
    DIFFERED = "differed"
    NOT_RUN = "not-run"
    REFUSED = "refused"
    LATE = "late"
    UNJUDGED = "unjudged"
    """Opened, and run again by nobody whose result counts."""
    COPIED = "copied"
    """The same work as another packet that was opened, or work that does not follow from the packet before."""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One packet that was drawn."""

    number: int
    fate: Fate
    why: str
    flop_found: float = 0.0
    """Of the FLOP that the prover stated, the share that the verifier counted; 0 where it is dirty."""
    chip_s: float | None = None
    """Chip-seconds that the prover's stack needs for it, by the verifier's own time; none if that was not measured."""
    covert_bits_per_token: float | None = None
    rate: float | None = None
    """How often an honest packet differs at most; none where that is not bounded, so that it is no evidence."""
    against: bool = False


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What the agreement says of a replay."""

    clause: ReplayedWork
    false_accusation_rate: float


def judge(committed: Committed, drawn: Drawn, terms: Terms, copied: Mapping[Place, str]) -> tuple[Judged, ...]:
    """One judgement for each packet of a fair draw, in order."""
    inside = [one for one in drawn.openings if _in_time(drawn, one, terms)]
    late = {number for one in drawn.openings if one.late or one not in inside for number in one.said.opened}
    shown = {number: packet for one in inside for number, packet in one.packets.items()}
    wrong = {fault for one in drawn.openings for fault in one.faults}
    found = []
    for place, number in enumerate(drawn.said.packets):
        if number not in shown:
            fate, why = (Fate.LATE, "was opened late") if number in late else (Fate.REFUSED, "was not opened")
            told = next((f": {fault}" for fault in sorted(wrong) if f"packet {number} " in fault), "")
            found.append(Judged(number=number, fate=fate, why=why + told))
        elif (committed.digest, number) in copied:
            found.append(Judged(number=number, fate=Fate.COPIED, why=copied[committed.digest, number]))
        else:
            found.append(_of_replays(place, shown[number], drawn, inside, terms))
    return tuple(found)


def _in_time(drawn: Drawn, opening: Opening, terms: Terms) -> bool:
    """Within what the agreement gives, whatever more the inspector would have waited."""
    return (opening.said.opened_at - drawn.said.drawn_at).total_seconds() <= terms.clause.answer_within_s


def _of_replays(place: int, packet: Packet, drawn: Drawn, inside: Sequence[Opening], terms: Terms) -> Judged:
    by_digest = {one.digest: one for one in inside}
    told: list[Judged] = []
    for one in drawn.replays:
        opening = by_digest.get(one.said.opened)
        if one.report is None or opening is None or packet.number not in opening.packets:
            continue
        judged = _one(one, one.report.results[place], packet, opening.header, terms)
        if judged is not None:
            told.append(judged)
    if not told:
        return Judged(number=packet.number, fate=Fate.UNJUDGED, why="was run again by no agreed method and tolerance")
    differed = [one for one in told if one.fate is Fate.DIFFERED]
    matched = [one for one in told if one.fate is Fate.MATCHED]
    if differed:
        rates = [one.rate for one in differed]
        bounded = [rate for rate in rates if rate is not None]
        certain = not matched and len(bounded) == len(rates)
        return replace(differed[0], rate=max(bounded) if certain else None, against=certain)
    if not matched:
        return told[0]
    return replace(
        matched[0],
        flop_found=min(one.flop_found for one in matched),
        chip_s=_least(one.chip_s for one in matched),
        covert_bits_per_token=_most([one.covert_bits_per_token for one in matched]),
        rate=None if any(one.rate is None for one in matched) else max(one.rate or 0.0 for one in matched),
    )


def _least(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return min(known) if known else None


def _most(values: Sequence[float | None]) -> float | None:
    """The largest; not known if any is not."""
    return None if any(value is None for value in values) else max(value or 0.0 for value in values)


def _one(replay: Replay, result: PacketResult, packet: Packet, header: RunHeader | None, terms: Terms) -> Judged | None:
    """What one replay says of a packet; none if it says nothing that counts."""
    report, tolerance = replay.report, replay.tolerance
    assert report is not None
    if report.method.value not in terms.clause.methods:
        return None
    if report.method is not ReplayMethod.EXACT and replay.tolerance_digest not in terms.clause.tolerances:
        return None
    rate = _rate(replay, header, terms)
    if result.outcome is Outcome.NOT_RUN:
        return Judged(number=packet.number, fate=Fate.NOT_RUN, why=result.reason)
    if result.outcome is Outcome.DIFFERED:
        return Judged(number=packet.number, fate=Fate.DIFFERED, why=result.reason, rate=rate)
    threshold = 0.0 if tolerance is None else tolerance.threshold
    if result.distance is not None and result.distance > threshold:
        return Judged(
            number=packet.number, fate=Fate.NOT_RUN, why="is called matched at a distance beyond the tolerance"
        )
    if result.distance is None and tolerance is not None:
        return Judged(number=packet.number, fate=Fate.NOT_RUN, why="is called matched without a distance")
    stated = packet.flop
    counted = result.flop_counted or 0.0
    known = [
        bits
        for bits in (result.covert_bits_per_token, tolerance.covert_bits_per_token if tolerance else None)
        if bits is not None
    ]
    return Judged(
        number=packet.number,
        fate=Fate.MATCHED,
        why=result.reason,
        flop_found=min(1.0, counted / stated) if stated > 0 else 1.0,
        chip_s=_chip_s(replay, result, header),
        covert_bits_per_token=max(known) if known else None,
        rate=rate,
    )


def _rate(replay: Replay, header: RunHeader | None, terms: Terms) -> float | None:
    report, tolerance = replay.report, replay.tolerance
    assert report is not None
    if header is None:
        return None
    if tolerance is None:
        return reference.EXACT_DIFFERS_RATE if header.stack == report.stack and header.stack.deterministic else None
    if header.stack not in tolerance.stacks or report.stack not in tolerance.stacks:
        return None
    shown = dirty_share_upper(tolerance.honest_runs, terms.false_accusation_rate)
    rate = max(tolerance.false_alarm_rate, shown)
    return rate if rate < 1 else None


def _chip_s(replay: Replay, result: PacketResult, header: RunHeader | None) -> float | None:
    report = replay.report
    assert report is not None
    if result.replayed_s is None or report.chips is None or header is None:
        return None
    if report.speed is None and header.stack != report.stack:
        return None
    return result.replayed_s * (report.speed or 1.0) * report.chips


# --- one piece of work shown twice -----------------------------------------------------------------------------------------


def copies_of(work: WorkSeen) -> dict[Place, str]:
    """Opened packets that show what another opened packet shows, or do not follow from the one before; and why, in words."""
    places: dict[str, list[tuple[Place, str]]] = defaultdict(list)
    found: dict[Place, str] = {}
    for run in work.runs:
        opened = _opened(run)
        for place, (packet, name) in opened.items():
            if _is_work(packet):
                places[digest_of(packet.content.canonical_bytes())].append((place, name))
        found.update(_loose(run, opened))
    for alike in places.values():
        for place, name in alike:
            others = [other for other_place, other in alike if other_place != place]
            if others:
                found[place] = f"{name} shows the same work as {others[0]}"
    return found


def _opened(run: Run) -> dict[Place, tuple[Packet, str]]:
    return {
        (committed.digest, number): (packet, f"packet {number} of {committed.name}")
        for committed in run.commitments
        for drawn in committed.draws
        for opening in drawn.openings
        for number, packet in opening.packets.items()
    }


def _is_work(packet: Packet) -> bool:
    return isinstance(packet.content, TrainingContent) or bool(packet.content.requests)


def _loose(run: Run, opened: Mapping[Place, tuple[Packet, str]]) -> dict[Place, str]:
    """Training packets that do not start where the one before them ended, as far as both were opened."""
    found: dict[Place, str] = {}
    order = [
        (one.digest, number)
        for one in run.commitments
        if one.usable and one.listed is not None
        for number in range(one.listed.first, one.listed.first + len(one.listed.leaves))
    ]
    header = run.header
    before: TrainingContent | None = None
    starts = bool(run.commitments) and run.commitments[0].said.sequence == 0
    for place in order:
        shown = opened.get(place)
        content = shown[0].content if shown is not None else None
        if shown is not None and isinstance(content, TrainingContent):
            if before is not None and (content.before, content.first_step) != (
                before.after,
                before.first_step + before.steps,
            ):
                found[place] = f"{shown[1]} does not start where the packet before it ended"
            if (
                starts
                and place == order[0]
                and isinstance(header, TrainingHeader)
                and (content.before.weights != header.weights_first)
            ):
                found[place] = f"{shown[1]}, the first of its run, does not start from the weights of its header"
        before = content if isinstance(content, TrainingContent) else None
    return found
