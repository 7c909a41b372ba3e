"""`inspectorate collect telemetry`: record power, load and traffic of declared meters, as signed statements."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.live import Live
from rich.table import Table

from inspectorate import __version__
from inspectorate.cli.options import EXISTING_FILE, FiniteRange, json_option, print_json, write_text
from inspectorate.cli.running import ledger_append, stop_signals
from inspectorate.cli.telemetry_sources import SourceText, open_sources, parse_source
from inspectorate.declaration import Meter, load_declaration
from inspectorate.errors import InputError
from inspectorate.evidence import Origin
from inspectorate.evidence.cutting import SEGMENT_S_MAX, SEGMENT_S_MIN
from inspectorate.evidence.sealing import Sealer, SealingThread
from inspectorate.evidence.spool import DiskSpool
from inspectorate.keys import SigningKey
from inspectorate.mechanisms.workloads.record.declared import refuse_undeclared
from inspectorate.mechanisms.workloads.record.recorder import (
    Count,
    Cut,
    Recorded,
    TelemetryRecorder,
    joined,
    payload_of,
)
from inspectorate.mechanisms.workloads.record.reference import EVERY_S_MIN
from inspectorate.mechanisms.workloads.record.running import run
from inspectorate.mechanisms.workloads.record.source import Scrape, Source
from inspectorate.mechanisms.workloads.telemetry.frame import Samples
from inspectorate.mechanisms.workloads.telemetry.payload import encode_segment
from inspectorate.mechanisms.workloads.telemetry.prometheus import read_prometheus
from inspectorate.mechanisms.workloads.telemetry.report import ReadReport

RECORDER = f"inspectorate {__version__} collect telemetry"
METERS_MAX = 256
_DISPLAY_S = 0.5
_folder = click.Path(file_okay=False, path_type=Path)
_file = click.Path(dir_okay=False, path_type=Path)


@dataclass(frozen=True, kw_only=True)
class TelemetryOptions:
    """What `collect telemetry` was asked to do."""

    declaration_path: Path
    meters: tuple[str, ...]
    out: Path
    key_path: Path
    ledger: Path | None
    ledger_key_path: Path | None
    every_s: float | None
    segment_s: float
    duration_s: float | None
    anywhere: bool
    origin: Origin
    ready_file: Path | None
    as_json: bool


@click.command()
@click.option(
    "--declaration", "declaration_path", type=EXISTING_FILE, required=True, help="What the meters were declared to be."
)
@click.option(
    "--meter",
    "meters",
    multiple=True,
    required=True,
    metavar="METER=SOURCE",
    help="linux:..., nvml:, amd:, prometheus:URL, redfish:URL, snmp:udp://... A meter may have several.",
)
@click.option("--out", type=_folder, required=True, help="Folder for statements and payloads.")
@click.option(
    "--key", "key_path", type=EXISTING_FILE, required=True, help="Key that signs the statements (PKCS#8 PEM)."
)
@click.option("--ledger", type=_folder, help="Append every statement's digest to this log.")
@click.option("--ledger-key", "ledger_key_path", type=EXISTING_FILE, help="The log's key, if it is not that of --key.")
@click.option(
    "--every",
    "every_s",
    type=FiniteRange(EVERY_S_MIN, SEGMENT_S_MAX),
    help="Seconds between polls (default: as the meters are declared).",
)
@click.option(
    "--segment-seconds",
    "segment_s",
    type=FiniteRange(SEGMENT_S_MIN, SEGMENT_S_MAX),
    default=30.0,
    show_default=True,
    help="A statement covers at most this long.",
)
@click.option("--for", "duration_s", type=FiniteRange(min=0), help="Stop after so many seconds.")
@click.option("--anywhere", is_flag=True, help="Allow sources that are not on loopback.")
@click.option("--origin", type=click.Choice(Origin, case_sensitive=False), default=Origin.RECORDED, show_default=True)
@click.option("--ready-file", type=_file, help="Write this file (JSON) once every source has answered.")
@json_option
def telemetry(**options: Any) -> None:
    """Record what meters of power, load and traffic show, until interrupted.

    Writes signed, numbered and chained statements to OUT/statements and tables (Parquet) or pages (Prometheus text) to
    OUT/payloads. Every source is asked once before anything is recorded, and held against the declaration.
    """
    asked = TelemetryOptions(**options)
    meters = _meters(asked)
    every_s = _every_s(asked, [meter for meter, _ in meters])
    key = SigningKey.read(asked.key_path)
    with contextlib.ExitStack() as stack:
        # First in, last out: a second signal does not interrupt the sealing of what the first one closed.
        stopped = stack.enter_context(stop_signals())
        append = ledger_append(stack, asked.ledger, asked.ledger_key_path, key)
        sources = {
            meter.id: _open(stack, meter, open_sources(meter, texts, clock_ns=time.time_ns, anywhere=asked.anywhere))
            for meter, texts in meters
        }
        recorded = [
            Recorded(
                meter=meter.id,
                units=meter.units,
                signals=meter.signals,
                pages=_asked_once(meter, sources[meter.id]),
            )
            for meter, _ in meters
        ]
        spool = stack.enter_context(DiskSpool(asked.out))
        start_ns = time.time_ns()
        stream = f"{datetime.fromtimestamp(start_ns // 10**9, UTC):%Y%m%dT%H%M%SZ}-{os.urandom(8).hex()}"
        sealer = Sealer(spool, key, stream=stream, origin=asked.origin, recorder=RECORDER, on_statement=append)
        sealing: SealingThread[Cut] = stack.enter_context(SealingThread(lambda cut: sealer.seal(payload_of(cut))))
        recorder = TelemetryRecorder(recorded, sealing.put, start_ns=start_ns, segment_s=asked.segment_s)
        until_ns = None if asked.duration_s is None else start_ns + round(asked.duration_s * 1e9)
        on_turn = stack.enter_context(_display(recorder.counts))
        if asked.ready_file:
            write_text(asked.ready_file, json.dumps({"stream": stream, "meters": list(sources)}))
        # What is there now stays; the collection of garbage need not walk through it at every turn.
        gc.freeze()
        run(
            recorder,
            sources,
            every_ns=round(every_s * 1e9),
            clock_ns=time.time_ns,
            stop=lambda now_ns: stopped() or (until_ns is not None and now_ns >= until_ns),
            on_turn=on_turn,
        )
    _print_summary(stream, recorder.counts, sources, asked)


def _meters(asked: TelemetryOptions) -> list[tuple[Meter, list[SourceText]]]:
    """The meters that are recorded, as declared, each with its sources as written. Raises `InputError`."""
    declared = {meter.id: meter for meter in load_declaration(asked.declaration_path).meters}
    found: dict[str, list[SourceText]] = {}
    for text in asked.meters:
        name, separator, source = text.partition("=")
        if not separator:
            raise InputError("is not METER=SOURCE", where=f"--meter {text}")
        if name not in declared:
            raise InputError(
                f"{name} is not declared", where=f"--meter {text}",
                remedy=f"declared are {', '.join(list(declared)[:8]) or 'no meters'}",
            )  # fmt: skip
        found.setdefault(name, []).append(parse_source(source))
    if len(found) > METERS_MAX:
        raise InputError(f"{len(found)} meters are more than {METERS_MAX}", where="--meter")
    return [(declared[name], texts) for name, texts in found.items()]


def _every_s(asked: TelemetryOptions, meters: Sequence[Meter]) -> float:
    """The step of the polls: as declared. A slower one would break the declaration. Raises `InputError`."""
    least = min(meter.sampled_every_s for meter in meters)
    slower = [meter for meter in meters if asked.every_s is not None and asked.every_s > meter.sampled_every_s]
    if slower:
        raise InputError(
            f"{asked.every_s:g} s is slower than the {slower[0].sampled_every_s:g} s declared for {slower[0].id}",
            where="--every",
        )
    every_s = least if asked.every_s is None else asked.every_s
    if not EVERY_S_MIN <= every_s <= SEGMENT_S_MAX:
        raise InputError(f"{every_s:g} s is not between {EVERY_S_MIN} and {SEGMENT_S_MAX:.0f} s", where="--every")
    return every_s


def _open(stack: contextlib.ExitStack, meter: Meter, sources: list[Source]) -> list[Source]:
    for source in sources:
        stack.callback(source.close)
    return sources


def _asked_once(meter: Meter, sources: Sequence[Source]) -> bool:
    """Ask every source of a meter once and hold it against the declaration; whether it shows pages."""
    shown: list[Samples] = []
    pages = False
    recorded = Recorded(meter=meter.id, units=meter.units, signals=meter.signals)
    for source in sources:
        answer = source.poll()
        if isinstance(answer, Scrape):
            pages = True
            page = b"# scraped %d took %d\n" % (answer.time_ns, answer.took_ns) + answer.text
            answer = read_prometheus(page, report=ReadReport(), node=meter.id)
        shown.append(answer)
    refuse_undeclared(meter, sources, shown)
    # What takes long only once takes it now, beside no work yet.
    encode_segment(joined(recorded, shown))
    return pages


@contextlib.contextmanager
def _display(counts: Mapping[str, Count]) -> Iterator[Callable[[], None] | None]:
    """On a terminal: a table of counts, renewed twice a second."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    with Live(_table(counts), console=console, auto_refresh=False) as live:
        due_s = 0.0

        def on_turn() -> None:
            nonlocal due_s
            if time.monotonic() >= due_s:
                live.update(_table(counts), refresh=True)
                due_s = time.monotonic() + _DISPLAY_S

        yield on_turn
        live.update(_table(counts), refresh=True)


def _table(counts: Mapping[str, Count]) -> Table:
    table = Table("meter", box=None)
    for title in ("polls", "samples", "dropped", "statements"):
        table.add_column(title, justify="right")
    for meter, count in counts.items():
        numbers = (count.polls, count.samples, count.dropped, count.segments)
        table.add_row(meter, *(f"{number:,}" for number in numbers))
    return table


def _print_summary(
    stream: str, counts: Mapping[str, Count], sources: Mapping[str, Sequence[Source]], asked: TelemetryOptions
) -> None:
    if asked.as_json:
        meters = {
            meter: {
                "sources": [{"name": source.facts.name, "note": source.facts.note} for source in sources[meter]],
                **asdict(count),
            }
            for meter, count in counts.items()
        }
        print_json({"out": str(asked.out), "stream": stream, "meters": meters})
        return
    for meter, count in counts.items():
        click.echo(
            f"{meter}: {count.polls:,} polls, {count.samples:,} samples, {count.dropped:,} dropped, "
            f"{count.segments:,} statements in {asked.out}"
            + (f"; the last fault: {count.last_fault}" if count.last_fault else "")
        )
