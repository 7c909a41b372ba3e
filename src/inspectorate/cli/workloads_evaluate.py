"""`inspectorate workloads evaluate`: what workload signatures are worth on a data set, beside peers, on held-out runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from inspectorate.cli.options import EXISTING, EXISTING_FILE, NEW_PATH, FiniteRange, json_option, print_json, write_text
from inspectorate.errors import InputError
from inspectorate.mechanisms.workloads.evaluate import questions, questions_alarm, questions_claims
from inspectorate.mechanisms.workloads.evaluate.detectors import NAMES, QUICK, Detector, choose
from inspectorate.mechanisms.workloads.evaluate.load import Form, load_runs
from inspectorate.mechanisms.workloads.evaluate.prepare import Prepared, prepare_all
from inspectorate.mechanisms.workloads.evaluate.questions import Bench
from inspectorate.mechanisms.workloads.evaluate.reference import (
    FOLDS_MAX,
    RATES_PER_DEVICE_HOUR,
    SEED,
    STRIDE_S,
    WINDOW_S,
)
from inspectorate.mechanisms.workloads.evaluate.results import Answer, as_data, as_text
from inspectorate.mechanisms.workloads.evaluate.splits import BY
from inspectorate.report.evaluation_page import evaluation_page

HELD_OUT = ("run", "session", "submitter", "hardware", "workload", "family")
QUESTIONS = ("identify", "false-alarms", "substitution", "claims", "novelty", "kinds")
_POSITIVE = FiniteRange(min=0, min_open=True)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What `workloads evaluate` was asked."""

    source: Path
    form: str
    labels: Path | None
    systems: tuple[str, ...]
    questions: tuple[str, ...]
    detectors: tuple[str, ...]
    signals: tuple[str, ...]
    phases: tuple[str, ...]
    abroad: str
    leave_out: str
    hold_out: str
    merge: bool
    window_s: float
    stride_s: float
    step_s: float
    folds: int
    rates: tuple[float, ...]
    show_leak: bool
    html: Path | None
    named: str
    without: tuple[str, ...]
    clean: bool
    as_json: bool


@click.command()
@click.argument("source", type=EXISTING)
@click.option("--form", type=click.Choice([form.value for form in Form]), default=Form.MLPERF.value, show_default=True)
@click.option("--labels", type=EXISTING_FILE, help="Table of labelled jobs, for MIT Supercloud.")
@click.option("--system", "systems", multiple=True, metavar="PART",
              help="Systems whose name holds this are one hardware; may be repeated. Default: each by itself.")  # fmt: skip
@click.option("--question", "questions", multiple=True, type=click.Choice(QUESTIONS), help="Default: identify.")
@click.option("--detector", "detectors", multiple=True, type=click.Choice(NAMES), help="Default: a quick choice.")
@click.option(
    "--signal", "signals", multiple=True, help="Gauges to use. Default: power_w, and load where there is more."
)
@click.option("--without", multiple=True, metavar="COLUMN", help="Columns of our own recordings that are not read.")
@click.option("--clean", is_flag=True, help="Leave disguised runs out.")
@click.option("--named", type=click.Choice(["workload", "family", "kind"]), default="workload", show_default=True,
              help="What runs are enrolled as, and identify names.")  # fmt: skip
@click.option("--phase", "phases", multiple=True, help="Phases of MLPerf runs to use. Default: load, train, eval.")
@click.option("--abroad", default="", metavar="PART",
              help="Substitution: training of these systems, scaled, where a system has none of its own.")  # fmt: skip
@click.option("--leave-out", type=click.Choice(list(BY)), default="workload", show_default=True,
              help="What novelty and kinds hold out.")  # fmt: skip
@click.option("--hold-out", type=click.Choice(HELD_OUT), default="run", show_default=True,
              help="What identify and claims hold out.")  # fmt: skip
@click.option("--merge", is_flag=True, help="Novelty: labels that differ in the accuracy target alone are one.")
@click.option("--window-s", type=_POSITIVE, default=WINDOW_S, show_default=True)
@click.option("--stride-s", type=_POSITIVE, default=STRIDE_S, show_default=True)
@click.option("--step-s", type=_POSITIVE, default=2.0, show_default=True, help="The grid that samples are put on.")
@click.option("--folds", type=click.IntRange(2, 64), default=FOLDS_MAX, show_default=True)
@click.option("--rate", "rates", type=_POSITIVE, multiple=True,
              help="False alarms per device-hour that are allowed; may be repeated. Default: 1, 1/4 and 1/24.")  # fmt: skip
@click.option("--show-leak", is_flag=True, help="Show also what random windows would have said: a warning, no result.")
@click.option("--html", type=NEW_PATH, help="Write a page that stands alone.")
@json_option
def evaluate(**options: Any) -> None:
    """Evaluate workload signatures on the runs in SOURCE, with peers on the same windows and splits.

    Peers need the extra `evaluate`, and are left out with a line where it is not installed.
    """
    asked = Asked(**options)
    console = Console(stderr=True, highlight=False)
    chosen = choose(asked.detectors or QUICK, seed=SEED)
    for line in chosen.left_out:
        console.print(f"left out: {line}", markup=False)
    with Progress(SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=console) as bar:
        task = bar.add_task("reading", total=None)

        def tell(text: str) -> None:
            bar.update(task, description=text)

        benches, abroad, about = _benches(asked)
        answers = _answers(asked, benches, abroad, chosen.detectors, tell)
    if asked.html is not None:
        page = evaluation_page([as_data(answer) for answer in answers], about=about, left_out=chosen.left_out)
        write_text(asked.html, page)
    if asked.as_json:
        print_json(
            {"about": list(about), "left_out": list(chosen.left_out), "answers": [as_data(one) for one in answers]}
        )
        return
    for line in about:
        click.echo(line)
    for answer in answers:
        _show(answer)


def _benches(asked: Asked) -> tuple[tuple[Bench, ...], tuple[Prepared, ...], tuple[str, ...]]:
    """Runs by hardware, training of elsewhere, and a line about each."""
    runs, dropped = load_runs(asked.source, Form(asked.form), labels=asked.labels, signals=asked.signals,
                              **_wanted(asked, asked.systems))  # fmt: skip
    runs = tuple(replace(run, workload=str(BY[asked.named](run))) for run in runs if not (asked.clean and run.disguise))
    names = asked.systems or tuple(sorted({run.hardware for run in runs}))
    benches, about = [], []
    for name in names:
        mine = [run for run in runs if (name in run.hardware if asked.systems else name == run.hardware)]
        if not mine:
            raise InputError(f"no run is on a system called {name!r}", where=str(asked.source))
        prepared, without = prepare_all(mine, window_s=asked.window_s, stride_s=asked.stride_s)
        bench = Bench(name=name, prepared=prepared)
        benches.append(bench)
        about.append(
            f"{name}: {len(prepared)} runs of {len({one.run.workload for one in prepared})} workloads, {bench.hours:.1f} h, "
            f"{sum(len(one) for one in prepared)} windows; {without} runs without a window, "
            f"{bench.abstained:.2%} of windows too little measured"
        )
    about.append(
        f"left out: {dropped.duplicates} copies, {dropped.suspect} that do not match their trace, {dropped.short} too short, "
        f"{dropped.empty} empty"
    )
    abroad: tuple[Prepared, ...] = ()
    if asked.abroad:
        away, _ = load_runs(asked.source, Form(asked.form), labels=asked.labels, signals=asked.signals,
                            **_wanted(asked, (asked.abroad,)))  # fmt: skip
        training = [run for run in away if run.kind == "training"]
        abroad, _ = prepare_all(training, window_s=asked.window_s, stride_s=asked.stride_s)
    return tuple(benches), abroad, tuple(about)


def _wanted(asked: Asked, systems: Sequence[str]) -> dict[str, Any]:
    wanted: dict[str, Any] = {
        "systems": tuple(systems),
        "step_s": asked.step_s,
        "least_s": 2 * asked.window_s,
        "without": asked.without,
    }
    return wanted | ({"phases": asked.phases} if asked.phases else {})


def _answers(
    asked: Asked,
    benches: Sequence[Bench],
    abroad: Sequence[Prepared],
    detectors: Sequence[Detector],
    tell: Callable[[str], None],
) -> list[Answer]:
    rates = asked.rates or RATES_PER_DEVICE_HOUR
    found: list[Answer] = []
    for question in asked.questions or ("identify",):
        match question:
            case "identify":
                found.append(questions.identify(benches, detectors, tell, folds_max=asked.folds, by=asked.hold_out))
            case "false-alarms":
                found.append(questions_alarm.false_alarms(benches, detectors, tell, rates=rates, folds_max=asked.folds))
            case "substitution":
                found.append(
                    questions_alarm.substitution(
                        benches,
                        detectors,
                        tell,
                        rates=asked.rates or rates[-1:],
                        folds_max=asked.folds,
                        abroad=abroad,
                    )
                )
            case "claims":
                found.append(
                    questions_claims.claims(benches, detectors, tell, by=asked.hold_out, folds_max=asked.folds)
                )
            case "novelty":
                found.append(questions.novelty(benches, detectors, tell, by=asked.leave_out, merge=asked.merge))
            case _:
                everything = [one for bench in benches for one in bench.prepared]
                found.append(questions.kinds(everything, detectors, tell, by=asked.leave_out))
    if asked.show_leak:
        found.append(questions.leak(benches, detectors, tell))
    return found


def _show(answer: Answer) -> None:
    """The table as plain text: one line per row, columns two spaces apart."""
    click.echo(f"\n{answer.title}")
    rows = [answer.columns, *(tuple(as_text(cell) for cell in row) for row in answer.rows)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(answer.columns))]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    for note in answer.notes:
        click.echo(f"* {note}")
