"""`inspectorate lab`: run the bench, or record a site on it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from inspectorate.cli.options import NEW_PATH, json_option, now, print_json
from inspectorate.errors import InputError
from inspectorate.lab.bench import Options, run
from inspectorate.lab.limit import HEAD_ROOM, LINK_LIMIT_BYTES_PER_S, derive
from inspectorate.lab.package import LOG_ORIGIN, SiteKeys, package
from inspectorate.lab.record import Ledger, record
from inspectorate.lab.scenario import SCENARIOS, Scenario, by_name
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
            type=click.FloatRange(min=1000),
            default=LINK_LIMIT_BYTES_PER_S,
            show_default=True,
            help="The limit that the low-communication training stays below.",
        ),
        click.option("--seed", type=click.IntRange(0, 1_000_000), default=1, show_default=True),
        click.option("--scale", type=float, default=1.0, show_default=True, help="Multiplies every time."),
        click.option("--scenario", type=click.Choice(list(SCENARIOS)), default="site", show_default=True),
        click.option("--out", type=NEW_PATH, required=True, help="New directory for what is kept."),
    ):
        command = option(command)
    return command


@click.group()
def lab() -> None:
    """A real bench in network namespaces: real training, real inference, real exporters (root, Linux)."""


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
def record_command(**options: Any) -> None:
    """Run a scenario with a collector, and make a site of it that can be reviewed.

    OUT/site holds the bundle, the reviewer's trust anchors and the truth; OUT/keys the private keys, made for this
    recording; OUT/recording and OUT/ledger what was collected.
    """
    asked = RunOptions(**options)
    if asked.out.exists() and any(asked.out.iterdir()):
        raise InputError("is not empty", where=str(asked.out), remedy="name a new directory")
    keys = SiteKeys.make(asked.out / "keys")
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
        )
    site = asked.out / "site"
    package(recording, out=site, keys=keys, folder=asked.out, now=now())
    _show(recording.truth, asked.as_json)
    if not asked.as_json:
        click.echo(f"site:   {site}")
        click.echo(
            f"review: inspectorate review {site}/site.tar --agreement inference-only --anchors {site}/anchors.yaml"
        )


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
