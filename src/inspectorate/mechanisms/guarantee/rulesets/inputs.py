"""What a rule may read, at each point: a closed list, with types.

An amount that nobody told is absent, and a rule that reads it fails. A budget that no licence gives is 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from inspectorate.mechanisms.guarantee.events import EventKind
from inspectorate.mechanisms.guarantee.metering.types import MeterKind
from inspectorate.mechanisms.guarantee.rulesets.cel_compile import Type
from inspectorate.mechanisms.guarantee.rulesets.cel_parse import Scalar
from inspectorate.mechanisms.guarantee.rulesets.types import Act, Point, Ruleset

INPUT_CHARACTERS_MAX = 256
"""A text that is read by a rule is no longer than this, so that comparing it is bounded."""


def name_of(prefix: str, kind: MeterKind | EventKind | Act) -> str:
    """The input that speaks of one meter, kind of event or act: `remaining_bytes_out`."""
    return f"{prefix}_{kind.value.replace('-', '_')}"


_ANYWHERE: dict[str, Type] = {
    "hour_utc": Type.INT,
    "weekday_utc": Type.INT,  # 0 is Monday
    "ruleset_expires_in_s": Type.DOUBLE,
    "licence_expires_in_s": Type.DOUBLE,  # 0 without a licence
    "in_flight": Type.INT,
    **{name_of("remaining", meter): Type.DOUBLE for meter in MeterKind},
}

INPUTS: Mapping[Point, Mapping[str, Type]] = MappingProxyType(
    {
        Point.UPLOAD: {
            **_ANYWHERE,
            "size_bytes": Type.INT,
            "listed": Type.BOOL,
            "model": Type.STRING,  # the listed name; empty if there is none
            "flop_per_token": Type.DOUBLE,
        },
        Point.REQUEST: {
            **_ANYWHERE,
            "path": Type.STRING,
            "model": Type.STRING,
            "request_bytes": Type.INT,
            "tokens_in_max": Type.INT,
            "tokens_max": Type.INT,
            "requests_today": Type.INT,
        },
        Point.RESPONSE: {
            **_ANYWHERE,
            "model": Type.STRING,
            "complete": Type.BOOL,
            "sampled": Type.BOOL,
            "bytes_in": Type.INT,
            "bytes_out": Type.INT,
            "tokens_at_least": Type.INT,
            "tokens_at_most": Type.INT,
            "duration_s": Type.DOUBLE,
        },
        Point.TICK: {
            **_ANYWHERE,
            "serving": Type.BOOL,
            "period_s": Type.DOUBLE,  # since the last report
            "held_s": Type.DOUBLE,
            "requests_today": Type.INT,
            "sampled": Type.INT,
            "recomputed": Type.INT,
            "differed": Type.INT,
            "since_recomputed_s": Type.DOUBLE,
            **{name_of("used", meter): Type.DOUBLE for meter in MeterKind},
            **{name_of("events", kind): Type.INT for kind in EventKind},
        },
        Point.UPDATE: {
            "version": Type.INT,
            "valid_s": Type.DOUBLE,  # from start to end of its validity
            "signers": Type.INT,
            "rules": Type.INT,
            "builds": Type.INT,
            "models": Type.INT,
            **{name_of(part, act): Type.INT for act in Act for part in ("k", "n", "vetoes")},
            "in_bytes_per_s_max": Type.DOUBLE,
            "out_bytes_per_s_max": Type.DOUBLE,
            "burst_bytes_max": Type.DOUBLE,
            "request_bytes_max": Type.INT,
            "response_bytes_max": Type.INT,
            "concurrent_max": Type.INT,
            "sampled_share": Type.DOUBLE,
            "lost_after_s": Type.DOUBLE,
            "report_every_s": Type.DOUBLE,
            "bits_per_day_max": Type.DOUBLE,
            "licence_sequence_min": Type.INT,
            **{name_of("licensed", meter): Type.BOOL for meter in MeterKind},
        },
    }
)
"""Point -> input -> type. Adding an input is a change of the program, and so of its measurement."""


def update_inputs(candidate: Ruleset) -> dict[str, Scalar]:
    """What a rule at `Point.UPDATE` reads of the ruleset that would be put in force."""
    limits = candidate.limits
    values: dict[str, Scalar] = {
        "version": candidate.version,
        "valid_s": candidate.valid.duration_s,
        "signers": len(candidate.signers),
        "rules": len(candidate.baseline) + len(candidate.rules),
        "builds": len(candidate.builds),
        "models": len(candidate.models),
        "in_bytes_per_s_max": limits.in_bytes_per_s_max,
        "out_bytes_per_s_max": limits.out_bytes_per_s_max,
        "burst_bytes_max": limits.burst_bytes_max,
        "request_bytes_max": limits.request_bytes_max,
        "response_bytes_max": limits.response_bytes_max,
        "concurrent_max": limits.concurrent_max,
        "sampled_share": candidate.sampled_share,
        "lost_after_s": candidate.lost_after_s,
        "report_every_s": candidate.outlet.report_every_s,
        "bits_per_day_max": candidate.outlet.bits_per_day_max,
        "licence_sequence_min": candidate.licence_sequence_min,
    }
    for act, quorum in candidate.quorums.items():
        values[name_of("k", act)] = quorum.k
        values[name_of("n", act)] = len(quorum.of)
        values[name_of("vetoes", act)] = len(quorum.from_each)
    values.update({name_of("licensed", meter): meter in candidate.licensed_meters for meter in MeterKind})
    return values
