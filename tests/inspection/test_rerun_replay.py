"""Training packets run again: honest ones pass, dirty ones are seen, and hostile files are never a pass."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from rerun_making import SMALL, loosely, made

from inspectorate.errors import InputError
from inspectorate.evidence import ReplayMethod, WorkKind
from inspectorate.mechanisms.inspection.rerun.records import header_fault, packet_fault, with_seams
from inspectorate.mechanisms.inspection.rerun.replay import LARGEST, LOSSES, OPTIMISER, STEPS, TrainingReplayer
from inspectorate.mechanisms.inspection.results import Outcome, Tolerance
from inspectorate.mechanisms.inspection.transcripts.lists import list_of_folder
from inspectorate.mechanisms.inspection.transcripts.types import TrainingContent
from inspectorate.worlds import training_spoofs as spoofs
from inspectorate.worlds.training_runs import Run
from inspectorate.worlds.training_trials import Table, challenge, drawn, judge_all

DEEDS = {
    1: spoofs.skipped,
    2: spoofs.swapped,
    3: spoofs.swapped_shown,
    4: spoofs.hidden_between,
    5: spoofs.hidden_within,
    6: spoofs.more_hosts,
    **spoofs.interpolated(range(8, 10), searched=2, hidden_steps=2),
    **spoofs.interpolated(range(11, 13), hidden_steps=4),
    14: spoofs.nudged(0.01),
}
PACKETS = 16
Made = tuple[Run, TrainingReplayer]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Made]:
    """A dirty run, an honest one, and an honest one whose files are broken."""
    folder = tmp_path_factory.mktemp("runs")
    dirty, honest = made(folder / "dirty", DEEDS, packets=PACKETS), made(folder / "honest", {}, seed=2)
    broken = made(folder / "broken", {}, seed=3, packets=10)
    break_files(broken[1])
    return [dirty, honest, broken]


def break_files(replayer: TrainingReplayer) -> None:
    """Cut off, pickle, missing, link, NaN, a head that says absurd things."""

    def path_of(digest: str) -> Path:
        return replayer.folder.path / "content" / f"{digest.removeprefix('sha256:')}.tensors"

    contents = [packet.content for _, packet in sorted(replayer.packets.items())]
    assert all(isinstance(one, TrainingContent) for one in contents)
    after = [path_of(one.after.weights) for one in contents]  # type: ignore[union-attr]
    batches = [path_of(one.batches[0]) for one in contents]  # type: ignore[union-attr]
    whole = after[0].read_bytes()
    length = int.from_bytes(whole[:8], "little")
    after[0].write_bytes(whole[:-40])
    batches[2].write_bytes(b"\x80\x04\x95" + bytes(60))
    batches[3].unlink()
    after[5].write_bytes(whole[: 8 + length] + np.full((len(whole) - 8 - length) // 4, np.nan, np.float32).tobytes())
    huge = json.dumps({"symbol": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 1 << 42]}}).encode()
    batches[7].write_bytes(len(huge).to_bytes(8, "little") + huge)
    batches[8].unlink()
    batches[8].symlink_to(batches[9])


@pytest.fixture(scope="module")
def tables(runs: list[Made]) -> list[Table]:
    """Every packet of all three run again, within a tolerance, with other bits than the prover had. One process of each kind."""
    replayers = [loosely(one, tolerance(one)) for _, one in runs]
    return [
        Table(
            name="x", run=run, listed=list_of_folder(one.folder, 0, 0, one.folder.count), results=result, replayer=one
        )
        for (run, _), one, result in zip(runs, replayers, judge_all(replayers), strict=True)
    ]


def tolerance(replayer: TrainingReplayer, **changes: object) -> Tolerance:
    given = {
        "id": "test",
        "subject": SMALL.digest,
        "method": ReplayMethod.WEIGHTS,
        "work": WorkKind.TRAINING,
        "stacks": (replayer.again.stack,),
        "unit": "of the update",
        "threshold": 2e-3,
        "honest_runs": 20,
        "false_alarm_rate": 0.14,
        "confidence": 0.95,
        "parameters": {STEPS: 2.0, LARGEST: 0.2, OPTIMISER: 1e-3, LOSSES: 1e-4},
    }
    return Tolerance.model_validate(given | changes)


def test_honest_packets_pass_and_every_kind_of_dirty_packet_is_seen(tables: list[Table]) -> None:
    dirty, honest, _ = tables
    assert honest.seen == frozenset()
    assert dirty.seen == frozenset(DEEDS), [one.reason for one in dirty.results]
    assert all(one.outcome is not Outcome.NOT_RUN for one in (*dirty.results, *honest.results))
    reasons = {number: dirty.results[number].reason for number in DEEDS}
    assert "the seed orders" in reasons[3]
    assert "checkpoint with which the packet before it ended" in reasons[4]
    assert "beyond the tolerance" in reasons[14]


def test_what_is_measured_beside_the_verdict_is_there(tables: list[Table]) -> None:
    one = tables[1].results[2]
    assert 0 < (one.distance or 0) < 2e-3
    assert one.tokens == 2 * SMALL.rows * SMALL.context
    forward_and_back = 6 * SMALL.parameters * one.tokens
    assert 0.5 * forward_and_back < (one.flop_counted or 0) < 1.2 * forward_and_back
    assert (one.replayed_s or 0) > 0


def test_a_challenge_catches_as_often_as_is_predicted(tables: list[Table]) -> None:
    """200 draws by the code of the challenge over verdicts of real re-execution."""
    dirty, honest, _ = tables
    for keep in (1, 2, 5):
        some = frozenset(sorted(DEEDS)[:keep])
        results = tuple(
            one
            if one.packet in some or one.outcome is Outcome.MATCHED
            else one.model_copy(update={"outcome": Outcome.MATCHED})
            for one in dirty.results
        )
        table = replace(dirty, results=results, run=Run(setting=dirty.run.setting, dirty=some))
        found = challenge("x", [table], np.random.default_rng(keep), sample=4, trials=200)
        low, high = found.interval(0.01)
        assert low <= found.predicted <= high
        assert found.dirty_seen == found.dirty_all
    assert challenge("x", [honest], np.random.default_rng(1), sample=4, trials=50).caught == 0


def test_draws_differ_and_can_be_repeated(tables: list[Table]) -> None:
    listed = tables[0].listed
    assert drawn(listed, 5, b"\x01" * 32) == drawn(listed, 5, b"\x01" * 32)
    assert len({drawn(listed, 5, bytes([n]) * 32) for n in range(20)}) > 10


def test_hostile_files_are_never_a_pass_and_stop_nobody(tables: list[Table]) -> None:
    """One packet each, as `break_files` left them; those beside them pass."""
    outcomes = [one.outcome for one in tables[2].results]
    unusable, fine = Outcome.NOT_RUN, Outcome.MATCHED
    assert outcomes == [unusable, unusable, unusable, unusable, fine, unusable, unusable, unusable, unusable, fine], [
        one.reason for one in tables[2].results
    ]


# --- records only: nothing is run --------------------------------------------------------------------------------------


def test_seams_and_first_weights_are_seen_in_the_records(runs: list[Made]) -> None:
    replayer = runs[1][1]
    header, packets = replayer.folder.header, dict(replayer.packets)
    assert header.work is WorkKind.TRAINING
    assert all(packet_fault(number, packets, header) is None for number in packets)
    alone = {3: packets[3]}
    fault = packet_fault(3, alone, header)
    assert fault is not None
    assert fault.outcome is Outcome.NOT_RUN
    assert packet_fault(9, packets, header).outcome is Outcome.NOT_RUN  # type: ignore[union-attr]
    assert packet_fault(0, {0: packets[1]}, header).outcome is Outcome.DIFFERED  # type: ignore[union-attr]
    wrong = packets | {2: packets[4].model_copy(update={"number": 2})}
    assert packet_fault(3, wrong, header).outcome is Outcome.DIFFERED  # type: ignore[union-attr]
    assert with_seams([0, 3, 4]) == (0, 2, 3, 4)


def test_another_seed_other_code_or_other_hyper_parameters_make_every_packet_dirty(runs: list[Made]) -> None:
    replayer = runs[1][1]
    header = replayer.folder.header
    assert header_fault(header, SMALL) is None  # type: ignore[arg-type]
    for changes in (
        {"weights_first": "sha256:" + "0" * 64},
        {"seed": "1" * 64},
        {"code": "sha256:" + "0" * 64},
        {"hyper_parameters": {"learning_rate": 1.0}},
    ):
        fault = header_fault(header.model_copy(update=changes), SMALL)  # type: ignore[arg-type]
        assert fault is not None
        assert fault.outcome is Outcome.DIFFERED


def test_a_tolerance_for_something_else_gives_no_verdict(runs: list[Made]) -> None:
    replayer = runs[1][1]
    stack = replayer.again.stack
    for changes in (
        {"subject": "sha256:" + "0" * 64},
        {"method": ReplayMethod.TOPLOC},
        {"work": WorkKind.INFERENCE},
        {"stacks": (stack.model_copy(update={"hardware": "another"}),)},
    ):
        judged = loosely(replayer, tolerance(replayer, **changes))
        assert [one.outcome for one in judged.replay([1, 2])] == [Outcome.NOT_RUN] * 2


def test_an_empty_challenge_is_refused(runs: list[Made]) -> None:
    with pytest.raises(InputError, match="no packet was drawn"):
        runs[1][1].report([])
