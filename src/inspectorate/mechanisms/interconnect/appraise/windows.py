"""`loading-windows`: one assessment per declared pod.

Every window that a gateway reports is held against the approvals of it and against the terms. A broken term in an authentic
report is an exceedance. That no other window was open is known only where the gateway attested without a gap that the limit
was in force; a pod that was attested as lifted and has no report of a window for that time is a contradiction of the gateway
with itself.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise

from inspectorate.agreement import LimitEnforced, LoadingWindows
from inspectorate.assessment import Assessment, Case, Exhibit, ExhibitKind, Scope, Verdict
from inspectorate.declaration import ReporterKind
from inspectorate.evidence import WindowApproved, WindowEnd, WindowUsed
from inspectorate.mechanisms.interconnect.appraise.attested import PodAttested, attested_pods
from inspectorate.mechanisms.interconnect.appraise.common import NAME, bytes_text
from inspectorate.mechanisms.interconnect.appraise.enforced import assumptions_of, attestation_log_e, spans_of
from inspectorate.mechanisms.interconnect.enforce import reference
from inspectorate.mechanisms.interconnect.enforce.approvals import terms_of

REASONS_MAX = 6
ROWS_MAX = 1_000


@dataclass(frozen=True, kw_only=True)
class Window:
    """One window as reported, with the approvals of its name, and what it broke."""

    digest: str
    used: WindowUsed
    approvals: tuple[tuple[str, WindowApproved], ...]
    """Digest and predicate of each."""
    broken: tuple[str, ...]


def appraise_windows(case: Case, terms: LoadingWindows) -> tuple[Assessment, ...]:
    attested = attested_pods(case, _attested_every_s(case))
    windows = _windows(case, terms)
    return tuple(_appraise_pod(case, attested[pod], windows.get(pod, []), terms) for pod in sorted(attested))


def _attested_every_s(case: Case) -> float:
    """What the agreement's clause on enforcing says; a stated default where it has none."""
    found = [c.parameters.attested_every_s for c in case.agreement.clauses if isinstance(c.parameters, LimitEnforced)]
    return min(found, default=reference.ATTESTED_EVERY_S)


def _windows(case: Case, terms: LoadingWindows) -> dict[str, list[Window]]:
    """Reported windows within the period by pod, in order of their start."""
    approvals: dict[str, list[tuple[str, WindowApproved]]] = {}
    reported: list[tuple[str, WindowUsed]] = []
    gateways = {r.id: r.pods for r in case.declaration.reporters if r.kind is ReporterKind.GATEWAY}
    for statement in case.evidence.reports:
        said = statement.predicate
        if isinstance(said, WindowApproved):
            approvals.setdefault(said.window, []).append((statement.digest, said))
        elif isinstance(said, WindowUsed) and said.pod in gateways.get(said.reporter, ()):
            reported.append((statement.digest, said))
    reported.sort(key=lambda item: (item[1].period.start, item[0]))
    names = Counter((used.reporter, used.window) for _, used in reported)
    crowded = _crowded(reported, terms)
    found: dict[str, list[Window]] = {}
    for digest, used in reported:
        if not used.period.overlaps(case.period):
            continue
        own = tuple(approvals.get(used.window, ()))
        broken = list(_broken(used, [approval for _, approval in own], terms))
        if names[used.reporter, used.window] > 1:
            broken.append("a window of this name was used more than once")
        if digest in crowded:
            broken.append(f"it began less than {terms.every_s_min:g} s after the pod's last")
        found.setdefault(used.pod, []).append(Window(digest=digest, used=used, approvals=own, broken=tuple(broken)))
    return found


def _crowded(reported: list[tuple[str, WindowUsed]], terms: LoadingWindows) -> set[str]:
    """Windows that began too soon after the pod's last one. One that came to nothing before it opened does not count."""
    found: set[str] = set()
    opened = [(digest, used) for digest, used in reported if used.bytes_moved > 0]
    for pod in {used.pod for _, used in opened}:
        for (_, first), (digest, second) in pairwise([item for item in opened if item[1].pod == pod]):
            between_s = (second.period.start - first.period.start).total_seconds()
            if between_s < terms.every_s_min - reference.WINDOW_SLACK_S:
                found.add(digest)
    return found


def _broken(used: WindowUsed, approvals: list[WindowApproved], terms: LoadingWindows) -> list[str]:
    """What a window broke of its approvals and of the terms."""
    broken: list[str] = []
    agreed = [a for a in approvals if (a.reporter, a.pod) == (used.reporter, used.pod)]
    groups: dict[str, set[str]] = {}
    for approval in agreed:
        groups.setdefault(repr(terms_of(approval)), set()).add(approval.by)
    approvers = max(groups.values(), key=len, default=set())
    if used.bytes_moved == 0 and used.content is None:
        return broken
    if len(approvers) < terms.approvals_min:
        broken.append(f"{len(approvers)} approvers agreed on it, of {terms.approvals_min} that it needs")
    if used.bytes_moved > terms.window_bytes_max:
        broken.append(f"{bytes_text(used.bytes_moved)} are more than {bytes_text(terms.window_bytes_max)}")
    if used.period.duration_s > terms.window_s_max + reference.WINDOW_SLACK_S:
        broken.append(f"{used.period.duration_s:.1f} s are longer than {terms.window_s_max:g} s")
    largest = [a for a in agreed if groups[repr(terms_of(a))] is approvers]
    if not largest:
        return broken
    approval = largest[0]
    if used.bytes_moved > approval.bytes_max:
        broken.append(f"{bytes_text(used.bytes_moved)} are more than the {bytes_text(approval.bytes_max)} approved")
    if used.period.duration_s > approval.seconds_max + reference.WINDOW_SLACK_S:
        broken.append(f"{used.period.duration_s:.1f} s are longer than the {approval.seconds_max:g} s approved")
    if not approval.valid.contains(used.period.start):
        broken.append(f"it was opened at {used.period.start:%Y-%m-%d %H:%M:%S} UTC, and approved for {approval.valid}")
    if used.content is not None and used.content != approval.content:
        broken.append("what was loaded is not what was approved")
    if used.end is WindowEnd.COMPLETE and used.content is None:
        broken.append("it is reported as complete, without the digest of what was loaded")
    return broken


def _appraise_pod(case: Case, pod: PodAttested, windows: list[Window], terms: LoadingWindows) -> Assessment:
    unreported = _unreported(pod, windows)
    broken = [window for window in windows if window.broken]
    ids = (*pod.evidence_ids, *(w.digest for w in windows), *(digest for w in windows for digest, _ in w.approvals))
    expected_s = max(terms.every_s_min, 1.0)
    return Assessment(
        clause=case.clause.id,
        mechanism=NAME,
        scope=Scope(pods=(pod.pod,), period=case.period),
        verdict=_verdict(pod, windows, broken, unreported),
        log_e=attestation_log_e([bool(w.broken) for w in windows], case.period, expected_s) if ids else None,
        assumptions=assumptions_of(pod.holders) if ids else (),
        evidence_ids=tuple(dict.fromkeys(ids)),
        exhibits=(_exhibit(pod.pod, windows),) if windows else (),
        reasons=_reasons(pod, windows, broken, unreported),
        not_checked=(f"what {pod.pod} did with what was loaded",) if windows else (),
    )


def _unreported(pod: PodAttested, windows: list[Window]) -> list[str]:
    """Attestations in which the pod was lifted, and no window of its gateway is reported for that time."""
    return [
        f"{pod.pod}: {one.reporter} attested it lifted {one.said.period} and reports no window for that time"
        for one in pod.seen
        if pod.pod in one.said.lifted
        and not any(w.used.reporter == one.reporter and w.used.period.overlaps(one.said.period) for w in windows)
    ]


def _verdict(pod: PodAttested, windows: list[Window], broken: list[Window], unreported: list[str]) -> Verdict:
    """Short of an alarm, which only `findings` can raise."""
    if pod.contradictions or unreported:
        return Verdict.INVALID_EVIDENCE
    if not pod.seen and not windows:
        return Verdict.NOT_OBSERVED
    if pod.gaps or not pod.seen:
        return Verdict.NOT_OBSERVED
    if broken or any(not one.said.unchanged or not one.said.others_dropped for one in pod.seen):
        return Verdict.INCONCLUSIVE
    return Verdict.CONSISTENT


def _reasons(pod: PodAttested, windows: list[Window], broken: list[Window], unreported: list[str]) -> tuple[str, ...]:
    reasons = [*pod.contradictions[:REASONS_MAX], *unreported[:REASONS_MAX]]
    reasons += [f"{pod.pod}: window {w.used.window}: {'; '.join(w.broken)}" for w in broken[:REASONS_MAX]]
    if len(broken) > REASONS_MAX:
        reasons.append(f"{pod.pod}: and {len(broken) - REASONS_MAX} more windows that broke terms")
    if not pod.seen:
        why = "attested nothing" if pod.gateways else "no gateway is declared"
        reasons.append(
            f"{pod.pod}: {', '.join(pod.gateways) or 'for this pod'} {why}, so that other windows are not excluded"
        )
    elif pod.gaps:
        reasons.append(f"{pod.pod}: windows in {spans_of(pod.gaps)} UTC are not excluded: nothing was attested")
    if any(not one.said.unchanged or not one.said.others_dropped for one in pod.seen):
        reasons.append(f"{pod.pod}: its gateway's rules were changed, or did not drop everything else, for a while")
    if not reasons:
        moved = bytes_text(sum(window.used.bytes_moved for window in windows))
        reasons.append(f"{pod.pod}: {len(windows)} windows, {moved} loaded, all as approved and within the terms")
    return tuple(reasons)


def _exhibit(pod: str, windows: list[Window]) -> Exhibit:
    return Exhibit(
        id=f"windows-{pod}"[:128],
        title=f"Loading windows of {pod}",
        kind=ExhibitKind.TABLE,
        columns=("window", "opened", "open_s", "moved_bytes", "back_bytes", "approvers", "end"),
        rows=tuple(
            (
                window.used.window,
                window.used.period.start.strftime("%Y-%m-%dT%H:%M:%SZ"),
                window.used.period.duration_s,
                float(window.used.bytes_moved),
                float(window.used.bytes_back),
                ", ".join(sorted({approval.by for _, approval in window.approvals})) or "none",
                window.used.end.value,
            )
            for window in windows[:ROWS_MAX]
        ),
        unit="B",
    )
