"""`declared-cabling`: one assessment per declared pod.

1. Statements that say what was wired (`CablingSeen`) are read: those of a declared reporter of that kind, about a node that is no
   pod or a pod of its own, in the period. A payload that cannot be read is no survey, and is named.
2. Surveys are sorted into rounds, each round is compared with the declared cabling, and the largest bandwidth between each two
   pods around all gateways is computed over all that is declared or seen (`topology.rounds`).
3. A pod's neighbourhood is every node that it reaches without passing a gateway. It is surveyed if every node of it, and every
   node at the other end of its own wires, was asked at most `surveyed_every_s` apart throughout the period: then each of its
   wires was looked at from both ends.
4. A difference concerns the pods in whose neighbourhood it is; one that is in nobody's concerns all pods.

Evidence against: the pod has a wire that nobody declared, or what was seen carries more between it and another pod around the
gateway than the agreement allows. It is one bet on whether any survey of the period shows that, against the chances of a
misreading in `topology.reference`: half of the stake on wires that both ends report, half on those that one does. A misreading
lasts as long as what causes it, so that a second survey which shows the same is no second piece of evidence.

A plan that by itself allows more than the agreement, and was not seen to be laid, is a reason and no evidence: it was declared.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from inspectorate.agreement import DeclaredCabling
from inspectorate.assessment import Assessment, Case, Exhibit, ExhibitKind, Scope, Verdict
from inspectorate.declaration import ReporterKind
from inspectorate.errors import EvidenceError
from inspectorate.evidence import CablingSeen, VerifiedStatement
from inspectorate.mechanisms.interconnect.appraise.common import NAME
from inspectorate.mechanisms.interconnect.topology import reference
from inspectorate.mechanisms.interconnect.topology.around import look_around
from inspectorate.mechanisms.interconnect.topology.bandwidth import Cut
from inspectorate.mechanisms.interconnect.topology.compare import IDENTITIES, WIRES, Difference, DifferenceKind
from inspectorate.mechanisms.interconnect.topology.graph import Fault, Topology
from inspectorate.mechanisms.interconnect.topology.plan import plan_of_declaration
from inspectorate.mechanisms.interconnect.topology.read import read_survey_as
from inspectorate.mechanisms.interconnect.topology.rounds import Filed, Round, by_node, file_survey, gaps, make_rounds
from inspectorate.quantities import Period
from inspectorate.statistics import bounded_log_e

REASONS_MAX = 12
TEXT_CHARACTERS_MAX = 1_000
"""Names come from devices, and paths can be long: what is cut off is marked."""
WAYS_SHOWN_MAX = 4


@dataclass(kw_only=True)
class _Read:
    """What step 1 left: surveys, what could not be read, what does not count, and who holds the rest."""

    filed: list[Filed] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    set_aside: list[str] = field(default_factory=list)
    holders: set[str] = field(default_factory=set)


@dataclass(frozen=True, kw_only=True)
class _Looked:
    """What steps 1 and 2 give for all pods."""

    case: Case
    terms: DeclaredCabling
    plan: Topology
    read: _Read
    rounds: tuple[Round, ...]

    surveys: Mapping[str, Sequence[Filed]]
    """Of each node, in order of time."""

    @cached_property
    def beside(self) -> Mapping[str, frozenset[str]]:
        """The nodes at the other ends of each node's wires, declared or seen."""
        found: defaultdict[str, set[str]] = defaultdict(set)
        for wire in [*self.plan.wires, *(seen.wire for one in self.distinct for seen in one.seen.wires)]:
            for name in wire.nodes:
                found[name] |= wire.nodes
        return {name: frozenset(others) for name, others in found.items()}

    @cached_property
    def gaps(self) -> Mapping[str, tuple[Period, ...]]:
        """When each node of the plan may not have been asked for too long; nodes that were asked throughout are not in it."""
        every_s = self.terms.surveyed_every_s
        found = {name: gaps(self.surveys.get(name, ()), self.case.period, every_s) for name in self.plan.nodes}
        return {name: spans for name, spans in found.items() if spans}

    @cached_property
    def wired(self) -> frozenset[str]:
        """Nodes of which the plan has a wire: a pod without any is a plan that was not made."""
        return frozenset(name for wire in self.plan.wires for name in wire.nodes)

    @cached_property
    def distinct(self) -> tuple[Round, ...]:
        """Of rounds that show the same, the first."""
        return tuple({id(one.around): one for one in reversed(self.rounds)}.values())[::-1]


@dataclass(frozen=True, kw_only=True)
class _OfPod:
    """What concerns one pod, over all rounds."""

    pod: str
    differences: dict[Difference, Period]
    """Those that contradict the plan, each with the round in which it was first seen."""
    rates_not_seen: tuple[Difference, ...]
    around: Cut | None
    ways: tuple[str, ...]
    needed: frozenset[str]
    """The nodes that have to be asked for all of the pod's wires to be seen from both ends, and all ways around."""
    gaps: dict[str, tuple[Period, ...]]
    shown_by_both: bool
    shown_by_one: bool


def appraise_cabling(case: Case, terms: DeclaredCabling) -> tuple[Assessment, ...]:
    """One assessment per pod of the declaration, in order of their names, whatever was seen."""
    pods = sorted(pod.id for pod in case.declaration.pods)
    try:
        plan = plan_of_declaration(case.declaration)
    except Fault as fault:
        return tuple(_without_plan(case, pod, fault) for pod in pods)
    read = _read(case, plan)
    rounds = make_rounds(read.filed, plan, every_s=terms.surveyed_every_s)
    looked = _Looked(case=case, terms=terms, plan=plan, read=read, rounds=rounds, surveys=by_node(read.filed))
    hoods = {pod: _neighbourhood(pod, looked) for pod in pods}
    anybodys = frozenset(name for hood in hoods.values() for name in hood)
    return tuple(_assess(looked, _of_pod(pod, looked, hoods[pod], anybodys)) for pod in pods)


def _read(case: Case, plan: Topology) -> _Read:
    """Step 1."""
    reporters = {one.id: one for one in case.declaration.reporters if one.kind is ReporterKind.CABLING}
    pods = {pod.id for pod in case.declaration.pods}
    read = _Read()
    for statement in case.evidence.reports:
        said = statement.predicate
        if not isinstance(said, CablingSeen):
            continue
        what = f"the survey of {said.node} by {said.reporter}, {said.period}"
        reporter = reporters.get(said.reporter)
        if reporter is None:
            read.set_aside.append(f"{what}: the declaration names no such reporter of cabling")
        elif said.node in pods and said.node not in reporter.pods:
            read.set_aside.append(f"{what}: it does not report on that pod")
        elif not case.period.overlaps(said.period):
            read.set_aside.append(f"{what}: it is of another time")
        elif len(read.filed) >= reference.STATEMENTS_MAX:
            read.set_aside.append(f"{what}: more than {reference.STATEMENTS_MAX} surveys")
        else:
            try:
                read.filed.append(_file(statement, said, case, plan))
                read.holders.add(f"{said.reporter} (held by the {reporter.holder.value})")
            except EvidenceError as fault:
                read.unreadable.append(f"{what} cannot be read: {fault}")
    read.filed.sort(key=lambda one: (one.period.start, one.digest))
    return read


def _file(statement: VerifiedStatement, said: CablingSeen, case: Case, plan: Topology) -> Filed:
    """The survey of one statement. Raises `EvidenceError`."""
    if len(statement.statement.subject) != 1:
        raise EvidenceError(f"has {len(statement.statement.subject)} payloads, not one")
    subject = statement.statement.subject[0]
    data = case.evidence.payload(subject.digest_text)
    survey = read_survey_as(said.format, data, node=said.node, where=subject.name)
    return file_survey(survey, plan, period=said.period, digest=statement.digest)


def _neighbourhood(pod: str, looked: _Looked) -> frozenset[str]:
    """Step 3: the nodes of the plan that the pod reaches without a gateway, in any round; itself if there is none."""
    reached = [one.around.neighbourhood(pod) for one in looked.distinct]
    return frozenset({pod}).union(*(reached or [look_around(looked.plan).neighbourhood(pod)]))


def _of_pod(pod: str, looked: _Looked, hood: frozenset[str], anybodys: frozenset[str]) -> _OfPod:
    differences: dict[Difference, Period] = {}
    for one in looked.distinct:
        for difference in one.differences:
            # (4)
            if difference.nodes & hood or not difference.nodes & anybodys:
                differences.setdefault(difference, one.period)
    against = {d: period for d, period in differences.items() if d.contradicts}
    needed = (hood | looked.beside.get(pod, frozenset())) & looked.plan.nodes.keys()
    arounds = [one.around for one in looked.distinct] or [look_around(looked.plan)]
    ways = {
        name: f"{pod} reaches {name}: {', '.join(path)}"
        for one in arounds
        for name, path in one.ways(pod, count=WAYS_SHOWN_MAX)
    }
    return _OfPod(
        pod=pod,
        differences=against,
        rates_not_seen=tuple(d for d in differences if d.kind is DifferenceKind.RATE_NOT_SEEN),
        around=max((c for one in arounds if (c := one.largest_of(pod))), key=lambda c: c.bytes_per_s, default=None),
        ways=tuple(ways.values()),
        needed=frozenset(needed),
        gaps={name: looked.gaps[name] for name in sorted(needed) if name in looked.gaps},
        shown_by_both=_is_shown(pod, looked, against, both=True),
        shown_by_one=_is_shown(pod, looked, against, both=False),
    )


def _is_shown(pod: str, looked: _Looked, against: dict[Difference, Period], *, both: bool) -> bool:
    """Whether surveys show an undeclared wire at the pod, or more around the gateway than is allowed."""
    if any(d.kind in WIRES and pod in d.at and (d.both_ends or not both) for d in against):
        return True
    allowed = looked.terms.between_pods_bytes_per_s_max
    pairs = (one.confirmed if both else one.shown for one in looked.distinct)
    return any(one.of_pod(pod)[1] > allowed for one in pairs)


def _assess(looked: _Looked, of_pod: _OfPod) -> Assessment:
    case, read = looked.case, looked.read
    asked = [one for name in sorted(of_pod.needed) for one in looked.surveys.get(name, ())] or read.filed
    digests = dict.fromkeys(one.digest for one in sorted(asked, key=lambda one: (one.period.start, one.digest)))
    return Assessment(
        clause=case.clause.id,
        mechanism=NAME,
        scope=Scope(pods=(of_pod.pod,), period=case.period),
        verdict=_verdict(looked, of_pod),
        log_e=_log_e(of_pod) if read.filed else None,
        assumptions=_assumptions(looked),
        evidence_ids=tuple(digests),
        exhibits=_exhibits(of_pod),
        reasons=_reasons(looked, of_pod),
        not_checked=_not_checked(looked, of_pod),
    )


def _verdict(looked: _Looked, of_pod: _OfPod) -> Verdict:
    """Short of an alarm, which only `findings` can raise."""
    if any(difference.kind in IDENTITIES for difference in of_pod.differences):
        return Verdict.INVALID_EVIDENCE
    if not looked.read.filed or of_pod.gaps:
        return Verdict.NOT_OBSERVED
    contradicted = of_pod.differences or of_pod.rates_not_seen or looked.read.unreadable
    if contradicted or _is_above(looked, of_pod) or of_pod.pod not in looked.wired:
        return Verdict.INCONCLUSIVE
    return Verdict.CONSISTENT


def _is_above(looked: _Looked, of_pod: _OfPod) -> bool:
    return of_pod.around is not None and of_pod.around.bytes_per_s > looked.terms.between_pods_bytes_per_s_max


def _log_e(of_pod: _OfPod) -> float:
    """The bet of the module's docstring: its expectation is at most 1 for a pod that is wired as declared."""
    half = reference.DECISIVE_STAKE / 2
    e_value = 1 - reference.DECISIVE_STAKE
    if of_pod.shown_by_one:
        e_value += half / reference.MISREAD_ONE_END_RATE
    if of_pod.shown_by_both:
        e_value += half / reference.MISREAD_BOTH_ENDS_RATE
    return bounded_log_e(math.log(e_value))


def _reasons(looked: _Looked, of_pod: _OfPod) -> tuple[str, ...]:
    pod = of_pod.pod
    nearest = sorted(of_pod.differences, key=lambda difference: pod not in difference.nodes)
    reasons = [str(difference) for difference in nearest[:REASONS_MAX]]
    if len(nearest) > REASONS_MAX:
        reasons.append(f"and {len(nearest) - REASONS_MAX} differences more")
    if not looked.read.filed:
        reasons.append(f"{pod}: nobody said what is wired")
    elif of_pod.gaps:
        shown = [f"{name} ({spans[0]}{' and more' if len(spans) > 1 else ''})" for name, spans in of_pod.gaps.items()]
        reasons.append(
            f"{pod}: not asked at least every {looked.terms.surveyed_every_s:g} s: {', '.join(shown[:6])}"
            + (f" and {len(shown) - 6} nodes more" if len(shown) > 6 else "")
        )
    if pod not in looked.wired:
        reasons.append(f"{pod}: the declaration names no cable of it")
    reasons += [str(difference) for difference in of_pod.rates_not_seen[:REASONS_MAX]]
    cut = of_pod.around
    if cut is None:
        reasons.append(f"{pod} reaches no other pod around the gateway, over all that is declared or was seen")
    else:
        reasons.append(
            f"around the gateway, {cut.source} and {cut.target} can exchange up to {cut.bytes_per_s:,} B/s"
            f"{', some of it over wires of unknown rate' if cut.assumed else ''}; "
            f"{looked.terms.between_pods_bytes_per_s_max:,.0f} B/s are allowed: {'; '.join(w.name for w in cut.wires[:4])}"
        )
    reasons += of_pod.ways[:WAYS_SHOWN_MAX]
    return _bounded([*reasons, *looked.read.unreadable[:REASONS_MAX]])


def _assumptions(looked: _Looked) -> tuple[str, ...]:
    if not looked.read.filed:
        return ()
    ttls = [one.seen.ttl_s_max for one in looked.rounds if one.seen.ttl_s_max is not None]
    return _bounded(
        (
            f"surveys are of the nodes and times under which they are filed: {', '.join(sorted(looked.read.holders))}",
            "names, chassis ids and rates are what devices say of themselves",
            "a party that controls both ends of a wire can hide it, rename it or show one that is not there, and does not",
            "every port that is up announces itself; ports that carry traffic in silence are for counters and inspection to find",
            f"a wire whose rate nobody states carries at most {reference.FASTEST_PORT_BYTES_PER_S:,} B/s in each direction",
            (
                f"a pod that is wired as declared is shown with an undeclared wire, in any survey of a period, with a chance of at "
                f"most {reference.MISREAD_BOTH_ENDS_RATE:g} from both ends and {reference.MISREAD_ONE_END_RATE:g} from one"
            ),
            *((f"a neighbour may be shown for up to {max(ttls)} s after its wire was pulled",) if ttls else ()),
        )
    )


def _not_checked(looked: _Looked, of_pod: _OfPod) -> tuple[str, ...]:
    notes = list(looked.read.set_aside)
    if len(notes) > REASONS_MAX:
        notes = [*notes[:REASONS_MAX], f"and {len(notes) - REASONS_MAX} surveys more that were set aside"]
    if of_pod.gaps or not looked.read.filed:
        named = sorted(of_pod.gaps or of_pod.needed)
        notes.append(f"what is wired at {', '.join(named[:12])}{' and others' if len(named) > 12 else ''}")
    notes.append(
        f"{of_pod.pod}: ports that announce nothing, radio, and cables that no port of a surveyed node ends at"
    )
    return _bounded(notes)


def _bounded(texts: Iterable[str]) -> tuple[str, ...]:
    """Each text once, none longer than is allowed."""
    cut = TEXT_CHARACTERS_MAX
    return tuple(dict.fromkeys(text if len(text) <= cut else f"{text[:cut]}…" for text in texts))


def _exhibits(of_pod: _OfPod) -> tuple[Exhibit, ...]:
    """The differences as a table; none if there are none."""
    if not of_pod.differences:
        return ()
    nearest = sorted(of_pod.differences.items(), key=lambda item: of_pod.pod not in item[0].nodes)
    shown = nearest[: reference.DIFFERENCES_SHOWN_MAX]
    left = len(of_pod.differences) - len(shown)
    return (
        Exhibit(
            id=f"cabling-{of_pod.pod}",
            title=f"Where the cabling around {of_pod.pod} differs from the plan" + (f" ({left} more)" if left else ""),
            kind=ExhibitKind.TABLE,
            columns=("difference", "declared", "seen", "first_seen"),
            rows=tuple(
                (d.kind.value, d.declared, d.seen, period.start.strftime("%Y-%m-%dT%H:%M:%SZ")) for d, period in shown
            ),
        ),
    )


def _without_plan(case: Case, pod: str, fault: Fault) -> Assessment:
    """The declared cabling is none: a port with two wires, say, under two names."""
    return Assessment(
        clause=case.clause.id,
        mechanism=NAME,
        scope=Scope(pods=(pod,), period=case.period),
        verdict=Verdict.NOT_OBSERVED,
        reasons=(f"the declared cabling cannot be compared with anything: {fault.problem}",),
        not_checked=(f"what is wired at {pod}",),
    )
