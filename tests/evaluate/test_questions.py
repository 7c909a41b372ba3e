"""The questions end to end on small made runs; every answer must be able to come out badly."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from evaluation_making import SHAPES, made_run
from test_runs import smi_log

from inspectorate.cli import cli
from inspectorate.errors import InputError
from inspectorate.mechanisms.workloads.evaluate import questions, questions_alarm
from inspectorate.mechanisms.workloads.evaluate.detectors import NAMES, Distances, Ours, choose
from inspectorate.mechanisms.workloads.evaluate.folds import twice_held_out
from inspectorate.mechanisms.workloads.evaluate.metrics import Figure
from inspectorate.mechanisms.workloads.evaluate.prepare import Prepared, prepare, prepare_all
from inspectorate.mechanisms.workloads.evaluate.questions import Bench
from inspectorate.mechanisms.workloads.evaluate.results import Answer
from inspectorate.mechanisms.workloads.evaluate.splits import folds_of_jobs
from inspectorate.report.evaluation_page import evaluation_page


def quiet(text: str) -> None:
    assert text


@pytest.fixture(scope="module")
def bench() -> Bench:
    runs = [made_run(name, k) for name in SHAPES for k in range(4)]
    return Bench(name="rack", prepared=prepare_all(runs)[0])


@dataclass(frozen=True)
class FittedTruth:
    workloads: tuple[str, ...]

    def distances(self, one: Prepared) -> Distances:
        return np.array([[1.0 + (name != one.run.workload) for name in self.workloads]] * len(one))


@dataclass(frozen=True)
class Truth:
    """Knows what it is asked; remembers what it was enrolled on."""

    name: str = "truth"

    def fit(self, enrolled: Sequence[Prepared]) -> FittedTruth:
        return FittedTruth(tuple(sorted({one.run.workload for one in enrolled})))


@dataclass(frozen=True)
class Blind(Truth):
    """Finds everything equally near."""

    name: str = "blind"

    def fit(self, enrolled: Sequence[Prepared]) -> FittedTruth:
        fitted = super().fit(enrolled)
        return FittedBlind(fitted.workloads)


class FittedBlind(FittedTruth):
    def distances(self, one: Prepared) -> Distances:
        return np.ones((len(one), len(self.workloads)))


def cell(answer: Answer, column: str, row: int = 0) -> Figure:
    found = answer.rows[row][answer.columns.index(column)]
    assert isinstance(found, Figure)
    return found


def test_ours_names_workloads_that_differ(bench: Bench) -> None:
    answer = questions.identify([bench], [Ours(), Blind()], quiet)
    assert cell(answer, "runs named rightly").value == 1.0
    assert cell(answer, "runs named rightly").n == 12
    assert cell(answer, "runs named rightly", 1).value == pytest.approx(1 / 3)


def test_what_was_never_enrolled_lies_farther(bench: Bench) -> None:
    answer = questions.novelty([bench], [Ours(), Truth(), Blind()], quiet)
    assert cell(answer, "AUROC nearest of all").value == 1.0
    assert cell(answer, "AUROC claimed").value == 1.0
    assert cell(answer, "AUROC nearest of all", 1).value == 1.0
    assert cell(answer, "AUROC nearest of all", 2).value == 0.5


def test_false_alarms_are_few_and_every_run_is_tried(bench: Bench) -> None:
    answer = questions_alarm.false_alarms([bench], [Ours()], quiet, rates=(1 / 24,), folds_max=4)
    found = cell(answer, "runs with an alarm")
    assert found.n == 12
    assert found.value is not None
    assert found.value <= 2 / 12


def test_training_in_the_place_of_inference_is_caught_and_by_the_blind_is_not(bench: Bench) -> None:
    answer = questions_alarm.substitution([bench], [Ours(), Blind()], quiet, folds_max=4)
    assert cell(answer, "caught").value == 1.0
    assert cell(answer, "caught").n == 8
    assert cell(answer, "caught", 1).value == 0.0
    assert answer.rows[0][1] == "same hardware"


def test_training_of_elsewhere_is_called_so(bench: Bench) -> None:
    inference = tuple(one for one in bench.prepared if one.run.kind == "inference")
    abroad = tuple(one for one in bench.prepared if one.run.kind == "training")[:1]
    answer = questions_alarm.substitution(
        [Bench(name="rack", prepared=inference)], [Ours()], quiet, folds_max=4, abroad=abroad
    )
    assert answer.rows[0][1] == "other hardware, level matched"
    matched = questions_alarm.scaled_to(abroad[0], 100.0)
    assert np.nanmean(matched.run.frame.values) == pytest.approx(100.0, rel=1e-5)
    with pytest.raises(InputError, match="no training"):
        questions_alarm.substitution([Bench(name="rack", prepared=inference)], [Ours()], quiet)


def test_thresholds_never_see_their_fold(bench: Bench) -> None:
    """Every fit behind a threshold is without the fold that is tried and without the run that is scored."""
    seen: list[tuple[frozenset[str], str]] = []

    @dataclass(frozen=True)
    class Watching:
        enrolled: frozenset[str]
        workloads: tuple[str, ...]

        def distances(self, one: Prepared) -> Distances:
            seen.append((self.enrolled, one.run.job))
            return np.ones((len(one), len(self.workloads)))

    @dataclass(frozen=True)
    class Watcher:
        name: str = "watcher"

        def fit(self, enrolled: Sequence[Prepared]) -> Watching:
            names = tuple(sorted({one.run.workload for one in enrolled}))
            return Watching(frozenset(one.run.job for one in enrolled), names)

    folds = folds_of_jobs([one.run for one in bench.prepared], 3)
    found = twice_held_out(Watcher(), bench.prepared, folds, quiet)
    fold_of = {one.run.job: fold for one, fold in zip(bench.prepared, folds, strict=True)}
    assert all(job not in enrolled for enrolled, job in seen)
    assert len(seen) == sum(len(scores) for scores in found.values()) == 2 * 12
    for fold, scores in found.items():
        assert all(fold_of[one.one.run.job] != fold for one in scores)
    assert all(len({fold_of[job] for job in enrolled}) == 1 for enrolled, _ in seen)


def test_kinds_with_hardware_held_out(bench: Bench) -> None:
    elsewhere = [prepare(made_run(name, 7, hardware="other")) for name in SHAPES]
    answer = questions.kinds([*bench.prepared, *elsewhere], [Ours()], quiet, by="hardware")
    assert cell(answer, "AUROC").n == 15


def test_random_windows_are_called_a_warning(bench: Bench) -> None:
    answer = questions.leak([bench], [Ours()], quiet)
    assert answer.title.startswith("WARNING")


def test_a_detector_that_is_none_is_refused() -> None:
    with pytest.raises(InputError, match="no detector"):
        choose(["oracle"], seed=1)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "ours"])
def test_peers_answer_in_the_same_form(name: str, bench: Bench) -> None:
    pytest.importorskip("sklearn", reason="peers need the extra evaluate")
    chosen = choose(["ours", name], seed=1)
    if chosen.left_out:
        pytest.skip(chosen.left_out[0])
    detector = chosen.detectors[1]
    fitted = detector.fit(bench.prepared[:-1])
    found = fitted.distances(bench.prepared[-1])
    assert found.shape == (len(bench.prepared[-1]), 3)
    assert np.isfinite(found).all()
    assert fitted.workloads == tuple(sorted(SHAPES))


def test_peers_that_are_not_installed_are_left_out_with_a_line() -> None:
    chosen = choose(NAMES, seed=1)
    assert len(chosen.detectors) + len(chosen.left_out) == len(NAMES)
    assert all("install" in line for line in chosen.left_out)


# --- the command -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    lines = []
    for k, level in enumerate((300, 301, 302, 420, 421, 422)):
        smi_log(tmp_path / f"r{k}.csv", level=level)
        kind = "inference" if level < 400 else "training"
        lines.append(f"  - {{file: r{k}.csv, workload: {kind}-job, kind: {kind}, hardware: h}}")
    path = tmp_path / "labels.yaml"
    path.write_text("runs:\n" + "\n".join(lines))
    return path


def test_the_command_prints_writes_and_speaks_json(labelled: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    asked = ["workloads", "evaluate", str(labelled), "--form", "labelled", "--detector", "ours", "--folds", "3",
             "--signal", "power_w", "--question", "identify", "--question", "novelty"]  # fmt: skip
    done = CliRunner().invoke(cli, [*asked, "--html", str(page)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "Naming the workload" in done.output
    text = page.read_text(encoding="utf-8")
    assert "Naming the workload" in text
    assert "<svg" in text
    assert "<script" not in text
    done = CliRunner().invoke(cli, [*asked, "--json"], catch_exceptions=False)
    answers = json.loads(done.stdout)["answers"]
    assert [one["question"] for one in answers] == ["identify", "novelty"]
    assert answers[0]["rows"][0][2]["n"] == 12


def test_the_page_escapes_what_comes_from_outside() -> None:
    answer = {
        "title": "<b>t",
        "columns": ["hardware", "detector", "share"],
        "rows": [["<i>h", "ours", {"value": None, "n": 0, "low": None, "high": None}]],
        "notes": ["<u>n"],
    }
    text = evaluation_page([answer], about=["<s>a"])
    assert not any(tag in text for tag in ("<b>t", "<i>h", "<u>n", "<s>a"))


@pytest.mark.data
def test_naming_on_real_power(data: Path) -> None:
    """MLPerf, 8xB200: both kinds, whole runs held out."""
    done = CliRunner().invoke(
        cli,
        ["workloads", "evaluate", str(data / "mlperf_power"), "--system", "B200", "--detector", "ours", "--question",
         "identify", "--question", "substitution", "--json"],
        catch_exceptions=False,
    )  # fmt: skip
    named, caught = json.loads(done.stdout)["answers"]
    assert named["rows"][0][2]["n"] == 34
    assert named["rows"][0][3]["value"] >= 0.95
    assert caught["rows"][0][4]["value"] >= 0.9
