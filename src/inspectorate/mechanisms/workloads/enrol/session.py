"""An enrolment session in a folder: opened, recorded into, and closed.

    statements/      the opening, and at the end the closing: what a bundle needs of a session,
    payloads/        with manifest, plan, workload signature and reference telemetry
    recorded/        the segments behind the runs, statements and payloads, as a collector's folder
    runs/<id>.json   one file per run that was taken in

- One session per folder, and one writer at a time. Every file is whole or not there (`evidence.spool`); a run counts once its
  file in `runs/` is there, and the session is closed once its closing statement is. So a crash at any moment loses at most
  the step that was under way, which is then made again.
- Nothing is believed because it lies in the folder: statements are verified against the anchors whenever it is read, and
  closing verifies and decodes the segments of every run again. What stands in `runs/` alone is which run had which settings:
  the folder is the inspector's.
- Nothing adapts later. Other code, software, power limits or firmware are another session.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice, pairwise
from pathlib import Path

from inspectorate.canonical import digest_of, parse_canonical
from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence import (
    EnrolmentOpened,
    Origin,
    RejectedEvidence,
    VerifiedStatement,
    WorkloadEnrolled,
    make_statement,
    sign_statement,
    verify_envelope,
)
from inspectorate.evidence.envelope import ENVELOPE_BYTES_MAX
from inspectorate.evidence.observed import PAYLOAD_BYTES_MAX
from inspectorate.evidence.spool import DiskSpool
from inspectorate.evidence.statement import Statement
from inspectorate.keys import SigningKey, TrustAnchors
from inspectorate.mechanisms.workloads.enrol import reference
from inspectorate.mechanisms.workloads.enrol.load import MANIFEST, PLAN
from inspectorate.mechanisms.workloads.enrol.manifest import settings_faults
from inspectorate.mechanisms.workloads.enrol.recording import MeterSpool, Taken, check_origin, read_kept
from inspectorate.mechanisms.workloads.enrol.types import RecordedRun, SessionPlan
from inspectorate.mechanisms.workloads.signature.types import (
    RUNS_MAX,
    Contrast,
    Manifest,
    ReferenceRun,
    Setting,
    WorkloadKindName,
)

STATEMENTS_MAX = 2
RECORDED = "recorded"


@dataclass(frozen=True, kw_only=True)
class Session:
    """What the folder of a session holds, verified."""

    folder: Path
    opening: VerifiedStatement
    manifest: Manifest
    plan: SessionPlan
    recorded: tuple[RecordedRun, ...]
    """In order of time."""
    closing: VerifiedStatement | None

    @property
    def opened(self) -> EnrolmentOpened:
        assert isinstance(self.opening.predicate, EnrolmentOpened)
        return self.opening.predicate

    @property
    def enrolled(self) -> WorkloadEnrolled | None:
        if self.closing is None:
            return None
        assert isinstance(self.closing.predicate, WorkloadEnrolled)
        return self.closing.predicate

    @property
    def runs(self) -> tuple[RecordedRun, ...]:
        """Those of the workload itself."""
        return tuple(one for one in self.recorded if one.contrast is None)

    @property
    def contrasts(self) -> tuple[Contrast, ...]:
        by_name: dict[str, list[RecordedRun]] = {}
        for one in self.recorded:
            if one.contrast is not None:
                by_name.setdefault(one.contrast, []).append(one)
        return tuple(
            Contrast(name=name, kind=members[0].kind, runs=tuple(one.run for one in members))
            for name, members in by_name.items()
        )

    def payload(self, digest: str) -> bytes:
        """The payload of a digest. Raises `EvidenceError` if it is not itself."""
        return _payload(self.folder, digest, PAYLOAD_BYTES_MAX)


@dataclass(frozen=True, kw_only=True)
class Opening:
    """What is signed when a session is opened."""

    manifest: Manifest
    plan: SessionPlan
    by: str
    at: datetime
    origin: Origin


def open_session(folder: Path, opening: Opening, *, key: SigningKey, anchors: TrustAnchors) -> Session:
    """Open a session in a folder that holds none. Raises `InputError` if it holds one, or if the key may not sign."""
    manifest, plan = opening.manifest.canonical_bytes(), opening.plan.canonical_bytes()
    predicate = EnrolmentOpened(
        origin=opening.origin,
        session=opening.manifest.session,
        by=opening.by,
        workload=opening.manifest.workload,
        pods=opening.manifest.pods,
        code=opening.manifest.code,
        opened_at=opening.at,
    )
    subjects = {MANIFEST: digest_of(manifest), PLAN: digest_of(plan)}
    envelope = signed(make_statement(predicate, subjects), key, anchors=anchors, by=opening.by)
    with DiskSpool(folder) as spool:
        if any((folder / "statements").iterdir()):
            raise InputError(
                "holds a session already", where=str(folder), remedy="give each session a folder of its own"
            )
        (folder / "runs").mkdir(exist_ok=True)
        for data in (manifest, plan):
            spool.put(payload_name(digest_of(data)), [data])
        spool.put(statement_name(envelope), [envelope])
    return read_session(folder, anchors=anchors)


def read_session(folder: Path, *, anchors: TrustAnchors) -> Session:
    """The session in a folder. Raises `InputError` if there is none, `EvidenceError` if it does not hold together."""
    paths = sorted(islice((folder / "statements").glob("*.json"), STATEMENTS_MAX + 1))
    if not paths:
        raise InputError("holds no session", where=str(folder), remedy="open one with `inspectorate enrol open`")
    if len(paths) > STATEMENTS_MAX:
        raise EvidenceError(f"holds more than {STATEMENTS_MAX} statements", where=str(folder / "statements"))
    verified = [
        verify_envelope(read_kept(path, ENVELOPE_BYTES_MAX), anchors=anchors, where=str(path)) for path in paths
    ]
    openings = [one for one in verified if isinstance(one.predicate, EnrolmentOpened)]
    closings = [one for one in verified if isinstance(one.predicate, WorkloadEnrolled)]
    if len(openings) != 1 or len(openings) + len(closings) != len(verified):
        raise EvidenceError("is not the folder of one session", where=str(folder))
    subjects = {subject.name: subject.digest_text for subject in openings[0].statement.subject}
    if set(subjects) != {MANIFEST, PLAN}:
        raise EvidenceError("its opening does not name a manifest and a plan", where=str(folder))
    manifest = Manifest.parse(
        _json_payload(folder, subjects[MANIFEST], reference.MANIFEST_BYTES_MAX),
        where="the manifest",
        error=EvidenceError,
    )
    plan = SessionPlan.parse(
        _json_payload(folder, subjects[PLAN], reference.PLAN_BYTES_MAX), where="the plan", error=EvidenceError
    )
    return Session(
        folder=folder, opening=openings[0], manifest=manifest, plan=plan, recorded=_read_runs(folder),
        closing=closings[0] if closings else None,
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class RunName:
    """What is being recorded: a run of the workload, or of a contrast."""

    id: str
    settings: tuple[Setting, ...]
    contrast: str | None = None
    kind: WorkloadKindName | None = None


def name_run(session: Session, name: RunName) -> RunName:
    """The same, checked against the session; an empty id becomes the next free number. Raises `InputError`."""
    if session.closing is not None:
        raise InputError(
            f"session {session.manifest.session} is closed",
            where=str(session.folder),
            remedy="nothing is added to a closed session; open a new one",
        )
    if len(session.recorded) >= RUNS_MAX:
        raise InputError(f"holds {RUNS_MAX:,} runs, and no more fit", where=str(session.folder))
    taken = {one.run.id for one in session.recorded}
    stem = name.contrast or "run"
    chosen = name.id or next(f"{stem}-{i:02d}" for i in range(1, RUNS_MAX + 2) if f"{stem}-{i:02d}" not in taken)
    if chosen in taken:
        raise InputError(f"run {chosen} is recorded already", where=str(session.folder), remedy="choose another --run")
    if name.contrast is None:
        if name.kind is not None:
            raise InputError("is for contrasts only", where="--kind")
        faults = settings_faults(session.manifest, name.settings)
        if faults:
            raise InputError("; ".join(faults), where="settings", remedy="give every condition of the operating range")
        return RunName(id=chosen, settings=name.settings, kind=session.manifest.kind)
    if name.kind is None:
        raise InputError("a contrast needs its kind", where="--kind", remedy="say --kind training or --kind idle")
    alike = [one.kind for one in session.recorded if one.contrast == name.contrast and one.kind != name.kind]
    if alike:
        raise InputError(f"contrast {name.contrast} was recorded as {alike[0]}", where="--kind")
    return RunName(id=chosen, settings=name.settings, contrast=name.contrast, kind=name.kind)


def add_run(session: Session, name: RunName, taken: Taken, *, spool: MeterSpool, at: datetime) -> RecordedRun:
    """Take a run in: its segments first, the run's own file last. `name` comes from `name_run`."""
    check_origin(taken.segments, session.opened.origin, where=str(spool.folder))
    assert name.kind is not None
    found = RecordedRun.parse(
        {
            "run": ReferenceRun(id=name.id, period=taken.period, settings=name.settings),
            "contrast": name.contrast,
            "kind": name.kind,
            "segments": tuple(one.digest for one in taken.segments),
            "payloads": tuple(dict.fromkeys(one.payload for one in taken.segments)),
            "recorded_at": at,
            "notes": taken.notes,
        },
        where=f"run {name.id}",
        error=InputError,
    )
    with DiskSpool(session.folder / RECORDED) as recorded:
        for segment in taken.segments:
            recorded.put(payload_name(segment.payload), [spool.payload(segment.payload)])
            envelope = read_kept(spool.envelopes[segment.digest], ENVELOPE_BYTES_MAX)
            recorded.put(statement_name(envelope), [envelope])
    with DiskSpool(session.folder) as own:
        own.put(f"runs/{name.id}.json", [found.canonical_bytes()])
    return found


def signed(statement: Statement, key: SigningKey, *, anchors: TrustAnchors, by: str) -> bytes:
    """A statement signed by an inspector, and verified at once as a reviewer will. Raises `InputError`."""
    envelope = sign_statement(statement, key)
    try:
        verify_envelope(envelope, anchors=anchors, where="the statement")
    except RejectedEvidence as fault:
        raise InputError(
            f"nobody would accept what this key signs: {fault.problem}",
            where="--key",
            remedy=f"give the key of anchor {by}, which needs the role inspector and must be valid now",
        ) from None
    return envelope


def valid_until(plan: SessionPlan, at: datetime, *, valid_s: float | None) -> datetime:
    """When a signature made at `at` ends: the clause's longest time, or less. Raises `InputError`."""
    longest = plan.terms.valid_s_max
    if valid_s is not None and valid_s > longest:
        raise InputError(
            f"{valid_s / 86_400:g} days are longer than the clause allows ({longest / 86_400:g})", where="--valid-days"
        )
    return at + timedelta(seconds=valid_s if valid_s is not None else longest)


def payload_name(digest: str) -> str:
    return "payloads/" + digest.removeprefix("sha256:")


def statement_name(envelope: bytes) -> str:
    return f"statements/{digest_of(envelope).removeprefix('sha256:')}.json"


def _payload(folder: Path, digest: str, bytes_max: int) -> bytes:
    path = folder / payload_name(digest)
    data = read_kept(path, bytes_max)
    if digest_of(data) != digest:
        raise EvidenceError("is not the payload of its name", where=str(path), remedy="it was altered")
    return data


def _json_payload(folder: Path, digest: str, bytes_max: int) -> object:
    return parse_canonical(_payload(folder, digest, bytes_max), where=str(folder / payload_name(digest)))


def _read_runs(folder: Path) -> tuple[RecordedRun, ...]:
    found = []
    for path in sorted(islice((folder / "runs").glob("*.json"), RUNS_MAX + 1)):
        data = read_kept(path, reference.RUN_FILE_BYTES_MAX)
        one = RecordedRun.parse(parse_canonical(data, where=str(path)), where=str(path), error=EvidenceError)
        if path.name != f"{one.run.id}.json":
            raise EvidenceError(f"is the file of run {one.run.id}", where=str(path))
        found.append(one)
    found.sort(key=lambda one: one.run.period.start)
    for one, other in pairwise(found):
        if one.run.period.overlaps(other.run.period):
            raise EvidenceError(f"runs {one.run.id} and {other.run.id} share time", where=str(folder / "runs"))
    return tuple(found)
