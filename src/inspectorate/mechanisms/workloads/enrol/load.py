"""Reading a workload signature back, as a verifier does. Nothing in it is believed because it is signed: all of it must fit.

1. The statement is a `WorkloadEnrolled` about exactly a signature and a reference.
2. Both payloads have the digests that were signed for, and bounded sizes; the record is in canonical form.
3. Record and predicate say the same of session, workload, pods, code, times and reference.
4. The session was opened once: the opening that is named is among those given, by the same inspector, about the same workload,
   code and pods, with this very manifest; no other opening bears its name. If it signed a plan, meter, units, signals and
   windows are those planned.
5. Every run and contrast lies within the session, is of its own stretch of time, and has settings within the operating range.
6. The reference telemetry holds the units and signals of the record, no row outside of a run, and in every run something of
   every unit and signal.

Raises `EvidenceError` on anything else, naming statement and place.
Not done here: whether the signature is still valid at some time, whether its features are those of this program
(`record.features_version`), whether the workload's kind is allowed, and how close anything is to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from inspectorate.canonical import digest_of, parse_canonical
from inspectorate.errors import EvidenceError
from inspectorate.evidence import EnrolmentOpened, Origin, VerifiedStatement, WorkloadEnrolled
from inspectorate.evidence.observed import PAYLOAD_BYTES_MAX
from inspectorate.keys import Holder
from inspectorate.mechanisms.workloads.enrol import reference
from inspectorate.mechanisms.workloads.enrol.manifest import settings_faults
from inspectorate.mechanisms.workloads.enrol.reference_telemetry import in_frames, read_reference, run_frame
from inspectorate.mechanisms.workloads.enrol.types import SessionPlan
from inspectorate.mechanisms.workloads.signature.types import Contrast, ReferenceRun, WorkloadSignature
from inspectorate.mechanisms.workloads.telemetry.frame import Frame, Samples
from inspectorate.quantities import to_ns

Payload = Callable[[str], bytes]
SIGNATURE, REFERENCE, MANIFEST, PLAN = "signature", "reference", "manifest", "plan"
"""Names of the subjects of the two statements."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LoadedSignature:
    """A workload signature that fits together, with its telemetry. Frames are built one at a time, when asked for."""

    record: WorkloadSignature
    samples: Samples
    by: str
    """The inspector: the name of the anchor."""
    holders: tuple[Holder, ...]
    origin: Origin
    digest: str
    """Of the statement that closed the session: the evidence id."""
    opened: str
    """Of the statement that opened it."""

    @property
    def workload(self) -> str:
        return self.record.workload

    @property
    def evidence_ids(self) -> tuple[str, ...]:
        return self.opened, self.digest

    def frame(self, run: ReferenceRun) -> Frame:
        """The telemetry of one run or run of a contrast: the record's signals and units on a grid from the run's start."""
        return run_frame(self.samples, run.period, signals=self.record.signals, step_s=self.record.step_s)

    @property
    def runs(self) -> Mapping[str, Frame]:
        """Frames of the workload's runs, by name, in the order of the record."""
        return {run.id: self.frame(run) for run in self.record.runs}

    @property
    def contrasts(self) -> Mapping[str, tuple[Contrast, tuple[Frame, ...]]]:
        """Contrasts by name, each with the frames of its runs."""
        return {one.name: (one, tuple(self.frame(run) for run in one.runs)) for one in self.record.contrasts}


def read_signature(
    statement: VerifiedStatement, payload: Payload, openings: Iterable[VerifiedStatement]
) -> LoadedSignature:
    """The workload signature of one closing statement (steps in the module's docstring).

    `payload` gives the bytes of a digest. `openings` are verified statements among which the opening is looked for; others
    among them are passed over.
    """
    where = f"statement {statement.digest[:19]}…"
    # (1)
    predicate = statement.predicate
    if not isinstance(predicate, WorkloadEnrolled):
        raise EvidenceError("does not close an enrolment", where=where)
    subjects = _subjects(statement, where)
    if set(subjects) != {SIGNATURE, REFERENCE}:
        raise EvidenceError(f"speaks of {', '.join(sorted(subjects))}, not of a signature and a reference", where=where)
    # (2)
    data = _payload(payload, subjects[SIGNATURE], reference.SIGNATURE_BYTES_MAX, where)
    place = f"workload signature {subjects[SIGNATURE][:19]}…"
    record = WorkloadSignature.parse(parse_canonical(data, where=place), where=place, error=EvidenceError)
    # (3)
    _agree(record, predicate, subjects[REFERENCE], place)
    # (4)
    opening = _opening(statement, predicate, openings, where)
    _fits_opening(record, opening, payload, where)
    # (5)
    _fits_session(record, predicate, place)
    # (6)
    table = _payload(payload, subjects[REFERENCE], PAYLOAD_BYTES_MAX, where)
    samples = read_reference(table, units=record.units, signals=record.signals, where=f"reference of {place}")
    _fits_samples(record, samples, place)
    return LoadedSignature(
        record=record, samples=samples, by=predicate.by,
        holders=tuple(sorted({anchor.holder for anchor in statement.anchors})),
        origin=predicate.origin, digest=statement.digest, opened=opening.digest,
    )  # fmt: skip


def all_runs(record: WorkloadSignature) -> tuple[ReferenceRun, ...]:
    """The runs of the workload, then those of its contrasts."""
    return (*record.runs, *(run for contrast in record.contrasts for run in contrast.runs))


def _subjects(statement: VerifiedStatement, where: str) -> dict[str, str]:
    found = {subject.name: subject.digest_text for subject in statement.statement.subject}
    if len(found) != len(statement.statement.subject):
        raise EvidenceError("names a subject twice", where=where)
    return found


def _payload(payload: Payload, digest: str, bytes_max: int, where: str) -> bytes:
    data = payload(digest)
    if digest_of(data) != digest:
        raise EvidenceError(f"its payload is not the one that was signed for ({digest[:19]}…)", where=where)
    if len(data) > bytes_max:
        raise EvidenceError(f"its payload of {len(data)} bytes is larger than {bytes_max}", where=where)
    return data


def _agree(record: WorkloadSignature, predicate: WorkloadEnrolled, reference_digest: str, where: str) -> None:
    manifest = record.manifest
    pairs = {
        "session": (manifest.session, predicate.session),
        "workload": (manifest.workload, predicate.workload),
        "pods": (manifest.pods, predicate.pods),
        "code": (manifest.code, predicate.code),
        "end of the session": (record.enrolled_at, predicate.period.end),
        "validity": (record.valid_until, predicate.valid_until),
        "reference": (record.reference, reference_digest),
    }
    differing = [name for name, (one, other) in pairs.items() if one != other]
    if differing:
        raise EvidenceError(f"does not agree with its statement in {', '.join(differing)}", where=where)


def _opening(
    statement: VerifiedStatement, predicate: WorkloadEnrolled, openings: Iterable[VerifiedStatement], where: str
) -> VerifiedStatement:
    """The one opening of this session by this inspector."""
    alike: dict[str, VerifiedStatement] = {}
    for one in openings:
        opened = one.predicate
        if isinstance(opened, EnrolmentOpened) and opened.session == predicate.session:
            alike[one.digest] = one
    if predicate.opened not in alike:
        raise EvidenceError(
            f"the statement that opened session {predicate.session} is not there ({predicate.opened[:19]}…)",
            where=where,
            remedy="deliver it together with the one that closed the session",
        )
    if len(alike) > 1:
        raise EvidenceError(f"{len(alike)} sessions bear the name {predicate.session}", where=where)
    found = alike[predicate.opened]
    opened = found.predicate
    assert isinstance(opened, EnrolmentOpened)
    pairs = {
        "inspector": (opened.by, predicate.by),
        "workload": (opened.workload, predicate.workload),
        "pods": (opened.pods, predicate.pods),
        "code": (opened.code, predicate.code),
        "beginning of the session": (opened.opened_at, predicate.period.start),
        "origin": (opened.origin, predicate.origin),
    }
    differing = [name for name, (one, other) in pairs.items() if one != other]
    if differing:
        raise EvidenceError(f"was opened with another {', '.join(differing)} than it was closed with", where=where)
    return found


def _fits_opening(record: WorkloadSignature, opening: VerifiedStatement, payload: Payload, where: str) -> None:
    subjects = _subjects(opening, where)
    if subjects.get(MANIFEST) != digest_of(record.manifest.canonical_bytes()):
        raise EvidenceError("its manifest is not the one with which the session was opened", where=where)
    if PLAN not in subjects:
        return
    place = f"plan of session {record.manifest.session}"
    data = _payload(payload, subjects[PLAN], reference.PLAN_BYTES_MAX, where)
    plan = SessionPlan.parse(parse_canonical(data, where=place), where=place, error=EvidenceError)
    pairs = {
        "meter": (record.meter, plan.meter),
        "units": (record.units, plan.units),
        "signals": (record.signals, plan.signals),
        "step": (record.step_s, plan.step_s),
        "window": (record.window_s, plan.terms.window_s),
    }
    differing = [name for name, (one, other) in pairs.items() if one != other]
    if differing:
        raise EvidenceError(f"differs from the plan of its session in {', '.join(differing)}", where=where)


def _fits_session(record: WorkloadSignature, predicate: WorkloadEnrolled, where: str) -> None:
    runs = sorted(all_runs(record), key=lambda run: run.period.start)
    for run in runs:
        if not predicate.period.covers(run.period):
            raise EvidenceError(f"run {run.id} lies outside of its session: {run.period}", where=where)
    for one, other in pairwise(runs):
        if one.period.overlaps(other.period):
            raise EvidenceError(f"runs {one.id} and {other.id} cover one stretch of time", where=where)
    for run in record.runs:
        faults = settings_faults(record.manifest, run.settings)
        if faults:
            raise EvidenceError(f"run {run.id}: {'; '.join(faults)}", where=where)


def _fits_samples(record: WorkloadSignature, samples: Samples, where: str) -> None:
    runs = sorted(all_runs(record), key=lambda run: run.period.start)
    starts = np.array([to_ns(run.period.start) for run in runs], dtype=np.int64)
    ends = np.array([to_ns(run.period.end) for run in runs], dtype=np.int64)
    run_of = np.searchsorted(starts, samples.time_ns, side="right") - 1
    outside = (run_of < 0) | (samples.time_ns >= ends[run_of])
    if outside.any():
        raise EvidenceError(f"{int(outside.sum())} rows of its reference lie in no run", where=where)
    place = run_of * len(record.units) + samples.unit
    for signal in record.signals:
        columns = [i for i, name in enumerate(samples.signals) if in_frames(name) == signal]
        measured = np.isfinite(samples.values[:, columns]).any(axis=1)
        found = np.unique(place[measured])
        if len(found) != len(runs) * len(record.units):
            run, unit = divmod(_first_absent(found), len(record.units))
            raise EvidenceError(
                f"its reference has no {signal} of {record.units[unit]} in run {runs[run].id}", where=where
            )


def _first_absent(sorted_places: NDArray[np.int64]) -> int:
    """The least whole number that is not among sorted distinct ones."""
    differs = np.flatnonzero(sorted_places != np.arange(len(sorted_places)))
    return int(differs[0]) if differs.size else len(sorted_places)
