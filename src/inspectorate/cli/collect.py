"""`inspectorate collect`: record what sensors say, as signed statements."""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from pydantic import TypeAdapter, ValidationError
from rich.console import Console
from rich.live import Live
from rich.table import Table

from inspectorate import __version__
from inspectorate.canonical import Identifier
from inspectorate.cli.options import EXISTING_FILE, FiniteRange, json_option, print_json
from inspectorate.cli.running import ledger_append, stop_signals
from inspectorate.errors import EnvironmentError_, InputError
from inspectorate.evidence import Origin
from inspectorate.evidence.cutting import SEGMENT_S_MAX, SEGMENT_S_MIN
from inspectorate.evidence.sealing import Sealer, SealingThread
from inspectorate.evidence.spool import DiskSpool
from inspectorate.keys import SigningKey
from inspectorate.mechanisms.interconnect.collector import Collector, Count, run
from inspectorate.mechanisms.interconnect.receive import BUFFER_BYTES, Receiver, open_receivers, parse_endpoint
from inspectorate.mechanisms.interconnect.segments import NS_PER_S, Endpoint

RECORDER = f"inspectorate {__version__} collect flows"
LISTENERS_MAX = 512
_DISPLAY_S = 0.5
_folder = click.Path(file_okay=False, path_type=Path)
_file = click.Path(dir_okay=False, path_type=Path)
_identifier: TypeAdapter[str] = TypeAdapter(Identifier)


@dataclass(frozen=True, kw_only=True)
class FlowOptions:
    """What `collect flows` was asked to do."""

    listen: tuple[str, ...]
    out: Path
    key_path: Path
    ledger: Path | None
    ledger_key_path: Path | None
    segment_s: float
    duration_s: float | None
    origin: Origin
    buffer_bytes: int
    ready_file: Path | None
    as_json: bool


class Collectors(click.Group):
    """Each collector loads its own mechanism only."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), "telemetry"])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name != "telemetry":
            return super().get_command(ctx, cmd_name)
        command = importlib.import_module("inspectorate.cli.collect_telemetry").telemetry
        assert isinstance(command, click.Command)
        return command


@click.group(cls=Collectors)
def collect() -> None:
    """Record what sensors say, as signed statements."""


@collect.command()
@click.option(
    "--listen", multiple=True, required=True, metavar="SENSOR=udp://ADDRESS:PORT", help="One port for each sensor."
)
@click.option("--out", type=_folder, required=True, help="Folder for statements and payloads.")
@click.option(
    "--key", "key_path", type=EXISTING_FILE, required=True, help="Key that signs the statements (PKCS#8 PEM)."
)
@click.option("--ledger", type=_folder, help="Append every statement's digest to this log.")
@click.option("--ledger-key", "ledger_key_path", type=EXISTING_FILE, help="The log's key, if it is not that of --key.")
@click.option(
    "--segment-seconds",
    "segment_s",
    type=FiniteRange(SEGMENT_S_MIN, SEGMENT_S_MAX),
    default=30.0,
    show_default=True,
    help="A statement covers at most this long.",
)
@click.option("--duration", "duration_s", type=FiniteRange(min=0), help="Stop after so many seconds.")
@click.option("--origin", type=click.Choice(Origin, case_sensitive=False), default=Origin.RECORDED, show_default=True)
@click.option(
    "--buffer-bytes",
    type=click.IntRange(4096, 1024**3),
    default=BUFFER_BYTES,
    show_default=True,
    help="Receive buffer to ask of the kernel for each port.",
)
@click.option("--ready-file", type=_file, help="Write this file (JSON) once every port is bound.")
@json_option
def flows(**options: Any) -> None:
    """Record flow export (NetFlow, IPFIX, sFlow over UDP) until interrupted.

    Writes signed, numbered and chained statements to OUT/statements and what they speak of to OUT/payloads.
    """
    asked = FlowOptions(**options)
    listen = [_parse_listen(text) for text in asked.listen]
    if len(listen) > LISTENERS_MAX:
        raise InputError(f"{len(listen)} sensors are more than {LISTENERS_MAX}", where="--listen")
    key = SigningKey.read(asked.key_path)
    with contextlib.ExitStack() as stack:
        # First in, last out: a second signal does not interrupt the sealing of what the first one closed.
        stopped = stack.enter_context(stop_signals())
        on_statement = ledger_append(stack, asked.ledger, asked.ledger_key_path, key)
        spool = stack.enter_context(DiskSpool(asked.out))
        receivers = open_receivers(listen, clock_ns=time.time_ns, buffer_bytes=asked.buffer_bytes)
        for receiver in receivers:
            stack.callback(receiver.close)
        endpoints = {receiver.sensor: receiver.endpoint for receiver in receivers}
        start_ns = time.time_ns()
        stream = f"{datetime.fromtimestamp(start_ns // NS_PER_S, UTC):%Y%m%dT%H%M%SZ}-{os.urandom(8).hex()}"
        sealer = Sealer(spool, key, stream=stream, origin=asked.origin, recorder=RECORDER, on_statement=on_statement)
        sealing = stack.enter_context(SealingThread(sealer.seal))
        collector = Collector(endpoints, sealing.put, start_ns=start_ns, segment_s=asked.segment_s)
        until_ns = None if asked.duration_s is None else start_ns + round(asked.duration_s * NS_PER_S)
        on_turn = stack.enter_context(_display(collector, receivers))
        if asked.ready_file:
            _write_ready(asked.ready_file, stream, endpoints)
        # What is there now stays; the collection of garbage need not walk through it at every turn.
        gc.freeze()
        run(
            collector,
            receivers,
            clock_ns=time.time_ns,
            stop=lambda now_ns: stopped() or (until_ns is not None and now_ns >= until_ns),
            on_turn=on_turn,
        )
    _print_summary(stream, endpoints, collector.counts, asked)


def _parse_listen(text: str) -> tuple[str, Endpoint]:
    """`SENSOR=udp://ADDRESS:PORT`. Raises `InputError`."""
    sensor, separator, url = text.partition("=")
    try:
        _identifier.validate_python(sensor)
    except ValidationError:
        separator = ""
    if not separator:
        raise InputError(
            "is not SENSOR=udp://ADDRESS:PORT",
            where=f"--listen {text}",
            remedy="a sensor's id is letters, digits, dots, dashes and underscores, 128 at most",
        )
    return sensor, parse_endpoint(url)


@contextlib.contextmanager
def _display(collector: Collector, receivers: Sequence[Receiver]) -> Iterator[Callable[[], None] | None]:
    """On a terminal: a table of counts, renewed twice a second."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    endpoints = {receiver.sensor: receiver.endpoint for receiver in receivers}
    with Live(_table(endpoints, collector.counts), console=console, auto_refresh=False) as live:
        due_s = 0.0

        def on_turn() -> None:
            nonlocal due_s
            if time.monotonic() >= due_s:
                live.update(_table(endpoints, collector.counts), refresh=True)
                due_s = time.monotonic() + _DISPLAY_S

        yield on_turn
        live.update(_table(endpoints, collector.counts), refresh=True)


def _table(endpoints: Mapping[str, Endpoint], counts: Mapping[str, Count]) -> Table:
    table = Table("sensor", "listens at", box=None)
    for title in ("datagrams", "bytes", "dropped", "statements"):
        table.add_column(title, justify="right")
    for sensor, endpoint in endpoints.items():
        count = counts[sensor]
        numbers = (count.datagrams, count.content_bytes, count.dropped, count.segments)
        table.add_row(sensor, str(endpoint), *(f"{number:,}" for number in numbers))
    return table


def _write_ready(path: Path, stream: str, endpoints: Mapping[str, Endpoint]) -> None:
    """Say, in one step, that every port is bound, and which it is."""
    text = json.dumps({"stream": stream, "listen": {sensor: str(at) for sensor, at in endpoints.items()}})
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_text(text + "\n")
        partial.replace(path)
    except OSError as fault:
        raise EnvironmentError_(f"cannot be written: {fault.strerror}", where=str(path)) from None


def _print_summary(
    stream: str, endpoints: Mapping[str, Endpoint], counts: Mapping[str, Count], asked: FlowOptions
) -> None:
    if asked.as_json:
        sensors = {sensor: {"listen": str(at), **asdict(counts[sensor])} for sensor, at in endpoints.items()}
        result = {"out": str(asked.out), "stream": stream, "sensors": sensors}
        print_json(result)
        return
    for sensor, count in counts.items():
        click.echo(
            f"{sensor}: {count.datagrams:,} datagrams, {count.content_bytes:,} bytes, {count.dropped:,} dropped, "
            f"{count.segments:,} statements in {asked.out}"
        )
