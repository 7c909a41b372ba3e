"""Double entry the slow, obvious way: one dictionary entry per chip, one chip after the other. The oracle of the columnar judge.

It says which faults of double entry and of transfers there are, statement by statement; chains, clocks and what cannot be read are
checked elsewhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from inspectorate.evidence.custody import (
    ChipsAcquired,
    ChipsMoved,
    ChipsReported,
    DestructionCertified,
    Passage,
    TransferNotified,
)
from inspectorate.mechanisms.custody.register.faults import Fault
from inspectorate.mechanisms.custody.register.judge import Terms
from inspectorate.mechanisms.custody.register.reading import Books, Changed, Handed

Said = Counter[tuple[Fault, str, frozenset[str]]]


@dataclass
class Chip:
    """What is known of one serial."""

    place: str = "nowhere"
    """`site NAME`, or a word."""
    model: str = ""
    owner: str = ""
    broken: bool = False
    transfer: str = ""
    left: datetime | None = None
    excused: bool = False

    @property
    def held(self) -> bool:
        return self.place.startswith("site ") or self.place == "under way"


@dataclass
class Way:
    """What is known of one transfer."""

    said: TransferNotified
    listed: set[str]
    left_seals: set[str] = field(default_factory=set)
    arrived_seals: set[str] = field(default_factory=set)


class Slow:
    """The books, chip by chip."""

    def __init__(self, books: Books, terms: Terms) -> None:
        self.books, self.terms = books, terms
        self.chips: dict[str, Chip] = {}
        self.ways: dict[str, Way] = {}
        self.names: set[str] = set()
        self.opened = False
        self.faults: dict[tuple[Fault, str], set[str]] = {}
        self.others: Counter[tuple[Fault, str]] = Counter()

    def say(self, fault: Fault, digest: str, serial: str) -> None:
        self.faults.setdefault((fault, digest), set()).add(serial)

    def chip(self, serial: str) -> Chip:
        return self.chips.setdefault(serial, Chip())

    def run(self) -> Said:
        events: list[tuple[tuple[datetime, int, str], Handed | Changed]] = [
            *(((one.said.period.end, 0, one.digest), one) for one in self.books.handed),
            *(((*_when(one), one.digest), one) for one in self.books.changes),
        ]
        for _, one in sorted(events, key=lambda pair: pair[0]):
            if isinstance(one, Handed):
                self.register(one)
            else:
                self.change(one)
        for serial, chip in self.chips.items():
            if chip.place == "under way" and chip.left is not None:
                away = (self.terms.as_of - chip.left).total_seconds()
                if away > self.terms.clause.under_way_s_max:
                    self.say(Fault.OVERDUE, chip.transfer, serial)
        said: Said = Counter()
        for (fault, digest), serials in self.faults.items():
            said[fault, digest, frozenset(serials)] += 1
        for (fault, digest), times in self.others.items():
            said[fault, digest, frozenset()] += times
        return said

    def register(self, handed: Handed) -> None:
        assert handed.register is not None
        rows = handed.register.chips(range(len(handed.register)))
        first: dict[str, int] = {}
        for number, row in enumerate(rows):
            if row.serial in first:
                self.say(Fault.TWICE, handed.digest, row.serial)
            else:
                first[row.serial] = number
        for serial, chip in self.chips.items():
            if chip.place.startswith("site ") and serial not in first:
                self.say(Fault.VANISHED, handed.digest, serial)
                chip.place = "vanished"
                chip.excused = False
        for serial, number in first.items():
            row, chip = rows[number], self.chip(serial)
            there = f"site {row.site}"
            match chip.place:
                case "nowhere":
                    if self.opened:
                        self.say(Fault.APPEARED, handed.digest, serial)
                case "vanished":
                    self.say(Fault.APPEARED, handed.digest, serial)
                case "under way":
                    self.say(Fault.BOTH, handed.digest, serial)
                case "destroyed":
                    self.say(Fault.RETURNED, handed.digest, serial)
                case "away":
                    self.say(Fault.BACK, handed.digest, serial)
                case place:
                    if place != there and not chip.excused:
                        self.say(Fault.ELSEWHERE, handed.digest, serial)
            if chip.model and chip.model != row.model:
                self.say(Fault.MODEL_CHANGED, handed.digest, serial)
            if self.opened and chip.place.startswith("site "):
                if chip.owner and chip.owner != row.owner:
                    self.say(Fault.OWNER_CHANGED, handed.digest, serial)
                if chip.broken != (row.state == "broken"):
                    self.say(Fault.STATE_CHANGED, handed.digest, serial)
            chip.model, chip.owner, chip.broken = row.model, row.owner, row.state == "broken"
            chip.place = there
        for chip in self.chips.values():
            chip.excused = False
        self.opened = True

    def change(self, one: Changed) -> None:
        said = one.said
        serials = list(one.serials.to_pylist()) if one.serials is not None else []
        match said:
            case ChipsAcquired():
                self.acquire(one)
            case ChipsReported():
                for serial in serials:
                    self.held(serial, one.digest)
                    if said.state == "destroyed":
                        self.say(Fault.DESTROYED_UNCERTIFIED, one.digest, serial)
                    else:
                        self.chip(serial).broken = said.state == "broken"
            case DestructionCertified():
                for serial in serials:
                    if one.independent:
                        self.held(serial, one.digest)
                        self.chip(serial).place = "destroyed"
                    else:
                        self.say(Fault.CERTIFICATE_OWN, one.digest, serial)
            case TransferNotified():
                self.ways[one.digest] = Way(said, set(serials))
                if said.transfer in self.names:
                    self.others[Fault.TRANSFER_REPEATED, one.digest] += 1
                self.names.add(said.transfer)
                if (said.begins_at - said.notified_at).total_seconds() < self.terms.clause.transfer_notice_s:
                    self.others[Fault.NOTICE_SHORT, one.digest] += 1
            case ChipsMoved():
                if said.transfer not in self.ways:
                    for serial in serials:
                        self.say(Fault.TRANSFER_UNKNOWN, one.digest, serial)
                        self.chip(serial).excused = True
                elif said.passage is Passage.LEFT:
                    self.leave(one, said, serials)
                else:
                    self.arrive(one, said, serials)

    def held(self, serial: str, digest: str) -> None:
        if self.opened and not self.chip(serial).held:
            self.say(Fault.NOT_HELD, digest, serial)

    def acquire(self, one: Changed) -> None:
        assert one.rows is not None
        seen = set()
        for row in one.rows.chips(range(len(one.rows))):
            if row.serial in seen:
                self.say(Fault.TWICE, one.digest, row.serial)
                continue
            seen.add(row.serial)
            chip = self.chip(row.serial)
            if chip.place == "destroyed":
                self.say(Fault.RETURNED, one.digest, row.serial)
            sale = chip.place == f"site {row.site}" and chip.owner != row.owner
            if chip.held and not sale:
                self.say(Fault.ACQUIRED_HELD, one.digest, row.serial)
            if chip.model and chip.model != row.model:
                self.say(Fault.MODEL_CHANGED, one.digest, row.serial)
            if not chip.held:
                chip.place, chip.broken = f"site {row.site}", row.state == "broken"
            chip.model, chip.owner = row.model, row.owner

    def leave(self, one: Changed, said: ChipsMoved, serials: Iterable[str]) -> None:
        way = self.ways[said.transfer]
        words: dict[str, bool] = {}
        decided = [d for d in self.books.decisions if d.said.transfer == said.transfer and d.independent]
        for decision in sorted(decided, key=lambda d: d.said.decided_at):
            if decision.said.decided_at <= said.moved_at:
                words[decision.inspector] = decision.said.approved
        way.left_seals |= set(said.seals)
        for serial in serials:
            chip = self.chip(serial)
            if said.moved_at < way.said.begins_at:
                self.say(Fault.LEFT_EARLY, one.digest, serial)
            if not all(words.values()):
                self.say(Fault.LEFT_REFUSED, one.digest, serial)
            elif len(words) < self.terms.clause.approvals_min:
                self.say(Fault.LEFT_UNAPPROVED, one.digest, serial)
            if serial not in way.listed:
                self.say(Fault.NOT_NOTIFIED, one.digest, serial)
            if self.opened:
                if not chip.held:
                    self.say(Fault.NOT_HELD, one.digest, serial)
                elif chip.place != f"site {way.said.from_site}":
                    self.say(Fault.LEFT_ELSEWHERE, one.digest, serial)
            chip.place, chip.transfer, chip.left = "under way", said.transfer, said.moved_at

    def arrive(self, one: Changed, said: ChipsMoved, serials: Iterable[str]) -> None:
        way, maximum = self.ways[said.transfer], self.terms.clause.under_way_s_max
        listed = list(serials)
        if set(said.seals) - way.left_seals:
            for serial in listed:
                self.say(Fault.SEALS_OTHER, one.digest, serial)
        way.arrived_seals |= set(said.seals)
        for serial in listed:
            chip = self.chip(serial)
            if chip.place == "under way" and chip.transfer == said.transfer:
                assert chip.left is not None
                if (said.moved_at - chip.left).total_seconds() > maximum:
                    self.say(Fault.ARRIVED_LATE, one.digest, serial)
            elif self.opened:
                self.say(Fault.ARRIVED_UNLEFT, one.digest, serial)
            chip.place = "away" if way.said.to_site is None else f"site {way.said.to_site}"
        going = any(one.place == "under way" and one.transfer == said.transfer for one in self.chips.values())
        if not going and way.left_seals - way.arrived_seals:
            self.others[Fault.SEALS_OTHER, one.digest] += 1
            way.arrived_seals |= way.left_seals


def _when(one: Changed) -> tuple[datetime, int]:
    said = one.said
    match said:
        case ChipsAcquired():
            return said.acquired_at, 1
        case ChipsReported():
            return said.reported_at, 2
        case TransferNotified():
            return said.notified_at, 3
        case ChipsMoved():
            return said.moved_at, 4 if said.passage is Passage.ARRIVED else 5
        case DestructionCertified():
            return said.certified_at, 6
    raise AssertionError(said)


def slow(books: Books, terms: Terms) -> Said:
    """Faults by kind, statement and chips."""
    return Slow(books, terms).run()
