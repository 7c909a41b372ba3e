"""What a session has come to, and closing it.

`review_session`, which an open session can be asked at any time:

1. The segments behind every run are verified and decoded again, from the session's own folder: signatures, numbers and chain
   within the run, payloads, silence, sensors that stand still, copies, repeats between runs.
2. The profile of every run is computed, and `sufficiency` says whether they are enough.

`close_session`:

3. The code is digested once more; it must be what it was.
4. A session that is not sufficient is not closed, unless the inspector says so (`short`).
5. Reference telemetry and workload signature are written, then the closing statement that names both and the payloads of all
   segments. What the statement says carries no number that a reader would have to believe: rates and thresholds are computed
   from the reference by whoever uses it.
6. The result is read back as a verifier will (`load.read_signature`) before it is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from inspectorate.canonical import digest_of
from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence import (
    Segment,
    Stream,
    WorkloadEnrolled,
    make_statement,
    verify_envelope,
)
from inspectorate.evidence.observed import PAYLOAD_BYTES_MAX
from inspectorate.evidence.spool import DiskSpool
from inspectorate.keys import SigningKey, TrustAnchors
from inspectorate.mechanisms.workloads.enrol import reference
from inspectorate.mechanisms.workloads.enrol.load import REFERENCE, SIGNATURE, read_signature
from inspectorate.mechanisms.workloads.enrol.profile import Profile, profile_of
from inspectorate.mechanisms.workloads.enrol.recording import RunRefused, decode, read_spool, unheard
from inspectorate.mechanisms.workloads.enrol.reference_telemetry import cut, joined, run_frame
from inspectorate.mechanisms.workloads.enrol.session import (
    RECORDED,
    Session,
    payload_name,
    read_session,
    signed,
    statement_name,
    valid_until,
)
from inspectorate.mechanisms.workloads.enrol.soundness import SeenStretches, sensor_faults, silences
from inspectorate.mechanisms.workloads.enrol.sufficiency import Sufficiency, judge
from inspectorate.mechanisms.workloads.enrol.types import RecordedRun
from inspectorate.mechanisms.workloads.signature.types import WorkloadSignature
from inspectorate.mechanisms.workloads.telemetry.frame import Samples
from inspectorate.mechanisms.workloads.telemetry.table import write_table
from inspectorate.mechanisms.workloads.windows.reference import FEATURES_VERSION
from inspectorate.quantities import Period


@dataclass(frozen=True, kw_only=True, eq=False)
class Reviewed:
    """The telemetry of all runs, and what it is worth."""

    samples: tuple[tuple[RecordedRun, Samples], ...]
    """In order of time, contrasts too."""
    profiles: tuple[Profile, ...]
    """Of the runs of the workload, in order of time."""
    contrast_profiles: tuple[tuple[str, Profile], ...]
    sufficiency: Sufficiency


@dataclass(frozen=True, kw_only=True)
class Closed:
    """A session that was closed."""

    record: WorkloadSignature
    sufficiency: Sufficiency
    envelope: bytes
    reference_bytes: int


@dataclass(frozen=True, kw_only=True)
class Closing:
    """What an inspector says when closing."""

    code: str
    at: datetime
    valid_s: float | None = None
    short: bool = False


def samples_of_runs(session: Session, *, anchors: TrustAnchors) -> tuple[tuple[RecordedRun, Samples], ...]:
    """Step 1. Raises `EvidenceError` naming the run."""
    if not session.recorded:
        return ()
    spool = read_spool(session.folder / RECORDED, anchors=anchors, meter=session.plan.meter)
    by_digest = {one.digest: one for one in spool.segments}
    found: list[tuple[RecordedRun, Samples]] = []
    seen = SeenStretches()
    for one in session.recorded:
        where = f"run {one.run.id}"
        segments = [by_digest[digest] for digest in one.segments if digest in by_digest]
        if len(segments) != len(one.segments):
            raise EvidenceError("segments of it are gone", where=f"{where} in {spool.folder}")
        _chained(segments, where)
        reasons = unheard(segments, one.run.period, session.plan.silence_s_max)
        samples, _ = decode(Stream(sensor=spool.meter, segments=tuple(segments)), spool.payload, where)
        kept = cut(samples, one.run.period, units=session.plan.units, signals=session.plan.signals)
        reasons += silences(kept, session.plan, one.run.period) + sensor_faults(kept, session.plan.units)
        reasons += seen.faults(kept)
        if reasons:
            raise RunRefused(reasons, where=where)
        seen.add(one.run.id, kept)
        found.append((one, kept))
    return tuple(found)


def review_session(session: Session, *, anchors: TrustAnchors) -> Reviewed:
    """Steps 1 and 2."""
    samples = samples_of_runs(session, anchors=anchors)
    profiles = [
        (one, profile_of(one.run.id, run_frame(kept, one.run.period, signals=session.plan.signals,
                                               step_s=session.plan.step_s), window_s=session.plan.terms.window_s))
        for one, kept in samples
    ]  # fmt: skip
    own = tuple(profile for one, profile in profiles if one.contrast is None)
    return Reviewed(
        samples=samples,
        profiles=own,
        contrast_profiles=tuple((one.contrast, profile) for one, profile in profiles if one.contrast is not None),
        sufficiency=judge(session.manifest, session.plan, [one.run for one in session.runs], session.contrasts, own),
    )


def close_session(session: Session, closing: Closing, *, key: SigningKey, anchors: TrustAnchors) -> Closed:
    """Steps 3 to 6. Raises `InputError` if it may not be closed, `EvidenceError` if what was recorded does not hold."""
    where = str(session.folder)
    if session.closing is not None:
        raise InputError(f"session {session.manifest.session} is closed already", where=where)
    # (3)
    if closing.code != session.manifest.code:
        raise InputError(
            f"the code is not what it was when the session was opened ({session.manifest.code[:19]}… then, "
            f"{closing.code[:19]}… now)",
            where="--code",
            remedy="other code needs a session of its own",
        )
    reviewed = review_session(session, anchors=anchors)
    if not session.runs:
        raise InputError("no run of the workload was recorded", where=where)
    # (4)
    if not (reviewed.sufficiency.sufficient or closing.short):
        raise InputError(
            "not enough was recorded: " + ". ".join(reviewed.sufficiency.reasons),
            where=where,
            remedy="record more, or close it as it is with --short",
        )
    # (5)
    table = write_table(joined([kept for _, kept in reviewed.samples]))
    if len(table) > PAYLOAD_BYTES_MAX:
        raise InputError(
            f"the reference telemetry has {len(table):,} bytes, and a payload may have {PAYLOAD_BYTES_MAX:,}",
            where=where,
            remedy="enrol fewer units or signals in one session",
        )
    record = _record(session, closing, reference_digest=digest_of(table))
    data = record.canonical_bytes()
    if len(data) > reference.SIGNATURE_BYTES_MAX:
        raise InputError(f"the signature has more than {reference.SIGNATURE_BYTES_MAX:,} bytes", where=where)
    envelope = _statement(session, record, data, key=key, anchors=anchors)
    # (6)
    payloads = {digest_of(data): data, digest_of(table): table}
    verified = verify_envelope(envelope, anchors=anchors, where="the closing statement")
    read_signature(
        verified, lambda digest: payloads[digest] if digest in payloads else session.payload(digest), [session.opening]
    )
    with DiskSpool(session.folder) as spool:
        if read_session(session.folder, anchors=anchors).closing is not None:
            raise InputError("was closed by somebody else meanwhile", where=where)
        for payload in (table, data):
            spool.put(payload_name(digest_of(payload)), [payload])
        spool.put(statement_name(envelope), [envelope])
    return Closed(record=record, sufficiency=reviewed.sufficiency, envelope=envelope, reference_bytes=len(table))


def _record(session: Session, closing: Closing, *, reference_digest: str) -> WorkloadSignature:
    plan = session.plan
    return WorkloadSignature.parse(
        {
            "manifest": session.manifest,
            "meter": plan.meter,
            "units": plan.units,
            "signals": plan.signals,
            "step_s": plan.step_s,
            "window_s": plan.terms.window_s,
            "features_version": FEATURES_VERSION,
            "runs": tuple(one.run for one in session.runs),
            "contrasts": session.contrasts,
            "reference": reference_digest,
            "enrolled_at": closing.at,
            "valid_until": valid_until(plan, closing.at, valid_s=closing.valid_s),
        },
        where="the workload signature",
        error=InputError,
    )


def _statement(
    session: Session, record: WorkloadSignature, data: bytes, *, key: SigningKey, anchors: TrustAnchors
) -> bytes:
    opened = session.opened
    payloads = tuple(dict.fromkeys(payload for one in session.recorded for payload in one.payloads))
    if len(payloads) > reference.SEGMENTS_MAX:
        raise InputError(f"rests on more than {reference.SEGMENTS_MAX:,} segments", where=str(session.folder))
    predicate = WorkloadEnrolled(
        origin=opened.origin,
        session=opened.session,
        by=opened.by,
        workload=opened.workload,
        pods=opened.pods,
        opened=session.opening.digest,
        code=record.manifest.code,
        period=Period(start=opened.opened_at, end=record.enrolled_at),
        references=payloads,
        valid_until=record.valid_until,
    )
    subjects = {SIGNATURE: digest_of(data), REFERENCE: record.reference}
    return signed(make_statement(predicate, subjects), key, anchors=anchors, by=opened.by)


def _chained(segments: Sequence[Segment], where: str) -> None:
    """Segments of one run follow one another in one stream."""
    for before, after in pairwise(segments):
        if (
            after.stream != before.stream
            or after.sequence != before.sequence + 1
            or after.previous != before.digest
            or after.period.start < before.period.end
        ):
            raise EvidenceError(f"segment {after.sequence} does not continue segment {before.sequence}", where=where)
