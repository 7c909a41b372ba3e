"""Disguises of training by name: what each does, how strong it commonly is, and which other mechanism sees it.

    disguises_curve     what work costs in power
    disguises_render    schedules of chips, and what meters show of them
    disguises_power     training all the time: clocks, burning, timing
    disguises_time      training beside served requests; history shown in place of the present
    disguises_attack    every disguise against a detector, and its price

The adversary is the worst that telemetry alone can face: it knows every enrolled reference, serves the claimed workload
where that helps, and its tools cost no more than is physically necessary. What is measured against it holds for these
disguises and no others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from inspectorate.mechanisms.workloads.telemetry.frame import Frame
from inspectorate.worlds import disguises_power as power
from inspectorate.worlds import disguises_time as time
from inspectorate.worlds.disguises_render import DisguisedRun, Known

Apply = Callable[[Frame, Known, float, np.random.Generator], DisguisedRun]


@dataclass(frozen=True, kw_only=True)
class Disguise:
    """A registered disguise. `strength` says in words what 0 and 1 mean; `standard` is the strength that tables show."""

    name: str
    description: str
    strength: str
    standard: float
    seen_by: tuple[str, ...]
    """What sees it whatever the telemetry shows."""
    apply: Apply

    def run(self, training: Frame, known: Known, *, strength: float, random: np.random.Generator) -> DisguisedRun:
        """Disguise a training run. Raises `ValueError` on a strength outside [0, 1] or steps of unequal length."""
        if not 0.0 <= strength <= 1.0:
            raise ValueError(f"a strength of {strength} is not between 0 and 1")
        if any(frame.step_ns != training.step_ns for frame in (known.cover, *known.references)):
            raise ValueError("training, cover and references must have steps of one length")
        return self.apply(training, known, strength, random)


_CAP, _AUDIT, _METER, _SAMPLE, _CHIPS, _HISTORY = "limits", "accounting", "second meter", "samples", "chips", "history"
SEEN_BY: MappingProxyType[str, str] = MappingProxyType(
    {
        _CAP: "limits on traffic between pods, where training needs more than one",
        _AUDIT: "requests and tokens that were served, against chip time and energy",
        _METER: "a second meter of the same load that the verifier holds",
        _SAMPLE: "code, memory or outputs sampled at times that the operator does not know",
        _CHIPS: "meters of single chips beside those of nodes",
        _HISTORY: "comparison with all earlier telemetry of the site",
    }
)
"""What else sees a disguise, in words."""

DISGUISES: MappingProxyType[str, Disguise] = MappingProxyType(
    {
        disguise.name: disguise
        for disguise in (
            Disguise(
                name="plain",
                description="training under the name of the claimed workload",
                strength="none",
                standard=0.0,
                seen_by=(_CAP, _AUDIT, _SAMPLE),
                apply=power.plain,
            ),
            Disguise(
                name="throttling",
                description="a power cap that keeps training below the claimed workload's power",
                strength="0: no cap; 1: capped at the references' 90 % quantile",
                standard=1.0,
                seen_by=(_CAP, _AUDIT, _SAMPLE),
                apply=power.throttling,
            ),
            Disguise(
                name="padding",
                description="burn kernels fill up to the claimed workload's power",
                strength="0: nothing; 1: never below the references' median",
                standard=1.0,
                seen_by=(_CAP, _AUDIT, _SAMPLE),
                apply=power.padding,
            ),
            Disguise(
                name="valley-filling",
                description="burn kernels run while training communicates or updates",
                strength="0: nothing; 1: never below training's median",
                standard=1.0,
                seen_by=(_CAP, _AUDIT, _SAMPLE),
                apply=power.valley_filling,
            ),
            Disguise(
                name="fused-updates",
                description="optimiser steps are fused into the backward pass, so that their dips go",
                strength="0: nothing; 1: no dip is left",
                standard=1.0,
                seen_by=(_CAP, _AUDIT, _SAMPLE),
                apply=power.fused_updates,
            ),
            Disguise(
                name="staggering",
                description="chips or nodes train out of phase, so that what sums them is smooth",
                strength="0: in step; 1: eight phases over a step",
                standard=1.0,
                seen_by=(_CAP, _AUDIT, _SAMPLE, _CHIPS),
                apply=power.staggering,
            ),
            Disguise(
                name="batch-games",
                description="small-batch training claimed as large-batch inference: levels of power are mapped",
                strength="0: nothing; 1: training has the references' distribution of power",
                standard=1.0,
                seen_by=(_CAP, _AUDIT, _SAMPLE),
                apply=power.batch_games,
            ),
            Disguise(
                name="mimicry",
                description="training is steered after a reference trace sample by sample",
                strength="0: lag 10 s, error 5 %; 1: lag 0.2 s, error 0.3 % of the range",
                standard=0.5,
                seen_by=(_CAP, _AUDIT, _SAMPLE, _HISTORY),
                apply=power.mimicry,
            ),
            Disguise(
                name="time-slicing",
                description="slices of 5 s of training where the claimed workload is quietest",
                strength="0: half of the time; 1: 1 % of it",
                standard=0.4,
                seen_by=(_CAP, _SAMPLE),
                apply=time.time_slicing,
            ),
            Disguise(
                name="micro-batches",
                description="micro-batches of low-rank training between those of real inference",
                strength="0: 30 % of the time; 1: 1 %",
                standard=0.5,
                seen_by=(_SAMPLE,),
                apply=time.micro_batches,
            ),
            Disguise(
                name="slow-ramp",
                description="training comes in evenly over all that is observed, as drift would",
                strength="0: up to all; 1: up to 5 %",
                standard=0.5,
                seen_by=(_CAP, _SAMPLE),
                apply=time.slow_ramp,
            ),
            Disguise(
                name="rare-bursts",
                description="full training for 30 s at a time, seldom",
                strength="0: half of the time; 1: 0.5 %",
                standard=0.5,
                seen_by=(_CAP, _SAMPLE),
                apply=time.rare_bursts,
            ),
            Disguise(
                name="replay",
                description="the meter shows earlier inference while chips only train",
                strength="0: exactly as it was; 1: with fresh noise of 0.2 %",
                standard=0.5,
                seen_by=(_METER, _HISTORY, _CAP, _AUDIT, _SAMPLE),
                apply=time.replay,
            ),
        )
    }
)
"""Every disguise by name, the undisguised first."""
