"""The closed list of what can be wrong between promise and interviews, and whose fault it is.

A fault is data: the judges never raise on what a payload holds. One that stands against the verifier voids the draw (it
assures of nothing); one that stands against the prover leaves its entries unheard, or its roster without assurance.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Side(StrEnum):
    PROVER = "prover"
    VERIFIER = "verifier"


class Fault(StrEnum):
    """What is wrong."""

    # --- of the roster
    ROSTER_UNREADABLE = "roster-unreadable"
    """The list is not there, is not one, or is not the one that was committed to: a name was dropped or added."""
    ROSTER_DIFFERS = "roster-differs"
    """Its name or the numbers of people in its strata are not those of the statement."""
    ROSTER_EMPTY = "roster-empty"
    """Nobody is on it, so nobody can be drawn. That is never a pass."""
    STRATA_DIFFER = "strata-differ"
    """Its strata are not those of the agreement."""
    COMMITTED_LATE = "committed-late"
    """The roster came when the beacon's round was known: the prover could have chosen who is drawn."""
    ROSTER_REPEATED = "roster-repeated"
    """One time has two rosters, or two rosters name one promise: the prover could show the better one."""
    # --- of the promise
    PROMISE_MISSING = "promise-missing"
    """The draw names a promise that is not there, or none where one is needed."""
    PROMISE_OTHER = "promise-other"
    """Not the promise that the roster names, or one by another inspector or for another reporter."""
    PROMISE_AFTER = "promise-after"
    """The promise is not shown to come before the roster: the secret could have been ground."""
    PROMISE_SKIPPED = "promise-skipped"
    """An older promise was open and not used: the verifier chose among secrets."""
    SECRET_OTHER = "secret-other"  # noqa: S105 - a kind of fault
    """What was revealed is not what was promised."""
    SECRET_REUSED = "secret-reused"  # noqa: S105 - a kind of fault
    """A promise or a secret is used for a draw from a second roster, which the prover could foresee."""
    # --- of the draw
    RANDOMNESS_UNREADABLE = "randomness-unreadable"
    """The randomness is not there, or is not a record of ours."""
    CHAIN_UNKNOWN = "chain-unknown"
    """The beacon is not one that the reviewer believes."""
    ROUND_OTHER = "round-other"
    """Not the round that the rule gives: the verifier chose among rounds."""
    BEACON_FALSE = "beacon-false"
    """The signature is not the beacon's for that round."""
    ROSTER_OTHER = "roster-other"
    """The draw is from another roster or another reporter."""
    SELECTION_OTHER = "selection-other"
    """The selection does not name the strata of the roster, each once."""
    DRAW_BEFORE = "draw-before"
    """The draw says that it came before its roster, or before the beacon's round."""
    BEYOND_ROSTER = "beyond-roster"
    """An entry is drawn that the roster does not hold."""
    NOT_AS_DRAWN = "not-as-drawn"
    """The entries are not those that the randomness gives: somebody was chosen, or left out."""
    REPLACEMENT_OTHER = "replacement-other"
    """It replaces people of other interviews than its own chain of draws, or people for whom nobody was missing."""
    ANSWER_TOO_SOON = "answer-too-soon"
    """The prover was given less time than the agreement allows it."""
    REDRAWN = "redrawn"
    """One inspector draws from one roster a second time, and not to replace. The first draw stands."""
    # --- of the opening
    NOT_OPENED = "not-opened"
    """An entry that was drawn was not opened in time. Nobody was heard for it."""
    OPENED_LATE = "opened-late"
    """The opening came after its time. What it holds counts as not opened."""
    OPENING_OTHER = "opening-other"
    """It answers another draw, or comes from another reporter, or is of another roster."""
    OPENING_UNREADABLE = "opening-unreadable"
    """The openings are not there, or are not a record of ours, or hold other entries than the statement names."""
    NOT_DRAWN = "not-drawn"
    """An entry was opened that was not drawn. It counts for nothing."""
    LEAF_DIFFERS = "leaf-differs"
    """Who was opened is not who was committed to: pseudonym, role, stratum or salt differ from the roster."""
    PERSON_TWICE = "person-twice"
    """One pseudonym stands behind two entries: the roster is longer than the people on it."""
    # --- of the interviews
    HELD_OTHER = "held-other"
    """The interviews are of another draw, or by another inspector than drew."""
    HEARD_NOT_DRAWN = "heard-not-drawn"
    """Somebody was heard, refused or was absent who was not drawn. It counts for nothing."""
    HEARD_NOT_OPENED = "heard-not-opened"
    """Somebody was heard whose entry was not opened as committed to: it is not known who that was."""
    UNACCOUNTED = "unaccounted"
    """Somebody was drawn and opened of whom it is not said whether they were heard, refused or stayed away."""
    COUNTED_TWICE = "counted-twice"
    """Two statements say different things of one entry. The first that it was not heard stands."""
    FORM_OTHER = "form-other"
    """Something was asked by a form that was not agreed. Nobody was heard by it."""

    @property
    def side(self) -> Side:
        return Side.PROVER if self in _OF_PROVER else Side.VERIFIER


_OF_PROVER = frozenset(
    {
        Fault.ROSTER_UNREADABLE, Fault.ROSTER_DIFFERS, Fault.ROSTER_EMPTY, Fault.STRATA_DIFFER, Fault.COMMITTED_LATE,
        Fault.ROSTER_REPEATED,
        Fault.NOT_OPENED, Fault.OPENED_LATE, Fault.OPENING_OTHER, Fault.OPENING_UNREADABLE, Fault.NOT_DRAWN,
        Fault.LEAF_DIFFERS, Fault.PERSON_TWICE,
    }
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Found:
    """One fault: what, in words, and of which entry or statement."""

    fault: Fault
    detail: str
    entry: int | None = None
    statement: str | None = None

    def __str__(self) -> str:
        return f"{self.fault.value}: {self.detail}"
