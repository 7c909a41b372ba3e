"""Histories of a register as books, without keys: what happens is made up day by day, honestly, or with one thing wrong in it."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from inspectorate.agreement import ChipRegister, ClauseKind
from inspectorate.evidence import Origin
from inspectorate.evidence.custody import (
    ChipsAcquired,
    ChipsMoved,
    ChipsReported,
    ChipState,
    DestructionCertified,
    Passage,
    RegisterHanded,
    TransferDecided,
    TransferNotified,
)
from inspectorate.mechanisms.custody.register import Chip, Register, register_of, serials_of
from inspectorate.mechanisms.custody.register.judge import Terms
from inspectorate.mechanisms.custody.register.reading import Books, Changed, Decided, Handed
from inspectorate.quantities import Period

START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
NOTICE = 14
CLAUSE = ChipRegister(
    kind=ClauseKind.CHIP_REGISTER, first_within_s=120 * 86400, updated_every_s=90 * 86400,
    transfer_notice_s=NOTICE * 86400, approvals_min=2, under_way_s_max=5 * 86400,
)  # fmt: skip
KEEPER = "keeper"


def terms(as_of: datetime) -> Terms:
    return Terms(clause=CLAUSE, holds_from=START, as_of=as_of)


def digest(number: int) -> str:
    return "sha256:" + sha256(str(number).encode()).hexdigest()


def chip(serial: str, site: str = "site-a", **other: str) -> Chip:
    like = Chip(serial, "h100-sxm", site, f"{site}-c", f"{site}-p", "rack 1", "host 1", "owner", "working")
    return replace(like, **other)


def table(chips: Iterable[Chip]) -> Register:
    """A register of these chips, a serial twice included."""
    listed = list(chips)
    return register_of({name: [getattr(one, name) for one in listed] for name in Chip.__dataclass_fields__})


@dataclass
class Writer:
    """Statements of one keeper, one after the other."""

    keeper: str = KEEPER
    number: int = 0
    handed: list[Handed] = field(default_factory=list)
    changes: list[Changed] = field(default_factory=list)
    decisions: list[Decided] = field(default_factory=list)

    def books(self) -> Books:
        return Books(reporter=self.keeper, handed=tuple(self.handed), changes=tuple(self.changes),
                     decisions=tuple(self.decisions))  # fmt: skip

    def next(self) -> str:
        self.number += 1
        return digest(hash((self.keeper, self.number)) % 2**40 if self.keeper != KEEPER else self.number)

    def _report(self, at: datetime) -> dict[str, object]:
        return {"origin": Origin.SIMULATED, "reporter": self.keeper, "period": Period(start=at - DAY, end=at)}

    def hand(self, listed: Iterable[Chip], at: datetime, **other: object) -> Handed:
        register = table(listed)
        last = self.handed[-1] if self.handed else None
        start = last.said.period.end if last else START - DAY
        said = RegisterHanded.model_validate({
            "origin": Origin.SIMULATED, "reporter": self.keeper, "period": Period(start=min(start, at - DAY), end=at),
            "chain": "chain", "sequence": len(self.handed), "previous": last.digest if last else None,
            "chips": len(register), "handed_at": at, **other,
        })  # fmt: skip
        self.handed.append(Handed(digest=self.next(), said=said, register=register))
        return self.handed[-1]

    def change(self, said: object, chips: Iterable[str], **other: object) -> str:
        name = self.next()
        listed = serials_of(set(chips))
        self.changes.append(Changed(digest=name, said=said, serials=listed, **other))  # type: ignore[arg-type]
        return name

    def acquire(self, chips: Sequence[Chip], at: datetime, seller: str = "maker") -> str:
        return self.bought(table(chips), at, seller)

    def bought(self, rows: Register, at: datetime, seller: str = "maker") -> str:
        name = self.next()
        said = ChipsAcquired.model_validate(
            {**self._report(at), "chips": len(rows), "seller": seller, "acquired_at": at}
        )
        self.changes.append(Changed(digest=name, said=said, serials=rows.serials, rows=rows))
        return name

    def report(self, chips: Sequence[str], state: ChipState, at: datetime) -> str:
        said = {**self._report(at), "chips": len(chips), "state": state, "reported_at": at}
        return self.change(ChipsReported.model_validate(said), chips)

    def notify(self, chips: Sequence[str], at: datetime, begins: datetime, **other: object) -> str:
        said = {
            **self._report(at), "transfer": f"t{self.number}", "chips": len(chips), "from_site": "site-a",
            "to_site": "site-b", "notified_at": at, "begins_at": begins, **other,
        }  # fmt: skip
        return self.change(TransferNotified.model_validate(said), chips)

    def decide(self, notice: str, by: str, at: datetime, *, approved: bool = True, independent: bool = True) -> None:
        said = TransferDecided(origin=Origin.SIMULATED, by=by, transfer=notice, approved=approved, decided_at=at)
        self.decisions.append(Decided(digest=self.next(), said=said, inspector=by, independent=independent))

    def move(self, notice: str, chips: Sequence[str], passage: Passage, at: datetime, seals: Sequence[str] = ()) -> str:
        said = {**self._report(at), "transfer": notice, "passage": passage, "chips": len(chips), "seals": tuple(seals),
                "moved_at": at}  # fmt: skip
        return self.change(ChipsMoved.model_validate(said), chips)

    def destroy(self, chips: Sequence[str], at: datetime, *, independent: bool = True) -> str:
        said = DestructionCertified(origin=Origin.SIMULATED, by="inspector-1", reporter=self.keeper, chips=len(chips),
                                    means="shredded", certified_at=at)  # fmt: skip
        return self.change(said, chips, independent=independent)


@dataclass
class Fleet:
    """An honest party: what it does, and what it states of it."""

    seed: int
    chips: int = 24
    days: int = 200
    writer: Writer = field(default_factory=Writer)
    now: dict[str, Chip] = field(default_factory=dict)
    serial: int = 0
    under_way: list[tuple[datetime, str, list[Chip], str, tuple[str, ...]]] = field(default_factory=list)
    planned: list[tuple[datetime, str, list[str], str, str | None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    def run(self) -> Books:
        """All of it. The books have no fault."""
        for _ in range(self.chips):
            one = self._fresh()
            self.now[one.serial] = one
        due = START + DAY
        for day in range(1, self.days):
            at = START + day * DAY
            if at >= due:  # as it stands at the beginning of the day, before anything happens
                self.writer.hand(self.now.values(), at)
                due = at + self.random.randrange(10, 80) * DAY
            self._day(at + timedelta(hours=self.random.randrange(1, 20)))
        return self.writer.books()

    def _fresh(self) -> Chip:
        self.serial += 1
        return chip(f"S{self.serial:04d}", self.random.choice(SITES))

    def _day(self, at: datetime) -> None:
        self._arrivals(at - timedelta(minutes=30))
        self._departures(at)
        what = self.random.random()
        here = sorted(self.now)
        if what < 0.08:
            new = [self._fresh() for _ in range(self.random.randrange(1, 4))]
            self.writer.acquire(new, at)
            self.now.update((one.serial, one) for one in new)
        elif what < 0.16 and here:
            some = self.random.sample(here, min(2, len(here)))
            state = self.random.choice([ChipState.BROKEN, ChipState.WORKING])
            self.writer.report(some, state, at)
            self.now.update((one, replace(self.now[one], state=state.value)) for one in some)
        elif what < 0.20 and len(here) > 6:
            planned = {one for plan in self.planned for one in plan[2]}
            gone = [one for one in self.random.sample(here, 2) if one not in planned]
            if gone:
                self.writer.destroy(gone, at)
                for one in gone:
                    del self.now[one]
        elif what < 0.30:
            self._notify(at)
        elif what < 0.35 and here:
            # Within a site chips may be put elsewhere; and hands may change, if that is said.
            one = self.random.choice(here)
            sold = replace(self.now[one], owner=self.random.choice(["owner", "other"]))
            if sold != self.now[one]:
                self.writer.acquire([sold], at, seller=self.now[one].owner)
            self.now[one] = replace(sold, rack=f"rack {self.random.randrange(5)}")

    def _notify(self, at: datetime) -> None:
        planned = {one for plan in self.planned for one in plan[2]}
        site = self.random.choice(SITES)
        there = [name for name, one in sorted(self.now.items()) if one.site == site and name not in planned]
        if not there:
            return
        some = self.random.sample(there, self.random.randrange(1, len(there) + 1))
        to = self.random.choice([one for one in SITES if one != site] + ["party-b"])
        where = {"to_site": None, "to_party": to} if to == "party-b" else {"to_site": to}
        begins = at + (NOTICE + self.random.randrange(3)) * DAY
        notice = self.writer.notify(some, at, begins, from_site=site, **where)
        if self.random.random() < 0.15:
            self.writer.decide(notice, "inspector-1", at + DAY, approved=False)
            return
        self.writer.decide(notice, "inspector-1", at + DAY)
        self.writer.decide(notice, "inspector-2", at + 2 * DAY)
        self.planned.append((begins, notice, some, to, site))

    def _departures(self, at: datetime) -> None:
        for plan in [one for one in self.planned if one[0] <= at]:
            self.planned.remove(plan)
            _, notice, some, to, _ = plan
            leaving = [one for one in some if one in self.now]
            if not leaving:
                continue
            half = self.random.randrange(1, len(leaving) + 1)
            for part, minutes in ((leaving[:half], 1), (leaving[half:], 2)):
                if part:
                    seals = tuple(f"seal-{notice[7:15]}-{minutes}-{n}" for n in range(self.random.randrange(3)))
                    self.writer.move(notice, part, Passage.LEFT, at + timedelta(minutes=minutes), seals)
                    chips = [self.now.pop(one) for one in part]
                    arrives = at + self.random.randrange(1, 4) * DAY
                    self.under_way.append((arrives, notice, chips, to, seals))

    def _arrivals(self, at: datetime) -> None:
        for way in [one for one in self.under_way if one[0] <= at]:
            self.under_way.remove(way)
            _, notice, chips, to, seals = way
            self.writer.move(notice, [one.serial for one in chips], Passage.ARRIVED, at, seals)
            if to != "party-b":
                self.now.update((one.serial, replace(one, site=to, cluster=f"{to}-c", pod=f"{to}-p")) for one in chips)


SITES = ("site-a", "site-b", "site-c")
