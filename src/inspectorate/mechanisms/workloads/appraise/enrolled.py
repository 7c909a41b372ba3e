"""The workload signatures that count for one pod, side by side, with thresholds from their own runs.

1. A signature counts if it reads back in full (`enrol.load`), was enrolled on this pod before the period, is valid to its end by
   its own date and by the agreement's, rests on enough runs, was made with the features of this program and windows of the
   agreement, and on chips of the pod's model, and if a declared meter of this pod alone samples what was enrolled: the enrolled
   meter, or another at the same kind of point; a meter of chips must have them all. What does not count is told with its reason.
2. Signatures of one meter make one library. Runs are held out for thresholds (`signature.calibrate`).

Built once per set of closing statements.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache, partial
from typing import cast

import numpy as np

from inspectorate.agreement import ApprovedWorkloads
from inspectorate.assessment import Case
from inspectorate.declaration import MeasuringPoint, Meter
from inspectorate.errors import EvidenceError
from inspectorate.evidence import EnrolmentOpened, WorkloadEnrolled
from inspectorate.mechanisms.workloads.enrol.load import LoadedSignature, read_signature
from inspectorate.mechanisms.workloads.signature.calibrate import Calibration, Threshold, calibrate
from inspectorate.mechanisms.workloads.signature.hiding import HiddenShare, hidden_share
from inspectorate.mechanisms.workloads.signature.library import Library, Reference
from inspectorate.mechanisms.workloads.signature.types import ReferenceRun
from inspectorate.mechanisms.workloads.telemetry.frame import Frame
from inspectorate.mechanisms.workloads.windows import FEATURES_VERSION, window_features

BENCHES_KEPT = 256
CELL_S = 3600.0
"""Bounds by shape hold for cells of at least this length."""
TRAINING, IDLE = "training", "idle"
"""Kinds of contrasts."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Bench:
    """A library of signatures as one meter sees them."""

    library: Library
    calibration: Calibration


@dataclass(frozen=True, kw_only=True, eq=False)
class Enrolled:
    """What counts for one pod, and why the rest does not."""

    meter: Meter | None
    signatures: Mapping[str, LoadedSignature]
    """By workload."""
    bench: Bench | None
    refused: tuple[str, ...]
    faults: tuple[str, ...]
    """Signatures that do not read back: evidence that cannot be trusted."""

    @property
    def evidence_ids(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(i for one in self.signatures.values() for i in one.evidence_ids))


def enrolled(case: Case, terms: ApprovedWorkloads, pod: str) -> Enrolled:
    """What counts for a pod (step 1)."""
    refused: list[str] = []
    faults: list[str] = []
    usable: dict[str, tuple[LoadedSignature, Meter]] = {}
    for name, loaded in _read(case).items():
        if isinstance(loaded, str):
            faults.append(loaded)
            continue
        if pod not in loaded.record.manifest.pods:
            continue
        meter = _meter(case, loaded, pod)
        why = _refusal(case, terms, loaded, meter)
        if why or meter is None:
            refused.append(f"the signature of {loaded.workload} ({name[:19]}…) does not count: {why}")
        elif loaded.workload in usable and usable[loaded.workload][0].record.enrolled_at >= loaded.record.enrolled_at:
            refused.append(f"an earlier signature of {loaded.workload} was followed by another")
        else:
            usable[loaded.workload] = (loaded, meter)
    meters = {meter.id: meter for _, meter in usable.values()}
    if len(meters) > 1:
        first = min(meters)
        refused += [f"the signature of {w} is of another meter" for w, (_, m) in usable.items() if m.id != first]
        usable = {w: pair for w, pair in usable.items() if pair[1].id == first}
    signatures = {w: pair[0] for w, pair in sorted(usable.items())}
    return Enrolled(
        meter=next((meter for _, meter in usable.values()), None),
        signatures=signatures,
        bench=bench_of(signatures) if signatures else None,
        refused=tuple(refused),
        faults=tuple(faults),
    )


def features_of(
    frame: Frame, window_s: float
) -> tuple[tuple[str, ...], np.ndarray[tuple[int, ...], np.dtype[np.float64]]]:
    """Names of the features, and those of all windows of a frame side by side: shape (windows, units, features)."""
    windows = window_features(frame, window_s=window_s)
    return windows.names, windows.values.astype(np.float64)


def caught_by(bench: Bench, record_window_s: float, workload: str, distance_max: float, run: str, frame: Frame) -> bool:
    """Whether any block of any unit exceeds the threshold, for a library that does not know the run."""
    library = bench.calibration.without[run]
    _, values = features_of(frame, record_window_s)
    place = library.workloads.index(workload)
    for unit in range(values.shape[1]):
        distances = library.distances(values[:, unit], whole=True)[:, place]
        if bool((distances[np.isfinite(distances)] > distance_max).any()):
            return True
    return False


def _read(case: Case) -> Mapping[str, LoadedSignature | str]:
    """Every enrolment among the evidence by its statement's digest: the signature, or what is wrong with it."""
    shared = cast(dict[str, object], case.shared.setdefault("workloads", {}))
    if "signatures" not in shared:
        openings = [s for s in case.evidence.reports if isinstance(s.predicate, EnrolmentOpened)]
        found: dict[str, LoadedSignature | str] = {}
        for statement in case.evidence.reports:
            if isinstance(statement.predicate, WorkloadEnrolled):
                try:
                    found[statement.digest] = read_signature(statement, case.evidence.payload, openings)
                except EvidenceError as fault:
                    found[statement.digest] = str(fault)
        shared["signatures"] = found
    return cast(Mapping[str, LoadedSignature | str], shared["signatures"])


def _meter(case: Case, loaded: LoadedSignature, pod: str) -> Meter | None:
    """The declared meter of this pod alone that samples what was enrolled."""
    record = loaded.record
    declared = {meter.id: meter for meter in case.declaration.meters}
    own = declared.get(record.meter)
    if own is None:
        return None
    alike = [
        m for m in case.declaration.meters if m.pods == (pod,) and m.point is own.point and m.current == own.current
    ]
    chosen = own if own.pods == (pod,) else next(iter(alike), None)
    return chosen if chosen is not None and abs(chosen.sampled_every_s - record.step_s) < 1e-9 else None


def _refusal(case: Case, terms: ApprovedWorkloads, loaded: LoadedSignature, meter: Meter | None) -> str:
    """Why a signature does not count; empty if it does."""
    record = loaded.record
    age = timedelta(seconds=terms.valid_s_max)
    if record.enrolled_at > case.period.start:
        return "it was enrolled after the period began"
    if min(record.valid_until, record.enrolled_at + age) < case.period.end:
        return "it had expired; enrol again"
    if record.manifest.kind not in terms.kinds:
        return f"{record.manifest.kind} is no kind of workload that the agreement lets be approved"
    if len(record.runs) < terms.enrolled_runs_min:
        return f"it rests on {len(record.runs)} runs, and the agreement asks for {terms.enrolled_runs_min}"
    if record.features_version != FEATURES_VERSION:
        return f"it was made for version {record.features_version} of the features, and this is {FEATURES_VERSION}"
    if record.window_s != terms.window_s:
        return f"its windows are of {record.window_s:g} s, and those of the agreement of {terms.window_s:g} s"
    if meter is None:
        return "no declared meter of this pod alone samples what was enrolled"
    chips = {group.model: group.count for pod in case.declaration.pods if pod.id in meter.pods for group in pod.chips}
    if set(chips) != {record.manifest.chip}:
        return f"it was enrolled on {record.manifest.chip}, and the pod has {', '.join(sorted(chips))}"
    if meter.point is MeasuringPoint.CHIP and len(meter.units) < sum(chips.values()):
        return f"{meter.id} measures {len(meter.units)} of {sum(chips.values())} chips"
    return ""


@dataclass(frozen=True)
class ByDigest:
    """A signature that is told from others by its closing statement alone, which names all that it rests on."""

    digest: str
    loaded: LoadedSignature = field(compare=False)


def bench_of(signatures: Mapping[str, LoadedSignature]) -> Bench | None:
    """Step 2. None if nothing of the references was observed. The same statements give the same bench, made once."""
    return _build(tuple(ByDigest(one.digest, one) for _, one in sorted(signatures.items())))


@lru_cache(maxsize=BENCHES_KEPT)
def _build(signatures: tuple[ByDigest, ...]) -> Bench | None:
    references: list[Reference] = []
    names: tuple[str, ...] = ()
    window_s = signatures[0].loaded.record.window_s
    for one in signatures:
        for run in one.loaded.record.runs:
            names, parts = _reference(one.loaded, run, one.loaded.workload, window_s)
            references += parts
    if not any(np.isfinite(part.values).any() for part in references):
        return None
    return Bench(
        library=Library.fit(references, names=names),
        calibration=calibrate(references, names=names, window_s=window_s),
    )


def _reference(
    loaded: LoadedSignature, run: ReferenceRun, workload: str, window_s: float
) -> tuple[tuple[str, ...], list[Reference]]:
    names, values = features_of(loaded.frame(run), window_s)
    named = run_name(loaded, run.id)
    return names, [Reference(run=named, workload=workload, values=values[:, unit]) for unit in range(values.shape[1])]


def run_name(loaded: LoadedSignature, run: str) -> str:
    """Runs of two sessions may be named alike."""
    return f"{loaded.record.manifest.session}/{run}"


def frames_of(loaded: LoadedSignature, kind: str) -> list[Frame]:
    """The frames of all contrasts of a kind."""
    return [frame for contrast, frames in loaded.contrasts.values() if contrast.kind == kind for frame in frames]


def hidden_within(
    bench: Bench, loaded: LoadedSignature, limit: Threshold, *, miss_probability: float
) -> HiddenShare | None:
    """How much training could be hidden within a workload, in cells of `CELL_S`; None if none was recorded beside it."""
    training = frames_of(loaded, TRAINING)
    named = [(run_name(loaded, run.id), run) for run in loaded.record.runs]
    runs = [(name, loaded.frame(run)) for name, run in named if name in bench.calibration.without]
    if not training or not runs:
        return None
    return hidden_share(
        runs,
        training,
        partial(caught_by, bench, loaded.record.window_s, loaded.workload, limit.distance),
        run_s=limit.run_hours * 3600,
        cell_s=CELL_S,
        miss_probability=miss_probability,
    )
