"""Reviews to render, made of the real records, the real account and the real findings; only the traffic is invented."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import combinations

import numpy as np

from inspectorate.account import take_account
from inspectorate.agreement import Agreement, load_agreement
from inspectorate.assessment import Assessment, Exhibit, ExhibitKind, HiddenBound, Joining, Scope, Verdict
from inspectorate.evidence import Problem, ProblemKind
from inspectorate.findings import fuse
from inspectorate.quantities import Period
from inspectorate.review import LedgerState, Review

START = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
AS_OF = datetime(2026, 11, 24, 12, 30, tzinfo=UTC)
COLUMNS = (
    "time",
    "sent_lower_bytes_per_s",
    "sent_upper_bytes_per_s",
    "received_lower_bytes_per_s",
    "received_upper_bytes_per_s",
)
ASSUMPTIONS = (
    "sensors held by joint report every flow of the link they watch",
    "no pod has a link that is not declared",
    "declared link capacities and active timeouts are true",
)
LEDGER = LedgerState(
    origin="lab-site.example/log",
    tree_size=148,
    root=hashlib.sha256(b"root").hexdigest(),
    witnesses=("w1.example", "w2.example"),
)


def digest(*parts: object) -> str:
    return "sha256:" + hashlib.sha256(repr(parts).encode()).hexdigest()


def stamp(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def traffic(
    pod: str,
    period: Period,
    *,
    step_s: float,
    level: float,
    limit: float,
    over: tuple[int, int] | None = None,
    peak: float = 4.1e6,
    dark: tuple[int, int] | None = None,
    sampled: bool = False,
) -> Exhibit:
    """Traffic of one pod: inference with a slow swing, training in intervals `over`, nothing seen in `dark`."""
    noise = np.random.default_rng(int.from_bytes(hashlib.sha256(pod.encode()).digest()[:4], "big"))
    rows: list[tuple[str | float | None, ...]] = []
    for i in range(int(period.duration_s / step_s)):
        time = stamp(period.start + timedelta(seconds=i * step_s))
        if dark and dark[0] <= i < dark[1]:
            rows.append((time, None, None, None, None))
            continue
        sent = level * (1 + 0.3 * math.sin(i / 11)) * float(noise.lognormal(0, 0.18))
        received = 0.24 * sent * float(noise.lognormal(0, 0.1))
        if over and over[0] <= i < over[1]:
            sent, received = (peak * float(noise.lognormal(0, 0.04)) for _ in range(2))
        loose = 1.25 if sampled else 1.004
        rows.append((time, sent, sent * loose, received, received * loose))
    return Exhibit(
        id=f"traffic-{pod}",
        title=f"Traffic of {pod} per {step_s:g} s",
        kind=ExhibitKind.SERIES,
        columns=COLUMNS,
        rows=tuple(rows),
        limit=limit,
        unit="B/s",
    )


def build(
    agreement: Agreement,
    assessments: Sequence[Assessment],
    *,
    capacities: dict[str, float],
    period: Period,
    interval_s: float,
    problems: Sequence[Problem] = (),
    simulated: bool = False,
    ledger: LedgerState | None = LEDGER,
    statements: int = 148,
) -> Review:
    agreement = agreement.on(AS_OF)
    account = take_account(
        assessments,
        capacities=capacities,
        period=period,
        interval_s=interval_s,
        confidence=agreement.assurance_confidence,
    )
    return Review(
        agreement=agreement.id,
        agreement_version=agreement.version,
        agreement_title=agreement.title,
        declaration="lab-site",
        declaration_digest=digest("declaration"),
        party=agreement.parties[0],
        pods=tuple(sorted(capacities)),
        period=period,
        as_of=AS_OF,
        with_proposed=False,
        simulated=simulated,
        ledger=ledger,
        statements=statements,
        problems=tuple(problems),
        findings=fuse(agreement, assessments, account, as_of=AS_OF),
        account=account,
        not_checked=(
            "whether the chips that are declared are all the chips there are",
            "whether the log shows others the same history: the anchors ask for no witness",
        ),
    )


def joining(clause: str, pods: Sequence[str], period: Period, *, limit: float, share: float) -> Joining:
    return Joining(
        statement=f"{clause}.exact",
        miss_probability=0.0,
        scope=Scope(pods=tuple(sorted(pods)), period=period),
        bytes_per_s_max=limit,
        contributions=(1.0, *[share] * max(1, len(pods) - 1)),
        post_training=(1.0, *[share] * max(1, len(pods) - 1)),
        rule="a further pod adds at most limit / (rate x 1.1e-11 byte per FLOP) of itself",
    )


def pod_assessment(
    clause: str, pod: str, period: Period, verdict: Verdict, reason: str, **fields: object
) -> Assessment:
    values: dict[str, object] = {
        "clause": clause,
        "mechanism": "interconnect",
        "scope": Scope(pods=(pod,), period=period),
        "verdict": verdict,
        "log_e": 0.0,
        "assumptions": ASSUMPTIONS,
        "evidence_ids": tuple(digest(pod, i) for i in range(24)),
        "reasons": (reason,),
    }
    return Assessment.model_validate({**values, **fields})


def lab_site(*, simulated: bool = False) -> Review:
    """The recorded site: training between pod-b and pod-c, pod-f without an exporter for two minutes."""
    agreement = load_agreement("inference-only")
    pods = [f"pod-{letter}" for letter in "abcdef"]
    period = Period(start=START, end=START + timedelta(minutes=15))
    train = Period(start=START + timedelta(seconds=300), end=START + timedelta(seconds=600))
    calm = Period(start=START, end=START + timedelta(seconds=300))
    unseen = "pod-f was not observed 10:08:20–10:10:20 UTC: segment 9 of its stream is missing"
    found: list[Assessment] = []
    for pod in pods:
        guilty, dark = pod in ("pod-b", "pod-c"), (50, 62) if pod == "pod-f" else None
        show = traffic(pod, period, step_s=10, level=9e3, limit=3e4, over=(30, 60) if guilty else None, dark=dark)
        extra: dict[str, object] = {"exhibits": (show,)}
        if guilty:
            verdict, reason = (
                Verdict.INCONCLUSIVE,
                (
                    f"{pod} exceeded 30,000 B/s in 30 intervals of 10 s (10:05:00–10:10:00 UTC): at least 4,402,113 B/s sent "
                    "and 4,398,750 B/s received at the peak"
                ),
            )
            extra |= {"log_e": 204.2 if pod == "pod-b" else 198.7, "scope": Scope(pods=(pod,), period=train)}
            extra["joining"] = (
                (joining("pod-limit", ("pod-b", "pod-c"), calm, limit=3e4, share=1.0),) if pod == "pod-b" else ()
            )
        elif dark:
            verdict, reason = (
                Verdict.NOT_OBSERVED,
                "pod-f kept the limit: at most 17,020 B/s in any observed interval of 10 s",
            )
            extra |= {"not_checked": (unseen,), "reasons": (reason, unseen)}
        else:
            verdict, reason = (
                Verdict.CONSISTENT,
                f"{pod} kept the limit: at most 18,114 B/s in any observed interval of 10 s",
            )
        if pod == "pod-a":
            extra["joining"] = (joining("pod-limit", ("pod-a", "pod-d", "pod-e"), period, limit=3e4, share=0.41),)
        found.append(pod_assessment("pod-limit", pod, period, verdict, reason, **extra))
    for pod in pods:
        guilty = pod in ("pod-b", "pod-c")
        other = "pod-c" if pod == "pod-b" else "pod-b"
        peers = Exhibit(
            id=f"peers-{pod}",
            title=f"What {pod} exchanged with pods it did not declare",
            kind=ExhibitKind.TABLE,
            columns=("pod", "sent_lower_bytes", "received_lower_bytes"),
            rows=((other, 1.29e9, 1.27e9),),
            unit="B",
        )
        found.append(
            pod_assessment(
                "pod-isolation",
                pod,
                train if guilty else period,
                Verdict.INCONCLUSIVE if guilty else Verdict.NOT_OBSERVED if pod == "pod-f" else Verdict.CONSISTENT,
                f"{pod} and {other} are not declared peers and exchanged at least 1.29 GB one way and 1.27 GB the other "
                "(10:05:00–10:10:00 UTC)" if guilty else f"{pod} exchanged nothing above 200 B/s with pods it did not declare",
                log_e=190.0 if guilty else 0.0,
                exhibits=(peers,) if guilty else (),
                not_checked=(unseen,) if pod == "pod-f" else (),
            )
        )  # fmt: skip
    for one, other in combinations(pods, 2):
        guilty, dark = (one, other) == ("pod-b", "pod-c"), "pod-f" in (one, other)
        found.append(
            pod_assessment(
                "no-coordinated-exchange",
                one,
                train if guilty else period,
                Verdict.NOT_OBSERVED if dark else Verdict.CONSISTENT,
                f"{one} and {other}: what left one entered the other in {29 if guilty else 0} of {71 if not dark else 47} "
                "intervals that could be compared",
                scope=Scope(pods=(one, other), period=train if guilty else period),
                log_e=31.0 if guilty else -0.4,
                not_checked=(unseen,) if dark else (),
            )
        )
    problems = (
        Problem(
            kind=ProblemKind.MISSING,
            subject="segment 9 of flow-f",
            detail="segment 9 is missing between 8 and 10",
            sensor="flow-f",
            period=Period(start=START + timedelta(seconds=500), end=START + timedelta(seconds=620)),
        ),
        Problem(kind=ProblemKind.WRONG_KEY, subject=digest("x"), detail="signed by no key that the reviewer trusts"),
    )
    capacities = dict.fromkeys(pods, 2.3e11 * 0.6)
    return build(
        agreement, found, capacities=capacities, period=period, interval_s=60.0, problems=problems, simulated=simulated
    )


def clean_site() -> Review:
    """Everything was seen, everything was kept, and workload signatures bound what each pod could hide."""
    agreement = load_agreement("inference-only")
    pods = [f"pod-{letter}" for letter in "abcd"]
    period = Period(start=START, end=START + timedelta(minutes=15))
    found: list[Assessment] = []
    for pod in pods:
        bound = HiddenBound(
            statement="signatures.catalogue-3",
            miss_probability=0.005,
            scope=Scope(pods=(pod,), period=period),
            share_max=0.05,
        )
        found.append(
            pod_assessment(
                "pod-limit",
                pod,
                period,
                Verdict.CONSISTENT,
                f"{pod} kept the limit: at most 18,114 B/s in any observed interval of 10 s",
                exhibits=(traffic(pod, period, step_s=10, level=9e3, limit=3e4, sampled=True),),
                joining=(joining("pod-limit", pods, period, limit=3e4, share=0.2),) if pod == "pod-a" else (),
                hidden=(bound,),
            )
        )
        found.append(
            pod_assessment("pod-isolation", pod, period, Verdict.CONSISTENT, f"{pod} kept to its declared peers")
        )
    for one, other in combinations(pods, 2):
        found.append(
            pod_assessment(
                "no-coordinated-exchange", one, period, Verdict.CONSISTENT, f"{one} and {other}: no exchange in step",
                scope=Scope(pods=(one, other), period=period), log_e=-0.7,
            )
        )  # fmt: skip
    return build(agreement, found, capacities=dict.fromkeys(pods, 1e11 * 0.6), period=period, interval_s=60.0)


def large_site(*, pods: int = 20, points: int = 1_000) -> Review:
    """A site of H100s under the illustrative agreement, over thirty days; it names no clause that traffic can alarm."""
    shipped = load_agreement("asi-agreement")
    limit_clause = load_agreement("inference-only").clauses[1]
    agreement = shipped.model_copy(update={"clauses": (*shipped.clauses, limit_clause)})
    period = Period(start=START - timedelta(days=30), end=START)
    names = [f"pod-{n:02d}" for n in range(1, pods + 1)]
    step = period.duration_s / points
    quarter = points // 4
    found = []
    for n, pod in enumerate(names):
        dark = (quarter, quarter + points // 30) if n == 4 else None
        show = traffic(pod, period, step_s=step, level=4.5e4, limit=1.25e5, dark=dark, sampled=True)
        bound = HiddenBound(
            statement="signatures.catalogue-3",
            miss_probability=0.005,
            scope=Scope(
                pods=(pod,), period=period if not dark else Period(start=period.start, end=START - timedelta(days=23))
            ),
            share_max=0.05,
        )
        found.append(
            pod_assessment(
                limit_clause.id,
                pod,
                period,
                Verdict.NOT_OBSERVED if dark else Verdict.CONSISTENT,
                f"{pod} kept the limit: at most 97,100 B/s in any observed interval",
                exhibits=(show,),
                hidden=(bound,),
                joining=(joining(limit_clause.id, names, period, limit=1.25e5, share=0.014),) if n == 0 else (),
                not_checked=(f"{pod} was not observed for a day: its exporter was silent",) if dark else (),
            )
        )
    capacity = 8 * 1979e12 * 0.6
    return build(
        agreement,
        found,
        capacities=dict.fromkeys(names, capacity),
        period=period,
        interval_s=3600.0,
        statements=14_402,
    )


def invalid_site() -> Review:
    """Nothing that was received can be trusted."""
    agreement = load_agreement("inference-only")
    period = Period(start=START, end=START + timedelta(minutes=15))
    pods = ["pod-a", "pod-b"]
    found = [
        pod_assessment(
            clause,
            pod,
            period,
            Verdict.INVALID_EVIDENCE,
            f"{pod}: sensors flow-1 and flow-2 contradict each other by a factor of 3.1",
            log_e=None,
        )
        for clause in ("pod-limit", "pod-isolation", "no-coordinated-exchange")
        for pod in pods
    ]
    problems = [
        Problem(
            kind=kind,
            subject=digest(kind),
            detail=f"invented for the test of {kind.value}",
            sensor="flow-1",
            period=period,
        )
        for kind in ProblemKind
    ]
    return build(
        agreement,
        found,
        capacities=dict.fromkeys(pods, 1e11),
        period=period,
        interval_s=60.0,
        problems=problems,
        ledger=None,
        statements=3,
    )


def bare_site() -> Review:
    """One pod, no evidence at all."""
    agreement = load_agreement("inference-only")
    period = Period(start=START, end=START + timedelta(hours=24))
    return build(
        agreement,
        (),
        capacities={"pod-a": 8 * 990e12 * 0.6},
        period=period,
        interval_s=3600.0,
        ledger=None,
        statements=1,
    )


@cache
def site(name: str) -> Review:
    """One of the sites, built once."""
    return SITES[name]()


SITES: dict[str, Callable[[], Review]] = {
    "lab": lab_site,
    "clean": clean_site,
    "large": large_site,
    "invalid": invalid_site,
    "bare": bare_site,
}
