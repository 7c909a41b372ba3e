"""Processors with one guard taken out, each of which the explorer must find out: a search that kills no mutant shows nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from inspectorate.mechanisms.guarantee.events import Mode
from inspectorate.mechanisms.guarantee.interlock.gate import Answered, Asked
from inspectorate.mechanisms.guarantee.licences import judge
from inspectorate.mechanisms.guarantee.machine import ahead as saving
from inspectorate.mechanisms.guarantee.machine import serving, transitions
from inspectorate.mechanisms.guarantee.machine.asking import Circumstances
from inspectorate.mechanisms.guarantee.machine.serving import AdmittedStep
from inspectorate.mechanisms.guarantee.machine.state import GuardState
from inspectorate.mechanisms.guarantee.machine.transitions import Identity, Moment, Step
from inspectorate.mechanisms.guarantee.rulesets import orders, update
from inspectorate.mechanisms.guarantee.rulesets.orders import JudgedOrder, parse_resume
from inspectorate.mechanisms.guarantee.rulesets.quorum import Counted
from inspectorate.mechanisms.guarantee.rulesets.rules import RuleBook
from inspectorate.mechanisms.guarantee.rulesets.types import Act, Ruleset
from inspectorate.mechanisms.guarantee.signing import SignedDocument, verify_document
from inspectorate.worlds.guard_model_explore import Explored, explore
from inspectorate.worlds.guard_model_machine import Machine
from inspectorate.worlds.guard_model_scenarios import Scenario, interlock, licence
from inspectorate.worlds.guard_model_scenarios import update as updates


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """A guard that is gone, and where that must show."""

    name: str
    gone: str
    machine: Machine
    scenario: Callable[[], Scenario]
    expected: frozenset[str]
    """One of these must be violated."""


def kill(mutant: Mutant, *, worlds_max: int = 200_000) -> Explored:
    """The shortest way to a violation."""
    return explore(mutant.scenario(), mutant.machine, worlds_max=worlds_max)


# --- scenarios: the small ones, with what a mutant needs and no more ----------------------------------------------------


def _updates() -> Scenario:
    return replace(updates(small=True), also=())


def _uncounted() -> Scenario:
    return replace(_updates(), files_max=100)


def _served() -> Scenario:
    return replace(updates(small=True), paths=("/good",), answers=(2,), also=("tick",))


def _licences() -> Scenario:
    small = licence(small=True)
    return replace(small, papers=small.papers[:1] + small.papers[2:3], clocks=1, also=())


def _timed() -> Scenario:
    full = licence()
    papers = tuple(one for one in full.papers if one.name in ("v1", "licence-1"))
    return replace(full, papers=papers, paths=(), answers=(), clocks=1, also=("tick",))


def _halted_work() -> Scenario:
    return replace(_timed(), halts=("hand",), halts_max=1, also=())


def _expiring() -> Scenario:
    full = licence()
    papers = tuple(one for one in full.papers if one.name in ("v1", "v2", "licence-1"))
    return replace(full, papers=papers, margin={}, works=False, answers=(0,), also=("tick",))


def _of_others() -> Scenario:
    full = licence()
    papers = tuple(one for one in full.papers if one.name in ("v1", "licence-3-of-another-device"))
    return replace(full, papers=papers, clocks=1, works=False, also=())


def _halts() -> Scenario:
    return replace(
        interlock(small=True), paths=(), clocks=1, uploads=interlock().uploads[:1], endings=("exact",), halts_max=2
    )


def _uploads() -> Scenario:
    full = interlock(small=True)
    return replace(full, paths=("/good",), clocks=1, halts=(), papers=interlock().papers[:2])


# --- mutants -----------------------------------------------------------------------------------------------------------


def _any_version(current: Ruleset, candidate: Ruleset, version_floor: int) -> list[Any]:
    return []


def _no_quorum(ruleset: Ruleset, act: Act, document: SignedDocument) -> Counted:
    return Counted(reached=True, signers=frozenset(), refusals=(), notes=())


def _counts_signatures(ruleset: Ruleset, act: Act, document: SignedDocument) -> Counted:
    known = {signer.signer_id: signer for signer in ruleset.signers}
    found = verify_document(document, known)
    reached = sum(one in known for one, _ in document.signatures) >= ruleset.quorums[act].k
    return Counted(reached=reached, signers=found.valid, refusals=(), notes=())


def _only_time(state: GuardState, at: Any) -> GuardState:
    return state.model_copy(update={"time": transitions.later(state, at)})


def _covered_but_for_time(live: GuardState, saved: GuardState, margin: saving.Amounts) -> bool:
    return saving.covered(live.model_copy(update={"time": saved.time}), saved, margin)


def _trusts_what_it_finds(state: GuardState, me: Identity, moment: Moment, *, rolled_back: bool, counter: int) -> Step:
    return transitions.start(state, me, moment, rolled_back=False, counter=counter)


def _keeps_serving(state: GuardState, me: Identity, moment: Moment, *, rolled_back: bool, counter: int) -> Step:
    step = transitions.start(state, me, moment, rolled_back=rolled_back, counter=counter)
    if rolled_back or state.halt is not None:
        return step
    return replace(step, state=step.state.model_copy(update={"mode": state.mode, "model": state.model}))


def _takes_nothing(
    state: GuardState, book: RuleBook | None, asked: Asked, circumstances: Circumstances, moment: Moment
) -> AdmittedStep:
    step = serving.admit(state, book, asked, circumstances, moment)
    if step.ticket is None:
        return step
    kept = step.state.licences.model_copy(
        update={"held": state.licences.held, "charged": state.licences.charged, "tickets": {}}
    )
    return replace(step, state=step.state.model_copy(update={"licences": kept}))


def _gives_all_back(
    state: GuardState, book: RuleBook | None, ticket: int, answered: Answered, sampled: bool, moment: Moment
) -> Step:
    return serving.settle(state, book, ticket, replace(answered, bytes_out=0), sampled, moment)


def _applies_late(state: GuardState, me: Identity, document: SignedDocument, moment: Moment) -> Step:
    return replace(transitions.apply_licence(state, me, document, moment), durable=False)


def _halts_in_memory(state: GuardState, kind: Any, why: str, moment: Moment) -> Step:
    return replace(transitions.halt(state, kind, why, moment), durable=False)


def _any_halt(current: Ruleset, document: SignedDocument, *, device: str, halt: str, at: Any) -> JudgedOrder:
    named = parse_resume(document, where="order").halt
    return orders.judge_resume(current, document, device=device, halt=named, at=at)


def _unlooked(state: GuardState, *, complete: bool, content: str, bytes_seen: int, moment: Moment) -> Step:
    told = state.upload.content if state.upload else content
    return serving.end_upload(state, complete=complete, content=told, bytes_seen=bytes_seen, moment=moment)


def _any_model(state: GuardState, book: RuleBook | None, *, content: str, size_bytes: int, moment: Moment) -> Step:
    ruleset = state.ruleset
    if ruleset is None or not ruleset.models:
        return serving.begin_upload(state, book, content=content, size_bytes=size_bytes, moment=moment)
    listed = ruleset.models[0].model_copy(update={"content": content, "size_bytes": size_bytes})
    wide = state.model_copy(update={"ruleset": ruleset.model_copy(update={"models": (listed,)})})
    step = serving.begin_upload(wide, book, content=content, size_bytes=size_bytes, moment=moment)
    return replace(step, state=step.state.model_copy(update={"ruleset": ruleset}))


def _resumes_distrusted(state: GuardState, me: Identity, document: SignedDocument, moment: Moment) -> Step:
    return transitions.resume(state.model_copy(update={"distrusted": False}), me, document, moment)


def _no_margin(state: GuardState, margin: saving.Amounts) -> GuardState:
    return saving.ahead(state)


def _covered_without_margin(live: GuardState, saved: GuardState, margin: saving.Amounts) -> bool:
    return saving.covered(live, saved)


def _margin_while_serving(state: GuardState, margin: saving.Amounts) -> GuardState:
    return saving.ahead(state, margin if state.mode is Mode.SERVING else {})


def _covered_while_serving(live: GuardState, saved: GuardState, margin: saving.Amounts) -> bool:
    return saving.covered(live, saved, margin if live.mode is Mode.SERVING else {})


def _as_it_is(state: GuardState, margin: saving.Amounts) -> GuardState:
    return state


def _always(*_: object, **__: object) -> bool:
    return True


def _never(*_: object, **__: object) -> None:
    return None


def _one(name: str, gone: str, scenario: Callable[[], Scenario], expected: str, machine: Machine) -> Mutant:
    return Mutant(name=name, gone=gone, machine=machine, scenario=scenario, expected=frozenset(expected.split()))


_ROLLED = "no-rollback rulesets-are-installed version-is-the-highest"
_OVER = "ended-stays-ended ruleset-in-force admitted-in-force"

MUTANTS: tuple[Mutant, ...] = (
    _one("any-version", "the floor, the order and the chain of versions", _updates, _ROLLED,
         Machine(patches=((update, "_follows", _any_version),))),
    _one("no-quorum", "the count of signers of a ruleset", _updates, "a-quorum-signed",
         Machine(patches=((update, "judge_quorum", _no_quorum),))),
    _one("signatures-add-up", "that a signer counts once", lambda: replace(updates(), also=(), clocks=1), "a-quorum-signed",
         Machine(patches=((update, "judge_quorum", _counts_signatures),))),
    _one("saves-after-release", "that a save comes before what it is for", _updates, "no-rollback nothing-gained",
         Machine(saves_first=False)),
    _one("counter-stays", "that a save raises the counter", _uncounted, "no-rollback", Machine(raises_counter=False)),
    _one("start-saves-nothing", "that a start saves before it does anything", _updates, "no-rollback ended-stays-ended",
         Machine(saves_at_start=False)),
    _one("born-anywhere", "the counter at which the processor was set up", _updates, "no-rollback",
         Machine(born_known=False)),
    _one("restored-is-trusted", "that a restored disk is distrusted", _updates, "no-rollback",
         Machine(start=_trusts_what_it_finds)),
    _one("locks-at-the-tick", "that a ruleset that has ended locks at once", _updates, _OVER,
         Machine(patches=((transitions, "passed", _only_time), (serving, "passed", _only_time)))),
    _one("time-is-not-saved", "that nothing goes past an end without a save", _updates, "ended-stays-ended",
         Machine(covered=_covered_but_for_time)),
    _one("clock-goes-back", "that time never goes back", _updates, "nothing-falls ended-stays-ended",
         Machine(patches=((transitions, "later", lambda state, at: at),))),
    _one("any-program", "that the ruleset names the program", _served, "ruleset-in-force admitted-in-force",
         Machine(patches=((transitions, "is_approved", _always), (serving, "is_approved", _always)))),
    _one("no-replay-window", "that a licence counts once", _licences, "nothing-gained licences-are-applied a-save-reads-back",
         Machine(patches=((judge, "_replayed", _never),))),
    _one("licence-of-anyone", "that a licence is for this device", _of_others, "nothing-gained",
         Machine(patches=((judge, "_unfit", _never),))),
    _one("licence-saved-late", "that an applied licence is saved at once", _licences, "nothing-gained",
         Machine(apply_licence=_applies_late)),
    _one("reserves-nothing", "that a request sets aside what it can use", _licences, "nothing-gained",
         Machine(admit=_takes_nothing)),
    _one("gives-all-back", "that only the unused part comes back", _licences, "nothing-gained",
         Machine(settle=_gives_all_back)),
    _one("saves-what-it-has", "saving ahead of what is used", _licences, "nothing-gained",
         Machine(ahead=_as_it_is, covered=_always)),
    _one("no-margin", "the margin for what is not read yet", _timed, "nothing-gained",
         Machine(ahead=_no_margin, covered=_covered_without_margin)),
    _one(
        "margin-while-serving",
        "the margin for what is not read yet when a halt is saved",
        _halted_work,
        "nothing-gained",
        Machine(ahead=_margin_while_serving, covered=_covered_while_serving),
    ),
    _one("licence-time-is-not-saved", "the same for the end of a licence", _expiring, "ended-stays-ended",
         Machine(covered=_covered_but_for_time)),
    _one("restart-keeps-serving", "that a start begins without a model", _uploads,
         "only-what-was-uploaded starts-let-nothing-pass listed-model", Machine(start=_keeps_serving)),
    _one("halt-in-memory", "that a halt is saved", _halts, "no-resume-without-quorum", Machine(halt=_halts_in_memory)),
    _one("order-for-any-halt", "that an order names its halt", _halts, "no-resume-without-quorum",
         Machine(patches=((transitions, "judge_resume", _any_halt),))),
    _one("order-by-anyone", "the count of signers of an order", _halts, "no-resume-without-quorum",
         Machine(patches=((orders, "judge_quorum", _no_quorum),))),
    _one("distrusted-resumes", "that a distrusted state stays halted", _halts, "halts-are-resumed",
         Machine(resume=_resumes_distrusted)),
    _one("bytes-are-not-compared", "the digest of what came in", _uploads, "only-what-was-uploaded",
         Machine(end_upload=_unlooked)),
    _one("any-model", "that a model is listed", _uploads, "listed-model admitted-in-force", Machine(begin_upload=_any_model)),
)  # fmt: skip
