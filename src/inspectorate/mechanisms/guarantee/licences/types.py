"""A licence: budgets for one device, signed by a quorum of the ruleset in force, carried by any channel.

Source of the scheme: Kulp et al. 2024 (RAND WR-A3056-1), ch. 6: default off, budgets on several meters at once, replay window.
"""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from inspectorate.canonical import Digest, Identifier, Record
from inspectorate.mechanisms.guarantee.metering.types import MeterKind
from inspectorate.quantities import Period, Positive

LICENCE_KIND = "application/vnd.inspectorate.licence+json"


class Licence(Record):
    """So much of each meter may be used on one device, in one period."""

    id: Identifier
    device: Digest = Field(description="of the device's public key: that of its TPM, or the one held in software")
    sequence: Annotated[int, Field(ge=1, le=2**53 - 1)]
    valid: Period
    ruleset: Identifier = Field(description="the id of the ruleset, of any version from `ruleset_version_min` on")
    ruleset_version_min: Annotated[int, Field(ge=1)]
    budgets: dict[MeterKind, Positive] = Field(min_length=1)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if any(amount > 1e30 for amount in self.budgets.values()):
            raise ValueError("a budget above 1e30 is no budget")
        return self
