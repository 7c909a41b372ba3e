"""Two different secret workloads that obey the rules cannot be told apart at the outlet.

The workloads run through the processor's own state machine, licences and ledger of FLOP: different prompts, lengths and times of
arrival. What they have in common is what the budget allows to be said. Each test has its counterpart that is told apart.
"""

from __future__ import annotations

import base64
import hashlib
import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

import licence_making
import numpy as np
import numpy.typing as npt
import pytest
import ruleset_making
from hypothesis import given, settings
from hypothesis import strategies as st
from outlet_making import DIGEST, KEY, Sealing, Stream, amounts, checkpoint, said

from inspectorate.canonical import digest_of, parse_json
from inspectorate.mechanisms.guarantee.events import Mode
from inspectorate.mechanisms.guarantee.interlock.gate import Answered, Asked, Outcome
from inspectorate.mechanisms.guarantee.licences.judge import judge_licence
from inspectorate.mechanisms.guarantee.licences.state import LicenceState
from inspectorate.mechanisms.guarantee.machine import serving
from inspectorate.mechanisms.guarantee.machine.asking import Circumstances
from inspectorate.mechanisms.guarantee.machine.reporting import Frame, reported
from inspectorate.mechanisms.guarantee.machine.reporting import checkpoint as checkpoint_of
from inspectorate.mechanisms.guarantee.machine.state import GuardState
from inspectorate.mechanisms.guarantee.machine.transitions import Identity, Moment
from inspectorate.mechanisms.guarantee.metering import flop_ledger
from inspectorate.mechanisms.guarantee.metering.flop_commitment import commit
from inspectorate.mechanisms.guarantee.metering.types import MeterKind, Reading, Source
from inspectorate.mechanisms.guarantee.outlet.budget import Plan, plan_of
from inspectorate.mechanisms.guarantee.outlet.codec import encode, quantise
from inspectorate.mechanisms.guarantee.outlet.opening import Sealed
from inspectorate.mechanisms.guarantee.outlet.outlet import Outlet, OutletState, Result
from inspectorate.mechanisms.guarantee.outlet.precision import FINEST, Precision, levels
from inspectorate.mechanisms.guarantee.rulesets.rules import RuleBook
from inspectorate.mechanisms.guarantee.rulesets.types import Outlet as OutletRule

HOURS = 2
START = licence_making.START
MODEL = ruleset_making.model(flop_per_token=1e9)
RULESET = licence_making.ruleset(
    models=(MODEL,),
    licensed_meters=(MeterKind.FLOP, MeterKind.BYTES_OUT),
    outlet=OutletRule(report_every_s=3600.0, bits_per_day_max=4500.0),
)
BOOK = RuleBook(RULESET)
ME = Identity(device=licence_making.DEVICE, build=DIGEST, baseline=RULESET.digest)
LICENCE = licence_making.signed(licence_making.licence(1, {MeterKind.FLOP: 1e20, MeterKind.BYTES_OUT: 1e15}))
STREAM = list[tuple[datetime, Sealed]]


@dataclass(frozen=True)
class Request:
    """What only the operator and the client may know."""

    at: datetime
    prompt: bytes
    tokens: int
    answer_bytes: int


@dataclass(frozen=True)
class Secret:
    """A workload: requests of each hour. Within an hour, totals are anywhere in one cell of the grid of the plan."""

    hours: tuple[tuple[Request, ...], ...]


def workload(
    seed: int, *, tokens: tuple[int, int] = (1_010_000, 1_990_000), answers: tuple[int, int] = (110_000, 190_000)
) -> Secret:
    """A workload that differs from every other in number, size and time of its requests, and in what they say."""
    random = np.random.default_rng(seed)
    hours = []
    for hour in range(1, HOURS + 1):
        count = int(random.integers(6, 12))
        at = np.sort(random.uniform(0, 3500, count))
        total_tokens, total_bytes = int(random.integers(*tokens)), int(random.integers(*answers))
        asked = int(random.integers(1_250, 1_950)) - 100 * count
        lengths, shares = random.dirichlet(np.ones(count)), random.dirichlet(np.ones(count))
        hours.append(
            tuple(
                Request(
                    at=START + timedelta(hours=hour, seconds=float(second)),
                    prompt=random.bytes(int(length * asked) + 1),
                    tokens=int(share * total_tokens) + 1,
                    answer_bytes=int(share * total_bytes) + 1,
                )
                for second, length, share in zip(at, lengths, shares, strict=True)
            )
        )
    return Secret(hours=tuple(hours))


def run(secret: Secret, *, plan: Plan, salt_seed: int | None, runs: str = "run") -> STREAM:
    """What leaves while a workload runs: hours of a guarded server, by the processor's own transitions."""
    licensed = judge_licence(LicenceState(), LICENCE, device=ME.device, ruleset=RULESET, at=START)
    assert licensed.state is not None
    state = GuardState(
        time=START, starts=1, ruleset=RULESET, version_max=1, licences=licensed.state, licence="licence-1",
        mode=Mode.SERVING, model=MODEL.content,
    )  # fmt: skip
    stream, ledger = Stream(), flop_ledger.of({})
    outlet = Outlet(plan=plan, sink=stream, sealer=Sealing(), state=OutletState(), now=START)
    for number, requests in enumerate(secret.hours):
        for place, request in enumerate(requests):
            state = _served(state, request, sampled=place % 3 == 0)
            ledger = ledger.with_at_least(flop_ledger.content_source(digest_of(request.prompt)), request.tokens * 1e9)
        now = START + timedelta(hours=number + 2)
        looked = serving.Looked(readings=_clock(requests), held_s=0.0)
        state = serving.tick(state, ME, BOOK, looked, Circumstances(), Moment(at=now, nonce="0" * 64)).state
        salt = hashlib.sha256(f"{runs} {salt_seed} {number}".encode()).digest()
        frame = Frame(
            reporter="guard-1", statement_key=KEY.key_id, rollback_protected=True, opened="0" * 64,
            flop_ledger=DIGEST if salt_seed is None else commit(ledger, salt).digest,
        )  # fmt: skip
        period = outlet.due(now)
        assert period is not None
        out = quantise(checkpoint_of(state, ME, frame, period), plan.precision)
        stream.now = now
        assert outlet.release(out, now=now, persist=lambda _: None) is Result.RELEASED
        state = reported(state, digest_of(encode(out, plan.precision)))
    return stream.out


def _served(state: GuardState, request: Request, *, sampled: bool) -> GuardState:
    moment = Moment(at=request.at, nonce="0" * 64)
    size = len(request.prompt) + 100
    asked = Asked(
        path="/v1/completions", request_bytes=size, tokens_in_max=size, tokens_max=request.tokens + size, at=request.at
    )
    step = serving.admit(state, BOOK, asked, Circumstances(), moment)
    assert step.ticket is not None, step.refusals
    answered = Answered(
        outcome=Outcome.COMPLETE, bytes_in=size, bytes_out=request.answer_bytes, tokens_at_least=1,
        tokens_at_most=request.tokens, duration_s=1.0, status=200,
    )  # fmt: skip
    return serving.settle(step.state, BOOK, step.ticket, answered, sampled, moment).state


def _clock(requests: tuple[Request, ...]) -> dict[MeterKind, Reading]:
    flop = sum(one.tokens for one in requests) * 1e9
    return {
        MeterKind.FLOP: Reading(meter=MeterKind.FLOP, used=flop, source=Source.CLOCK),
        MeterKind.WALL_S: Reading(meter=MeterKind.WALL_S, used=3600.0, source=Source.CLOCK),
    }


PLAN = plan_of(RULESET)
FINE = Plan(every_s=3600.0, precision=FINEST, bits_per_day_max=1e6)


# --- byte for byte -----------------------------------------------------------------------------------------------------


def test_the_plan_of_these_tests_is_chosen_by_its_budget() -> None:
    assert PLAN.precision.level == 4
    assert PLAN.bits_per_day <= 4500


def test_workloads_that_differ_in_all_that_is_secret_leave_the_same_stream() -> None:
    """Same times, same sizes, same bytes, signatures included: the key is deterministic."""
    first, second = workload(1), workload(2)
    assert first != second
    assert [len(hour) for hour in first.hours] != [len(hour) for hour in second.hours]
    one, other = run(first, plan=PLAN, salt_seed=None), run(second, plan=PLAN, salt_seed=None)
    assert len(one) == HOURS
    assert one == other


def test_at_full_precision_the_same_workloads_are_told_apart() -> None:
    """The test above can fail: it is the rounding that hides the difference."""
    assert run(workload(1), plan=FINE, salt_seed=None) != run(workload(2), plan=FINE, salt_seed=None)


def test_a_workload_of_another_size_is_told_apart() -> None:
    """What the budget pays for does leave."""
    large = workload(2, tokens=(3_010_000, 3_990_000))
    assert run(workload(1), plan=PLAN, salt_seed=None) != run(large, plan=PLAN, salt_seed=None)


def test_with_commitments_times_sizes_and_all_but_digests_are_the_same() -> None:
    """Under fresh salts the commitment differs, as it does between two runs of one workload; and what is made of it by digest."""
    streams = [run(workload(seed), plan=PLAN, salt_seed=seed) for seed in (1, 2)]
    for (when, one), (when_other, other) in zip(*streams, strict=True):
        assert when == when_other
        assert len(one.envelope) == len(other.envelope)
        assert [(name, len(data)) for name, data in one.payloads] == [
            (name, len(data)) for name, data in other.payloads
        ]
    found = [dict(stream[-1][1].payloads)["checkpoint"].decode() for stream in streams]
    assert found[0] != found[1]
    differing = {
        place for place, (a, b) in enumerate(zip(*found, strict=True)) if a != b and not _within_digest(found[0], place)
    }
    assert differing == set()


def _within_digest(text: str, place: int) -> bool:
    """Whether a place is within the digits of the commitment or of the digest of the checkpoint before."""
    starts = [text.index(f'"{name}":"sha256:') + len(name) + 11 for name in ("flop_ledger", "previous")]
    return any(start <= place < start + 64 for start in starts)


# --- a distinguisher ---------------------------------------------------------------------------------------------------


def features(stream: STREAM) -> npt.NDArray[np.float64]:
    """All that an observer has: times, sizes, every number and name that is said, and every byte of digests and signatures."""
    seen: list[float] = []
    for when, sealed in stream:
        seen += [
            when.timestamp(),
            float(len(sealed.envelope)),
            *(float(len(payload)) for _, payload in sealed.payloads),
        ]
        seen += _leaves(parse_json(dict(sealed.payloads)["checkpoint"], where="test"))
        envelope = parse_json(sealed.envelope, where="test")
        seen += [float(byte) for byte in base64.b64decode(envelope["signatures"][0]["sig"])]
    return np.array(seen)


def _leaves(value: object) -> list[float]:
    """Numbers as they are, digests and nonces byte by byte, other words as a number of their own."""
    if isinstance(value, dict):
        return [leaf for key in sorted(value) if key != "padding" for leaf in _leaves(value[key])]
    if isinstance(value, list):
        return [leaf for item in value for leaf in _leaves(item)]
    if isinstance(value, str):
        digits = value.removeprefix("sha256:")
        if len(digits) == 64:
            return [float(byte) for byte in bytes.fromhex(digits)]
        return [float(int.from_bytes(hashlib.sha256(value.encode()).digest()[:6]))]
    assert isinstance(value, int | float)
    return [float(value)]


def accuracy(streams: list[STREAM], labels: npt.NDArray[np.int64]) -> float:
    """Of the nearest mean over the features that differ most: chosen and fitted on one half of the streams, tried on the other."""
    table = np.stack([features(stream) for stream in streams])
    half = len(labels) // 2
    fit, of = table[:half], labels[:half]
    means = np.stack([fit[of == label].mean(axis=0) for label in (0, 1)])
    spread = np.sqrt(np.stack([fit[of == label].var(axis=0) for label in (0, 1)]).mean(axis=0)) + 1e-9
    best = np.argsort(-np.abs(means[0] - means[1]) / spread)[:3]
    far = [(np.abs(table[half:, best] - mean[best]) / spread[best]).sum(axis=1) for mean in means]
    told = np.where(far[0] == far[1], labels[0], (far[1] < far[0]).astype(np.int64))
    return float((told == labels[half:]).mean())


N = 48
CELLS = ((1_010_000, 1_200_000), (1_800_000, 1_990_000))
"""Light and heavy traffic, within one cell of the grid of one digit."""


@pytest.fixture(scope="module")
def labels() -> npt.NDArray[np.int64]:
    return np.array([n % 2 for n in range(N)])


def test_a_distinguisher_is_at_chance(labels: npt.NDArray[np.int64]) -> None:
    """A fresh salt for each run: half of the held-out ones are told, give or take three deviations."""
    streams = [run(workload(n, tokens=CELLS[label]), plan=PLAN, salt_seed=n) for n, label in enumerate(labels)]
    assert abs(accuracy(streams, labels) - 0.5) <= 3 * 0.5 / math.sqrt(N / 2)


def test_the_distinguisher_tells_them_apart_at_full_precision(labels: npt.NDArray[np.int64]) -> None:
    streams = [run(workload(n, tokens=CELLS[label]), plan=FINE, salt_seed=n) for n, label in enumerate(labels)]
    assert accuracy(streams, labels) >= 0.9


def test_a_salt_that_is_used_twice_is_told_apart(labels: npt.NDArray[np.int64]) -> None:
    """Why the salt has to be fresh: without it two workloads have two commitments, whoever knows the one knows the other."""
    pair = [run(workload(seed), plan=PLAN, salt_seed=7) for seed in (1, 2)]
    streams = [pair[label] for label in labels]
    assert accuracy(streams, labels) == 1.0


def test_workloads_of_many_sizes_leave_no_more_information_than_the_budget() -> None:
    """The entropy of all streams, which is no less than what they say about the workload, for sizes over three decades."""
    streams = [
        run(workload(n, tokens=(10 ** (4 + n % 4), 10 ** (4 + n % 4) * 9)), plan=PLAN, salt_seed=None)
        for n in range(24)
    ]
    counts: dict[bytes, int] = {}
    for stream in streams:
        key = b"".join(sealed.envelope for _, sealed in stream)
        counts[key] = counts.get(key, 0) + 1
    shares = np.array(list(counts.values())) / len(streams)
    measured = float(-(shares * np.log2(shares)).sum())
    assert 2.0 < measured <= math.log2(len(streams))
    assert measured <= HOURS * PLAN.bits_per_report


# --- any two inputs of one cell ----------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(st.sampled_from(levels((MeterKind.FLOP,))), amounts, st.floats(0, 1), st.floats(0, 3600), st.floats(0, 1))
def test_whatever_two_inputs_are_rounded_alike_leave_the_same_bytes(
    precision: Precision, amount: float, place: float, held: float, part: float
) -> None:
    """`other` is anywhere in the cell of the grid that `amount` is in."""
    top = precision.up(amount)
    below = max((step for step in _grid_near(top, precision) if step < top), default=0.0)
    other = top if below >= top else min(max(below + (top - below) * place, math.nextafter(below, math.inf)), top)
    held_low = precision.held_down(held, 3600.0)
    held_other = min(held_low + part * 3600 / precision.held_steps * 0.999, 3600.0)
    one, two = (
        quantise(checkpoint(held_s=h, meters=(said(used=u, at_least=0.0),)), precision)
        for h, u in ((held, amount), (held_other, other))
    )
    assert encode(one, precision) == encode(two, precision)


def _grid_near(top: float, precision: Precision) -> list[float]:
    if top == 0.0:
        return []
    exponent = math.floor(math.log10(top)) - precision.digits + 1
    mantissas = range(10 ** (precision.digits - 1), 10**precision.digits + 1)
    near = [float(f"{m}e{e}") for e in (exponent - 1, exponent) for m in mantissas]
    return [step for step in near if step >= 1] or [0.0]


def test_streams_of_one_workload_are_chained() -> None:
    """The identical streams above are whole reports, each naming the one before."""
    out = run(workload(1), plan=PLAN, salt_seed=None)
    for (_, before), (_, after) in pairwise(out):
        assert digest_of(dict(before.payloads)["checkpoint"]).encode() in dict(after.payloads)["checkpoint"]
