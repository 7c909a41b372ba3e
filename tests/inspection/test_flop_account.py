"""The account as a record, its judge, hidden training in real jobs, and the command."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from inspectorate.agreement import AccountedFlop, load_agreement
from inspectorate.agreement.clauses import ClauseKind
from inspectorate.canonical import canonical_bytes, digest_of, parse_json
from inspectorate.cli.audit_flop import flop
from inspectorate.declaration import ChipGroup, MeasuringPoint, parse_declaration
from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence import FlopAccounted, Origin, sign_statement, verify_envelope
from inspectorate.keys import Holder, Role, SigningKey, TrustAnchor, TrustAnchors
from inspectorate.mechanisms.inspection.flop.account import FlopAccount, make_account
from inspectorate.mechanisms.inspection.flop.architecture import Transformer
from inspectorate.mechanisms.inspection.flop.facts import Described, Facts, Metered, Replayed, Terms, Traced
from inspectorate.mechanisms.inspection.flop.implied import Energy, Memory, trainable_at_most
from inspectorate.mechanisms.inspection.flop.judge import ProblemKind, account_statement, check_account, parse_account
from inspectorate.mechanisms.inspection.flop.rule import FormatShare
from inspectorate.mechanisms.inspection.flop.signs import SignKind
from inspectorate.mechanisms.inspection.flop.tracefile import (
    OperatorCount,
    PacketTrace,
    Phase,
    Trace,
    parse_trace,
    totals,
    totals_of,
)
from inspectorate.mechanisms.inspection.flop.work import Does, Part, Work
from inspectorate.quantities import Period

AGREEMENT = load_agreement("asi-agreement")
CLAUSE = AccountedFlop(kind=ClauseKind.ACCOUNTED_FLOP, sources_min=2, disagreement_share_max=0.05)
TERMS = Terms.of(AGREEMENT, disagreement_share_max=0.05, sources_min=2)
START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = Period(start=START, end=START + timedelta(days=1))
SMALL = Transformer(name="m", layers=16, width=2048, heads=16, feed_forward=8192, gated=True, vocabulary=32_000)
BF16 = (FormatShare(format="bf16", share=1.0),)


def declaration() -> Any:
    pod = {"id": "pod-a", "chips": [{"model": "h100-sxm", "count": 8}], "networks": ["10.0.0.0/24"]}
    period = {"start": "2026-01-01T00:00:00Z", "end": "2026-01-03T00:00:00Z"}
    claim = {"id": "train-1", "kind": "training", "pods": ["pod-a"], "period": period, "description": "a run"}
    data = {"id": "d", "party": "party-b", "period": period, "claims": [claim],
            "sites": [{"id": "s", "location": "here", "clusters": [{"id": "c", "pods": [pod]}]}]}  # fmt: skip
    return parse_declaration(canonical_bytes(data), where="test"), data


DECLARATION, DECLARATION_DATA = declaration()


def described(does: Does = Does.TRAIN, tokens: float = 4e9, by: Holder = Holder.VERIFIER) -> Described:
    part = Part(name="p", model="m", does=does, tokens=tokens, sequence=2048, formats=BF16)
    return Described(work=Work(models=(SMALL,), parts=(part,)), models_by=by, amount_by=by)


def facts(**changed: Any) -> Facts:
    given: dict[str, Any] = {"period": DAY, "pods": ("pod-a",), "chips": (ChipGroup(model="h100-sxm", count=8),),
                             "described": described(), **changed}  # fmt: skip
    return Facts(**given)


def trace_of(**phases: float) -> Any:
    counts = tuple(
        OperatorCount(operator="aten.mm", format="bf16", phase=Phase(name), product=True, operations=amount, calls=1)
        for name, amount in sorted(phases.items())
    )
    return totals(Trace(run="run-1", library="test", packets=(PacketTrace(number=0, counts=counts),)))


def stated(account: FlopAccount) -> tuple[FlopAccounted, bytes]:
    statement, payload = account_statement(account, by="inspector-1", origin=Origin.RECORDED, accounted_at=DAY.end)
    assert isinstance(statement.predicate, FlopAccounted)
    return statement.predicate, payload


def problems(predicate: FlopAccounted, payload: bytes) -> set[ProblemKind]:
    found = check_account(predicate, payload, agreement=AGREEMENT, clause=CLAUSE, declaration=DECLARATION)
    return {one.kind for one in found}


HONEST = make_account(
    "train-1", "run-1", facts(replayed=Replayed(stated_flop=3.4e19, stated_of_drawn=1e17, counted_of_drawn=1e17,
                                               dirty_share_max=0.03)), TERMS)  # fmt: skip


# --- an honest account and its judge -----------------------------------------------------------------------------------


def test_an_honest_account_is_in_order() -> None:
    assert problems(*stated(HONEST)) == set()
    assert HONEST.joined.independent == 2
    assert 0.97 * 3.4e19 <= HONEST.flop_min <= HONEST.flop_max <= 3.4e19
    assert HONEST.joined.spare is not None
    assert HONEST.joined.spare == pytest.approx(8 * 1979e12 * 0.6 * 86_400 - HONEST.flop_min)


@pytest.mark.parametrize(
    "changed",
    [
        {"replayed": Replayed(stated_flop=1e200, stated_of_drawn=1.0, counted_of_drawn=1e200, dirty_share_max=0.0)},
        {
            "energy": (
                Energy(meter="m", holder=Holder.VERIFIER, point=MeasuringPoint.CHIP, joules_min=0.0, joules_max=1e308),
            )
        },
    ],
)
def test_facts_without_bounds_are_a_problem_of_the_account_and_end_no_review(changed: dict[str, Any]) -> None:
    given = facts(**changed)
    with pytest.raises(InputError, match="give no account"):
        make_account("train-1", "run-1", given, TERMS)
    predicate, payload = stated(HONEST.model_copy(update={"facts": given}))
    assert problems(predicate, payload) == {ProblemKind.MALFORMED}
    with pytest.raises(ValueError, match="below its low"):
        facts(metered=(Metered(meter="m", holder=Holder.PROVER, low=2.0, high=1.0),))


def test_it_survives_signing_and_reading() -> None:
    key = SigningKey(b"\x07" * 32)
    statement, payload = account_statement(HONEST, by="inspector-1", origin=Origin.RECORDED, accounted_at=DAY.end)
    anchor = TrustAnchor(
        name="inspector-1", public_key=base64.b64encode(key.public.raw).decode(), holder=Holder.VERIFIER, roles=(Role.INSPECTOR,),
        valid_from=START, valid_until=START + timedelta(days=9),
    )  # fmt: skip
    verified = verify_envelope(sign_statement(statement, key), anchors=TrustAnchors(anchors=(anchor,)), where="test")
    assert isinstance(verified.predicate, FlopAccounted)
    assert problems(verified.predicate, payload) == set()
    assert parse_account(payload, where="test") == HONEST


@pytest.mark.parametrize(
    ("path", "value", "kind"),
    [
        (("joined", "verified", "low"), 1.0, ProblemKind.STATEMENT_DIFFERS),
        (("joined", "spare"), 1.0, ProblemKind.NOT_AS_COMPUTED),
        (("sources", 0, "high"), 9e25, ProblemKind.NOT_AS_COMPUTED),
        (("facts", "replayed", "dirty_share_max"), 0.5, ProblemKind.NOT_AS_COMPUTED),
        (("utilisation_max",), 0.2, ProblemKind.WRONG_TERMS),
        (("counted_formats",), ["fp16"], ProblemKind.WRONG_TERMS),
        (("claim",), "other", ProblemKind.UNKNOWN_CLAIM),
        (("facts", "chips", 0, "count"), 4, ProblemKind.WRONG_CHIPS),
        (("facts", "pods"), ["pod-z"], ProblemKind.OUTSIDE_CLAIM),
        (("facts", "period", "end"), "2026-01-09T00:00:00Z", ProblemKind.OUTSIDE_CLAIM),
    ],
)
def test_each_change_of_an_account_is_found(path: tuple[Any, ...], value: Any, kind: ProblemKind) -> None:
    predicate, payload = stated(HONEST)
    data = parse_json(payload, where="test")
    held = data
    for step in path[:-1]:
        held = held[step]
    held[path[-1]] = value
    assert kind in problems(predicate, canonical_bytes(data))


def test_a_statement_that_says_less_than_its_payload_is_found() -> None:
    predicate, payload = stated(HONEST)
    assert problems(predicate.model_copy(update={"flop_max": 1e18}), payload) == {ProblemKind.STATEMENT_DIFFERS}


@given(st.integers(0, 10**6), st.integers(0, 255))
@settings(max_examples=60)
def test_no_flipped_byte_passes_or_raises(place: int, flip: int) -> None:
    predicate, payload = stated(HONEST)
    data = bytearray(payload)
    data[place % len(data)] ^= flip
    assert bool(problems(predicate, bytes(data))) == (flip != 0)


def test_too_few_sources_and_the_prover_alone() -> None:
    alone = make_account("train-1", "run-1", facts(), TERMS)
    assert problems(*stated(alone)) == {ProblemKind.TOO_FEW_SOURCES}
    nothing = make_account("train-1", "run-1", facts(described=None, declared_flop=3.4e19), TERMS)
    assert nothing.flop_min == 0
    assert nothing.joined.spare_share == 1.0


# --- what the sources say ----------------------------------------------------------------------------------------------


def test_declared_less_than_was_done_is_a_contradiction_that_recomputation_may_explain() -> None:
    trace = trace_of(forward=1.2e19, backward=2.3e19, recompute=1.0e19)
    account = make_account("train-1", "run-1", facts(declared_flop=3.4e19, traces=(Traced(by=Holder.VERIFIER,
                           totals=trace),)), TERMS)  # fmt: skip
    (one,) = account.joined.contradictions
    assert (one.more, one.less, one.reasons[0].value) == ("traced.verifier", "declared", "recomputation")
    assert account.flop_min < 3.5e19
    assert account.flop_max >= 4.5e19


@pytest.mark.parametrize("phase", ["backward", "optimiser"])
def test_training_inside_work_that_answers_needs_no_sum_to_be_found(phase: str) -> None:
    trace = trace_of(forward=1e19, **{phase: 1.0})
    account = make_account("train-1", "run-1", facts(described=described(Does.FORWARD), traces=(
        Traced(by=Holder.VERIFIER, totals=trace),)), TERMS)  # fmt: skip
    assert {f"{phase}-without-training"} <= {sign.kind.value for sign in account.signs}
    assert account.contradicted


def test_a_forward_pass_below_the_formula_is_a_blind_spot_or_a_lie() -> None:
    trace = trace_of(forward=33.6e6)
    account = make_account("train-1", "run-1", facts(described=described(Does.FORWARD), traces=(
        Traced(by=Holder.PROVER, totals=trace),)), TERMS)  # fmt: skip
    assert SignKind.FORWARD_BELOW_FORMULA in {sign.kind for sign in account.signs}
    assert "blind-spot" in {reason.value for one in account.joined.contradictions for reason in one.reasons}


def test_a_count_on_the_chips_above_the_work() -> None:
    meter = Metered(meter="guard", holder=Holder.VERIFIER, low=9e19, high=1e20)
    account = make_account("train-1", "run-1", facts(metered=(meter,)), TERMS)
    assert problems(*stated(account)) >= {ProblemKind.CONTRADICTION}


def test_energy_bounds_from_above_and_asks_from_below() -> None:
    idle = 8 * 700 * 0.05 * 86_400
    little = Energy(meter="inlet", holder=Holder.VERIFIER, point=MeasuringPoint.CHIP, joules_min=0.9 * idle,
                    joules_max=idle)  # fmt: skip
    starved = make_account("train-1", "run-1", facts(energy=(little,)), TERMS)
    assert {one.less for one in starved.joined.contradictions} == {"energy.inlet"}
    much = little.model_copy(update={"joules_min": 8 * 650 * 86_400.0, "joules_max": 8 * 700 * 86_400.0})
    busy = make_account("train-1", "run-1", facts(energy=(much,), described=described(tokens=1e8)), TERMS)
    assert busy.joined.contradictions == ()
    assert next(one.question for one in busy.joined.differences)
    assert ProblemKind.QUESTION in problems(*stated(busy))


def test_memory_that_could_not_hold_the_training() -> None:
    memory = Memory(holder=Holder.VERIFIER, bytes_max=1e9)
    signs = make_account("train-1", "run-1", facts(memory=memory), TERMS).signs
    assert [sign.kind for sign in signs] == [SignKind.MEMORY_TOO_SMALL]
    assert trainable_at_most(memory, 6e8) == 1e8


# --- traces ------------------------------------------------------------------------------------------------------------


def test_traces_of_another_run_and_packets_twice_are_refused() -> None:
    one = Trace(run="run-1", library="t", packets=(PacketTrace(number=0, counts=()),))
    with pytest.raises(EvidenceError, match="not of run-2"):
        totals_of([one], run="run-2")
    with pytest.raises(EvidenceError, match="twice"):
        totals_of([one, one], run="run-1")
    with pytest.raises(EvidenceError, match="no packets"):
        totals_of([], run="run-1")


def _flipped(place: int) -> bytes:
    trace = Trace(run="run-1", library="t", packets=(PacketTrace(number=0, counts=trace_of(forward=5.0).counts),))
    data = bytearray(trace.canonical_bytes())
    data[place % len(data)] ^= 1 + place % 255
    return bytes(data)


@given(st.binary(max_size=200) | st.integers(0, 10**6).map(_flipped))
@settings(max_examples=60)
def test_reading_a_trace_refuses_or_reads(data: bytes) -> None:
    try:
        read = parse_trace(data, where="fuzz")
    except EvidenceError:
        return
    assert read.canonical_bytes() == data


# --- hidden training in real jobs --------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3])
def test_hidden_training_in_a_real_job_that_answers(share: float) -> None:
    pytest.importorskip("torch", reason="needs the extra lab")
    hidden = pytest.importorskip("bench.flop_hidden", reason="run from the root of the project")
    job = hidden.run_job(share, requests=6)
    found = {
        combination: hidden.account_of(job, combination, requests=6).contradicted for combination in hidden.COMBINATIONS
    }
    assert found == {
        "time": False,
        "time, trace of the loop": False,
        "time, meter of all within 5 %": share > 0.2,
        "time, trace of the process": share > 0,
    }


# --- the command -------------------------------------------------------------------------------------------------------


@pytest.fixture
def asked(tmp_path: Path) -> list[str]:
    (tmp_path / "declaration.yaml").write_text(json.dumps(DECLARATION_DATA))
    replayed = {"stated_flop": 3.4e19, "stated_of_drawn": 1e17, "counted_of_drawn": 1e17, "dirty_share_max": 0.03}
    work = {"described": described().model_dump(mode="json"), "declared_flop": 3.4e19, "replayed": replayed}
    (tmp_path / "facts.yaml").write_text(yaml.safe_dump(work))
    return ["--agreement", "asi-agreement", "--declaration", str(tmp_path / "declaration.yaml"), "--claim", "train-1",
            "--run", "run-1", "--facts", str(tmp_path / "facts.yaml"), "--to", "2026-01-02"]  # fmt: skip


def test_the_command_prints_sources_and_signs(asked: list[str], tmp_path: Path) -> None:
    SigningKey(b"\x07" * 32).write(tmp_path / "key.pem")
    signed = [
        *asked,
        "--key",
        str(tmp_path / "key.pem"),
        "--as",
        "inspector-1",
        "--out",
        str(tmp_path / "out"),
        "--json",
    ]
    result = CliRunner().invoke(flop, signed)
    assert result.exit_code == 0, result.output
    told = json.loads(result.output)
    assert told["thresholds"]["strict-training"] == "below"
    payload = next((tmp_path / "out" / "payloads").iterdir())
    assert digest_of(payload.read_bytes()) == f"sha256:{payload.name}"
    assert parse_account(payload.read_bytes(), where="out").run == "run-1"
    assert CliRunner().invoke(flop, asked).exit_code == 0


def test_the_command_says_when_a_trace_contradicts(asked: list[str], tmp_path: Path) -> None:
    counts = trace_of(forward=1e17).counts
    trace = Trace(run="run-1", library="t", packets=(PacketTrace(number=0, counts=counts),))
    (tmp_path / "trace.json").write_bytes(trace.canonical_bytes())
    result = CliRunner().invoke(flop, [*asked, "--trace", str(tmp_path / "trace.json")])
    assert result.exit_code == 20
    assert "contradiction" in result.output
    (tmp_path / "trace.json").write_bytes(b"{}")
    broken = CliRunner().invoke(flop, [*asked, "--trace", str(tmp_path / "trace.json")])
    assert isinstance(broken.exception, EvidenceError)
