"""The closed list of kinds of clause."""

from __future__ import annotations

from enum import StrEnum


class ClauseKind(StrEnum):
    """The closed list of kinds of clause."""

    HIDDEN_TRAINING = "hidden-training"
    INTERCONNECT_LIMIT = "interconnect-limit"
    POD_ISOLATION = "pod-isolation"
    COORDINATED_EXCHANGE = "coordinated-exchange"
    LOCK_STEP = "lock-step"
    LIMIT_ENFORCED = "limit-enforced"
    LOADING_WINDOWS = "loading-windows"
    DECLARED_CABLING = "declared-cabling"
    APPROVED_WORKLOADS = "approved-workloads"
    SOUND_TELEMETRY = "sound-telemetry"
    GUARDED_OPERATION = "guarded-operation"
    LICENSED_WORK = "licensed-work"
    GUARD_OUTLET = "guard-outlet"
    REPLAYED_WORK = "replayed-work"
    ACCOUNTED_FLOP = "accounted-flop"
    REVIEWED_CODE = "reviewed-code"
    INSPECTION_ROOMS = "inspection-rooms"
    REPORTING_CHANNELS = "reporting-channels"
    INTERVIEWED_STAFF = "interviewed-staff"
    COVERED_CLUSTER = "covered-cluster"
    NO_SPLITTING = "no-splitting"
    CHIP_REGISTER = "chip-register"
    COUNTED_CHIPS = "counted-chips"
    SEALED_PLACES = "sealed-places"
    WATCHED_PLACES = "watched-places"
    LOCATED_CHIPS = "located-chips"
    CHALLENGE_ACCESS = "challenge-access"
    PROCEDURE = "procedure"
