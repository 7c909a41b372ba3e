"""The planner's answer as small tables, ready to be printed, plotted or written as JSON.

    curves        slowdown against the limit, per case and per method
    answers       what is left under the limit that was asked for
    limits        the largest limit for each target
    serving       what inference needs of the link
    sensitivity   how the central answer moves when one assumption takes the other cases' value
    methods       the catalogue, with sources and evidence

Everything here is computed from its arguments; nothing is read or written.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from pydantic import Field

from inspectorate.canonical import Record, Text
from inspectorate.mechanisms.interconnect.plan import worked_example
from inspectorate.mechanisms.interconnect.plan.inference import MEDIA, Modality, Serving, claimable, serving
from inspectorate.mechanisms.interconnect.plan.inverse import (
    YEAR_S,
    Kind,
    Left,
    Limit,
    Target,
    largest_limit,
    left_under,
)
from inspectorate.mechanisms.interconnect.plan.methods import ASSUMPTIONS, Assumptions, Method, catalogue
from inspectorate.mechanisms.interconnect.plan.search import Scenes
from inspectorate.mechanisms.interconnect.plan.types import Case, Job, LinkLimit, MethodReach, Pods
from inspectorate.quantities import Positive

CURVE_RATES = np.logspace(1, 12, 133)
"""Bytes per second: twelve points to the decade."""
REPORT_PARAMETERS, REPORT_FLOP_PER_S_EACH = worked_example.PARAMETERS, worked_example.FLOP_PER_S_EACH
DEFAULT_TARGETS = (
    Target(kind=Kind.JOINT, slowdown_min=10.0),
    Target(kind=Kind.JOINT, slowdown_min=100.0),
    Target(kind=Kind.JOINT, slowdown_min=1000.0),
    Target(kind=Kind.JOINT, flop=1e24, period_s=YEAR_S),
    Target(kind=Kind.PRE_TRAINING, flop=1e24, period_s=YEAR_S),
    Target(kind=Kind.PRE_TRAINING, flop=1e25, period_s=YEAR_S),
    Target(kind=Kind.POST_TRAINING, flop=1e23, period_s=YEAR_S),
)


class Question(Record):
    """What was asked."""

    pods: Pods
    chips: int = Field(ge=1, description="accelerators of one pod")
    job: Job
    limit: LinkLimit
    served_parameters: Positive = Field(description="size of the model that the pods say they serve")
    targets: tuple[Target, ...] = DEFAULT_TARGETS


class Curve(Record):
    """Slowdown of one method, or of the best one, at each rate of the plan; none where it does not work."""

    name: Text
    case: Case
    slowdown: tuple[float | None, ...]


class TargetAnswer(Record):
    """The largest limit for one target, for each case."""

    target: Target
    limits: tuple[Limit, ...]


class Swing(Record):
    """The central slowdown of the best joint run when one assumption is as in the other cases."""

    assumption: Text
    published: float | None
    central: float | None
    cautious: float | None


class Plan(Record):
    """The whole answer."""

    question: Question
    rates_bytes_per_s: tuple[float, ...]
    best_joint: tuple[Curve, ...]
    by_method: tuple[Curve, ...]
    alone_slowdown: float | None = Field(description="what one pod alone makes of the job; none where it does not fit")
    reached: tuple[tuple[Case, tuple[MethodReach, ...]], ...] = Field(description="every method at the limit asked for")
    left: tuple[Left, ...]
    targets: tuple[TargetAnswer, ...]
    serving: tuple[Serving, ...]
    serving_claimable_bytes_per_s: float
    sensitivity: tuple[Swing, ...]
    methods: tuple[Method, ...]


def plan(question: Question) -> Plan:
    """Answer a question in full, in a second or two."""
    scenes = {case: Scenes(question.pods, question.job, case) for case in Case}
    terms = question.limit
    grids = {
        case: np.array([s.worths(terms.scaled(float(rate))) for rate in CURVE_RATES]) for case, s in scenes.items()
    }
    unlimited = question.pods.count * question.pods.flop_per_s
    reached = tuple((case, s.reach(terms).methods) for case, s in scenes.items())
    alone = next(m for m in reached[0][1] if m.method == "alone")
    return Plan(
        question=question,
        rates_bytes_per_s=tuple(float(rate) for rate in CURVE_RATES),
        best_joint=tuple(
            Curve(
                name="best joint run", case=case, slowdown=_slowdowns(grids[case][:, _joint(s)].max(axis=1), unlimited)
            )
            for case, s in scenes.items()
        ),
        by_method=tuple(
            Curve(name=method.id, case=Case.CENTRAL, slowdown=_slowdowns(grids[Case.CENTRAL][:, place], unlimited))
            for place, method in enumerate(scenes[Case.CENTRAL].methods)
            if method.id != "alone"
        ),
        alone_slowdown=alone.slowdown,
        reached=reached,
        left=tuple(left_under(question.pods, terms, case, kind) for kind in Kind for case in Case),
        targets=tuple(
            TargetAnswer(
                target=target,
                limits=tuple(
                    largest_limit(
                        question.pods, target, case, terms=terms, job=question.job if target.slowdown_min else None
                    )
                    for case in Case
                ),
            )
            for target in question.targets
        ),
        serving=tuple(
            serving(modality, question.chips, scale=serving_scale(question, modality)) for modality in Modality
        ),
        serving_claimable_bytes_per_s=claimable(question.pods.flop_per_s, question.served_parameters),
        sensitivity=sensitivity(question),
        methods=tuple(catalogue().values()),
    )


def serving_scale(question: Question, modality: Modality) -> float:
    """Rates of the served model and the chip against those of the report's: chips by what they reach, text also by size.

    Modelling choice: a token takes 2 P FLOP, so a smaller model gives more tokens. What an image takes is not known.
    """
    chip = question.pods.flop_per_s / question.chips / REPORT_FLOP_PER_S_EACH
    return chip if modality in MEDIA else chip * (REPORT_PARAMETERS / question.served_parameters)


def sensitivity(question: Question) -> tuple[Swing, ...]:
    """One assumption after the other taken from the other cases, the rest central; the widest swing first."""
    found = [
        Swing(
            assumption=name.replace("_", " "),
            **{case.value: _joint_slowdown(question, _one(name, case)) for case in Case},
        )
        for name in Assumptions.__dataclass_fields__
    ]

    def width(swing: Swing) -> float:
        values = [v for v in (swing.published, swing.central, swing.cautious) if v]
        return -(max(values) / min(values)) if values else 0.0

    return tuple(sorted(found, key=width))


def _one(name: str, case: Case) -> Assumptions:
    return replace(ASSUMPTIONS[Case.CENTRAL], **{name: getattr(ASSUMPTIONS[case], name)})


def _joint_slowdown(question: Question, assumed: Assumptions) -> float | None:
    scenes = Scenes(question.pods, question.job, Case.CENTRAL, assumed=assumed)
    worth = float(scenes.worths(question.limit)[_joint(scenes)].max())
    return question.pods.count * question.pods.flop_per_s / worth if worth > 0 else None


def _joint(scenes: Scenes) -> np.ndarray:
    return np.array([m.counts_as == "pre-training" and m.id != "alone" for m in scenes.methods])


def _slowdowns(worths: np.ndarray, unlimited: float) -> tuple[float | None, ...]:
    return tuple(float(unlimited / worth) if worth > 0 else None for worth in worths)
