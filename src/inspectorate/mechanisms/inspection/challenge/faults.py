"""The closed list of what can be wrong between promise and opening, and whose fault it is.

A fault is data: the judges never raise on what a payload holds. One that stands against the verifier voids the draw (it
assures of nothing); one that stands against the prover leaves its packets refused, or its commitment without assurance.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Side(StrEnum):
    PROVER = "prover"
    VERIFIER = "verifier"


class Fault(StrEnum):
    """What is wrong."""

    # --- of the commitment
    LIST_UNREADABLE = "list-unreadable"
    """The list of packets is not there, or is not one."""
    LIST_DIFFERS = "list-differs"
    """Run, sequence, number of packets, FLOP or period are not those of the commitment."""
    LIST_EMPTY = "list-empty"
    """Nothing was committed to, so nothing can be drawn. That is never a pass."""
    COMMITTED_LATE = "committed-late"
    """The commitment came when the beacon's round was known: the prover could have chosen what is drawn."""
    COMMITMENT_REPEATED = "commitment-repeated"
    """One place in a run is taken by two commitments, or two stretches of a run overlap: a way out of a draw."""
    CHAIN_BROKEN = "chain-broken"
    """A stretch of a run is missing, names another one before it, or comes after the last."""
    # --- of the promise
    PROMISE_MISSING = "promise-missing"
    """The draw names a promise that is not there, or none where one is needed."""
    PROMISE_OTHER = "promise-other"
    """Not the promise that the commitment names, or one by another inspector or for another reporter."""
    PROMISE_AFTER = "promise-after"
    """The promise is not shown to come before the commitment: the secret could have been ground."""
    PROMISE_SKIPPED = "promise-skipped"
    """An older promise was open and not used: the verifier chose among secrets."""
    SECRET_OTHER = "secret-other"  # noqa: S105 - a kind of fault
    """What was revealed is not what was promised."""
    SECRET_REUSED = "secret-reused"  # noqa: S105 - a kind of fault
    """A promise or a secret is used for a second draw, which the prover could foresee."""
    # --- of the draw
    RANDOMNESS_UNREADABLE = "randomness-unreadable"
    """The randomness is not there, or is not a record of ours."""
    CHAIN_UNKNOWN = "chain-unknown"
    """The beacon is not one that the reviewer believes."""
    ROUND_OTHER = "round-other"
    """Not the round that the rule gives: the verifier chose among rounds."""
    BEACON_FALSE = "beacon-false"
    """The signature is not the beacon's for that round."""
    COMMITMENT_OTHER = "commitment-other"
    """The draw is from another commitment or another reporter."""
    DRAW_BEFORE = "draw-before"
    """The draw says that it came before what it draws from, or before the beacon's round."""
    BEYOND_LIST = "beyond-list"
    """A packet is drawn that the list does not hold."""
    NOT_AS_DRAWN = "not-as-drawn"
    """The packets are not those that the randomness gives."""
    ANSWER_TOO_SOON = "answer-too-soon"
    """The prover was given less time than the agreement allows it."""
    REDRAWN = "redrawn"
    """One inspector draws from one commitment a second time. The first draw stands."""
    # --- of the opening
    NOT_OPENED = "not-opened"
    """A packet that was drawn was not opened in time."""
    OPENED_LATE = "opened-late"
    """The opening came after its time. What it holds counts as refused."""
    OPENING_OTHER = "opening-other"
    """It answers another draw, or comes from another reporter, run or stretch."""
    OPENING_UNREADABLE = "opening-unreadable"
    """The openings are not there, or are not a record of ours, or hold other packets than the statement names."""
    NOT_DRAWN = "not-drawn"
    """A packet was opened that was not drawn. It counts for nothing."""
    LEAF_DIFFERS = "leaf-differs"
    """What was opened is not what was committed to: salt, times, FLOP or content differ from the list."""
    HEADER_DIFFERS = "header-differs"
    """The header is not the one that was committed to."""

    @property
    def side(self) -> Side:
        return Side.PROVER if self in _OF_PROVER else Side.VERIFIER


_OF_PROVER = frozenset(
    {
        Fault.LIST_UNREADABLE, Fault.LIST_DIFFERS, Fault.LIST_EMPTY, Fault.COMMITTED_LATE, Fault.COMMITMENT_REPEATED,
        Fault.CHAIN_BROKEN,
        Fault.NOT_OPENED, Fault.OPENED_LATE, Fault.OPENING_OTHER, Fault.OPENING_UNREADABLE, Fault.NOT_DRAWN,
        Fault.LEAF_DIFFERS, Fault.HEADER_DIFFERS,
    }
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Found:
    """One fault: what, in words, and of which packet or statement."""

    fault: Fault
    detail: str
    packet: int | None = None
    statement: str | None = None

    def __str__(self) -> str:
        return f"{self.fault.value}: {self.detail}"
