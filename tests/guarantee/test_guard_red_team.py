"""What the red team found, each as the shortest way to do it: all of these once passed for fine."""

from __future__ import annotations

import asyncio
import os
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from guard_making import BUDGETS, CONTENT, MODEL, START, Kept, Life, asked, serving
from guard_site_evidence import GUARDED, GUILTY, LICENSED, appraised, case, evidence

from inspectorate.assessment import Verdict
from inspectorate.canonical import digest_of
from inspectorate.errors import EnvironmentError_
from inspectorate.lab.guard_folder import ServerPlan, write_folder
from inspectorate.lab.guard_signers import Signers
from inspectorate.mechanisms.guarantee.appraise import GUARANTEE
from inspectorate.mechanisms.guarantee.appraise.bound import rate_of, spent_in
from inspectorate.mechanisms.guarantee.appraise.common import alike, guards_of
from inspectorate.mechanisms.guarantee.appraise.guarded import against, configured, vouched
from inspectorate.mechanisms.guarantee.appraise.rules import rules_of
from inspectorate.mechanisms.guarantee.attestation.verify import VerifiedTpmQuote
from inspectorate.mechanisms.guarantee.events import EventKind, Mode, Refusal
from inspectorate.mechanisms.guarantee.interlock.gate import Admitted, Upstream
from inspectorate.mechanisms.guarantee.interlock.samples import SampleStore
from inspectorate.mechanisms.guarantee.licences import state as licences
from inspectorate.mechanisms.guarantee.machine import serving as serve
from inspectorate.mechanisms.guarantee.machine import transitions
from inspectorate.mechanisms.guarantee.machine.asking import Circumstances
from inspectorate.mechanisms.guarantee.machine.reporting import Frame, checkpoint
from inspectorate.mechanisms.guarantee.metering.types import MeterKind, Source
from inspectorate.mechanisms.guarantee.observe import GuardSeen, Said, _chained
from inspectorate.mechanisms.guarantee.outlet.checkpoint import Checkpoint
from inspectorate.mechanisms.guarantee.outlet.outlet import next_slot
from inspectorate.mechanisms.guarantee.processor.config import Chips, read_config
from inspectorate.mechanisms.guarantee.processor.daemon import Processor
from inspectorate.mechanisms.guarantee.processor.keeper import Keeper
from inspectorate.mechanisms.guarantee.processor.metered import Meters
from inspectorate.mechanisms.guarantee.processor.opening import Outside, opened
from inspectorate.mechanisms.guarantee.processor.rechecking import recheck_with
from inspectorate.mechanisms.guarantee.rulesets.types import ListedModel
from inspectorate.quantities import Period
from inspectorate.worlds.guard_cheats import GUARD_CHEATS

PEAK = 1e12


@pytest.fixture(scope="module")
def signers(tmp_path_factory: pytest.TempPathFactory) -> Signers:
    return Signers.make(tmp_path_factory.mktemp("signers"))


@pytest.fixture
def life(tmp_path: Path, signers: Signers) -> Life:
    return Life.make(tmp_path, signers)


class Clocks:
    """A clock of the day, which its owner sets, and one that only runs."""

    def __init__(self) -> None:
        self.day, self.runs = START, 0.0

    def meters(self, *, since: datetime, cores: int | None = None) -> Meters:
        return Meters(
            chips=Chips(flop_per_s_max=PEAK, cores=cores),
            group=lambda: None,
            monotonic=lambda: self.runs,
            clock=lambda: self.day,
            watched_from=since,
        )

    def passes(self, seconds: float) -> None:
        self.day += timedelta(seconds=seconds)
        self.runs += seconds


# --- time that nobody saw ------------------------------------------------------------------------------------------------


def test_a_processor_that_was_stopped_for_a_day_does_not_vouch_for_it() -> None:
    """Its next report covers the day. It was: what was metered in the minute after the start."""
    clocks = Clocks()
    meters = clocks.meters(since=START - timedelta(days=1))
    looked = meters.look(held=True)
    assert looked.unseen[MeterKind.FLOP].used == pytest.approx(PEAK * 86_400)
    assert looked.unseen[MeterKind.FLOP].at_least == 0.0, "and nobody is accused of it"
    clocks.passes(1.0)
    assert not meters.look(held=True).unseen, "it is counted once"


def test_a_clock_that_is_set_forward_makes_no_time_in_which_nothing_was_done() -> None:
    clocks = Clocks()
    meters = clocks.meters(since=START)
    meters.look(held=True)
    for _ in range(20):
        clocks.passes(0.25)
        assert not meters.look(held=True).unseen
    clocks.day += timedelta(hours=1)
    assert meters.look(held=True).unseen[MeterKind.FLOP].used == pytest.approx(PEAK * 3600)
    clocks.day -= timedelta(hours=1)
    clocks.passes(1.0)
    assert not meters.look(held=True).unseen


def test_what_nobody_saw_is_reported_and_no_licence_pays_it(life: Life) -> None:
    keeper, _ = serving(life)
    life.stop()
    life.later(3600)
    keeper, _ = life.start()
    before = keeper.state.licences
    meters = Meters(
        chips=Chips(flop_per_s_max=PEAK),
        group=lambda: None,
        monotonic=lambda: 0.0,
        clock=lambda: life.now,
        watched_from=keeper.watched_from,
    )
    looked = meters.look(held=True)
    keeper.take("tick", serve.tick(keeper.state, keeper.me, keeper.book, looked, Circumstances(), keeper.moment()))
    assert keeper.state.readings[MeterKind.FLOP].used >= PEAK * 3600
    assert licences.remaining(keeper.state.licences, at=life.now) == licences.remaining(before, at=life.now)


class Slow:
    """Work that starts for a while and never listens: it computes meanwhile."""

    def __init__(self) -> None:
        self.running = False
        self.allowed: list[bool] = []

    group = None
    lost = None

    @property
    def held(self) -> bool:
        return not self.running

    async def load(self, model: ListedModel, file: Path) -> Upstream:
        self.running = True
        await asyncio.sleep(1.0)
        raise EnvironmentError_("the server did not answer", where="server")

    async def unload(self) -> None:
        self.running = False

    async def allow(self) -> None:
        self.allowed.append(True)

    async def hold(self) -> None:
        self.allowed.append(False)


def _run(folder: Path, life: Life, act: Callable[[Processor], None], monkeypatch: pytest.MonkeyPatch) -> Keeper:
    """A processor on its own disk, with a server that is slow to start, until it has begun."""
    folder.mkdir()
    monkeypatch.chdir(folder)
    plan = ServerPlan(command=("serve", "{model}"), port=1)
    path = write_folder(folder, life.ruleset, plan, device="software:device", born=None)
    (folder / "models").mkdir()
    (folder / "models" / f"{CONTENT.removeprefix('sha256:')}.model").write_bytes(MODEL)
    config, measured = read_config(path)
    began = time.monotonic()
    outside = Outside(
        clock=lambda: START + timedelta(seconds=time.monotonic() - began),
        monotonic=time.monotonic,
        entropy=os.urandom,
        sink=Kept(),
        log=lambda *_: None,
    )
    with opened(config, measured, outside) as (processor, _):
        slow = Processor(parts=replace(processor.parts, work=Slow()))
        act(slow)
        asyncio.run(slow.run("127.0.0.1", 0, ready=lambda _: slow.stopping.set()))
        return slow.parts.keeper


def test_a_server_that_never_listens_is_metered_while_it_starts(
    tmp_path: Path, life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`ready_s` is the operator's to choose; the clock did not tick before the server had answered."""

    def licensed(processor: Processor) -> None:
        keeper = processor.parts.keeper
        life.apply(keeper, life.licence(keeper, 1, BUDGETS))

    keeper = _run(tmp_path / "run", life, licensed, monkeypatch)
    assert keeper.state.readings[MeterKind.WALL_S].used >= 0.9
    assert licences.remaining(keeper.state.licences, at=keeper.state.time)[MeterKind.WALL_S] < 1000.0 - 0.9


def test_without_a_licence_no_server_is_started(tmp_path: Path, life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    keeper = _run(tmp_path / "run", life, lambda _: None, monkeypatch)
    assert keeper.state.mode is Mode.READY
    assert keeper.state.readings[MeterKind.WALL_S].used < 0.9


def test_a_disk_that_may_be_wiped_unseen_is_not_called_protected(
    tmp_path: Path, life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without `born` in its configuration, a processor whose disk is wiped takes every licence anew."""
    found: list[bool] = []
    _run(tmp_path / "run", life, lambda processor: found.append(processor.parts.anchored), monkeypatch)
    assert found == [False]


# --- meters that nobody reads --------------------------------------------------------------------------------------------


def _said(life: Life, looked: serve.Looked) -> Checkpoint:
    keeper, _ = serving(life)
    step = serve.tick(keeper.state, keeper.me, keeper.book, looked, Circumstances(), keeper.moment())
    frame = Frame(
        reporter="guard",
        statement_key=CONTENT,
        rollback_protected=False,
        flop_ledger=CONTENT,
        opened="0" * 64,
    )
    period = Period(start=life.now, end=life.now + timedelta(seconds=60))
    return checkpoint(step.state, keeper.me, frame, period)


def test_a_meter_that_nothing_reads_says_nothing_instead_of_zero(life: Life) -> None:
    """A licence of energy, on a machine without a meter of it, was never used up, and the review called that covered."""
    clocks = Clocks()
    meters = clocks.meters(since=START)
    meters.look(held=True)
    clocks.passes(0.25)
    said = {one.meter: one for one in _said(life, meters.look(held=True)).meters}
    assert MeterKind.ENERGY_J not in said
    assert MeterKind.BYTES_BETWEEN_CHIPS not in said
    assert (said[MeterKind.FLOP].used, said[MeterKind.FLOP].source) == (0.0, Source.CLOCK)
    assert said[MeterKind.BYTES_OUT].used == 0.0, "the path counts what passes it"


# --- the keeper ----------------------------------------------------------------------------------------------------------


def test_after_a_save_that_failed_nothing_takes_effect_any_more(life: Life) -> None:
    """The control socket answered a failed save with an error: on a full disk an order to halt was lost, and serving went on."""
    keeper, gate = serving(life)
    assert life.store is not None
    life.store.close()
    with pytest.raises((EnvironmentError_, OSError)):
        keeper.take("halt", transitions.halt(keeper.state, EventKind.HALTED_BY_HAND, "smoke", keeper.moment()))
    with pytest.raises(EnvironmentError_, match="earlier save failed"):
        gate.admit(asked(life))
    with pytest.raises(EnvironmentError_, match="earlier save failed"):
        gate.note(Refusal(kind=EventKind.LIMIT_REACHED, why="at its rate"))


def test_neither_a_restart_nor_a_clock_begins_a_new_day(life: Life) -> None:
    """Rules that count requests of a day, or time since a recomputation, were appeased by a restart."""
    keeper, gate = serving(life)
    for _ in range(3):
        assert isinstance(gate.admit(asked(life)), Admitted)
    assert gate.circumstances().requests_today == 3
    keeper.take("end", transitions.end(keeper.state, keeper.me, keeper.moment()))
    life.stop()
    life.later(600)
    keeper, _ = life.start()
    gate = type(gate)(keeper=keeper, draws=lambda: False)
    assert gate.circumstances().requests_today == 3
    assert gate.circumstances().since_recomputed_s >= 600
    life.later(86_400)
    assert not transitions.challenge(keeper.state, "0" * 64, keeper.moment()).refusals
    keeper.take("challenge", transitions.challenge(keeper.state, "0" * 64, keeper.moment()))
    assert gate.circumstances().requests_today == 0
    keeper.admitted()
    life.later(-86_400)
    assert gate.circumstances().requests_today == 1, "a clock that goes back begins no day anew"


# --- the review ----------------------------------------------------------------------------------------------------------


def seen(name: str = GUARDED) -> GuardSeen:
    return guards_of(case(name, evidence()))[GUILTY].seen[0]


def test_a_configuration_that_nobody_agreed_to_bounds_nothing_by_its_meters() -> None:
    """`flop_per_s_max: 1` in the operator's own file made the meter, and with it the bound of the account, as small as wished."""
    about = case(GUARDED, evidence())
    terms = about.clause.parameters
    one, rate = seen().usable[0], rate_of(about, GUILTY)
    assert configured(one, terms)
    other = terms.model_copy(update={"configurations": (digest_of(b"another"),)})
    nothing = terms.model_copy(update={"configurations": ()})
    assert not configured(one, other)
    assert not configured(one, nothing)
    assert spent_in(one, rate, metered=True).flop < spent_in(one, rate, metered=False).flop
    assert spent_in(one, rate, metered=False).flop == rate * one.period.duration_s
    found = appraised(GUARDED, evidence(), configurations=other.configurations)[GUILTY]
    assert found.verdict is Verdict.INCONCLUSIVE
    assert any("configuration is not one that was agreed" in reason for reason in found.reasons)
    assert any(
        "names no configuration" in t for t in appraised(GUARDED, evidence(), configurations=())[GUILTY].not_checked
    )


def test_a_machine_that_started_otherwise_is_worth_nothing() -> None:
    """Whoever is root before the processor extends the PCR by the digest of the agreed program; only the boot tells."""
    found = appraised(GUARDED, evidence(), boots=(digest_of(b"another"),))[GUILTY]
    assert found.verdict is Verdict.INCONCLUSIVE
    assert any("started otherwise than agreed" in reason for reason in found.reasons)
    about = case(GUARDED, evidence())
    terms = about.clause.parameters.model_copy(update={"boots": (digest_of(b"another"),)})
    assert not vouched(seen().usable[0], terms, rules_of(about, terms))
    assert any(
        "how its machine may start" in text for text in appraised(GUARDED, evidence(), boots=())[GUILTY].not_checked
    )


def test_what_was_not_asked_for_is_said() -> None:
    found = appraised(GUARDED, evidence(), measurements=(), challenged_every_s=None)[GUILTY]
    assert any("clause asks for no challenges" in text for text in found.not_checked)


def _after(reports: tuple[Said, ...], **changes: object) -> list[Said]:
    """The first two reports, the first of them halted and the second with changes."""
    first, second = reports[:2]
    halted = replace(first, checkpoint=first.kept.model_copy(update={"mode": Mode.HALTED}))
    return _chained([halted, replace(second, checkpoint=second.kept.model_copy(update=changes))])


def test_a_halt_that_ends_without_an_order_speaks_against_its_processor() -> None:
    """Whoever reads the key of the state beside it writes a state that never halted, at the counter's present value."""
    about = case(GUARDED, evidence())
    rules = rules_of(about, about.clause.parameters)
    told = _after(seen().usable)[1]
    assert any("no order to resume" in why for why in against(told, about.clause.parameters, rules))
    resumed = _after(seen().usable, events={EventKind.RESUMED: 1})[1]
    assert not against(resumed, about.clause.parameters, rules)
    assert not _after(seen().usable, mode=Mode.HALTED)[1].fell


def test_one_device_does_not_speak_for_two_processors() -> None:
    """Two processors, one device: the same licence was applied by both, and its budget counted for each."""
    about = case(LICENSED, evidence())
    guards = guards_of(about)
    assert not alike(about, guards[GUILTY].seen[0])
    twins = {
        name: replace(
            pod,
            seen=tuple(
                replace(
                    guard,
                    reports=tuple(
                        replace(one, checkpoint=one.kept.model_copy(update={"device": digest_of(b"one for all")}))
                        for one in guard.usable
                    ),
                )
                for guard in pod.seen
            ),
        )
        for name, pod in guards.items()
    }
    other = replace(about, shared={"guarantee.guards": twins})
    (told,) = alike(other, twins[GUILTY].seen[0])
    assert "speaks for" in told


def test_work_is_not_licensed_by_the_word_of_a_program_that_nobody_agreed_to() -> None:
    """`licensed-work` was consistent where `guarded-operation` was not: the meters of any program were believed."""
    for name in ("guard-other-build", "guard-in-software"):
        found = appraised(LICENSED, evidence(GUARD_CHEATS[name]))[GUILTY]
        assert found.verdict is not Verdict.CONSISTENT, name
        assert any("not as agreed" in reason for reason in found.reasons)


def test_a_program_that_only_earlier_quotes_show_is_named_by_the_rulesets_or_not_at_all() -> None:
    about = case(GUARDED, evidence(GUARD_CHEATS["guard-other-build"]))
    terms = about.clause.parameters.model_copy(update={"measurements": ()})
    rules = rules_of(about, terms)
    reports = guards_of(about)[GUILTY].seen[0].usable
    last = reports[-1]
    assert any("is not one that version" in why for why in against(last, terms, rules))
    # The agreed program again, after the other one: the log of the same start of the machine still shows it.
    hidden = replace(last, checkpoint=last.kept.model_copy(update={"build": seen().usable[0].kept.build}))
    assert any("ran before it, which no ruleset names" in why for why in against(hidden, terms, rules))


def test_drawn_requests_that_nobody_recomputed_are_counted_in_the_review() -> None:
    found = appraised(GUARDED, evidence())[GUILTY]
    assert not any("re-execution" in text for text in found.not_checked)
    about = case(GUARDED, evidence())
    guards = guards_of(about)
    less = {
        name: replace(
            pod,
            seen=tuple(
                replace(
                    guard,
                    reports=tuple(
                        replace(one, checkpoint=one.kept.model_copy(update={"recomputed": 0})) for one in guard.usable
                    ),
                )
                for guard in pod.seen
            ),
        )
        for name, pod in guards.items()
    }
    from_there = replace(about, shared={**about.shared, "guarantee.guards": less})
    told = {one.scope.pods[0]: one for one in GUARANTEE.appraise(from_there)}[GUILTY]
    assert any("drawn for re-execution" in text for text in told.not_checked)


def test_a_clock_that_was_put_back_over_an_outage_is_given_away_by_the_tpm() -> None:
    """Stop, compute for an hour, put the clock back by an hour, start: the reports join without a gap."""
    about = case(GUARDED, evidence())
    first, second = seen().usable[:2]
    quote = second.quote
    assert isinstance(quote, VerifiedTpmQuote)
    assert not second.unsaid_s
    later = replace(quote, clock=replace(quote.clock, clock_ms=quote.clock.clock_ms + 3_600_000))
    told = _chained([first, replace(second, quote=later)])[1]
    assert told.unsaid_s == pytest.approx(3600)
    assert not against(told, about.clause.parameters, rules_of(about, about.clause.parameters)), "and accuses nobody"


def test_a_licence_of_what_nothing_here_reads_lets_no_work_begin(
    tmp_path: Path, life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A budget of energy on a machine without a meter of energy lasts for ever."""

    def licensed(processor: Processor) -> None:
        keeper = processor.parts.keeper
        life.apply(keeper, life.licence(keeper, 1, {**BUDGETS, MeterKind.ENERGY_J: 1.0}))

    keeper = _run(tmp_path / "run", life, licensed, monkeypatch)
    assert keeper.state.readings[MeterKind.WALL_S].used < 0.9, "the server was not started"


def test_a_sample_that_was_taken_away_counts_as_one_that_differs(tmp_path: Path) -> None:
    recheck = recheck_with(lambda: None, tmp_path, None, os.urandom)
    assert recheck(SampleStore(tmp_path / "samples", bytes(32)), 7) is True


def test_a_restored_disk_does_not_report_a_time_that_was_reported(life: Life, tmp_path: Path) -> None:
    """Its first report overlapped one of the life that was lost, was invalid for that, and so was its word that it was restored."""
    keeper, _ = serving(life)
    assert keeper.door is not None
    keeper.take("end", transitions.end(keeper.state, keeper.me, keeper.moment()))
    life.stop()
    shutil.copytree(tmp_path / "state", tmp_path / "kept")
    life.start()
    life.stop()
    shutil.rmtree(tmp_path / "state")
    shutil.move(tmp_path / "kept", tmp_path / "state")
    life.later(1000)
    keeper, loaded = life.start()
    assert not loaded.usable
    assert keeper.state.distrusted
    assert keeper.door is not None
    first = life.now = next_slot(keeper.door.plan, life.now)
    assert keeper.door.due(life.now) is None, "the slot in which it started was not its own from the beginning"
    life.now = next_slot(keeper.door.plan, life.now)
    period = keeper.door.due(life.now)
    assert period is not None
    assert period.start == first


def test_the_configuration_that_is_measured_is_the_one_that_was_parsed(tmp_path: Path, life: Life) -> None:
    """The file was read twice: a file system that answers differently had one parsed and another measured."""
    made = write_folder(
        tmp_path / "made", life.ruleset, ServerPlan(command=("serve",), port=1), device="software:d", born=None
    ).read_bytes()
    pipe = tmp_path / "guard.yaml"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(made))
    writer.start()
    config, measured = read_config(pipe)
    writer.join(5)
    assert measured == made, "a pipe can be read once only"
    assert config.server.command == ("serve",)
