"""What predicates have in common, whatever their kind and whoever speaks.

PredicateBase    where the evidence comes from
Report           a reporter of the declaration speaks, of a stretch of time
Inspection       an inspector speaks, under the name of the anchor whose key signs
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from inspectorate.canonical import Identifier, Record
from inspectorate.quantities import Period


class Origin(StrEnum):
    """Where evidence comes from. Simulated evidence is marked in every statement, and the review says so."""

    RECORDED = "recorded"
    SIMULATED = "simulated"


class PredicateBase(Record):
    """What every predicate says, whatever its kind."""

    origin: Origin


class Report(PredicateBase):
    """What a reporter of the declaration says of a stretch of time; details are in the payload (the subject)."""

    reporter: Identifier
    period: Period


class Inspection(PredicateBase, ABC):
    """What an inspector says. Payloads (the subjects) are in the bundle unless `sealed_subjects` says that they are kept back."""

    by: Identifier
    sealed_subjects: ClassVar[bool] = False

    @property
    @abstractmethod
    def times(self) -> tuple[datetime, ...]:
        """The times of which it speaks, the first one first: the key must have been valid at all of them."""
