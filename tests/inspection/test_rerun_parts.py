"""The parts of re-execution that need no torch: distances, calibration, what lies below it, programs, and processes apart."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspectorate.apart import Enclosure, run_apart
from inspectorate.canonical import canonical_bytes
from inspectorate.errors import EnvironmentError_, EvidenceError, InputError
from inspectorate.mechanisms.inspection.rerun.calibrate import HonestScore, fit_growth, tolerance_of
from inspectorate.mechanisms.inspection.rerun.compare import (
    FARTHEST,
    compare_losses,
    compare_states,
    compare_weights,
)
from inspectorate.mechanisms.inspection.rerun.jobs import JUDGE, FileOfTensors, Judged, JudgeItem, JudgeJob, each_apart
from inspectorate.mechanisms.inspection.rerun.judge import judged
from inspectorate.mechanisms.inspection.rerun.program import DecoderProgram, ModuleProgram, parse_program
from inspectorate.mechanisms.inspection.rerun.replay import LARGEST, STEPS
from inspectorate.mechanisms.inspection.rerun.residual import residual_of
from inspectorate.mechanisms.inspection.rerun.tensors import item_digests, raw, read_tensors, write_tensors
from inspectorate.mechanisms.inspection.transcripts.hashing import RawTensor, digest_of_tensors
from inspectorate.mechanisms.inspection.transcripts.types import Stack

PROGRAM = DecoderProgram(vocabulary=16, width=8, layers=1, heads=2, context=4, rows=2)
STACK = Stack(hardware="a processor", versions={"torch": "2"}, deterministic=True)
RNG = np.random.default_rng(5)


def tensors(**arrays: object) -> dict[str, RawTensor]:
    return {name: raw(np.asarray(one, dtype=np.float32)) for name, one in arrays.items()}


# --- distances ---------------------------------------------------------------------------------------------------------


def test_distance_is_relative_to_the_verifiers_own_update() -> None:
    before, again = tensors(a=[0, 0], b=[1.0]), tensors(a=[3, 4], b=[2.0])
    distance, largest, where, update = compare_weights(before, tensors(a=[3, 3], b=[2.0]), again)
    assert distance == pytest.approx(1 / 5)
    assert largest == pytest.approx(1 / (5 / math.sqrt(2)))
    assert where == "a"
    assert update == pytest.approx(math.sqrt(26))
    assert compare_weights(before, again, again)[0] == 0
    # However far the prover moves, its own update is not the measure.
    assert compare_weights(before, tensors(a=[3e6, 4e6], b=[2.0]), again)[0] > 1e5


def test_where_nothing_should_move_any_movement_is_infinitely_far() -> None:
    still = tensors(a=[1, 2])
    assert compare_weights(still, tensors(a=[1, 2.0000002]), still)[0] == FARTHEST
    assert compare_weights(still, still, still)[0] == 0


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(EvidenceError, match="not the same ones"):
        compare_weights(tensors(a=[1]), tensors(b=[1]), tensors(a=[1]))
    with pytest.raises(EvidenceError, match="shape"):
        compare_weights(tensors(a=[1]), tensors(a=[1, 2]), tensors(a=[1]))
    with pytest.raises(EvidenceError, match="not the same ones"):
        compare_states({}, tensors(a=[1]), tensors(b=[1]))
    with pytest.raises(EvidenceError, match="losses"):
        compare_losses((1.0,), (1.0, 2.0))
    assert compare_losses((), (1.0,)) == 0
    assert compare_losses((1.0, 2.5), (1.0, 2.0)) == 0.5


def test_other_rates_of_the_optimiser_are_infinitely_far() -> None:
    ours = {"scalars": raw(np.frombuffer(b'{"lr":1}', np.uint8)), "w/exp_avg": raw(np.ones(2, np.float32))}
    theirs = ours | {"scalars": raw(np.frombuffer(b'{"lr":2}', np.uint8))}
    assert compare_states(ours, ours, ours) == 0
    assert compare_states(ours, theirs, ours) == FARTHEST


# --- the judge, on hostile files ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def item(tmp_path_factory: pytest.TempPathFactory) -> JudgeItem:
    """A packet whose files are all there and equal."""
    folder = tmp_path_factory.mktemp("judge")
    sets = {
        "before": tensors(a=[0.0, 1.0], b=[[1.0]]),
        "after": tensors(a=[0.5, 1.5], b=[[2.0]]),
        "states": tensors(**{"a/exp_avg": [1.0, 2.0]}),
        "batch": {"tokens": raw(np.arange(6, dtype=np.int32).reshape(2, 3))},
    }
    files = {}
    for name, one in sets.items():
        write_tensors(folder / name, one)
        files[name] = FileOfTensors(path=str(folder / name), digest=digest_of_tensors(one))
    return JudgeItem(
        number=3,
        batches=(files["batch"],),
        items=tuple(item_digests(sets["batch"])),
        before=files["before"],
        before_optimiser=files["states"],
        claimed=files["after"],
        claimed_optimiser=files["states"],
        again=files["after"].path,
        again_optimiser=files["states"].path,
        claimed_losses=(1.0,),
        losses=(1.0,),
    )


def test_equal_files_are_equal_and_data_out_of_order_is_not(item: JudgeItem) -> None:
    assert judged(item).equal
    for items in (item.items[::-1], item.items[:1], (*item.items, item.items[0])):
        with pytest.raises(EvidenceError, match="data item"):
            judged(item.model_copy(update={"items": items}))


@settings(max_examples=50)
@given(st.data())
def test_a_changed_byte_in_any_file_is_refused_or_seen(
    item: JudgeItem, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Mutations of every file that the judge reads of the prover: never a traceback of another kind, never equal."""
    which = data.draw(st.sampled_from(["before", "claimed", "claimed_optimiser"]))
    file: FileOfTensors = getattr(item, which)
    content = bytearray(Path(file.path).read_bytes())
    kind = data.draw(st.sampled_from(["flip", "cut", "add", "head"]))
    if kind == "flip":
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] ^= data.draw(st.integers(1, 255))
    elif kind == "cut":
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    elif kind == "add":
        content += data.draw(st.binary(min_size=1, max_size=40))
    else:
        content[:8] = data.draw(st.integers(0, 2**64 - 1)).to_bytes(8, "little")
    path = tmp_path_factory.mktemp("mutated") / "file"
    path.write_bytes(content)
    try:
        found = judged(item.model_copy(update={which: FileOfTensors(path=str(path), digest=file.digest)}))
    except EvidenceError:
        return
    # What still has the digest is the same tensors: a space in the head, say.
    assert found.equal
    assert digest_of_tensors(read_tensors(path)) == file.digest


def test_the_judge_says_what_is_wrong_and_goes_on(item: JudgeItem, tmp_path: Path) -> None:
    """In its process, with one good packet after a bad one."""
    (tmp_path / "bad").write_bytes(b"PK\x03\x04" + bytes(100))
    bad = item.model_copy(
        update={"number": 1, "claimed": FileOfTensors(path=str(tmp_path / "bad"), digest=item.claimed.digest)}
    )
    folder = str(Path(item.before.path).parent)
    enclosure = Enclosure(readable=(folder, str(tmp_path)))
    items = [bad, item]
    found, closed = each_apart(
        JUDGE, items, lambda left: JudgeJob(items=tuple(left)).model_dump_json().encode(), Judged, enclosure, {}
    )
    first, second = found[1], found[3]
    assert isinstance(first, Judged)
    assert "zip" in (first.problem or "")
    assert isinstance(second, Judged)
    assert second.equal
    assert closed.files in (True, False)


def test_a_process_that_cannot_start_its_work_is_no_verdict(item: JudgeItem) -> None:
    def nonsense(left: object) -> bytes:
        return b"{}"

    with pytest.raises(EnvironmentError_, match="cannot be run again here"):
        each_apart(JUDGE, [item], nonsense, Judged, Enclosure(), {})


# --- a process apart ---------------------------------------------------------------------------------------------------

PROBE = """
import json, socket, sys
from inspectorate.apart import enclose
closed = enclose(sys.argv[1])
found = {"network": closed.network, "files": closed.files}
def tried(what):
    try:
        what()
    except OSError:
        return False
    return True
found["reads"] = tried(lambda: open(sys.argv[2]).read())
found["writes"] = tried(lambda: open(sys.argv[3], "w").write("x"))
found["connects"] = tried(lambda: socket.create_connection(("127.0.0.1", int(sys.argv[4])), 1).close())
try:
    bytearray(1 << 30)
    found["memory"] = True
except MemoryError:
    found["memory"] = False
print(json.dumps(found))
"""


def test_a_process_apart_reaches_nothing_but_what_was_named(tmp_path: Path) -> None:
    import socket

    secret, other = tmp_path / "secret", tmp_path / "other"
    secret.write_text("key")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        enclosure = Enclosure(memory_bytes=1 << 29)
        argument = enclosure.canonical_bytes().decode()
        command = [sys.executable, "-I", "-c", PROBE, argument, str(secret), str(other), port]
        done = subprocess.run(command, capture_output=True, check=True, env={"OPENBLAS_NUM_THREADS": "1"})
    found = json.loads(done.stdout)
    assert found["memory"] is False
    if not (found["network"] and found["files"]):
        pytest.skip("this kernel has no Landlock, or no network namespaces for us")
    assert found == {
        "network": True,
        "files": True,
        "reads": False,
        "writes": False,
        "connects": False,
        "memory": False,
    }


def test_a_process_that_takes_too_long_is_ended() -> None:
    said = run_apart("timeit", b"", Enclosure(seconds=0.05))
    assert said.lines == ()
    assert said.ended


# --- calibration -------------------------------------------------------------------------------------------------------


def scores(runs: int, rng: np.random.Generator, steps: int = 2) -> list[HonestScore]:
    found = []
    for number in range(runs):
        for _ in range(3):
            size = rng.lognormal(-10, 0.5)
            found.append(
                HonestScore(
                    run=f"run-{number}",
                    stack=STACK,
                    steps=steps,
                    distance=size,
                    largest=5 * size,
                    optimiser=0.0,
                    losses=size / 9,
                )
            )
    return found


def test_the_false_alarm_rate_is_a_bound_on_runs() -> None:
    """Against an oracle: how often a fresh run lies beyond the threshold of a calibration with margin 1."""
    rng = np.random.default_rng(1)
    beyond, bounds = [], []
    for _ in range(20):
        one = tolerance_of(scores(60, rng), PROGRAM, margin=1.0)
        bounds.append(one.false_alarm_rate)
        fresh = scores(60, rng)
        worst = {s.run: 0.0 for s in fresh}
        for s in fresh:
            worst[s.run] = max(worst[s.run], s.distance / one.threshold, s.largest / one.parameters[LARGEST])
        beyond.append(np.mean([value > 1 for value in worst.values()]))
    assert bounds[0] == pytest.approx(1 - 0.05 ** (1 / 45), rel=1e-6)
    assert np.mean(np.asarray(beyond) <= bounds[0]) >= 0.9
    assert np.mean(beyond) > 0, "margin 1 must have some alarms, or the test cannot fail"


def test_a_tolerance_says_for_what_it_holds() -> None:
    rng = np.random.default_rng(2)
    one = tolerance_of(scores(40, rng), PROGRAM)
    assert one.subject == PROGRAM.digest
    assert one.stacks == (STACK,)
    assert one.parameters[STEPS] == 2
    assert one.honest_runs == 30
    assert one.threshold == pytest.approx(
        2 * tolerance_of(scores(40, np.random.default_rng(2)), PROGRAM, margin=1.0).threshold
    )
    with pytest.raises(InputError, match="fewer"):
        tolerance_of(scores(10, rng), PROGRAM)
    with pytest.raises(InputError, match="margin"):
        tolerance_of(scores(40, rng), PROGRAM, margin=0.5)


def test_growth_is_found_again() -> None:
    fitted = fit_growth({steps: [3e-6 * steps**0.7] for steps in (1, 2, 4, 16)})
    assert fitted.exponent == pytest.approx(0.7)
    assert fitted.at(8) == pytest.approx(3e-6 * 8**0.7)
    with pytest.raises(InputError):
        fit_growth({1: [0.0], 2: [1.0]})


# --- what lies below ---------------------------------------------------------------------------------------------------


def test_bits_below_a_threshold_bound_what_can_be_hidden() -> None:
    """Against an oracle: as many distinct values as fit into a cube inside the ball that the threshold allows."""
    before = {"w": raw(np.ones(64, np.float32))}
    update = RNG.standard_normal(64).astype(np.float32) * 1e-2
    after = {"w": raw(np.ones(64, np.float32) + update)}
    threshold = 1e-3
    rest = residual_of(before, after, threshold)
    half_side = threshold * float(np.linalg.norm(update)) / math.sqrt(64)
    inside = 64 * math.log2(max(1.0, 2 * half_side / float(np.spacing(np.float32(1)))))
    assert inside < rest.bits < inside + 2.5 * 64
    assert rest.packets_for_one == pytest.approx(1000)
    assert residual_of(before, after, 0.0).bits == 0
    with pytest.raises(ValueError, match="negative"):
        residual_of(before, after, -1.0)


# --- programs ----------------------------------------------------------------------------------------------------------


def test_programs_are_read_under_limits() -> None:
    assert parse_program(PROGRAM.canonical_bytes(), where="x") == PROGRAM
    module = ModuleProgram(file="train/loop.py", snapshot="sha256:" + "1" * 64, source="sha256:" + "2" * 64)
    assert parse_program(module.canonical_bytes(), where="x") == module
    assert module.digest == module.snapshot
    good = json.loads(PROGRAM.canonical_bytes())
    for wrong in (
        good | {"width": 7},
        good | {"rows": 3, "split": 2},
        good | {"width": 1 << 20, "vocabulary": 1 << 20},
        good | {"kind": "pickle"},
        good | {"learning_rate": -1},
        good | {"more": 1},
        [],
    ):
        with pytest.raises(EvidenceError):
            parse_program(canonical_bytes(wrong), where="x")
    with pytest.raises(EvidenceError):
        parse_program(b" " * (2 << 20), where="x")


def test_first_weights_follow_from_the_seed() -> None:
    one, same, other = (PROGRAM.first_weights(seed * 64) for seed in "114")
    assert all(np.array_equal(one[name], same[name]) for name in one)
    assert not np.array_equal(one["symbol"], other["symbol"])
    assert {name: a.shape for name, a in one.items()} == {name: shape for name, shape, _ in PROGRAM.tensors()}
    assert sum(a.size for a in one.values()) == PROGRAM.parameters


def test_rates_warm_up_and_fall() -> None:
    program = PROGRAM.model_copy(update={"warm_steps": 4, "last_step": 12, "learning_rate": 1.0})
    assert [program.rate(n) for n in (0, 3, 4, 8, 12, 99)] == pytest.approx([0.25, 1, 1, 0.5, 0, 0])
