"""The planner's answer as exhibits: small typed tables that a report may print or plot without knowing the planner.

    curves        slowdown over the limit: the best joint run of each case, and each method in the central case
    reached       every method at the limit asked for, for each case
    pace, left    what is left under the limit: FLOP a month, and the days to each milestone
    targets       the largest limit for each target, for each case
    serving       what inference needs of the link
    sensitivity   what each case assumes, and the central answer when one assumption takes another case's value
    methods       the catalogue, with sources and evidence
    caps          limits that were proposed
    example, simulator, published, permitted   numbers that others printed, beside ours

A value that is absent is `None`, never a number that stands for it. Nothing is rounded here.
"""

from __future__ import annotations

from typing import TypeAlias

from inspectorate.assessment import Exhibit, ExhibitKind
from inspectorate.canonical import Record, Text
from inspectorate.mechanisms.interconnect.plan import published, worked_example
from inspectorate.mechanisms.interconnect.plan.arithmetic import synchronise_s
from inspectorate.mechanisms.interconnect.plan.curves import Plan
from inspectorate.mechanisms.interconnect.plan.inference import Serving
from inspectorate.mechanisms.interconnect.plan.methods import ASSUMPTIONS, Method
from inspectorate.mechanisms.interconnect.plan.simulator import Node, longest_run_years, simulate
from inspectorate.mechanisms.interconnect.plan.types import Case, LinkLimit

Cell: TypeAlias = str | float | None
Row: TypeAlias = tuple[Cell, ...]

ASSUMPTION_WORDS = {
    "argued": "methods that nobody has shown as a whole",
    "inner_steps_factor": "steps between synchronisations, against the published",
    "compression_factor": "compression, against the published",
    "batch_factor": "tokens a step, against a well-connected run",
    "alpha_factor": "loss of rare synchronisation, against the simulator",
    "replica_exponent": "loss of many replicas, k to the power −e",
    "quality": "worth of the method's steps, in its range",
    "synchronisations_min": "synchronisations that a run needs at least",
}
"""Every field of `Assumptions` in words; a test compares the two."""


class SimulatorRow(Record):
    """One number of the simulator that its authors print, and ours."""

    quantity: Text
    unit: Text
    computed: float
    printed: float


def exhibits_of(plan: Plan) -> tuple[Exhibit, ...]:
    """Every exhibit of a plan; each id once."""
    return (
        _curves(plan),
        *_at_the_limit(plan),
        _targets(plan),
        _serving(plan),
        _sensitivity(plan),
        _methods(plan.methods),
        *published_exhibits(),
    )


def published_exhibits() -> tuple[Exhibit, ...]:
    """What others printed beside what we compute; the same for every plan."""
    return (
        _table("caps", "Limits that were proposed", ("cap", "bytes_per_s"), published.CAPS),
        _table(
            "example",
            "The interconnect example of arXiv 2506.15867",
            ("name", "unit", "computed", "printed", "error", "note"),
            [(r.name, r.unit, r.value, r.printed, r.value / r.printed - 1, r.note) for r in worked_example.rows()],
        ),
        _table(
            "simulator",
            "The simulator of arXiv 2605.29359",
            ("quantity", "unit", "computed", "printed", "error"),
            [(r.quantity, r.unit, r.computed, r.printed, r.computed / r.printed - 1) for r in simulator_rows()],
        ),
        _table(
            "published",
            "Published runs over slow links",
            ("run", "quantity", "unit", "computed", "reported", "error", "inputs"),
            [(c.run, c.quantity, c.unit, c.computed, c.reported, c.error, c.inputs) for c in published.comparisons()],
        ),
        _table(
            "permitted",
            "What each cap that was proposed still permits",
            ("example", "need_bytes_per_s", "cap", "cap_bytes_per_s", "slowed_times"),
            [(p.example, p.need_bytes_per_s, p.cap, p.cap_bytes_per_s, p.slowed) for p in published.permitted()],
        ),
    )


def simulator_rows() -> tuple[SimulatorRow, ...]:
    """The rows of the simulator's published table (arXiv 2605.29359), recomputed."""
    four, many, larger = (
        simulate(Node(), 4),
        simulate(Node(), 72),
        simulate(Node(accelerators=50, parameters=250e9), 72),
    )
    alone = synchronise_s(30e9, 12.5e6, 12.5e6, 0.1, 1)
    found: tuple[tuple[str, str, float, float], ...] = (
        ("240B on nodes of 48 A100: time of a step", "s", four.compute_s, 31.51),
        ("240B, 16 times compression: synchronisation of one node", "s", alone, 4_800.1),
        ("4 nodes: synchronisation", "s", four.synchronise_s, 5_280.1),
        ("4 nodes: steps between synchronisations", "steps", four.inner_steps, 168),
        ("4 nodes: alpha", "", four.alpha, 0.05420),
        ("4 nodes: efficiency", "share", four.efficiency, 0.8617),
        ("4 nodes: run of 1.5 years", "FLOP", four.flop, 9.77e23),
        ("72 nodes: synchronisation", "s", many.synchronise_s, 6_280.9),
        ("72 nodes: steps between synchronisations", "steps", many.inner_steps, 200),
        ("72 nodes: efficiency", "share", many.efficiency, 0.8575),
        ("72 nodes: run of 1.5 years", "FLOP", many.flop, 1.751e25),
        ("250B on 72 nodes of 50: steps between synchronisations", "steps", larger.inner_steps, 208),
        ("250B on 72 nodes of 50: run of 1.5 years", "FLOP", larger.flop, 1.82e25),
        ("longest sensible run at 0.29 orders of magnitude a year", "years", longest_run_years(0.29), 1.497),
        ("longest sensible run at 1.16 orders of magnitude a year", "years", longest_run_years(1.16), 0.374),
    )
    return tuple(
        SimulatorRow(quantity=quantity, unit=unit or "1", computed=computed, printed=printed)
        for quantity, unit, computed, printed in found
    )


def headroom(limit: LinkLimit, need: Serving) -> float:
    """How many times the need fits under the limit, in the direction where it fits worst. No need is no constraint."""
    shares = [
        allowed * limit.duty / needed
        for allowed, needed in (
            (limit.sent_bytes_per_s, need.sent_bytes_per_s),
            (limit.received_bytes_per_s, need.received_bytes_per_s),
        )
        if needed > 0
    ]
    return min(shares)


def assumption_value(name: str, case: Case) -> str:
    """One assumption of one case, in words."""
    value = getattr(ASSUMPTIONS[case], name)
    if name == "argued":
        return "counted" if value else "not counted"
    if name == "quality":
        return ("low", "central", "high")[value]
    if name.endswith("_factor"):
        return f"{value:g}×"
    return f"e = {value:g}" if name == "replica_exponent" else f"{value:g}"


def _table(id_: str, title: str, columns: tuple[str, ...], rows: object) -> Exhibit:
    return Exhibit.model_validate(
        {"id": id_, "title": title, "kind": ExhibitKind.TABLE, "columns": columns, "rows": rows}
    )


def _curves(plan: Plan) -> Exhibit:
    curves = (*plan.best_joint, *plan.by_method)
    names = (*(curve.case.value for curve in plan.best_joint), *(curve.name for curve in plan.by_method))
    rows = zip(plan.rates_bytes_per_s, *(curve.slowdown for curve in curves), strict=True)
    return Exhibit(
        id="curves",
        title="Slowdown against all pods well connected, over the limit",
        kind=ExhibitKind.CURVES,
        columns=("limit_bytes_per_s", *names),
        rows=tuple(rows),
        unit="times",
    )


def _at_the_limit(plan: Plan) -> tuple[Exhibit, ...]:
    reached: list[Row] = []
    for case, methods in plan.reached:
        for m in methods:
            layout = (m.layout.groups, m.layout.parts, m.layout.inner_steps) if m.layout else (None, None, None)
            reached.append((case.value, m.method, m.counts_as, m.level, m.slowdown, m.flop_per_s, *layout, m.bound_by))
    return (
        _table(
            "reached",
            "Every method at the limit asked for",
            ("case", "method", "counts_as", "level", "slowdown_times", "flop_per_s", "groups", "parts", "inner_steps",
             "bound_by"),
            reached,
        ),
        _table(
            "pace",
            "What is left, at the sizes of model that are best for 1e24 FLOP",
            ("kind", "case", "method", "slowdown_times", "flop_per_month"),
            [(one.kind.value, one.case.value, one.method, one.slowdown, one.flop_per_month) for one in plan.left],
        ),
        _table(
            "left",
            "Days to each milestone",
            ("kind", "case", "flop", "days", "method"),
            [
                (one.kind.value, one.case.value, m.flop, m.days, m.method)
                for one in plan.left
                for m in one.milestones
            ],
        ),
    )  # fmt: skip


def _targets(plan: Plan) -> Exhibit:
    return _table(
        "targets",
        "The largest limit for each target",
        ("number", "kind", "slowdown_min", "flop", "period_s", "case", "bytes_per_s_max", "unlimited", "breaks_it"),
        [
            (
                float(number),
                answer.target.kind.value,
                answer.target.slowdown_min,
                answer.target.flop,
                answer.target.period_s,
                limit.case.value,
                limit.bytes_per_s_max,
                "yes" if limit.unlimited else "no",
                limit.breaks_it,
            )
            for number, answer in enumerate(plan.targets, start=1)
            for limit in answer.limits
        ],
    )


def _serving(plan: Plan) -> Exhibit:
    return _table(
        "serving",
        "What serving needs of the link of one pod",
        ("modality", "received_bytes_per_s", "sent_bytes_per_s", "headroom_times", "basis"),
        [
            (
                need.modality.value,
                need.received_bytes_per_s,
                need.sent_bytes_per_s,
                headroom(plan.question.limit, need),
                need.basis,
            )
            for need in plan.serving
        ],
    )


def _sensitivity(plan: Plan) -> Exhibit:
    return _table(
        "sensitivity",
        "The central slowdown of the best joint run when one assumption is another case's",
        ("assumption", "published", "central", "cautious", *(f"value_{case.value}" for case in Case)),
        [
            (
                ASSUMPTION_WORDS[swing.assumption.replace(" ", "_")],
                swing.published,
                swing.central,
                swing.cautious,
                *(assumption_value(swing.assumption.replace(" ", "_"), case) for case in Case),
            )
            for swing in plan.sensitivity
        ],
    )


def _methods(methods: tuple[Method, ...]) -> Exhibit:
    return _table(
        "methods",
        "The methods, and what is known of each",
        ("method", "title", "family", "counts_as", "level", "shown_parameters", "by", "said", "sources", "choice"),
        [
            (
                m.id,
                m.title,
                m.family.value,
                m.counts_as,
                m.evidence.level.value,
                m.evidence.parameters,
                m.evidence.by,
                m.evidence.said,
                sources_of(m),
                m.choice,
            )
            for m in methods
        ],
    )


def sources_of(method: Method) -> str:
    """Where a method comes from, and how each source was read."""
    return "; ".join(
        f"{s.document}{f', {s.paragraph}' if s.paragraph else ''} ({'in full' if s.read == 'full' else s.read})"
        for s in method.sources
    )
