"""The processor of the model: its real transitions and rules for saving, by name, so that a mutant can replace one of them.

`REAL` is what runs in the daemon, function for function. Where a transition asks for signatures or for the judgement of a ruleset,
the answer is kept and given again for the same arguments (`running`): these functions are pure, and an elliptic curve and a
lattice are too slow to be asked a million times. The first answer is that of the real function over the real signatures.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from types import ModuleType
from typing import Any

from inspectorate.mechanisms.guarantee.machine import ahead as saving
from inspectorate.mechanisms.guarantee.machine import serving, transitions
from inspectorate.mechanisms.guarantee.machine.state import GuardState
from inspectorate.mechanisms.guarantee.machine.transitions import Step
from inspectorate.mechanisms.guarantee.rulesets import quorum
from inspectorate.mechanisms.guarantee.rulesets.types import Ruleset
from inspectorate.mechanisms.guarantee.rulesets.update import Judged, judge_first, judge_update
from inspectorate.mechanisms.guarantee.signing import SignedDocument, verify_document


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What a processor does, and how its saves meet the disk."""

    start: Callable[..., Step] = transitions.start
    end: Callable[..., Step] = transitions.end
    install: Callable[..., Step] = transitions.install
    apply_licence: Callable[..., Step] = transitions.apply_licence
    halt: Callable[..., Step] = transitions.halt
    resume: Callable[..., Step] = transitions.resume
    begin_upload: Callable[..., Step] = serving.begin_upload
    end_upload: Callable[..., Step] = serving.end_upload
    unloaded: Callable[..., Step] = serving.unloaded
    admit: Callable[..., Step] = serving.admit
    settle: Callable[..., Step] = serving.settle
    tick: Callable[..., Step] = serving.tick
    rechecked: Callable[..., Step] = serving.rechecked
    ahead: Callable[..., GuardState] = saving.ahead
    covered: Callable[..., bool] = saving.covered
    raises_counter: bool = True
    """A save raises the device's counter, after its file is there."""
    saves_first: bool = True
    """What a save is for is released after it."""
    saves_at_start: bool = True
    born_known: bool = True
    """The device's counter at the beginning is part of the configuration."""
    patches: tuple[tuple[ModuleType, str, Callable[..., Any]], ...] = ()
    """Functions further down that a mutant replaces: module, name, function."""


REAL = Machine()


@contextlib.contextmanager
def running(machine: Machine) -> Iterator[None]:
    """Within: a mutant's patches hold, and pure judgements of documents are remembered by all of their arguments."""
    with contextlib.ExitStack() as stack:
        for module, name, function in machine.patches:
            stack.enter_context(replaced(module, name, function))
        stack.enter_context(replaced(transitions, "judge_first", _first()))
        stack.enter_context(replaced(transitions, "judge_update", _update()))
        stack.enter_context(replaced(quorum, "verify_document", _verify()))
        yield


@contextlib.contextmanager
def replaced(module: ModuleType, name: str, value: object) -> Iterator[None]:
    """Within: a name of a module means something else."""
    before = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, before)


def _first() -> Callable[..., Judged]:
    real, known = judge_first, dict[object, Judged]()

    def judge(document: SignedDocument, *, baseline: str, at: datetime) -> Judged:
        key = (document, baseline, at)
        if key not in known:
            known[key] = real(document, baseline=baseline, at=at)
        return known[key]

    return judge


def _update() -> Callable[..., Judged]:
    real, known = judge_update, dict[object, tuple[Ruleset, Judged]]()

    def judge(current: Ruleset, document: SignedDocument, *, version_floor: int, at: datetime) -> Judged:
        key = (id(current), document, version_floor, at)
        if key not in known:
            # The ruleset is kept with the answer: its identity is only good while it lives.
            known[key] = current, real(current, document, version_floor=version_floor, at=at)
        return known[key][1]

    return judge


def _verify() -> Callable[..., Any]:
    real, known = verify_document, dict[object, Any]()

    def verify(document: SignedDocument, signers: Any) -> Any:
        key = (document, tuple((one, signer.name) for one, signer in signers.items()))
        if key not in known:
            known[key] = real(document, signers)
        return known[key]

    return verify
