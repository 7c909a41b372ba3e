"""What an inspector enrolled on a simulated site, days before the period of the world.

Serving was enrolled on every pod, at the meter of the node, which the verifier holds: twelve separate runs under the service's
own traffic from nearly none to more than is admitted, half of them with a pipeline to a peer, and as contrasts idling and
training. So many and so long that the false-alarm rate of the shipped agreement can be supported (`enrol.sufficiency`).

The requests are the inspector's own and the same on every pod and every site with the same limit, so that they are made once;
chips, noise and meters are each pod's own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache

import numpy as np

from inspectorate.agreement import Agreement, ApprovedWorkloads
from inspectorate.canonical import digest_of
from inspectorate.declaration import Meter
from inspectorate.evidence import EnrolmentOpened, Origin, WorkloadEnrolled, make_statement, sign_statement
from inspectorate.keys import SigningKey
from inspectorate.mechanisms.workloads.enrol.load import MANIFEST, PLAN, REFERENCE, SIGNATURE
from inspectorate.mechanisms.workloads.enrol.types import SessionPlan
from inspectorate.mechanisms.workloads.signature.types import (
    Condition,
    Contrast,
    Manifest,
    ReferenceRun,
    Setting,
    WorkloadSignature,
)
from inspectorate.mechanisms.workloads.telemetry.frame import Samples
from inspectorate.mechanisms.workloads.telemetry.payload import encode_segment
from inspectorate.mechanisms.workloads.windows.reference import FEATURES_VERSION
from inspectorate.quantities import Period, to_ns
from inspectorate.worlds import model, telemetry_model
from inspectorate.worlds.site import EPOCH, SimSite
from inspectorate.worlds.telemetry import Measured, loads, machine_of, meters, node_meter, samples_of
from inspectorate.worlds.telemetry_model import Draw, Floats, draws
from inspectorate.worlds.traffic import honest_traffic

WORKLOAD = "serving"
CODE = "sha256:" + hashlib.sha256(b"simulated: the code that serves").hexdigest()
DAYS_BEFORE = 10.0
RUN_S = 7200
"""At one false alarm in 24 device-hours a run of two hours may alarm with 1/12, for which eleven runs are needed."""
CONTRAST_S, TRAINING_RUNS = 1200, 2
PAUSE_S = 60.0
REQUESTS_SEED = 0
PEAK_SHARE = 0.95
"""Up to this share of the limit requests are admitted while the inspector is there: the middle of what sites do."""
LOADS = (0.0, 0.0, 0.02, 0.05, 0.1, 0.25, 0.4, 0.55, 0.75, 0.95, 1.2, 1.2)
"""Mean demand of each run as a share of what is admitted, from nobody to overload; each end twice, so that either run can be
held out and the other stands for it."""


@dataclass(frozen=True, kw_only=True)
class _Session:
    """One enrolment on one pod."""

    pod: str
    meter: Meter
    terms: ApprovedWorkloads
    agreement: Agreement
    clause: str
    start: datetime
    by: str

    @property
    def name(self) -> str:
        return f"{WORKLOAD}-{self.pod}"


def terms_of(agreement: Agreement) -> tuple[str, ApprovedWorkloads] | None:
    """The clause that approves workloads, by name, and its terms."""
    for clause in agreement.clauses:
        if isinstance(clause.parameters, ApprovedWorkloads):
            return clause.id, clause.parameters
    return None


def enrol(site: SimSite, agreement: Agreement, *, by: str, key: SigningKey, draw: Draw) -> Measured:
    """The signed enrolments of all pods; nothing where the agreement approves no workloads."""
    found = terms_of(agreement)
    if found is None:
        return Measured()
    clause, terms = found
    work = requests(site.limit_bytes_per_s, site.averaging_s)
    envelopes: list[bytes] = []
    payloads: dict[str, bytes] = {}
    nodes = {meter.id: meter for meter in meters(site)}
    for name in site.names:
        session = _Session(
            pod=name,
            meter=nodes[node_meter(name)],
            terms=terms,
            agreement=agreement,
            clause=clause,
            start=site.start - timedelta(days=DAYS_BEFORE),
            by=by,
        )
        made = _session(session, work, key, draw)
        envelopes += made.envelopes
        payloads |= made.payloads
    return Measured(envelopes=tuple(envelopes), payloads=payloads)


def begins(site: SimSite) -> datetime:
    """When the first session was opened: from then on the inspector's key must be trusted."""
    return site.start - timedelta(days=DAYS_BEFORE)


@lru_cache(maxsize=4)
def requests(limit_bytes_per_s: float, averaging_s: float) -> tuple[Floats, ...]:
    """How busy the inspector's requests keep the chips in each run, shape (RUN_S,)."""
    draw, site = draws(REQUESTS_SEED), _anywhere(limit_bytes_per_s, averaging_s)
    return tuple(
        run_load(site, share=share, pipeline=bool(number % 2), random=draw(f"telemetry enrolment run {number}"))
        for number, share in enumerate(LOADS)
    )


def cover_load(
    limit_bytes_per_s: float, averaging_s: float, *, share: float, seconds: int, random: np.random.Generator
) -> Floats:
    """The load of requests that were not the inspector's, shape (seconds,)."""
    site = _anywhere(limit_bytes_per_s, averaging_s)
    return run_load(site, share=share, pipeline=False, random=random, seconds=seconds)


def _anywhere(limit_bytes_per_s: float, averaging_s: float) -> SimSite:
    """A site of no pods, for its terms."""
    return SimSite(
        names=(), duration_s=RUN_S, start=EPOCH, limit_bytes_per_s=limit_bytes_per_s, averaging_s=averaging_s,
        allowance_bytes_per_s=limit_bytes_per_s / 100, sensors=(), pipelines=(), idle=(), balanced=True, utilisation=1.0,
        peak_share=PEAK_SHARE, crowds=0, loss=False,
    )  # fmt: skip


def run_load(
    site: SimSite, *, share: float, pipeline: bool, random: np.random.Generator, seconds: int = RUN_S
) -> Floats:
    """Load of one pod under the service's own traffic at a mean demand of `share` of what is admitted."""
    alone = replace(
        site,
        names=("one", "two") if pipeline else ("one",),
        duration_s=seconds,
        sensors=(),
        pipelines=((0, 1),) if pipeline else (),
        idle=(share <= 0, True) if pipeline else (share <= 0,),
        balanced=True,
        utilisation=max(share, 0.01),
        crowds=int(random.integers(0, model.CROWDS_MAX + 1)),
    )
    served = np.array([1.0, 0.0] if pipeline else [1.0])
    if share <= 0:
        return np.zeros(seconds)
    flows = honest_traffic(alone, random, cheating=None, served=served, displaced=())
    found: Floats = loads(alone, flows, lead_s=0.0, seconds=seconds)[0]
    return found


def _session(session: _Session, work: Sequence[Floats], key: SigningKey, draw: Draw) -> Measured:
    machine, random = machine_of(draw, session.pod), draw(f"telemetry enrolment noise {session.pod}")
    none = np.zeros(CONTRAST_S)
    planned = [(f"run-{number + 1}", load, np.zeros(len(load))) for number, load in enumerate(work)]
    planned.append(("idle-1", none, none))
    for number in range(TRAINING_RUNS):
        rhythm = telemetry_model.training_of(CONTRAST_S, draw(f"telemetry enrolment training {number}"))
        planned.append((f"training-{number + 1}", none, rhythm))
    at = session.start + timedelta(seconds=PAUSE_S)
    parts, periods = [], dict[str, Period]()
    for name, serving, training in planned:
        chips = telemetry_model.chips_of(serving, training, machine, random)
        read = telemetry_model.node_of(chips, machine, random)[None, :, None]
        parts.append(samples_of(read, session.meter, start_ns=to_ns(at), random=random))
        periods[name] = Period(start=at, end=at + timedelta(seconds=len(serving)))
        at = periods[name].end + timedelta(seconds=PAUSE_S)
    return _signed(session, _joined(parts), periods, key)


def _joined(parts: list[Samples]) -> Samples:
    return Samples(
        units=parts[0].units,
        signals=parts[0].signals,
        time_ns=np.concatenate([part.time_ns for part in parts]),
        unit=np.concatenate([part.unit for part in parts]),
        values=np.concatenate([part.values for part in parts]),
    )


def _signed(session: _Session, samples: Samples, periods: Mapping[str, Period], key: SigningKey) -> Measured:
    """Opening and closing statement with manifest, plan, record and reference telemetry."""
    manifest, plan = _manifest(session), _plan(session)
    end = max(period.end for period in periods.values()) + timedelta(seconds=PAUSE_S)
    table = encode_segment(samples)
    record = WorkloadSignature(
        manifest=manifest,
        meter=session.meter.id,
        units=session.meter.units,
        signals=plan.signals,
        step_s=plan.step_s,
        window_s=session.terms.window_s,
        features_version=FEATURES_VERSION,
        runs=tuple(_run(f"run-{n + 1}", periods, load) for n, load in enumerate(LOADS)),
        contrasts=(
            Contrast(name="idling", kind="idle", runs=(_run("idle-1", periods),)),
            Contrast(
                name="training",
                kind="training",
                runs=tuple(_run(f"training-{n + 1}", periods) for n in range(TRAINING_RUNS)),
            ),
        ),
        reference=digest_of(table),
        enrolled_at=end,
        valid_until=end + timedelta(seconds=session.terms.valid_s_max * 0.9),
    )
    common = {
        "origin": Origin.SIMULATED, "session": session.name, "by": session.by, "workload": WORKLOAD,
        "pods": (session.pod,), "code": CODE,
    }  # fmt: skip
    payloads = [manifest.canonical_bytes(), plan.canonical_bytes(), record.canonical_bytes(), table]
    digests = [digest_of(payload) for payload in payloads]
    opened = sign_statement(
        make_statement(
            EnrolmentOpened.model_validate(common | {"opened_at": session.start}),
            {MANIFEST: digests[0], PLAN: digests[1]},
        ),
        key,
    )
    closing = common | {
        "opened": digest_of(opened),
        "period": Period(start=session.start, end=end),
        "references": (digests[3],),
        "valid_until": record.valid_until,
    }
    closed = sign_statement(
        make_statement(WorkloadEnrolled.model_validate(closing), {SIGNATURE: digests[2], REFERENCE: digests[3]}), key
    )
    return Measured(envelopes=(opened, closed), payloads=dict(zip(digests, payloads, strict=True)))


def _run(name: str, periods: Mapping[str, Period], load: float | None = None) -> ReferenceRun:
    settings = () if load is None else (Setting(name="load", value=round(float(load), 6)),)
    return ReferenceRun(id=name, period=periods[name], settings=settings)


def _manifest(session: _Session) -> Manifest:
    return Manifest(
        session=session.name,
        workload=WORKLOAD,
        kind="inference",
        description="simulated: serves language models to clients outside",
        pods=(session.pod,),
        chip=model.CHIP,
        chips=model.CORES_PER_POD,
        code=CODE,
        operating_range=(Condition(name="load", least=LOADS[0], most=LOADS[-1]),),
    )


def _plan(session: _Session) -> SessionPlan:
    return SessionPlan(
        meter=session.meter.id,
        units=session.meter.units,
        signals=session.meter.signals,
        step_s=session.meter.sampled_every_s,
        silence_s_max=session.meter.silence_s_max,
        agreement=session.agreement.id,
        agreement_version=session.agreement.version,
        clause=session.clause,
        terms=session.terms,
        confidence=session.agreement.assurance_confidence,
    )
