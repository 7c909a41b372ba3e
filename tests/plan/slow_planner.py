"""A slow, obvious planner: every method, every cut of the pods, every number of steps, no bounds and no bisection."""

from __future__ import annotations

import math

from inspectorate.mechanisms.interconnect.plan.kernel import EXPERTS_PER_TOKEN, KEY_VALUE_SHARE
from inspectorate.mechanisms.interconnect.plan.methods import (
    ASSUMPTIONS,
    Exchange,
    Family,
    Method,
    alpha_of,
    inner_steps_of,
    methods_of,
    step_grid,
)
from inspectorate.mechanisms.interconnect.plan.search import BITS_PER_TOKEN, STALENESS_S
from inspectorate.mechanisms.interconnect.plan.types import TRAINING_BYTES_PER_PARAMETER, Case, Job, LinkLimit, Pods


def worths(pods: Pods, limit: LinkLimit, job: Job, case: Case) -> dict[str, float]:
    """The worth of each method [well-connected FLOP/s]."""
    return {m.id: worth(m, pods, limit, job, case) * job.value_share for m in methods_of(ASSUMPTIONS[case])}


def worth(method: Method, pods: Pods, limit: LinkLimit, job: Job, case: Case) -> float:
    assumed = ASSUMPTIONS[case]
    state = job.parameters * TRAINING_BYTES_PER_PARAMETER
    quality = method.quality[assumed.quality]
    compression = method.compression
    if method.compression > 1 or method.inner_steps_max > 1:
        compression *= assumed.compression_factor
    sent, received = limit.sent_bytes_per_s * limit.duty, limit.received_bytes_per_s * limit.duty
    if method.family is Family.ALONE:
        return pods.flop_per_s if state <= pods.memory_bytes else 0.0
    if method.family in (Family.ROLLOUTS, Family.SYNTHETIC):
        makers = pods.count - 1
        if makers == 0 or state > pods.memory_bytes:
            return 0.0
        token_bytes = BITS_PER_TOKEN / 8
        full_tokens_per_s = pods.flop_per_s / (2 * job.parameters)
        rate = min(full_tokens_per_s, sent / token_bytes, received / token_bytes / makers)
        share = rate / full_tokens_per_s
        if method.family is Family.ROLLOUTS:
            refresh = job.parameters * 2 / compression
            brought = STALENESS_S * min(sent, received)
            brought += min(limit.window_bytes, refresh) * STALENESS_S / limit.window_every_s
            share = min(share, brought / refresh)
        return quality * pods.flop_per_s * (1 + makers * share)
    best = 0.0
    batch = min(job.batch_tokens * assumed.batch_factor, job.tokens)
    sequence = min(job.sequence_tokens, job.batch_tokens)
    steps_max = min(inner_steps_of(method, assumed), max(1.0, job.tokens / (assumed.synchronisations_min * batch)))
    alpha = alpha_of(job.parameters, assumed)
    for parts in range(1, pods.count + 1):
        if (parts == 1) != (method.family is Family.REPLICAS):
            continue
        splits = method.family in (Family.PIPELINE, Family.TENSOR, Family.EXPERTS)
        if state > pods.memory_bytes * (parts if splits else 1):
            continue
        for groups in range(1, pods.count // parts + 1):
            if groups * parts < 2 or groups > batch / sequence:
                continue
            tokens = batch / groups
            flop = 6 * job.parameters * tokens
            compute = flop / (parts * pods.flop_per_s)
            values = 2 * job.width  # bytes of one token's residual stream at 16 bits
            if method.family is Family.PIPELINE:
                compute *= 1 + (parts - 1) / max(1.0, tokens / sequence)
                compute += (parts - 1) * limit.round_trip_s
                crossing = tokens * values * (2 if parts > 2 else 1) * (1 + (parts - 1) / max(1.0, tokens / sequence))
            elif method.family is Family.TENSOR:
                compute += 4 * job.layers * limit.round_trip_s
                crossing = 4 * job.layers * 2 * (parts - 1) / parts * tokens * values
            elif method.family is Family.SEQUENCE:
                compute += 4 * job.layers * limit.round_trip_s
                crossing = 3 * job.layers * (parts - 1) * tokens / parts * 2 * KEY_VALUE_SHARE * values
            elif method.family is Family.EXPERTS:
                compute += 4 * job.layers * limit.round_trip_s
                crossing = 4 * job.layers * tokens / parts * EXPERTS_PER_TOKEN * (parts - 1) / parts * values
            else:
                crossing = 0.0
            crossing /= method.activation_compression * (
                assumed.compression_factor if method.activation_compression > 1 else 1
            )
            replicas = groups * (parts if method.family is Family.SEQUENCE else 1)
            update = job.parameters * 2 / compression * method.volume / (parts if splits else 1)
            if replicas == 1:
                up = down = 0.0
            elif method.exchange is Exchange.RING:
                up = down = update * 2 * (replicas - 1) / replicas
            elif method.exchange is Exchange.GATHER:
                up, down = update, update * (replicas - 1)
            else:
                up = down = update
            for windows in (False, True):
                if windows and not (limit.window_bytes > 0 and replicas > 1):
                    continue
                u = max(0.0, up - limit.window_bytes) if windows else up
                d = max(0.0, down - limit.window_bytes) if windows else down
                for steps in step_grid():
                    if steps > steps_max:
                        break
                    if method.overlap:
                        seconds = max(steps * compute, (steps * crossing + u) / sent, (steps * crossing + d) / received)
                    else:
                        seconds = steps * max(compute, crossing / sent, crossing / received)
                        seconds += max(u / sent, d / received) + limit.round_trip_s
                    if windows:
                        seconds = max(seconds, limit.window_every_s)
                    each = max(0.0, 1 - alpha * math.log10(steps))
                    many = groups**-assumed.replica_exponent if method.inner_steps_max > 1 else 1.0
                    best = max(best, quality * many * each * steps * groups * flop / seconds)
    return best
