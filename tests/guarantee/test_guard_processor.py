"""The processor's keeper and gate: effects only after the save that they need, and nothing gained by a crash."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from guard_making import BUDGETS, CONTENT, MODEL, Life, asked, serving

from inspectorate.errors import EnvironmentError_, InputError
from inspectorate.lab.guard_signers import Signers, signed_resume
from inspectorate.mechanisms.guarantee.events import EventKind, Mode, Refusal
from inspectorate.mechanisms.guarantee.interlock.gate import Admitted, Answered, Outcome
from inspectorate.mechanisms.guarantee.licences import state as licences
from inspectorate.mechanisms.guarantee.machine import serving as serve
from inspectorate.mechanisms.guarantee.machine import transitions
from inspectorate.mechanisms.guarantee.machine.ahead import SHARE, ahead, covered
from inspectorate.mechanisms.guarantee.machine.asking import Circumstances
from inspectorate.mechanisms.guarantee.metering.types import MeterKind, Reading, Source
from inspectorate.mechanisms.guarantee.processor.config import GuardConfig, read_config
from inspectorate.mechanisms.guarantee.processor.keeper import Keeper
from inspectorate.mechanisms.guarantee.rulesets.orders import RESUME_KIND
from inspectorate.mechanisms.guarantee.signing import parse_document


@pytest.fixture(scope="module")
def signers(tmp_path_factory: pytest.TempPathFactory) -> Signers:
    return Signers.make(tmp_path_factory.mktemp("signers"))


@pytest.fixture
def life(tmp_path: Path, signers: Signers) -> Life:
    return Life.make(tmp_path, signers)


def answered(*, tokens: int = 30, outcome: Outcome = Outcome.COMPLETE) -> Answered:
    return Answered(
        outcome=outcome,
        bytes_in=200,
        bytes_out=900,
        tokens_at_least=10,
        tokens_at_most=tokens,
        duration_s=0.1,
        status=200,
    )


def left(keeper: Keeper, meter: MeterKind) -> float:
    return licences.remaining(keeper.state.licences, at=keeper.state.time)[meter]


def looked(flop: float, *, wall_s: float = 0.25) -> serve.Looked:
    readings = {
        MeterKind.FLOP: Reading(meter=MeterKind.FLOP, used=flop, source=Source.KERNEL),
        MeterKind.WALL_S: Reading(meter=MeterKind.WALL_S, used=wall_s, source=Source.CLOCK),
    }
    return serve.Looked(readings=readings, held_s=0.0)


def ticked(keeper: Keeper, seen: serve.Looked) -> None:
    step = serve.tick(keeper.state, keeper.me, keeper.book, seen, Circumstances(), keeper.moment())
    keeper.take("tick", step)


def test_it_starts_under_its_baseline_and_serves_what_is_listed(life: Life) -> None:
    keeper, gate = serving(life)
    assert gate.mode is Mode.SERVING
    assert keeper.state.model == CONTENT
    admitted = gate.admit(asked(life))
    assert isinstance(admitted, Admitted)
    gate.settle(admitted.ticket, answered())
    assert left(keeper, MeterKind.FLOP) == BUDGETS[MeterKind.FLOP] - 30 * 1e5
    assert not keeper.state.open


def test_what_a_request_could_use_is_set_aside_and_the_rest_given_back(life: Life) -> None:
    keeper, gate = serving(life)
    admitted = gate.admit(asked(life, tokens=1000))
    assert isinstance(admitted, Admitted)
    assert left(keeper, MeterKind.FLOP) == BUDGETS[MeterKind.FLOP] - 1020 * 1e5
    gate.settle(admitted.ticket, answered(tokens=0, outcome=Outcome.CUT))
    assert left(keeper, MeterKind.FLOP) == BUDGETS[MeterKind.FLOP]
    assert keeper.state.events[EventKind.REQUEST_DROPPED] == 1
    before = keeper.state.licences
    gate.settle(admitted.ticket, answered(tokens=0))
    assert keeper.state.licences == before, "a ticket settles once"


def test_a_request_that_a_licence_does_not_cover_is_refused(life: Life) -> None:
    _, gate = serving(life)
    assert isinstance(gate.admit(asked(life, tokens=2048)), Admitted)
    refused = gate.admit(asked(life, tokens=10_000))
    assert isinstance(refused, Refusal)
    assert refused.kind is EventKind.RULE_FAILED, "no rule lets so many tokens through"
    for _ in range(10):
        refused = gate.admit(asked(life, tokens=2048))
    assert isinstance(refused, Refusal)
    assert refused.kind is EventKind.LICENCE_EXHAUSTED


def test_work_that_requests_paid_for_is_charged_once(life: Life) -> None:
    keeper, gate = serving(life)
    admitted = gate.admit(asked(life))
    assert isinstance(admitted, Admitted)
    gate.settle(admitted.ticket, answered())
    paid = 30 * 1e5
    ticked(keeper, looked(paid / 2))
    assert left(keeper, MeterKind.FLOP) == BUDGETS[MeterKind.FLOP] - paid
    ticked(keeper, looked(paid))
    assert left(keeper, MeterKind.FLOP) == BUDGETS[MeterKind.FLOP] - 1.5 * paid, "what was metered beyond it is charged"


def test_a_licence_that_runs_out_closes_the_path_and_says_so(life: Life) -> None:
    keeper, gate = serving(life)
    told: list[Refusal | None] = []
    gate.watch(lambda mode, why: told.append(why))
    ticked(keeper, looked(2 * BUDGETS[MeterKind.FLOP]))
    assert not serve.may_work(keeper.state, keeper.me, keeper.state.time)
    assert [why.kind for why in told if why] == [EventKind.LICENCE_EXHAUSTED]
    assert gate.halted_by is not None
    life.apply(keeper, life.licence(keeper, 2, {**BUDGETS, MeterKind.FLOP: 1e12}))
    assert gate.halted_by is None
    assert told[-1] is None
    assert left(keeper, MeterKind.FLOP) == 1e12 - BUDGETS[MeterKind.FLOP], "what was owed is paid first"


def test_what_is_saved_never_has_more_left_than_what_runs(life: Life) -> None:
    keeper, gate = serving(life)
    for _ in range(200):
        admitted = gate.admit(asked(life))
        if not isinstance(admitted, Admitted):
            break
        assert covered(keeper.state, keeper.saved)
        gate.settle(admitted.ticket, answered())
        assert covered(keeper.state, keeper.saved)
    used = BUDGETS[MeterKind.FLOP] - left(keeper, MeterKind.FLOP)
    assert used > 5 * SHARE * BUDGETS[MeterKind.FLOP], "many blocks were used"


def test_a_crash_gains_nothing_and_loses_a_block_at_most(life: Life) -> None:
    keeper, gate = serving(life)
    for _ in range(7):
        admitted = gate.admit(asked(life))
        assert isinstance(admitted, Admitted)
        gate.settle(admitted.ticket, answered())
    before = {meter: left(keeper, meter) for meter in BUDGETS}
    life.stop()
    keeper, _ = life.start()
    for meter, budget in BUDGETS.items():
        assert before[meter] - 2 * SHARE * budget <= left(keeper, meter) <= before[meter]
    assert keeper.state.events[EventKind.GUARD_LOST] == 1
    assert keeper.state.mode is Mode.READY, "nothing is served before a model was seen anew"


def test_use_that_nobody_has_read_yet_is_never_free(life: Life) -> None:
    """The processor is killed between two looks: what the chips can have used by then counts as used."""
    keeper, _ = serving(life)
    keeper.margin = {MeterKind.WALL_S: 2.0, MeterKind.FLOP: 1e6}
    ticked(keeper, looked(1.0))
    before = {meter: left(keeper, meter) for meter in keeper.margin}
    life.stop()
    keeper, _ = life.start()
    for meter, most in ((MeterKind.WALL_S, 2.0), (MeterKind.FLOP, 1e6)):
        assert left(keeper, meter) <= before[meter] - most


def test_a_state_that_cannot_be_is_not_saved(life: Life) -> None:
    keeper, _ = life.start()
    impossible = keeper.state.model_copy(update={"mode": Mode.SERVING, "model": CONTENT, "ruleset": None})
    with pytest.raises(EnvironmentError_, match="cannot be"):
        keeper.take("test", transitions.Step(state=impossible, durable=True))
    assert keeper.state.mode is Mode.READY


def test_an_end_that_was_told_is_no_loss(life: Life) -> None:
    keeper, gate = serving(life)
    admitted = gate.admit(asked(life))
    assert isinstance(admitted, Admitted)
    keeper.take("end", transitions.end(keeper.state, keeper.me, keeper.moment()))
    life.stop()
    keeper, _ = life.start()
    assert EventKind.GUARD_LOST not in keeper.state.events
    assert keeper.state.events[EventKind.REQUEST_DROPPED] == 1


def test_a_licence_counts_once_over_a_restart(life: Life) -> None:
    keeper, _ = serving(life)
    document = life.licence(keeper, 1, BUDGETS)
    life.stop()
    keeper, _ = life.start()
    step = life.apply(keeper, document)
    assert [one.kind for one in step.refusals] == [EventKind.LICENCE_REPLAYED]


def test_a_restored_disk_halts_for_good(life: Life, tmp_path: Path, signers: Signers) -> None:
    serving(life)
    life.stop()
    shutil.copytree(tmp_path / "state", tmp_path / "kept")
    keeper, _ = life.start()
    life.stop()
    shutil.rmtree(tmp_path / "state")
    shutil.move(tmp_path / "kept", tmp_path / "state")
    keeper, loaded = life.start()
    assert loaded.outcome.value == "rolled-back"
    assert keeper.state.halt is not None
    order = signed_resume(signers, keeper.me.device, keeper.state.halt.nonce, now=life.now, names=tuple(signers.keys))
    document = parse_document(order, kind=RESUME_KIND, where="order")
    step = keeper.take("resume", transitions.resume(keeper.state, keeper.me, document, keeper.moment()))
    assert [one.kind for one in step.refusals] == [EventKind.STATE_ROLLED_BACK]
    assert keeper.state.mode is Mode.HALTED
    life.stop()
    keeper, loaded = life.start()
    assert keeper.state.distrusted, "another start does not help"


def test_a_halt_ends_by_its_own_order_only(life: Life, signers: Signers) -> None:
    keeper, gate = serving(life)
    keeper.take("halt", transitions.halt(keeper.state, EventKind.HALTED_BY_HAND, "a test", keeper.moment()))
    assert gate.mode is Mode.HALTED
    assert isinstance(gate.admit(asked(life)), Refusal)
    halt = keeper.state.halt
    assert halt is not None
    names = ("north-1", "south-1", "agency-1", "north-2")

    def resumed(nonce: str, by: tuple[str, ...]) -> transitions.Step:
        data = signed_resume(signers, keeper.me.device, nonce, now=life.now, names=by)
        document = parse_document(data, kind=RESUME_KIND, where="order")
        return keeper.take("resume", transitions.resume(keeper.state, keeper.me, document, keeper.moment()))

    assert resumed("0" * 64, names).refusals
    assert resumed(halt.nonce, ("north-1", "north-2", "north-3", "agency-1")).refusals, "the south has a veto"
    assert not resumed(halt.nonce, names).refusals
    assert gate.mode is Mode.READY
    keeper.take("halt", transitions.halt(keeper.state, EventKind.HALTED_BY_HAND, "again", keeper.moment()))
    assert resumed(halt.nonce, names).refusals, "an order is good for one halt"


def test_nothing_takes_effect_that_could_not_be_saved(life: Life) -> None:
    keeper, _ = life.start()
    before = keeper.state
    assert life.store is not None
    life.store.close()
    with pytest.raises((EnvironmentError_, OSError)):
        life.apply(keeper, life.licence(keeper, 1, BUDGETS))
    assert keeper.state is before


def test_what_comes_into_force_is_made_known_with_the_next_report(life: Life) -> None:
    keeper, _ = serving(life)
    assert keeper.door is not None
    assert [one.kind.value for one in keeper.door.state.waiting] == ["ruleset", "licence"]
    assert not life.sink.sealed


def test_the_saved_state_accounts_for_every_unit(life: Life) -> None:
    keeper, gate = serving(life)
    gate.admit(asked(life))
    for state in (keeper.state, ahead(keeper.state)):
        kept = state.licences
        for meter in BUDGETS:
            units = licences.available(kept, meter, at=state.time)
            assert kept.issued[meter] == units + kept.charged.get(meter, 0) - kept.owed.get(meter, 0) + kept.lost.get(
                meter, 0
            )


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("reporter: [", "guard.yaml:"),
        ("reporter: guard", "listen"),
    ],
)
def test_a_configuration_that_cannot_be_read_says_where(tmp_path: Path, text: str, place: str) -> None:
    path = tmp_path / "guard.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_config(path)
    assert place in str(caught.value)


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"listen": {"host": "::1"}}, "listen"),
        ({"device": "usb:/dev/null"}, "device"),
        ({"device": "swtpm:127.0.0.1"}, "device"),
        ({"chips": {"flop_per_s_max": 1.0, "joules_per_flop_min": 1e-12}}, "power_w_max"),
        ({"server": {"command": ["serve"], "at": {"socket": "s"}, "user": 0}}, "user"),
    ],
)
def test_a_configuration_that_does_not_fit_is_named(value: dict[str, object], place: str) -> None:
    whole: dict[str, object] = {
        "reporter": "guard", "listen": {"host": "127.0.0.1", "port": 0}, "control": "c", "state": "s", "state_key": "k",
        "spool": "s", "statement_key": "k", "device": "software:d", "baseline": "b", "baseline_digest": CONTENT,
        "models": "m", "server": {"command": ["serve"], "at": {"socket": "s"}}, "run": "r",
        "chips": {"flop_per_s_max": 1e12},
    }  # fmt: skip
    GuardConfig.parse(whole, where="guard.yaml", error=InputError)
    with pytest.raises(InputError, match=place):
        GuardConfig.parse({**whole, **value}, where="guard.yaml", error=InputError)


def test_an_upload_of_anything_else_is_refused_and_serving_goes_on(life: Life) -> None:
    keeper, gate = serving(life)
    other = gate.begin_upload(f"sha256:{'0' * 64}", len(MODEL))
    assert isinstance(other, Refusal)
    assert other.kind is EventKind.MODEL_REFUSED
    assert gate.mode is Mode.SERVING
    more = gate.begin_upload(CONTENT, len(MODEL) + 1_000_000)
    assert isinstance(more, Refusal)
    assert more.kind is EventKind.UPLOAD_EXCEEDED
    assert gate.mode is Mode.SERVING
    assert keeper.state.events[EventKind.UPLOAD_EXCEEDED] == 1
