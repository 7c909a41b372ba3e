"""What the tests of the processor share: a processor on a software device, without a server to hold."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from inspectorate.evidence import Origin
from inspectorate.keys import SigningKey
from inspectorate.lab.guard_signers import RuleTerms, Signers, first_ruleset, licence, signed_licence
from inspectorate.mechanisms.guarantee.attestation.software import SoftwareDevice
from inspectorate.mechanisms.guarantee.events import Refusal
from inspectorate.mechanisms.guarantee.interlock.gate import Asked
from inspectorate.mechanisms.guarantee.licences.types import LICENCE_KIND
from inspectorate.mechanisms.guarantee.machine import transitions
from inspectorate.mechanisms.guarantee.machine.store import Loaded, Store
from inspectorate.mechanisms.guarantee.machine.transitions import Identity
from inspectorate.mechanisms.guarantee.metering.types import MeterKind
from inspectorate.mechanisms.guarantee.outlet.budget import plan_of
from inspectorate.mechanisms.guarantee.outlet.opening import Sealed
from inspectorate.mechanisms.guarantee.outlet.outlet import Outlet
from inspectorate.mechanisms.guarantee.processor.gate import MachineGate
from inspectorate.mechanisms.guarantee.processor.keeper import Keeper, Surroundings, begin
from inspectorate.mechanisms.guarantee.processor.reports import StatementSealer
from inspectorate.mechanisms.guarantee.rulesets.types import RULESET_KIND, ListedModel, Ruleset
from inspectorate.mechanisms.guarantee.signing import SignedDocument, parse_document

MODEL = b"weights" * 100
CONTENT = f"sha256:{hashlib.sha256(MODEL).hexdigest()}"
START = datetime(2026, 1, 1, tzinfo=UTC)
BUDGETS = {MeterKind.FLOP: 1e9, MeterKind.BYTES_OUT: 1e8, MeterKind.WALL_S: 1000.0}
BUILD = f"sha256:{'b' * 64}"


@dataclass
class Kept:
    """A sink that keeps what it is given."""

    sealed: list[Sealed] = field(default_factory=list)

    def put(self, sealed: Sealed) -> None:
        self.sealed.append(sealed)


@dataclass
class Life:
    """One processor over its restarts."""

    folder: Path
    signers: Signers
    ruleset: Ruleset
    now: datetime = START
    log: list[tuple[str, Refusal]] = field(default_factory=list)
    sink: Kept = field(default_factory=Kept)
    store: Store | None = None

    @classmethod
    def make(cls, folder: Path, signers: Signers) -> Life:
        model = ListedModel(name="toy", content=CONTENT, size_bytes=len(MODEL), flop_per_token=1e5)
        return cls(
            folder=folder, signers=signers, ruleset=first_ruleset(signers, RuleTerms(models=(model,)), now=START)
        )

    @property
    def device(self) -> SoftwareDevice:
        return SoftwareDevice.open(self.folder / "device")

    def start(self) -> tuple[Keeper, Loaded]:
        """A start: the store is loaded, and the baseline put in force if there is none."""
        device = self.device
        self.store = Store(self.folder / "state", device, key=bytes(32), born=None)
        me = Identity(device=device.device_id, build=BUILD, baseline=self.ruleset.digest)
        around = Surroundings(me=me, store=self.store, clock=lambda: self.now, entropy=os.urandom, log=self._note)
        loaded = self.store.load()
        keeper, _ = begin(around, loaded)
        key = SigningKey(bytes(32))
        sealer = StatementSealer(reporter="guard", key=key, device=device, origin=Origin.SIMULATED)
        keeper.door = Outlet(
            plan=plan_of(keeper.state.ruleset), sink=self.sink, sealer=sealer, state=keeper.outlet, now=self.now
        )
        if keeper.state.ruleset is None and not keeper.state.distrusted:
            keeper.take("baseline", transitions.install(keeper.state, me, self.baseline, keeper.moment()))
        return keeper, loaded

    def stop(self) -> None:
        """The process is gone, told or not."""
        assert self.store is not None, "it runs"
        self.store.close()

    @property
    def baseline(self) -> SignedDocument:
        return SignedDocument(kind=RULESET_KIND, payload=self.ruleset.canonical_bytes(), signatures=())

    def licence(self, keeper: Keeper, sequence: int, budgets: dict[MeterKind, float]) -> SignedDocument:
        made = signed_licence(self.signers, licence(keeper.me.device, sequence, budgets, now=START))
        return parse_document(made, kind=LICENCE_KIND, where="licence")

    def apply(self, keeper: Keeper, document: SignedDocument) -> transitions.Step:
        return keeper.take("apply", transitions.apply_licence(keeper.state, keeper.me, document, keeper.moment()))

    def later(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def _note(self, what: str, refusals: Sequence[Refusal]) -> None:
        self.log.extend((what, one) for one in refusals)


def serving(life: Life) -> tuple[Keeper, MachineGate]:
    """A processor that serves its model under one licence."""
    keeper, _ = life.start()
    life.apply(keeper, life.licence(keeper, 1, BUDGETS))
    gate = MachineGate(keeper=keeper, draws=lambda: False)
    assert isinstance(gate.begin_upload(CONTENT, len(MODEL)), ListedModel)
    assert gate.end_upload(True, CONTENT, len(MODEL)) is None
    return keeper, gate


def asked(life: Life, *, tokens: int = 10) -> Asked:
    return Asked(path="/v1/completions", request_bytes=200, tokens_in_max=20, tokens_max=tokens, at=life.now)
