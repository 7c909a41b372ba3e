"""`inspectorate lab`: run the bench, record a site on it, or measure trials of training and inference under limits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from inspectorate.cli.lab_guard import guard
from inspectorate.cli.lab_inspected import inspected
from inspectorate.cli.options import EXISTING, NEW_PATH, FiniteRange, json_option, now, print_json
from inspectorate.errors import InputError
from inspectorate.keys import SigningKey
from inspectorate.lab.bench import Options, run
from inspectorate.lab.gateway import EnforcingGateway
from inspectorate.lab.inspector import Inspector
from inspectorate.lab.limit import HEAD_ROOM, LINK_LIMIT_BYTES_PER_S, derive
from inspectorate.lab.package import CHIP, LOG_ORIGIN, SiteKeys, declare_meters, package, trust, write_declaration
from inspectorate.lab.record import Ledger, Telemetry, record
from inspectorate.lab.scenario import SCENARIOS, Scenario, by_name
from inspectorate.lab.shaping import shape
from inspectorate.lab.telemetry import Recorder
from inspectorate.lab.trial_matrix import MATRIX, named
from inspectorate.lab.trial_planned import predict_planned
from inspectorate.lab.trial_prediction import WITHIN, compare, predict_simply
from inspectorate.lab.trial_proportion import Proportion, measure
from inspectorate.lab.trial_result import Result
from inspectorate.lab.trial_run import Trials
from inspectorate.lab.trial_session import keep, run_session
from inspectorate.lab.truth import Direction, GroundTruth
from inspectorate.ledger import Log

_WIDTH = 120
"""Wide enough for the tables wherever the output goes."""


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What `lab run` and `lab record` were asked to do."""

    out: Path
    scenario: str
    scale: float
    seed: int
    limit_bytes_per_s: float
    relayed: bool
    as_json: bool

    def bench(self) -> Options:
        return Options(
            directory=self.out,
            scale=self.scale,
            seed=self.seed,
            limit_bytes_per_s=self.limit_bytes_per_s,
            relayed=self.relayed,
        )


def _common(command: click.decorators.FC) -> click.decorators.FC:
    """The options that `run` and `record` share."""
    for option in (
        json_option,
        click.option("--relayed", is_flag=True, help="Exchange through an outside host instead of pod to pod."),
        click.option(
            "--limit-bytes-per-s",
            type=FiniteRange(min=1000),
            default=LINK_LIMIT_BYTES_PER_S,
            show_default=True,
            help="The limit that the low-communication training stays below.",
        ),
        click.option("--seed", type=click.IntRange(0, 1_000_000), default=1, show_default=True),
        click.option("--scale", type=FiniteRange(0), default=1.0, show_default=True, help="Multiplies every time."),
        click.option("--scenario", type=click.Choice(list(SCENARIOS)), default="site", show_default=True),
        click.option("--out", type=NEW_PATH, required=True, help="New directory for what is kept."),
    ):
        command = option(command)
    return command


@click.group()
def lab() -> None:
    """A real bench in network namespaces: real training, real inference, real exporters (root, Linux)."""


lab.add_command(guard)
lab.add_command(inspected)


@lab.command("run")
@_common
def run_command(**options: Any) -> None:
    """Run a scenario without a collector and print the bytes of every pod link."""
    asked = RunOptions(**options)
    chosen = by_name(asked.scenario)
    with _progress_bar() as bar:
        truth = run(chosen, asked.bench(), _Teller(bar, chosen))
    _show(truth, asked.as_json)


@lab.command("record")
@_common
@click.option("--no-telemetry", is_flag=True, help="Flows only: no meters, and no enrolment.")
@click.option(
    "--enrolled",
    type=EXISTING,
    metavar="RECORDING",
    help="Use the enrolment of this earlier recording of the same bench instead of making one (nine minutes).",
)
def record_command(no_telemetry: bool, enrolled: Path | None, **options: Any) -> None:
    """Run a scenario with a collector, and make a site of it that can be reviewed.

    OUT/site holds the bundle, the reviewer's trust anchors and the truth; OUT/keys the private keys, made for this
    recording; OUT/recording, OUT/enrolment and OUT/ledger what was collected.
    """
    asked = RunOptions(**options)
    if asked.out.exists() and any(asked.out.iterdir()):
        raise InputError("is not empty", where=str(asked.out), remedy="name a new directory")
    inspector = None if enrolled is None else SigningKey.read(enrolled / "keys" / "inspector.pem")
    keys = SiteKeys.make(asked.out / "keys", inspector=inspector)
    ledger = Ledger(folder=asked.out / "ledger", key=asked.out / "keys" / "log.pem")
    Log.create(ledger.folder, LOG_ORIGIN, keys.log).close()
    chosen = by_name(asked.scenario)
    with _progress_bar() as bar:
        recording = record(
            chosen,
            replace(asked.bench(), directory=asked.out / "recording"),
            key=asked.out / "keys" / "collector.pem",
            progress=_Teller(bar, chosen),
            ledger=ledger,
            telemetry=None if no_telemetry else _telemetry(asked, chosen, keys, enrolled),
        )
    site = asked.out / "site"
    package(recording, out=site, keys=keys, folder=asked.out, now=now())
    _show(recording.truth, asked.as_json)
    if not asked.as_json:
        click.echo(f"site:   {site}")
        terms = "inference-only" if no_telemetry else f"{site}/agreement.yaml"
        click.echo(f"review: inspectorate review {site}/site.tar --agreement {terms} --anchors {site}/anchors.yaml")


def _telemetry(asked: RunOptions, scenario: Scenario, keys: SiteKeys, enrolled: Path | None) -> Telemetry:
    """Meters for all pods, and an inspector who enrols, unless an earlier recording has an enrolment."""
    declaration = declare_meters(scenario, now=now())
    path = asked.out / "meters.yaml"
    write_declaration(path, declaration)
    recorder = Recorder(key=asked.out / "keys" / "meters.pem", declaration=path)
    if enrolled is not None:
        return Telemetry(recorder=recorder, enrolment=enrolled / "enrolment", inspector=None)
    folder = asked.out / "enrolment"
    inspector = Inspector(
        folder=folder, key=keys.inspector, anchors=trust(keys, declaration), chip=CHIP, short=asked.scale < 1
    )
    return Telemetry(recorder=recorder, enrolment=folder, inspector=inspector)


@lab.command("trials")
@click.option("--out", type=NEW_PATH, required=True, help="Folder for the results; one that is there is gone on with.")
@click.option("--only", multiple=True, metavar="NAME", help="Run this trial only; may be repeated.")
@click.option("--again", is_flag=True, help="Run also what is there; of two results of a trial the last counts.")
@json_option
def trials_command(out: Path, only: tuple[str, ...], again: bool, as_json: bool) -> None:
    """Measure training and inference across pods under limits, beside the planner's prediction.

    Sixteen trials, about twenty minutes. Results are kept in OUT/trials.jsonl, one line each; a trial that is there is
    not run again.
    """
    planned = tuple(named(name) for name in only) or MATRIX
    with _progress_bar() as bar:
        task = bar.add_task("trials", total=1.0)

        def tell(text: str, share: float) -> None:
            bar.update(task, description=text, completed=share)

        results = run_session(planned, out, tell, again=again)
    if as_json:
        print_json([one.model_dump(mode="json") for one in results])
        return
    _show_trials(results)


@lab.command("proportion")
@click.option("--out", type=NEW_PATH, required=True, help="Folder for the result and the logs.")
@click.option(
    "--limit-bytes-per-s",
    type=FiniteRange(min=1_000),
    help="Each way, of each pod; without it the planner chooses the largest that slows training a hundredfold.",
)
@click.option("--buckets", is_flag=True, help="Bare token buckets in the place of the enforcing gateway.")
@json_option
def proportion_command(out: Path, limit_bytes_per_s: float | None, buckets: bool, as_json: bool) -> None:
    """Measure one limit on inference, on the best low-communication training and on data-parallel training.

    The limit is chosen by the planner and held by the project's own enforcing gateway (`inspectorate limit serve`).
    """
    gateway = EnforcingGateway(out / "gateway")
    with _progress_bar() as bar:
        task = bar.add_task("proportion", total=None)
        enforce = shape if buckets else gateway
        with Trials(out, lambda text: bar.update(task, description=text), enforce=enforce) as bench, gateway:
            found = measure(bench, limit_bytes_per_s=limit_bytes_per_s)
    keep(out / "proportion.jsonl", found.model_dump_json())
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    _show_proportion(found)


def _progress_bar() -> Progress:
    return Progress(TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=Console(stderr=True))


class _Teller:
    """Shows the progress of one run."""

    def __init__(self, bar: Progress, scenario: Scenario) -> None:
        self._bar = bar
        self._task = bar.add_task(scenario.name, total=1.0)

    def __call__(self, message: str, share: float) -> None:
        self._bar.update(self._task, completed=share, description=message)


def _show(truth: GroundTruth, as_json: bool) -> None:
    if as_json:
        print_json(_as_json(truth))
        return
    console = Console(width=_WIDTH, highlight=False)
    console.print(_traffic_table(truth))
    console.print(_link_table(truth))
    for training in truth.training:
        console.print(
            f"{training.kind} on {', '.join(training.pods)}: {training.steps} steps, {training.step_s:.3f} s each, "
            f"loss {training.loss_first:.2f} to {training.loss_last:.2f}"
        )
    for served in truth.inference:
        console.print(
            f"inference on {served.pod}: {served.requests} requests ({served.failed} failed), {served.tokens} tokens, "
            f"median answer {served.answer_s_median:.2f} s"
        )
    peak = truth.honest_peak_bytes_per_s()
    if peak > 0:
        console.print(
            f"busiest ten seconds of inference {peak:,.0f} bytes/s; times {HEAD_ROOM:.2f}: a limit of "
            f"{derive(peak):,.0f} bytes/s. Limit of this run: {truth.limit_bytes_per_s:,.0f} bytes/s."
        )


def _as_json(truth: GroundTruth) -> dict[str, object]:
    return {
        "scenario": truth.scenario,
        "limit_bytes_per_s": truth.limit_bytes_per_s,
        "honest_peak_bytes_per_s": truth.honest_peak_bytes_per_s(),
        "rows": [row.model_dump(mode="json") for row in truth.rows()],
        "link_bytes": {link.pod: {d.value: _crossed(link.counted(d)) for d in Direction} for link in truth.links},
        "training": [training.model_dump(mode="json") for training in truth.training],
        "inference": [served.model_dump(mode="json") for served in truth.inference],
        "outages": [outage.model_dump(mode="json") for outage in truth.outages],
    }


def _crossed(counted: tuple[int, ...]) -> int:
    return counted[-1] - counted[0]


def _traffic_table(truth: GroundTruth) -> Table:
    table = Table(title=f"{truth.scenario}: bytes/s at the interface, mean and busiest ten seconds")
    for name in ("pod", "doing", "from s", "to s", "out mean", "out max", "in mean", "in max"):
        table.add_column(name, justify="left" if name in ("pod", "doing") else "right", no_wrap=True)
    for row in truth.rows():
        numbers = (
            row.from_pod_bytes_per_s,
            row.from_pod_bytes_per_s_max,
            row.to_pod_bytes_per_s,
            row.to_pod_bytes_per_s_max,
        )
        table.add_row(
            row.pod, row.kind, f"{row.start_s:.0f}", f"{row.end_s:.0f}", *(f"{number:,.0f}" for number in numbers)
        )
    return table


def _link_table(truth: GroundTruth) -> Table:
    table = Table(title="bytes that crossed each link during the whole run")
    for name in ("pod", "sensor", "protocol", "from pod", "to pod"):
        table.add_column(name, justify="right" if name.endswith("pod") and " " in name else "left")
    for link in truth.links:
        crossed = [f"{_crossed(link.counted(d)):,}" for d in Direction]
        table.add_row(link.pod, link.sensor_id, link.protocol, *crossed)
    return table


def _show_trials(results: tuple[Result, ...]) -> None:
    """The planner's prediction beside the measurement, and how far the simple one is off."""
    compared = compare(results, {one.trial.name: predict_planned(one.trial, one.calibration) for one in results})
    simply = compare(results, {one.trial.name: predict_simply(one.trial, one.calibration) for one in results})
    table = Table(title="trials: seconds of a step, bytes of a step in the busier direction")
    for name in (
        "trial",
        "parameters",
        "tokens",
        "payload",
        "limit",
        "computing",
        "measured",
        "planned",
        "off",
        "simply",
    ):
        table.add_column(name, justify="left" if name == "trial" else "right", no_wrap=True)
    for one, row, plain in zip(results, compared, simply, strict=True):
        limit = one.trial.limit_bytes_per_s
        table.add_row(
            one.trial.name + (" *" if one.disturbed else ""),
            f"{one.parameters:,}",
            f"{one.tokens_per_step:,}",
            f"{max(one.payload.from_pod, one.payload.to_pod):,.0f}",
            "none" if limit is None else f"{limit:,.0f}",
            f"{(one.calibration.before_s + one.calibration.after_s) / 2:.3f}",
            f"{row.measured_s:.3f}",
            f"{row.predicted_s:.3f}",
            f"{row.off:+.0%}",
            f"{plain.off:+.0%}",
        )
    console = Console(width=_WIDTH, highlight=False)
    console.print(table)
    console.print(
        f"{sum(row.within for row in compared)} of {len(compared)} within {WITHIN:.0%} of the planner; * disturbed"
    )


def _show_proportion(found: Proportion) -> None:
    console = Console(width=_WIDTH, highlight=False)
    console.print(f"limit: {found.limit_bytes_per_s:,.0f} bytes/s each way, of each pod")
    if found.chosen is not None:
        console.print(
            f"chosen by the planner for training {found.chosen.slower:,.0f} times slower, from {found.chosen.compute_s:.3f} s of "
            f"computing and {found.chosen.update_bytes:,.0f} bytes a round; serving asks for "
            f"{found.chosen.serving_bytes_per_s:,.0f} bytes/s"
        )
    for one in found.training:
        how = "projected" if one.projected else "measured"
        console.print(
            f"{one.trial.method}, {one.trial.compression}, {one.tokens_per_parameter:.2g} tokens per parameter and "
            f"synchronisation: {one.free_s.median:.3f} s without, {one.limited_s.median:,.1f} s under it ({how}): "
            f"{one.slower:,.0f} times slower"
        )
    console.print(f"the fastest training under it against the fastest without: {found.slower:,.0f} times slower")
    asked = found.inference
    console.print(
        f"inference, {asked.requests_each} requests each: p50 {asked.free_p50_s:.3f} to {asked.limited_p50_s:.3f} s "
        f"({asked.added_p50:+.1%}), p95 {asked.free_p95_s:.3f} to {asked.limited_p95_s:.3f} s ({asked.added_p95:+.1%})"
    )
    console.print(
        f"of it in the network: p50 {1e3 * asked.free_network_p50_s:.2f} to {1e3 * asked.limited_network_p50_s:.2f} ms, "
        f"p95 {1e3 * asked.free_network_p95_s:.2f} to {1e3 * asked.limited_network_p95_s:.2f} ms"
    )
    console.print(
        f"on the wire: {asked.from_pod_bytes_per_token:.1f} bytes a token out, {asked.to_pod_bytes_per_token:.1f} in; "
        f"{asked.busiest_bytes_per_s:,.0f} bytes/s in the busiest turn"
    )
