"""The kinds of clause about chips: what counts as a cluster, the register, counting, seals, cameras, places, and access to them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from inspectorate.agreement.kinds import ClauseKind
from inspectorate.canonical import Digest, Record
from inspectorate.quantities import Positive, Share


class CoveredCluster(Record):
    """Chips above any of these limbs form a covered chip cluster and must stand in a declared facility."""

    kind: Literal[ClauseKind.COVERED_CLUSTER]
    h100_equivalents_max: Positive = Field(description="covered if strictly above")
    joined_by_co_location: bool
    joined_by_bits_per_s: Positive = Field(description="joined if hosts exchange more than this in aggregate")
    joined_by_purpose: bool = Field(description="joined if networked to work on one workload")
    memory_bytes_max: Positive | None = Field(default=None, description="covered also if memory is strictly above")


class NoSplitting(Record):
    """Chips are not kept in pieces just below the limbs of a covered cluster, nor moved about so that no piece ever is."""

    kind: Literal[ClauseKind.NO_SPLITTING]
    near_share_min: Share = Field(description="a piece of at least this share of a limb is near it")
    within_m: Positive = Field(description="pieces of one owner within this distance are looked at together")
    rotated_within_s: Positive = Field(
        description="chips that passed through one place within this time count there together"
    )


class ChipRegister(Record):
    """Every chip under the agreement stands in a register, in exactly one place, and every change of it is stated in time."""

    kind: Literal[ClauseKind.CHIP_REGISTER]
    first_within_s: Positive = Field(description="from the day on which the clause holds")
    updated_every_s: Positive
    transfer_notice_s: Positive = Field(description="from the notice of a transfer to its earliest start")
    approvals_min: Annotated[int, Field(ge=1, le=16)] = Field(description="different inspectors who approve a transfer")
    under_way_s_max: Positive = Field(description="chips that left must have arrived within this time")


class CountedChips(Record):
    """Chips are where the register says: places that nobody could choose are opened, and serials read."""

    kind: Literal[ClauseKind.COUNTED_CHIPS]
    counted_every_s: Positive = Field(description="a stretch without a count for longer is not observed")
    answer_within_s: Positive = Field(description="from a draw to standing before all that it names")
    missing_share_max: Share = Field(
        description="of all chips, what may be missing unnoticed at the agreement's confidence"
    )
    misplaced_share_max: Share = Field(
        description="of chips, what honest keepers of a register misplace: fewer accuse nobody"
    )
    held_between: Literal["counts", "seals", "cameras"] = Field(
        description="why chips that were counted at two times were there in between: by assumption, or by seals or cameras"
    )


class SealedPlaces(Record):
    """Places that were sealed stay so: seals are looked at again, compared with their photographs, and judged by a person."""

    kind: Literal[ClauseKind.SEALED_PLACES]
    checked_every_s: Positive = Field(description="a seal that was not checked for longer holds nothing together")
    calibrations: tuple[Digest, ...] = Field(
        default=(), max_length=64, description="comparisons that both parties have read; none: the eye alone decides"
    )


class WatchedPlaces(Record):
    """Cameras see the places without a break, live, and nothing is done there that was not declared."""

    kind: Literal[ClauseKind.WATCHED_PLACES]
    unseen_s_max: Positive = Field(description="a place that no camera saw for longer is not observed")
    challenged_every_s: Positive | None = Field(
        default=None, description="the picture must answer a challenge so often; none: replays are not excluded"
    )
    enrolments: tuple[Digest, ...] = Field(
        default=(),
        max_length=10_000,
        description="of cameras, that both parties have seen; none: what a camera states of its challenges is taken",
    )


class LocatedChips(Record):
    """Devices stand where they are declared, by the time that signed answers take to landmarks of the verifier."""

    kind: Literal[ClauseKind.LOCATED_CHIPS]
    radius_m_max: Positive = Field(
        description="from the declared position, within which a device must be shown to stand"
    )
    located_every_s: Positive


class ChallengeAccess(Record):
    """A challenge inspection is granted: within the quota, in time, and what leaves meanwhile may be looked at."""

    kind: Literal[ClauseKind.CHALLENGE_ACCESS]
    per_party_per_year_max: Annotated[int, Field(ge=0, le=10_000)]
    access_within_s: Positive
