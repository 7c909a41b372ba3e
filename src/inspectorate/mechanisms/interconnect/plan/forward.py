"""The forward question: what each method needs of a pod's link, each way, to run at full speed.

Full speed is all pods at work without waiting: as many groups as there are pods, cut into the fewest parts that can hold the
model (two where the method cuts it at all), and synchronisations as rare as the case allows. Volumes and times are those of
the search (`kernel`), so a limit at a method's need leaves it about as fast as no limit.
"""

from __future__ import annotations

import math

from pydantic import Field

from inspectorate.canonical import Record, Text
from inspectorate.mechanisms.interconnect.plan import kernel
from inspectorate.mechanisms.interconnect.plan.methods import Family
from inspectorate.mechanisms.interconnect.plan.search import Scenes
from inspectorate.mechanisms.interconnect.plan.types import TRAINING_BYTES_PER_PARAMETER, Case, Job, Pods
from inspectorate.quantities import NonNegative


class Need(Record):
    """What one method needs of one pod's link."""

    method: Text
    case: Case
    sent_bytes_per_s: NonNegative
    received_bytes_per_s: NonNegative
    update_bytes: NonNegative = Field(description="sent by one pod in one synchronisation")
    every_s: NonNegative = Field(description="from one synchronisation to the next, at full speed")
    crossing_bytes_per_s: NonNegative = Field(description="of this, what crosses between the parts of a cut model")
    groups: int
    parts: int
    inner_steps: float


def needs(pods: Pods, job: Job, case: Case) -> tuple[Need, ...]:
    """One row per method of the case that the pods can run at all, in the order of the catalogue."""
    scenes = Scenes(pods, job, case)
    found = []
    for method, row in scenes.rows():
        if method.family is Family.ALONE:
            found.append(_nothing(method.id, case, pods))
        elif method.family in (Family.ROLLOUTS, Family.SYNTHETIC):
            if (need := _generated(method.id, row, scenes, case)) is not None:
                found.append(need)
        elif (need := _exchanged(method.id, row, scenes, case)) is not None:
            found.append(need)
    return tuple(found)


def _nothing(name: str, case: Case, pods: Pods) -> Need:
    return Need(
        method=name, case=case, sent_bytes_per_s=0, received_bytes_per_s=0, update_bytes=0, every_s=0,
        crossing_bytes_per_s=0, groups=1, parts=1, inner_steps=1,
    )  # fmt: skip


def _exchanged(name: str, row: kernel.MethodRow, scenes: Scenes, case: Case) -> Need | None:
    scene = scenes.scene
    cut = row.family != kernel.REPLICAS
    holds_part = row.family in (kernel.PIPELINE, kernel.TENSOR, kernel.EXPERTS)
    state = scene.parameters * scene.bytes_per_parameter
    parts = max(2 if cut else 1, math.ceil(state / scene.memory_bytes) if holds_part else 1)
    groups = min(scene.pods // parts, int(scene.batch / scene.sequence)) if parts <= scene.pods else 0
    if groups * parts < 2 or (not holds_part and state > scene.memory_bytes):
        return None
    steps = min(row.inner_steps_max, max(1.0, scene.tokens / (scene.sync_min * scene.batch)))
    tokens = scene.batch / groups
    step_s = 6 * scene.parameters * tokens / (parts * scene.flop_per_s)
    up, down = kernel.update_bytes(row, scene, parts, groups)
    crossing = kernel.crossing_bytes(row.family, scene, tokens, parts) / row.activation_compression
    return Need(
        method=name,
        case=case,
        sent_bytes_per_s=(steps * crossing + up) / (steps * step_s),
        received_bytes_per_s=(steps * crossing + down) / (steps * step_s),
        update_bytes=up,
        every_s=steps * step_s,
        crossing_bytes_per_s=crossing / step_s,
        groups=groups,
        parts=parts,
        inner_steps=steps,
    )


def _generated(name: str, row: kernel.MethodRow, scenes: Scenes, case: Case) -> Need | None:
    """A pod that makes tokens sends them; one that makes rollouts receives weights as often as they go stale."""
    scene = scenes.scene
    if scene.pods < 2 or scene.parameters * TRAINING_BYTES_PER_PARAMETER > scene.memory_bytes:
        return None
    sent = scene.flop_per_s / (2 * scene.parameters) * scene.bits_per_token / 8
    refresh = scene.parameters * 2 / row.compression if row.family == kernel.ROLLOUTS else 0.0
    return Need(
        method=name,
        case=case,
        sent_bytes_per_s=sent,
        received_bytes_per_s=refresh / scene.staleness_s,
        update_bytes=refresh,
        every_s=scene.staleness_s if refresh else 0.0,
        crossing_bytes_per_s=0,
        groups=scene.pods,
        parts=1,
        inner_steps=1,
    )
