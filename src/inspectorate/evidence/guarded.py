"""Predicates of guarantee processors, and the challenges that they answer."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from pydantic import Field

from inspectorate.canonical import Hex, Identifier
from inspectorate.evidence.predicate import Inspection, Report
from inspectorate.quantities import Time


class KeyCustody(StrEnum):
    """What holds the key that speaks for a guarantee processor."""

    TPM = "tpm"
    """A TPM 2.0 quotes every checkpoint together with the key that signs the statement."""
    SOFTWARE = "software"
    """Nothing but this machine's disk and memory: whoever has those can speak for it."""


class GuardReported(Report):
    """A guarantee processor reports one period, at a fixed time and in a fixed size.

    The subjects are `checkpoint` (mode, meters, events; a record of constant length) and, under a TPM, `quote` (what was
    measured at its start, signed by the TPM over the checkpoint).
    """

    sequence: int = Field(ge=0, le=10**12, description="counts the reports of one processor, over all its starts")
    custody: KeyCustody


class RulesetInForce(Report):
    """A guarantee processor put a ruleset in force within the period. The subject is the signed ruleset."""

    version: int = Field(ge=1)


class LicenceApplied(Report):
    """A guarantee processor applied a licence within the period. The subject is the signed licence."""

    licence: Identifier


class ChallengeIssued(Inspection):
    """An inspector asks a guarantee processor to show that it is alive. The subject is the request, for reading."""

    reporter: Identifier = Field(description="the guarantee processor that is asked")
    nonce: Hex
    issued_at: Time
    sealed_subjects: ClassVar[bool] = True

    @property
    def times(self) -> tuple[datetime, ...]:
        return (self.issued_at,)
