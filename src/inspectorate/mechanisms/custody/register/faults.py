"""The closed list of what can be wrong with a register and its changes, what each bears on, and what would mend it.

A fault is data: the judge never raises on what a payload holds. What cannot be read is never a breach: nothing that rests on it is
judged, and it says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

FEW = 8
"""Serials that a fault names; of the others it gives the number."""


class Bearing(StrEnum):
    """What a fault is about."""

    BREACH = "breach"
    """The party's own signed words do not fit together, or break the clause."""
    UNREAD = "unread"
    """Something is missing or cannot be read: nothing is known, and that is never fine."""


class Fault(StrEnum):
    """What is wrong."""

    # --- of what was handed over
    REGISTER_UNREAD = "register-unread"
    """The table of a register is not there, is not one, or is not the one that was signed for."""
    WIRING_UNREAD = "wiring-unread"
    CHANGE_UNREAD = "change-unread"
    """The list of chips of a change is not there, is not one, or is not the one that was signed for."""
    COUNT_OTHER = "count-other"
    """A statement says another number of chips than its list has."""
    TIME_OUTSIDE = "time-outside"
    """A statement dates what it says outside of the stretch of time of which it speaks."""
    # --- of the chain
    CHAIN_GAP = "chain-gap"
    """A register of the chain is not there."""
    CHAIN_FORKED = "chain-forked"
    """Two registers have one number: two truths were shown."""
    CHAIN_OTHER = "chain-other"
    """A register names another one as that before it, or stands earlier than that."""
    CHAIN_RESTARTED = "chain-restarted"
    """A second chain of registers was begun."""
    # --- of time
    FIRST_LATE = "first-late"
    UPDATE_LATE = "update-late"
    # --- of double entry
    TWICE = "twice"
    """A serial stands twice in one list."""
    APPEARED = "appeared"
    """Chips stand in a register, and nothing says where they came from."""
    VANISHED = "vanished"
    """Chips stood in the register before, and nothing says where they went."""
    ELSEWHERE = "elsewhere"
    """Chips stand at another site than the statements left them at."""
    BOTH = "in-two-places"
    """Chips stand at a site and are under way."""
    RETURNED = "returned"
    """Chips came back from destruction."""
    BACK = "back-from-transfer"
    """Chips stand here again that went to another party, and were not acquired again."""
    MODEL_CHANGED = "model-changed"
    OWNER_CHANGED = "owner-changed"
    """Without an acquisition that says so."""
    STATE_CHANGED = "state-changed"
    """Working or broken, other than was reported."""
    # --- of changes
    NOT_HELD = "not-held"
    """A change is of chips that are not in the register at that time."""
    ACQUIRED_HELD = "acquired-held"
    """Acquired, and held already by the same owner."""
    DESTROYED_UNCERTIFIED = "destroyed-uncertified"
    """Reported as destroyed by the party itself. They count as working."""
    CERTIFICATE_OWN = "certificate-own"
    """Destruction was certified with a key that the prover holds. They count as working."""
    # --- of transfers
    TRANSFER_UNKNOWN = "transfer-unknown"
    """Chips left or arrived under a notice that is not there."""
    TRANSFER_REPEATED = "transfer-repeated"
    """Two notices have one name."""
    NOTICE_SHORT = "notice-short"
    LEFT_EARLY = "left-early"
    """Before the time of the notice."""
    LEFT_UNAPPROVED = "left-unapproved"
    LEFT_REFUSED = "left-refused"
    """Although an inspector had refused."""
    NOT_NOTIFIED = "not-notified"
    """Chips left that the notice does not list."""
    LEFT_ELSEWHERE = "left-elsewhere"
    """Chips left from another place than the notice says, or were under way already."""
    ARRIVED_UNLEFT = "arrived-unleft"
    """Chips arrived that had not left under this notice."""
    ARRIVED_LATE = "arrived-late"
    OVERDUE = "overdue"
    """Chips left, and have not arrived in time."""
    SEALS_OTHER = "seals-other"
    """Chips arrived under seals that they had not left under, or without some."""
    # --- across registers
    HELD_TWICE = "held-twice"
    """One serial stands in two registers at the same time."""
    LOST_BETWEEN = "lost-between"
    """Chips went to another party, whose register does not have them."""


UNREAD = frozenset({Fault.REGISTER_UNREAD, Fault.WIRING_UNREAD, Fault.CHANGE_UNREAD, Fault.CHAIN_GAP})

MENDED_BY = MappingProxyType(
    {
        Fault.REGISTER_UNREAD: "hand over the table that was signed for",
        Fault.WIRING_UNREAD: "hand over the wiring that was signed for",
        Fault.CHANGE_UNREAD: "hand over the list that was signed for",
        Fault.COUNT_OTHER: "state the change again with the list that was meant",
        Fault.TIME_OUTSIDE: "state it again with a period that holds its time",
        Fault.CHAIN_GAP: "hand over the registers in between",
        Fault.CHAIN_FORKED: "say which of the two holds, and why there were two",
        Fault.CHAIN_OTHER: "hand over a register that follows the last one",
        Fault.CHAIN_RESTARTED: "go on with the first chain; a new one does not end the old one's account",
        Fault.FIRST_LATE: "hand over the first register, or say why it came late",
        Fault.UPDATE_LATE: "hand over a register as of now",
        Fault.TWICE: "look at the chips: two boards with one serial, or one board listed twice",
        Fault.APPEARED: "show by whom and when they were sold, in a ChipsAcquired",
        Fault.VANISHED: "show the chips, or a transfer, or a certificate of destruction",
        Fault.ELSEWHERE: "show the transfer, or count the chips at both sites",
        Fault.BOTH: "count the chips at the site, and state their arrival",
        Fault.RETURNED: "ask the inspector who certified; look at the chips",
        Fault.BACK: "state from whom they were acquired again",
        Fault.MODEL_CHANGED: "look at the chips: a serial belongs to one model",
        Fault.OWNER_CHANGED: "state the sale in a ChipsAcquired with the new owner",
        Fault.STATE_CHANGED: "state it in a ChipsReported",
        Fault.NOT_HELD: "state first how the chips came, or correct the list",
        Fault.ACQUIRED_HELD: "look at the chips: two boards with one serial, or one sale stated twice",
        Fault.DESTROYED_UNCERTIFIED: "let an inspector see the destroyed chips, and certify",
        Fault.CERTIFICATE_OWN: "let an inspector whose key the prover does not hold certify",
        Fault.TRANSFER_UNKNOWN: "show the notice",
        Fault.TRANSFER_REPEATED: "give every transfer a name of its own",
        Fault.NOTICE_SHORT: "notify again, early enough",
        Fault.LEFT_EARLY: "none: the chips are to be counted where they went",
        Fault.LEFT_UNAPPROVED: "none: the chips are to be counted where they went",
        Fault.LEFT_REFUSED: "none: the chips are to be counted where they went",
        Fault.NOT_NOTIFIED: "notify, and count the chips where they went",
        Fault.LEFT_ELSEWHERE: "state where they were, and count them",
        Fault.ARRIVED_UNLEFT: "state when they left, or count them where they are said to have been",
        Fault.ARRIVED_LATE: "say where they were meanwhile",
        Fault.OVERDUE: "show the chips",
        Fault.SEALS_OTHER: "look at the seals; count what arrived",
        Fault.HELD_TWICE: "count the chips in both places at the same time",
        Fault.LOST_BETWEEN: "ask the other party for its ChipsAcquired; count there",
    }
)


@dataclass(frozen=True, kw_only=True)
class Found:
    """One fault, with the chips that it is about."""

    fault: Fault
    detail: str
    statements: tuple[str, ...] = ()
    """Digests of envelopes."""
    serials: tuple[str, ...] = ()
    """The first few, sorted."""
    chips: int = 0
    """How many there are."""
    at: datetime | None = None

    @property
    def bearing(self) -> Bearing:
        return Bearing.UNREAD if self.fault in UNREAD else Bearing.BREACH

    @property
    def mended_by(self) -> str:
        return MENDED_BY[self.fault]

    def __str__(self) -> str:
        named = ", ".join(self.serials)
        more = f" and {self.chips - len(self.serials)} more" if self.chips > len(self.serials) else ""
        chips = f" ({self.chips} chips: {named}{more})" if self.chips else ""
        return f"{self.fault.value}: {self.detail}{chips}"
