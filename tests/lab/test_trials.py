"""The arithmetic of the trials: packing, frames, bytes by formula, predictions. No root, no network."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from inspectorate.errors import InputError
from inspectorate.lab import trial_sparse as sparse
from inspectorate.lab.shaping import QUEUE_BYTES_MAX, PodLimit, burst_bytes, queue_bytes
from inspectorate.lab.trial import (
    Bytes,
    Compression,
    Method,
    Trial,
    acknowledgements_per_segment,
    message_bytes,
    packed_bytes,
    payload,
    wire,
)
from inspectorate.lab.trial_frames import Kind, Message, TokenFrame, parse_tokens, prompt_frames
from inspectorate.lab.trial_matrix import MATRIX, named
from inspectorate.lab.trial_planned import choose_limit, predict_planned
from inspectorate.lab.trial_prediction import compare, pipeline_s, predict_simply
from inspectorate.lab.trial_proportion import (
    DATA_PARALLEL,
    SPARSE,
    latencies,
    share,
    slowed,
    slower_at_best,
)
from inspectorate.lab.trial_result import Calibration, LinkSpeed, Measured, Result, medians, result, spread
from inspectorate.lab.trial_session import RESULTS, keep, read_results, run_session
from inspectorate.lab.trial_shape import BENCH, LARGE, MEDIUM, SMALL, Shape

# --- sparse packing ----------------------------------------------------------------------------------------------------

finite = st.floats(-1e3, 1e3, width=32)


def slowly_packed(values: np.ndarray) -> np.ndarray:
    """What `unpack(pack(values))` must be, number by number."""
    found = np.zeros_like(values)
    for start in range(0, values.size, sparse.CHUNK):
        chunk = values[start : start + sparse.CHUNK]
        kept = sorted(range(chunk.size), key=lambda place: (-abs(chunk[place]), place))[: sparse.KEPT]
        sizes = [abs(chunk[place]) for place in kept] + [0.0] * (sparse.KEPT - len(kept))
        mean = np.mean(np.array(sizes, dtype=np.float32))
        upper = [s for s in sizes if s > mean]
        lower = [s for s in sizes if s <= mean]
        for place in kept:
            group = upper if abs(chunk[place]) > mean else lower
            size = np.float16(np.sum(np.array(group, dtype=np.float32)) / len(group))
            found[start + place] = -size if chunk[place] < 0 else size
    return found


@settings(max_examples=30)
@given(st.integers(1, 3 * sparse.CHUNK), st.integers(0, 2**32 - 1))
def test_packing_keeps_what_a_slow_packer_keeps(count: int, seed: int) -> None:
    # Magnitudes that are all different, so that there is one right choice.
    random = np.random.default_rng(seed)
    values = (random.permutation(count) + 1).astype(np.float32) * random.choice([-1, 1], count).astype(np.float32)
    packed = sparse.pack(values)
    assert len(packed) == sparse.packed_bytes(count)
    assert sparse.unpack(packed, count) == pytest.approx(slowly_packed(values), rel=2e-3)


@settings(max_examples=30)
@given(hnp.arrays(np.float32, st.integers(1, 300), elements=finite))
def test_unpacking_gives_at_most_the_kept_numbers_with_their_signs(values: np.ndarray) -> None:
    back = sparse.unpack(sparse.pack(values), values.size)
    assert np.count_nonzero(back) <= sparse.KEPT * -(-values.size // sparse.CHUNK)
    assert (back * values >= 0).all()
    assert np.abs(back).max() <= np.abs(values).max() * 1.001 + 1e-7


def test_equal_numbers_are_packed_as_well() -> None:
    values = np.ones(2 * sparse.CHUNK + 10, dtype=np.float32)
    back = sparse.unpack(sparse.pack(values), values.size)
    assert set(back) == {0.0, 1.0}
    assert back.sum() == 2 * sparse.KEPT + 10
    assert not sparse.unpack(sparse.pack(0 * values), values.size).any()


def test_sparse_packing_takes_a_quarter_of_a_bit() -> None:
    assert sparse.CHUNK_BYTES == 64 * 14 // 8 + 4 == 116
    assert 8 * sparse.packed_bytes(MEDIUM.parameters) / MEDIUM.parameters == pytest.approx(0.227, abs=0.001)
    # Against the 16 bits that Covenant-72B counts from, 70-fold here; theirs is more than 146-fold with index coding.
    assert pytest.approx(141, abs=1) == 32 / 0.2266


@pytest.mark.parametrize(
    "values",
    [np.array([], dtype=np.float32), np.array([1, np.nan], dtype=np.float32), np.array([np.inf], dtype=np.float32)],
    ids=["empty", "nan", "infinite"],
)
def test_packing_refuses_what_would_poison_a_replica(values: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"finite|at least one"):
        sparse.pack(values)


@pytest.mark.parametrize("damage", ["short", "long", "scale", "order", "count"])
def test_unpacking_refuses_damage(damage: str) -> None:
    packed = sparse.pack(np.arange(1, 5001, dtype=np.float32))
    count = 3 * sparse.CHUNK if damage == "count" else 5000
    damaged = {
        "short": packed[:-1],
        "long": packed + b"x",
        "scale": np.float16("nan").tobytes() + packed[2:],
        "order": packed[: sparse.SCALE_BYTES] + bytes(len(packed) - sparse.SCALE_BYTES),
        "count": packed,
    }[damage]
    with pytest.raises(ValueError, match=r"cannot hold|scale|rise"):
        sparse.unpack(damaged, count)


def test_what_is_not_sent_is_sent_later() -> None:
    """Conservation: what was sent and what is left is what there was, but for the decay, which is taken away here."""
    feedback = sparse.ErrorFeedback(10_000)
    random = np.random.default_rng(3)
    given_in, sent = np.zeros(10_000, np.float32), np.zeros(10_000, np.float32)
    for _ in range(5):
        values = random.standard_normal(10_000).astype(np.float32)
        decayed = feedback.unsent * (1 - sparse.FEEDBACK_DECAY)
        given_in += values - decayed
        sent += sparse.unpack(feedback.pack(values), 10_000)
    assert sent + feedback.unsent == pytest.approx(given_in, abs=1e-4)


def descend(*, feedback: bool, rounds: int) -> float:
    """Two replicas walk towards a target by packed steps; returns what is left of the way."""
    random = np.random.default_rng(4)
    target = random.standard_normal(4 * sparse.CHUNK).astype(np.float32)
    at = np.zeros_like(target)
    kept = [sparse.ErrorFeedback(at.size) for _ in range(2)]
    for _ in range(rounds):
        wanted = [(0.05 * (at - target + 0.1 * random.standard_normal(at.size))).astype(np.float32) for _ in kept]
        packed = [f.pack(w) if feedback else sparse.pack(w) for f, w in zip(kept, wanted, strict=True)]
        at = at - sum((sparse.unpack(p, at.size) for p in packed), np.zeros_like(at)) / 2
    return float(np.linalg.norm(at - target) / np.linalg.norm(target))


def test_training_on_sparse_steps_learns_and_feedback_helps() -> None:
    assert descend(feedback=True, rounds=300) < 0.5
    assert descend(feedback=True, rounds=300) < 0.75 * descend(feedback=False, rounds=300)


# --- frames ------------------------------------------------------------------------------------------------------------


def test_a_message_header_survives_its_bytes_and_refuses_others() -> None:
    message = Message(number=7, size=100, digest=b"12345678")
    data = message.to_bytes()
    assert Message.from_bytes(data) == message
    for wrong in (b"", data[:-1], b"X" + data[1:], data[:8] + b"\xff\xff\xff\xff" + data[12:], bytes(len(data))):
        with pytest.raises(ValueError, match="header"):
            Message.from_bytes(wrong)


@given(st.integers(0, 65535), st.binary(min_size=1, max_size=1500), st.integers(1, 400))
def test_a_prompt_comes_back_whole_however_it_is_cut(request_number: int, prompt: bytes, piece: int) -> None:
    data, buffer, found = prompt_frames(request_number, prompt), bytearray(), []
    for at in range(0, len(data), piece):
        buffer += data[at : at + piece]
        found += parse_tokens(buffer)
    assert not buffer
    assert b"".join(frame.tokens for frame in found) == prompt
    assert [frame.kind for frame in found] == [Kind.PROMPT] * (len(found) - 1) + [Kind.ASK]
    trial = inference(prompt_tokens=len(prompt))
    assert payload(trial).to_pod == len(data)


def test_token_frames_refuse_what_they_cannot_be() -> None:
    for wrong in (b"\0\1\3\0", b"\0\1\x09\1x"):
        with pytest.raises(ValueError, match="not a frame"):
            parse_tokens(bytearray(wrong))
    with pytest.raises(ValueError, match="1 to 255"):
        TokenFrame(request=1, kind=Kind.END, tokens=b"").to_bytes()


# --- bytes by formula --------------------------------------------------------------------------------------------------


def training(method: Method, **fields: object) -> Trial:
    return Trial.model_validate({"name": "t", "method": method, "shape": BENCH, "steps": 3} | fields)


def inference(**fields: object) -> Trial:
    return training(Method.INFERENCE, **fields)


def test_shapes_have_the_sizes_that_they_are_named_after() -> None:
    assert BENCH.parameters == 279_232
    found = [shape.parameters / 1e6 for shape in (SMALL, MEDIUM, LARGE)]
    assert found == pytest.approx([3.3, 9.9, 99.7], abs=0.06)


def test_bytes_of_a_step_written_out() -> None:
    gradient = training(Method.DATA_PARALLEL)
    assert payload(gradient) == Bytes(from_pod=4 * 279_232, to_pod=4 * 279_232)
    packed = training(Method.LOW_COMMUNICATION, compression="int8", inner_steps=10, batch=4)
    assert payload(packed).from_pod == 20 + 279_232 + 4 * 546
    assert packed.tokens_per_step == 4 * 64 * 10
    halves = training(Method.PIPELINE, compression="fp16", micro_batches=4, batch=2)
    assert payload(halves).from_pod == 4 * (20 + 2 * 2 * 64 * 96)
    assert message_bytes(halves) == 20 + 2 * 2 * 64 * 96
    answer = inference(prompt_tokens=300, answer_tokens=64, tokens_per_frame=16)
    assert payload(answer) == Bytes(from_pod=64 + 4 * 4, to_pod=300 + 2 * 4)
    assert wire(answer) == Bytes(from_pod=80 + 5 * 66, to_pod=308 + 5 * 66)


def test_wire_bytes_are_payload_and_headers_and_acknowledgements() -> None:
    fast = training(Method.DATA_PARALLEL)
    assert wire(fast).from_pod / payload(fast).from_pod == pytest.approx(1 + 1.5 * 66 / 1448)
    slow = training(Method.DATA_PARALLEL, limit_bytes_per_s=4000)
    assert wire(slow).from_pod / payload(slow).from_pod == pytest.approx(1 + 2 * 66 / 1448)
    assert acknowledgements_per_segment(1514 / 0.039) == 0.5
    assert acknowledgements_per_segment(1514 / 0.041) == 1.0


@pytest.mark.parametrize("compression", Compression)
@given(count=st.integers(1, 10**9))
def test_packing_never_takes_more_than_floats_but_for_one_chunk(compression: Compression, count: int) -> None:
    assert 0 < packed_bytes(compression, count) <= 4 * count + sparse.CHUNK_BYTES


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"method": "data-parallel", "compression": "sparse"}, "cannot be packed"),
        ({"method": "pipeline", "compression": "fp32"}, "cannot be packed"),
        ({"method": "inference", "inner_steps": 2}, "inner steps"),
        ({"method": "low-communication", "paced": True}, "below a limit"),
        ({"method": "low-communication", "micro_batches": 2}, "micro-batches"),
        ({"method": "data-parallel", "limit_bytes_per_s": 0}, "greater than 0"),
        ({"method": "data-parallel", "steps": 1}, "greater than or equal"),
        ({"method": "data-parallel", "shape": {"width": 97, "layers": 2, "heads": 4, "context": 64}}, "divided"),
    ],
)
def test_a_trial_that_makes_no_sense_is_refused(fields: dict[str, object], said: str) -> None:
    whole = {"name": "t", "shape": BENCH.model_dump(), "steps": 3} | fields
    with pytest.raises(InputError, match=said):
        Trial.parse(whole, where="t", error=InputError)


# --- shaping -----------------------------------------------------------------------------------------------------------


def test_burst_and_queue_are_bounded_both_ways() -> None:
    assert burst_bytes(100) == 2 * 1514
    assert burst_bytes(1e9) == 10_000_000
    assert queue_bytes(100) == 16 * 1514
    assert queue_bytes(1e9) == QUEUE_BYTES_MAX
    with pytest.raises(InputError, match="at least"):
        PodLimit.both(0)
    with pytest.raises(InputError, match="at least"):
        PodLimit.both(float("nan"))


# --- results and predictions -------------------------------------------------------------------------------------------


def calibrated(first: dict[str, float], second: dict[str, float], *, after_s: float = 1.0) -> Calibration:
    return Calibration(
        first_by_itself_s=first,
        first_s=first,
        second_s=second,
        before_s=1.0,
        after_s=after_s,
        link=LinkSpeed(bytes_per_s=1e8, round_trip_s=1e-4),
    )


def measured(*steps_s: float, other_cores: float = 0.0, network_s: tuple[float, ...] = ()) -> Measured:
    one = Bytes(from_pod=240, to_pod=120)
    return Measured(
        step_s=spread(steps_s),
        steps_s=steps_s,
        waiting_s=None,
        network_s=network_s,
        whole_s=sum(steps_s),
        tokens_per_s=1.0,
        sent=one,
        delivered=one,
        load_average=1.0,
        other_cores=other_cores,
    )


def finished(trial: Trial, *steps_s: float, after_s: float = 1.0, other_cores: float = 0.0) -> Result:
    alone = {"compute": 1.0}
    found = measured(*steps_s, other_cores=other_cores)
    return result(trial, calibrated(alone, alone, after_s=after_s), found, attempts=1)


def test_predictions_written_out() -> None:
    alike = {"compute": 2.0}
    slower = {"compute": 3.0}
    parallel = training(Method.DATA_PARALLEL, limit_bytes_per_s=1e5)
    crossing = 4 * 279_232 * (1 + 1.5 * 66 / 1448) / 1e5
    assert predict_simply(parallel, calibrated(alike, slower)) == pytest.approx(3 + crossing, rel=1e-3)
    rounds = {"compute": 5.0, "synchronise": 1.0}
    blocking = training(Method.LOW_COMMUNICATION, compression="int8", limit_bytes_per_s=1e5)
    crossing = (20 + 279_232 + 4 * 546) * (1 + 1.5 * 66 / 1448) / 1e5
    assert predict_simply(blocking, calibrated(rounds, rounds)) == pytest.approx(6 + crossing, rel=1e-3)
    overlapped = blocking.model_copy(update={"overlapped": True})
    assert predict_simply(overlapped, calibrated(rounds, rounds)) == pytest.approx(6, rel=1e-3)
    paced = overlapped.model_copy(update={"paced": True, "limit_bytes_per_s": 1e4})
    crossing = (20 + 279_232 + 4 * 546) * (1 + 2 * 66 / 1448) / 0.98e4
    assert predict_simply(paced, calibrated(rounds, rounds)) == pytest.approx(crossing, rel=1e-3)
    answer = inference(limit_bytes_per_s=100)
    assert predict_simply(answer, calibrated(alike, {})) == pytest.approx(wire(answer).from_pod / 100, rel=1e-3)
    assert predict_simply(inference(), calibrated(alike, {})) == pytest.approx(2, rel=1e-3)


@given(
    count=st.integers(1, 8),
    times=st.tuples(*[st.floats(0.01, 2.0)] * 4),
    crossing_s=st.floats(0.0, 3.0),
)
def test_the_pipeline_is_a_walk_through_all_its_stages(
    count: int, times: tuple[float, float, float, float], crossing_s: float
) -> None:
    """Against the longest path through the table of who waits for whom, found by trying all."""
    forward, backward, both, optimise = times
    trial = training(Method.PIPELINE, compression="fp16", micro_batches=count)
    first = {"forward": forward, "backward": backward, "optimise": optimise}
    second = {"both": both, "optimise": optimise}
    stages = (forward, crossing_s, both, crossing_s, backward)
    ends: dict[tuple[int, int], float] = {}
    for index in range(count):
        for stage, cost in enumerate(stages):
            waits = [ends.get((stage - 1, index), 0.0), ends.get((stage, index - 1), 0.0)]
            if stage == 4:
                waits.append(count * forward)
            ends[stage, index] = max(waits) + cost
    slowest = max(ends[4, count - 1], ends[2, count - 1]) + optimise
    assert pipeline_s(trial, first, second, crossing_s=crossing_s) == pytest.approx(slowest)


@given(st.lists(st.floats(500.0, 1e8), min_size=2, max_size=2).map(sorted), st.sampled_from(MATRIX))
def test_a_tighter_limit_never_makes_a_step_shorter(limits: list[float], planned: object) -> None:
    trial = planned.trial  # type: ignore[attr-defined]
    parts = {"compute": 1.0}
    if trial.method is Method.PIPELINE:
        parts = {"forward": 0.1, "backward": 0.2, "both": 0.3, "optimise": 0.1}
    found = [
        predict_simply(trial.model_copy(update={"limit_bytes_per_s": limit}), calibrated(parts, parts))
        for limit in limits
    ]
    assert found[0] >= found[1] - 1e-9


def test_comparing_names_what_is_missing_and_fails_on_nothing() -> None:
    done = [finished(training(Method.DATA_PARALLEL), 1.0, 2.0, 3.0)]
    rows = compare(done, {"t": 2.4})
    assert rows[0].off == pytest.approx(0.2)
    assert rows[0].within
    assert not compare(done, {"t": 2.6})[0].within
    with pytest.raises(ValueError, match="no prediction for t"):
        compare(done, {})
    with pytest.raises(ValueError, match="no results"):
        compare([], {})


def test_nothing_measured_is_not_zero() -> None:
    for empty in (lambda: spread([]), lambda: medians([]), lambda: share([], 0.5)):
        with pytest.raises(ValueError, match="nothing"):
            empty()


def test_a_trial_is_disturbed_by_what_changes_its_step() -> None:
    limited = training(Method.DATA_PARALLEL, limit_bytes_per_s=1e5)
    assert not finished(limited, 10.0, 10.0, after_s=1.9).disturbed
    assert finished(limited, 10.0, 10.0, after_s=2.1).disturbed
    assert not finished(limited, 10.0, 10.0, other_cores=1.0).disturbed
    assert finished(training(Method.DATA_PARALLEL), 10.0, 10.0, other_cores=1.0).disturbed


def test_shares_of_values() -> None:
    values = [float(v) for v in range(1, 21)]
    assert share(values, 0.5) == 10
    assert share(values, 0.95) == 19
    assert share([5.0], 0.95) == 5


def test_results_are_kept_and_damage_is_named(tmp_path: object) -> None:
    folder = tmp_path / "trials"  # type: ignore[operator]
    assert read_results(folder) == {}
    first, second = finished(training(Method.DATA_PARALLEL), 1.0, 1.0), finished(inference(name="u"), 2.0, 2.0)
    for one in (first, second):
        keep(folder / RESULTS, one.model_dump_json())
    assert read_results(folder) == {"t": first, "u": second}
    keep(folder / RESULTS, '{"trial": 1}')
    with pytest.raises(InputError, match="trial"):
        read_results(folder)


def test_a_session_of_nothing_is_refused(tmp_path: object) -> None:
    with pytest.raises(InputError, match="no trial"):
        run_session([], tmp_path, lambda text, share: None)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"nobody.*dp-0\.3M-1MB"):
        named("nobody")


# --- the matrix and the proportion -------------------------------------------------------------------------------------


def test_the_matrix_has_four_trials_of_each_method_and_all_sizes() -> None:
    assert len({one.trial.name for one in MATRIX}) == len(MATRIX) == 16
    for method in Method:
        assert sum(one.trial.method is method for one in MATRIX) == 4
    largest = {one.trial.method for one in MATRIX if one.trial.shape == LARGE}
    assert {Method.DATA_PARALLEL, Method.LOW_COMMUNICATION} <= largest
    assert {one.trial.compression for one in MATRIX} == set(Compression)
    assert named(MATRIX[3].trial.name) is MATRIX[3]


def test_the_job_is_in_proportion_to_the_published_one() -> None:
    published = 131_072 * 100 / 405e9
    assert SPARSE.tokens_per_parameter == pytest.approx(published, rel=0.01)
    assert DATA_PARALLEL.tokens_per_step == SPARSE.tokens_per_step
    assert packed_bytes(SPARSE.compression, SPARSE.shape.parameters) == pytest.approx(275e3, rel=0.03)


def test_the_planner_chooses_the_largest_limit_that_is_slow_enough() -> None:
    paced = SPARSE.model_copy(update={"paced": True, "limit_bytes_per_s": 1.0})
    calibration = calibrated({"compute": 1.5}, {"compute": 1.5})
    limit = choose_limit(paced, calibration, slower=100)
    free = predict_planned(SPARSE, calibration)

    def slowed_to(rate: float) -> float:
        return predict_planned(paced.model_copy(update={"limit_bytes_per_s": rate}), calibration) / free

    assert slowed_to(limit) >= 100
    assert slowed_to(limit * 1.01) < 100
    assert choose_limit(paced, calibrated({"compute": 3.0}, {"compute": 3.0}), slower=100) == pytest.approx(
        limit / 2, rel=0.01
    )
    with pytest.raises(ValueError, match="no limit"):
        choose_limit(paced, calibration, slower=1e9)


def test_the_planner_predicts_from_bytes_and_computing_alone() -> None:
    calibration = calibrated({"compute": 2.0}, {"compute": 2.0})
    for planned in MATRIX:
        trial = planned.trial
        if trial.method in (Method.PIPELINE, Method.INFERENCE):
            continue
        bound = max(wire(trial).from_pod, wire(trial).to_pod) / min(trial.limit_bytes_per_s or 1e8, 1e8)
        predicted = predict_planned(trial, calibration)
        assert max(2.0, bound) * 0.999 <= predicted <= (2.0 + bound) * 1.12 + 0.01


def test_a_slowdown_needs_both_kinds_of_rounds() -> None:
    free = finished(SPARSE, 1.0, 1.1, 0.9)
    limited = finished(SPARSE.model_copy(update={"limit_bytes_per_s": 3e3}), 120.0, 121.0)
    found = slowed([free, limited, free])
    assert found.slower == pytest.approx(120.5)
    assert not found.projected
    parallel = found.model_copy(update={"free_s": spread([0.5]), "limited_s": spread([9000.0])})
    assert slower_at_best([found, parallel]) == pytest.approx(241)
    with pytest.raises(ValueError, match="no training"):
        slower_at_best([])
    for one in ([free], [limited]):
        with pytest.raises(ValueError, match="nothing"):
            slowed(one)


def test_latencies_compare_turns_of_both_kinds() -> None:
    parts = calibrated({"compute": 1.0}, {})
    free = result(inference(), parts, measured(1.0, 1.2, network_s=(0.001, 0.002)), attempts=1)
    limited_trial = inference(limit_bytes_per_s=1000)
    limited = result(limited_trial, parts, measured(1.1, 1.5, network_s=(0.003, 0.004)), attempts=1)
    found = latencies([free, limited])
    assert found.added_p50 == pytest.approx(0.1)
    assert found.added_p95 == pytest.approx(0.25)
    assert found.limited_network_p50_s == 0.003
    assert found.from_pod_bytes_per_token == 240 / 64
    with pytest.raises(ValueError, match="nothing"):
        latencies([free])


def test_the_smallest_shape_is_still_a_model() -> None:
    assert Shape(width=8, layers=2, heads=1, context=4).parameters == (512 + 4) * 8 + 256 + 2 * (12 * 64 + 104)
