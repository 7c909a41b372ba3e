"""Transfers: notice in time, approvals before chips leave, the same chips and seals at both ends, arrival in time.

- Notice counts from the notice to the time at which the transfer is to begin, and again to when chips really leave.
- Approvals are counted by key, not by name, and only of inspectors whose key the prover does not hold. The last word of each
  inspector before chips left is the one that counts; one standing refusal forbids the transfer.
- Chips may leave and arrive in several parts. Seals on arrival are those under which chips of this transfer left; when all have
  arrived, all seals have.
- A transfer to another party ends when the chips arrive there, by the word of either keeper.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from inspectorate.agreement import ChipRegister
from inspectorate.evidence.custody import ChipsMoved, TransferNotified
from inspectorate.mechanisms.custody.register.faults import Fault
from inspectorate.mechanisms.custody.register.holdings import AWAY
from inspectorate.mechanisms.custody.register.reading import Decided
from inspectorate.mechanisms.custody.register.universe import Chips

Said = list[tuple[Fault, str]]


@dataclass(kw_only=True, eq=False)
class Transfer:
    """One transfer as it goes on."""

    number: int
    digest: str
    said: TransferNotified
    chips: Chips | None
    """As notified, sorted; none: the list could not be read."""
    target: int
    """The site, or `AWAY`."""
    decisions: tuple[Decided, ...] = ()
    left_seals: set[str] = field(default_factory=set)
    arrived_seals: set[str] = field(default_factory=set)
    unread: bool = False
    """A departure or an arrival of it could not be read: nothing is said of what is missing at its other end."""

    @property
    def to_party(self) -> bool:
        return self.target == AWAY

    def listed(self, chips: Chips) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Whether the notice lists them."""
        if self.chips is None:
            return np.ones(len(chips), dtype=bool)
        return np.isin(chips, self.chips)


class Transfers:
    """All transfers of one register, by the digest of their notice."""

    def __init__(self, clause: ChipRegister, decisions: Iterable[Decided]) -> None:
        self._clause = clause
        self._decisions = tuple(decisions)
        self._by_digest: dict[str, Transfer] = {}
        self._names: dict[str, str] = {}
        self.all: list[Transfer] = []

    def notify(self, digest: str, said: TransferNotified, chips: Chips | None, target: int) -> Said:
        """Take up a notice, and say what is wrong with it."""
        one = Transfer(
            number=len(self.all), digest=digest, said=said, chips=None if chips is None else np.sort(chips),
            target=target, decisions=tuple(d for d in self._decisions if d.said.transfer == digest),
        )  # fmt: skip
        self.all.append(one)
        self._by_digest[digest] = one
        found: Said = []
        if said.transfer in self._names:
            found.append((Fault.TRANSFER_REPEATED, f"transfer {said.transfer} was notified before"))
        self._names.setdefault(said.transfer, digest)
        notice = (said.begins_at - said.notified_at).total_seconds()
        due = self._clause.transfer_notice_s
        if notice < due:
            found.append((Fault.NOTICE_SHORT, f"{_days(notice)} of notice where {_days(due)} are due"))
        return found

    def get(self, digest: str) -> Transfer | None:
        return self._by_digest.get(digest)

    def leaves(self, one: Transfer, moved: ChipsMoved) -> Said:
        """What is wrong with when chips left, and with whose approval."""
        found: Said = []
        if moved.moved_at < one.said.begins_at:
            found.append((Fault.LEFT_EARLY, f"before {one.said.begins_at:%Y-%m-%d %H:%M:%S} UTC, as notified"))
        words: dict[str, bool] = {}
        for decided in sorted(one.decisions, key=lambda decided: decided.said.decided_at):
            if decided.independent and decided.said.decided_at <= moved.moved_at:
                words[decided.inspector] = decided.said.approved
        approved, refused = sum(words.values()), sum(not word for word in words.values())
        if refused:
            found.append((Fault.LEFT_REFUSED, f"{refused} inspectors had refused transfer {one.said.transfer}"))
        elif approved < self._clause.approvals_min:
            detail = f"{approved} of {self._clause.approvals_min} approvals of transfer {one.said.transfer} by then"
            found.append((Fault.LEFT_UNAPPROVED, detail))
        one.left_seals |= set(moved.seals)
        return found

    def arrives(self, one: Transfer, moved: ChipsMoved) -> Said:
        """What is wrong with the seals on arrival."""
        other = sorted(set(moved.seals) - one.left_seals)
        one.arrived_seals |= set(moved.seals)
        if other and not one.unread:
            return [(Fault.SEALS_OTHER, f"seals that chips did not leave under: {', '.join(other[:8])}")]
        return []

    def completed(self, one: Transfer) -> Said:
        """What is wrong with the seals when nothing of it is under way any more."""
        missing = sorted(one.left_seals - one.arrived_seals)
        if missing and not one.unread:
            one.arrived_seals |= one.left_seals
            return [(Fault.SEALS_OTHER, f"seals that did not arrive: {', '.join(missing[:8])}")]
        return []

    def late_after_ns(self) -> int:
        """For how long chips may be under way."""
        return round(self._clause.under_way_s_max * 1e9)


def _days(seconds: float) -> str:
    return f"{seconds / 86_400:g} days"
