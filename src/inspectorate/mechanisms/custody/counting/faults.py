"""The closed list of what can be wrong between a promise and a count, and whose fault it is.

A fault is data: the judges never raise on what a payload holds. One against the verifier voids the draw or the count (it assures of
nothing, and accuses nobody); one against the prover leaves its units unopened.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Side(StrEnum):
    PROVER = "prover"
    VERIFIER = "verifier"


class Fault(StrEnum):
    """What is wrong."""

    # --- of the register
    REGISTER_UNREADABLE = "register-unreadable"
    """The table is not there, or is no register."""
    REGISTER_DIFFERS = "register-differs"
    """It holds another number of chips than the statement says."""
    REGISTER_EMPTY = "register-empty"
    """No chip stands in it, so nothing can be drawn. That is never a pass."""
    COMMITTED_LATE = "committed-late"
    """The register came when the beacon's round was known: the prover could have chosen what is drawn."""
    # --- of the promise
    PROMISE_MISSING = "promise-missing"
    """The draw names a promise that is not there, or none where one is needed."""
    PROMISE_OTHER = "promise-other"
    """Not the promise that the register names, or one by another inspector or for another reporter."""
    PROMISE_AFTER = "promise-after"
    """The promise is not shown to come before the register: the secret could have been ground."""
    PROMISE_SKIPPED = "promise-skipped"
    """An older promise was open and not used: the verifier chose among secrets."""
    SECRET_OTHER = "secret-other"  # noqa: S105 - a kind of fault
    """What was revealed is not what was promised."""
    SECRET_REUSED = "secret-reused"  # noqa: S105 - a kind of fault
    """A promise or a secret draws from a second register, which the prover could foresee."""
    # --- of the draw
    RANDOMNESS_UNREADABLE = "randomness-unreadable"
    """The randomness is not there, or is not a record of ours."""
    CHAIN_UNKNOWN = "chain-unknown"
    """The beacon is not one that the reviewer believes."""
    ROUND_OTHER = "round-other"
    """Not the round that the rule gives: the verifier chose among rounds."""
    BEACON_FALSE = "beacon-false"
    """The signature is not the beacon's for that round."""
    REGISTER_OTHER = "register-other"
    """The draw is from another register or another reporter."""
    SELECTION_OTHER = "selection-other"
    """The selection does not name the sites of the register, each once, or is of other units than the draw."""
    DRAW_BEFORE = "draw-before"
    """The draw says that it came before its register, or before the beacon's round."""
    BEYOND_REGISTER = "beyond-register"
    """A unit is drawn that the register does not hold."""
    NOT_AS_DRAWN = "not-as-drawn"
    """The units are not those that the randomness gives: some were chosen, or left out."""
    ANSWER_TOO_SOON = "answer-too-soon"
    """The prover was given less time than the agreement allows it."""
    ANSWER_TOO_LATE = "answer-too-late"
    """The draw gives more time than the agreement does: chips can be moved meanwhile."""
    REDRAWN = "redrawn"
    """One inspector draws from one register a second time. The first draw stands."""
    # --- of the count
    HELD_OTHER = "held-other"
    """The count is of another draw, or by another inspector than drew."""
    CHECKLIST_UNREADABLE = "checklist-unreadable"
    """The checklist is not there, or is not a record of ours, or is of another draw."""
    CHECKLIST_DIFFERS = "checklist-differs"
    """The numbers of the statement are not those of its checklist."""
    NOT_DRAWN = "not-drawn"
    """A unit was read that was not drawn. It counts for nothing."""
    UNACCOUNTED = "unaccounted"
    """A unit was drawn of which nothing is said. It counts as missing, and accuses nobody."""
    OPENED_BEFORE = "opened-before"
    """A unit was opened before the draw, or outside of the period of the count. It counts as missing."""
    OPENED_LATE = "opened-late"
    """A unit was opened after its time: what stood there may have come meanwhile. It counts as missing."""
    REFUSED = "refused"
    """A drawn unit was not opened. It counts as missing."""
    COUNTED_TWICE = "counted-twice"
    """A second count of one draw. The first stands."""
    SERIAL_TWICE = "serial-twice"
    """One serial was read in two places: one of them is a copy."""

    @property
    def side(self) -> Side:
        return Side.PROVER if self in _OF_PROVER else Side.VERIFIER


_OF_PROVER = frozenset(
    {
        Fault.REGISTER_UNREADABLE, Fault.REGISTER_DIFFERS, Fault.REGISTER_EMPTY, Fault.COMMITTED_LATE,
        Fault.REFUSED, Fault.SERIAL_TWICE,
    }
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Found:
    """One fault: what, in words, and of which unit or statement."""

    fault: Fault
    detail: str
    unit: int | None = None
    statement: str | None = None

    def __str__(self) -> str:
        return f"{self.fault.value}: {self.detail}"
