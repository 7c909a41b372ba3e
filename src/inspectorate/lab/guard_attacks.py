"""Attacks on a guarantee processor that runs, one after the other: what each met, and how soon.

    another model, an extra megabyte, an exhausted licence, a replayed licence, a quorum with a repeated signer, a rolled-back
    ruleset, a killed processor, a restored snapshot of the disk; and, in the evidence, a replayed quote

The attacker is the machine's operator: it has root, the disk, and every document that was ever signed. Meanwhile clients ask
without pause. What the review then says of each is not this file's business.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from inspectorate.errors import EnvironmentError_
from inspectorate.lab.guard_bench import Clients, RunningGuard, frozen_within
from inspectorate.lab.guard_signers import (
    Signers,
    licence,
    next_ruleset,
    signed_licence,
    signed_resume,
    signed_ruleset,
)
from inspectorate.mechanisms.guarantee.events import EventKind
from inspectorate.mechanisms.guarantee.metering.types import MeterKind
from inspectorate.mechanisms.guarantee.processor.control import Answer
from inspectorate.mechanisms.guarantee.rulesets.types import Act, Ruleset

MEGABYTE = 1_000_000
LARGE = {MeterKind.FLOP: 1e17, MeterKind.BYTES_OUT: 1e10, MeterKind.WALL_S: 36_000.0}
SMALL_S = 2.0
"""Time that the licence allows which is to run out."""
WITHIN_S = 1.0
_WAIT_S = 30.0
_PAUSE_S = 0.01


@dataclass(frozen=True, kw_only=True)
class Met:
    """What one attack met."""

    attack: str
    expected: EventKind
    seconds: float
    """From the attack to the refusal, or until the work was held."""
    told: str

    @property
    def held(self) -> bool:
        """Whether it was refused as it should be, and within a second."""
        return self.seconds <= WITHIN_S and self.expected.value in self.told


@dataclass(kw_only=True)
class Attacks:
    """All attacks on one processor, with what an attacker has: every key but those of others, and all that was ever signed."""

    guard: RunningGuard
    signers: Signers
    ruleset: Ruleset
    approved: bytes
    other: bytes
    device: str
    clients: Clients
    met: list[Met] = field(default_factory=list)

    def run(self) -> None:
        """All of them. The processor runs, with no licence and no model yet; it stays halted at the end."""
        self.exhausted_licence()
        self.other_model()
        self.extra_megabyte()
        self.replayed_licence()
        self.repeated_signer()
        self.rolled_back_ruleset()
        self.killed()
        self.restored_snapshot()

    def begin(self) -> None:
        """No attack: a licence, the approved model, and clients who are served."""
        self._accepted(self.guard.ask("apply", document=self._licence(1, LARGE)))
        self._serves()

    # --- one each --------------------------------------------------------------------------------------------------------

    def exhausted_licence(self) -> None:
        """A ruleset with a higher minimum withdraws all but a small licence, which runs out while clients are served."""
        self.begin()
        self._accepted(self.guard.ask("apply", document=self._licence(2, {**LARGE, MeterKind.WALL_S: SMALL_S})))
        self._install(next_ruleset(self.ruleset, Act.NEW_GUARANTEE, licence_sequence_min=2))
        group = self.guard.group()
        with self._timed("an exhausted licence", EventKind.LICENCE_EXHAUSTED) as met:
            _until(lambda: _left(self.guard.status, MeterKind.WALL_S) <= 0.0)
            met.begins()
            frozen = frozen_within(group, WITHIN_S)
            met.ends()
            _until(lambda: any("licence-exhausted" in outcome for outcome in self.clients.outcomes))
            met.told = "licence-exhausted, work frozen" if frozen is not None else "the work was not frozen"
        self._accepted(self.guard.ask("apply", document=self._licence(3, LARGE)))
        self._is_served()

    def other_model(self) -> None:
        with self._timed("another model", EventKind.MODEL_REFUSED) as met:
            met.told = self.guard.upload(self.other)[1]
        self._is_served()

    def extra_megabyte(self) -> None:
        with self._timed("an extra megabyte of upload", EventKind.UPLOAD_EXCEEDED) as met:
            met.told = self.guard.upload(self.approved, more=bytes(MEGABYTE))[1]
        self._serves()

    def replayed_licence(self) -> None:
        with self._timed("a replayed licence", EventKind.LICENCE_REPLAYED) as met:
            met.told = _kinds(self.guard.ask("apply", document=self._licence(3, LARGE)))

    def repeated_signer(self) -> None:
        """Three signatures, by two signers."""
        document = signed_licence(
            self.signers, licence(self.device, 4, LARGE, now=_now()), ("north-1", "north-1", "south-1")
        )
        with self._timed("a quorum with a repeated signer", EventKind.SIGNER_REPEATED) as met:
            met.told = _kinds(self.guard.ask("apply", document=document))

    def rolled_back_ruleset(self) -> None:
        """A new list of models comes into force, and the one before is handed in again."""
        before = self.ruleset
        models = (*before.models, before.models[0].model_copy(update=_NOBODYS))
        self._install(next_ruleset(before, Act.LIST_MODELS, models=[model.model_dump() for model in models]))
        first = signed_ruleset(self.signers, before, tuple(self.signers.keys))
        with self._timed("a rolled-back ruleset", EventKind.RULESET_ROLLED_BACK) as met:
            met.told = _kinds(self.guard.ask("install", document=first))
        self._is_served()

    def killed(self) -> None:
        group = self.guard.group()
        with self._timed("a killed processor", EventKind.GUARD_LOST) as met:
            self.guard.kill()
            frozen = frozen_within(group, WITHIN_S)
            met.ends()
            self.guard.start()
            log = self.guard.log.read_text()
            said = "guard-lost at the next start" if EventKind.GUARD_LOST.value in log else "no loss was noticed"
            met.told = f"work frozen; {said}" if frozen is not None else "the work was not frozen"
        self._is_served()

    def restored_snapshot(self) -> None:
        """The disk is put back to what it was a while ago, with the licence as it was then."""
        state, kept = self.guard.folder / "state", self.guard.folder / "state.kept"
        self.guard.stop()
        shutil.copytree(state, kept)
        self.guard.start()
        self._is_served()
        self.guard.stop()
        shutil.rmtree(state)
        shutil.move(kept, state)
        self.guard.start()
        with self._timed("a restored snapshot of the disk", EventKind.STATE_ROLLED_BACK) as met:
            status = self.guard.status
            halt = status["halt"]
            assert isinstance(halt, dict), "it halted at its start"
            order = signed_resume(
                self.signers, self.device, str(halt["nonce"]), now=_now(), names=tuple(self.signers.keys)
            )
            resumed = _kinds(self.guard.ask("resume", document=order))
            met.told = (
                f"{halt['kind']}; an order to resume, signed by all: {resumed}; {self.guard.upload(self.approved)[1]}"
            )

    # --- what they share -------------------------------------------------------------------------------------------------

    def _licence(self, sequence: int, budgets: dict[MeterKind, float]) -> bytes:
        kept = self.guard.folder / f"licence-{sequence}.json"
        if not kept.exists():
            kept.write_bytes(signed_licence(self.signers, licence(self.device, sequence, budgets, now=_now())))
        return kept.read_bytes()

    def _install(self, ruleset: Ruleset) -> None:
        document = signed_ruleset(self.signers, ruleset, ("north-1", "south-1", "south-2", "agency-1"))
        self._accepted(self.guard.ask("install", document=document))
        self.ruleset = ruleset

    def _serves(self) -> None:
        """Upload the approved model and wait until somebody is served."""
        status, kind = self.guard.upload(self.approved)
        if status != 200:
            raise EnvironmentError_(f"the approved model was not taken: {status} {kind}", where=str(self.guard.folder))
        self._is_served()

    def _is_served(self) -> None:
        since = time.monotonic()
        _until(lambda: self.clients.served_at > since)

    def _accepted(self, told: Answer) -> None:
        if not told.get("ok"):
            raise EnvironmentError_(f"refused: {told}", where=str(self.guard.folder))

    @contextmanager
    def _timed(self, attack: str, expected: EventKind) -> Iterator[Timing]:
        timing = Timing()
        yield timing
        self.met.append(Met(attack=attack, expected=expected, seconds=timing.seconds, told=timing.told))


class Timing:
    """How long one attack took to be met; from its making, unless it says otherwise."""

    def __init__(self) -> None:
        self.told = ""
        self._began = time.monotonic()
        self._ended: float | None = None

    def begins(self) -> None:
        self._began = time.monotonic()

    def ends(self) -> None:
        self._ended = time.monotonic()

    @property
    def seconds(self) -> float:
        return (time.monotonic() if self._ended is None else self._ended) - self._began


_NOBODYS = {"name": "nobodys", "content": f"sha256:{'0' * 64}", "graph": None, "spread_max": None}


def _kinds(told: Answer) -> str:
    refusals = told.get("refusals")
    kinds = [str(one["kind"]) for one in refusals] if isinstance(refusals, list) else []
    return ", ".join(kinds) if not told.get("ok") else f"ACCEPTED {', '.join(kinds)}"


def _left(status: dict[str, object], meter: MeterKind) -> float:
    remaining = status["remaining"]
    assert isinstance(remaining, dict), "a status says what remains"
    return float(remaining.get(meter.value, 0.0))


def _until(holds: Callable[[], bool]) -> None:
    """Wait until something holds. Raises `EnvironmentError_` if it never does."""
    deadline = time.monotonic() + _WAIT_S
    while not holds():
        if time.monotonic() > deadline:
            raise EnvironmentError_(f"waited {_WAIT_S:g} s in vain")
        time.sleep(_PAUSE_S)


def _now() -> datetime:
    return datetime.now(UTC)
