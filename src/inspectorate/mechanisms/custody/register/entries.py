"""One change after the other, entered into the holdings; what does not fit is named (rules: `judge`)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from inspectorate.evidence.custody import (
    ChipsAcquired,
    ChipsMoved,
    ChipsReported,
    ChipState,
    DestructionCertified,
    Passage,
    TransferNotified,
)
from inspectorate.mechanisms.custody.register.faults import FEW, Fault, Found
from inspectorate.mechanisms.custody.register.holdings import AWAY, DESTROYED, NOT_YET, UNDER_WAY, VANISHED, Holdings
from inspectorate.mechanisms.custody.register.reading import Changed, Handed
from inspectorate.mechanisms.custody.register.table import Register
from inspectorate.mechanisms.custody.register.transfers import Said, Transfer, Transfers
from inspectorate.mechanisms.custody.register.universe import Chips, Names, Universe
from inspectorate.quantities import to_ns

Mask = NDArray[np.bool_]


class Entries:
    """The books, being entered."""

    def __init__(self, universe: Universe, transfers: Transfers) -> None:
        self.universe = universe
        self.transfers = transfers
        self.holdings = Holdings(len(universe))
        self.sites, self._models, self._owners = Names(), Names(), Names()
        self._broken = np.zeros(len(universe), dtype=bool)
        self._excused = np.zeros(len(universe), dtype=bool)
        """Of which a change was wrong that said where they went: the next register says it."""
        self.opened = False
        self.dark = False
        """Something could not be read since the last register that could."""
        self.acquired = self.destroyed = self.away = 0
        self.found: list[Found] = []

    @property
    def _lenient(self) -> bool:
        return self.dark or not self.opened

    def say(
        self, fault: Fault, detail: str, digest: str, chips: Chips | None = None, at: datetime | None = None
    ) -> None:
        """Name a fault, unless it is one of chips and there are none."""
        if chips is not None and not len(chips):
            return
        few = () if chips is None else tuple(self.universe.names[one] for one in np.unique(chips)[:FEW].tolist())
        count = 0 if chips is None else len(chips)
        self.found.append(Found(fault=fault, detail=detail, statements=(digest,), serials=few, chips=count, at=at))

    # --- registers

    def register(self, handed: Handed, listed: Chips) -> None:
        """Hold a register against the holdings, and take it as it stands. `listed`: its chips, row by row."""
        assert handed.register is not None
        at = handed.said.period.end
        chips, rows = self._distinct(listed, handed.digest, at)
        site = self.sites.of(handed.register, "site")[rows]
        present = np.zeros(len(self.universe), dtype=bool)
        present[chips] = True
        gone = np.flatnonzero((self.holdings.place >= 0) & ~present)
        if not self.dark:
            self._compare(handed, chips, site)
            self.say(Fault.VANISHED, "since the register before", handed.digest, gone, at)
        self._compare_columns(handed, chips, rows)
        self.holdings.move(gone, VANISHED, to_ns(at))
        self.holdings.move(chips, site, to_ns(at))
        self._excused[:] = False
        self.opened, self.dark = True, False

    def _compare(self, handed: Handed, chips: Chips, site: NDArray[np.int32]) -> None:
        place, at = self.holdings.place[chips], handed.said.period.end
        new = (place == NOT_YET) | (place == VANISHED) if self.opened else place == VANISHED
        moved = (place >= 0) & (place != site) & ~self._excused[chips]
        for fault, which, detail in (
            (Fault.APPEARED, new, "no statement says where they came from"),
            (Fault.BOTH, place == UNDER_WAY, "they left, and have not arrived"),
            (Fault.RETURNED, place == DESTROYED, "their destruction was certified"),
            (Fault.BACK, place == AWAY, "they went to another party"),
            (Fault.ELSEWHERE, moved, self._places(place[moved], site[moved])),
        ):
            self.say(fault, detail, handed.digest, chips[which], at)

    def _places(self, before: NDArray[np.int32], now: NDArray[np.int32]) -> str:
        """For people: the first few ways."""
        ways = sorted(set(zip(before.tolist(), now.tolist(), strict=True)))[:3]
        return "; ".join(f"from {self.sites.names[a]} to {self.sites.names[b]}" for a, b in ways)

    def _compare_columns(self, handed: Handed, chips: Chips, rows: NDArray[np.int64]) -> None:
        """Model, owner and state against what was said before; then they are as the register has them."""
        assert handed.register is not None
        at, here = handed.said.period.end, self.holdings.place[chips] >= 0
        model = self._models.of(handed.register, "model")[rows]
        owner = self._owners.of(handed.register, "owner")[rows]
        broken = _broken(handed.register)[rows]
        self._model_changed(chips, model, handed.digest, at)
        if not self._lenient:
            known = here & (self.holdings.owner[chips] >= 0)
            changed = known & (self.holdings.owner[chips] != owner)
            self.say(Fault.OWNER_CHANGED, "since the register before", handed.digest, chips[changed], at)
            changed = here & (self._broken[chips] != broken)
            self.say(Fault.STATE_CHANGED, "since the register before", handed.digest, chips[changed], at)
        self.holdings.model[chips], self.holdings.owner[chips], self._broken[chips] = model, owner, broken

    def _model_changed(self, chips: Chips, model: NDArray[np.int32], digest: str, at: datetime) -> None:
        before = self.holdings.model[chips]
        changed = (before >= 0) & (before != model)
        ways = sorted(set(zip(before[changed].tolist(), model[changed].tolist(), strict=True)))[:3]
        names = self._models.names
        self.say(Fault.MODEL_CHANGED, "; ".join(f"from {names[a]} to {names[b]}" for a, b in ways), digest,
                 chips[changed], at)  # fmt: skip

    # --- changes

    def change(self, changed: Changed, chips: Chips | None) -> None:
        """Enter one change. Without chips it could not be read."""
        said = changed.said
        if isinstance(said, TransferNotified):
            target = AWAY if said.to_site is None else self.sites.number(said.to_site)
            self._all(self.transfers.notify(changed.digest, said, chips, target), changed, None, said.notified_at)
            return
        if chips is None:
            self.dark = True
            one = self.transfers.get(said.transfer) if isinstance(said, ChipsMoved) else None
            if one is not None:
                one.unread = True
            return
        match said:
            case ChipsAcquired():
                self._acquire(changed, said, chips)
            case ChipsReported():
                self._report(changed, said, chips)
            case ChipsMoved():
                self._pass(changed, said, chips)
            case DestructionCertified():
                self._destroy(changed, said, chips)

    def _acquire(self, changed: Changed, said: ChipsAcquired, listed: Chips) -> None:
        assert changed.rows is not None
        at, register = said.acquired_at, changed.rows
        chips, rows = self._distinct(listed, changed.digest, at)
        site, owner = self.sites.of(register, "site")[rows], self._owners.of(register, "owner")[rows]
        model = self._models.of(register, "model")[rows]
        place = self.holdings.place[chips]
        sold = (place == site) & (self.holdings.owner[chips] != owner)
        again = self.holdings.held(chips) & ~sold
        if not self.dark:
            self.say(Fault.ACQUIRED_HELD, f"sold by {said.seller[:80]}", changed.digest, chips[again], at)
        self.say(Fault.RETURNED, "their destruction was certified", changed.digest, chips[place == DESTROYED], at)
        self._model_changed(chips, model, changed.digest, at)
        new = ~self.holdings.held(chips)
        self.acquired += int(new.sum())
        self.holdings.move(chips[new], site[new], to_ns(at))
        self.holdings.model[chips], self.holdings.owner[chips] = model, owner
        self._broken[chips[new]] = _broken(register)[rows][new]

    def _report(self, changed: Changed, said: ChipsReported, chips: Chips) -> None:
        self._not_held(changed, chips, said.reported_at)
        if said.state is ChipState.DESTROYED:
            detail = "no inspector saw it: they count as working"
            self.say(Fault.DESTROYED_UNCERTIFIED, detail, changed.digest, chips, said.reported_at)
        else:
            self._broken[chips] = said.state is ChipState.BROKEN

    def _destroy(self, changed: Changed, said: DestructionCertified, chips: Chips) -> None:
        if not changed.independent:
            detail = f"the prover holds the key of {said.by}: they count as working"
            self.say(Fault.CERTIFICATE_OWN, detail, changed.digest, chips, said.certified_at)
            return
        self._not_held(changed, chips, said.certified_at)
        self.destroyed += int(self.holdings.held(chips).sum())
        self.holdings.move(chips, DESTROYED, to_ns(said.certified_at))

    def _not_held(self, changed: Changed, chips: Chips, at: datetime) -> None:
        if not self._lenient:
            self.say(Fault.NOT_HELD, "at that time", changed.digest, chips[~self.holdings.held(chips)], at)

    # --- transfers

    def _pass(self, changed: Changed, said: ChipsMoved, chips: Chips) -> None:
        one = self.transfers.get(said.transfer)
        if one is None:
            detail = f"chips {said.passage.value} under a notice {said.transfer[:19]}… that is not there"
            self.say(Fault.TRANSFER_UNKNOWN, detail, changed.digest, chips, said.moved_at)
            self._excused[chips] = True
        elif said.passage is Passage.LEFT:
            self._leave(changed, said, chips, one)
        else:
            self._arrive(changed, said, chips, one)

    def _leave(self, changed: Changed, said: ChipsMoved, chips: Chips, one: Transfer) -> None:
        at, name = said.moved_at, one.said.transfer
        self._all(self.transfers.leaves(one, said), changed, chips, at)
        self.say(Fault.NOT_NOTIFIED, f"in transfer {name}", changed.digest, chips[~one.listed(chips)], at)
        if not self._lenient:
            place, start = self.holdings.place[chips], self.sites.number(one.said.from_site)
            other = ((place >= 0) & (place != start)) | (place == UNDER_WAY)
            self.say(Fault.LEFT_ELSEWHERE, f"transfer {name} begins at {one.said.from_site}", changed.digest,
                     chips[other], at)  # fmt: skip
            self._not_held(changed, chips, at)
        self.holdings.move(chips, UNDER_WAY, to_ns(at))
        self.holdings.transfer[chips] = one.number
        self.holdings.left_ns[chips] = to_ns(at)

    def _arrive(self, changed: Changed, said: ChipsMoved, chips: Chips, one: Transfer) -> None:
        at, name, holdings = said.moved_at, one.said.transfer, self.holdings
        known: Mask = (holdings.place[chips] == UNDER_WAY) & (holdings.transfer[chips] == one.number)
        if not self._lenient and not one.unread:
            detail = f"they had not left under transfer {name}"
            self.say(Fault.ARRIVED_UNLEFT, detail, changed.digest, chips[~known], at)
        late = known & (to_ns(at) - holdings.left_ns[chips] > self.transfers.late_after_ns())
        self.say(Fault.ARRIVED_LATE, f"transfer {name}", changed.digest, chips[late], at)
        self._all(self.transfers.arrives(one, said), changed, chips, at)
        if one.to_party:
            self.away += int(holdings.held(chips).sum())
        holdings.move(chips, one.target, to_ns(at))
        if not ((holdings.place == UNDER_WAY) & (holdings.transfer == one.number)).any():
            self._all(self.transfers.completed(one), changed, None, at)

    def _all(self, said: Said, changed: Changed, chips: Chips | None, at: datetime) -> None:
        for fault, detail in said:
            self.say(fault, detail, changed.digest, chips, at)

    def _distinct(self, listed: Chips, digest: str, at: datetime) -> tuple[Chips, NDArray[np.int64]]:
        """Each chip once, and its first row."""
        chips, rows, times = np.unique(listed, return_index=True, return_counts=True)
        self.say(Fault.TWICE, "in one list", digest, chips[times > 1], at)
        return chips, rows


def _broken(register: Register) -> Mask:
    state = register.column("state")
    names: Sequence[bool] = [name == ChipState.BROKEN for name in state.names] or [False]
    return np.array(names)[state.codes]
