"""`inspectorate counters collect`: record what ports count, as signed statements."""

from __future__ import annotations

import contextlib
import importlib
import ipaddress
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
from pydantic import TypeAdapter, ValidationError

from inspectorate import __version__
from inspectorate.canonical import Identifier, Record, Text
from inspectorate.cli.options import EXISTING_FILE, FiniteRange, json_option, print_json
from inspectorate.cli.running import ledger_append, stop_signals
from inspectorate.errors import EnvironmentError_, InputError
from inspectorate.evidence import Origin
from inspectorate.evidence.cutting import SEGMENT_S_MAX, SEGMENT_S_MIN
from inspectorate.evidence.sealing import Sealer, SealingThread
from inspectorate.evidence.spool import DiskSpool
from inspectorate.keys import SigningKey, read_yaml
from inspectorate.mechanisms.interconnect.counters.polling import (
    EVERY_S_MIN,
    CounterRecorder,
    Polled,
    Polls,
    Source,
    poll_until,
)
from inspectorate.mechanisms.interconnect.counters.readings import Port
from inspectorate.mechanisms.interconnect.counters.sources import LinkSource, PageSource

RECORDER = f"inspectorate {__version__} counters collect"
SECRETS_BYTES_MAX = 65_536
EXIT_INCONCLUSIVE = 10
_folder = click.Path(file_okay=False, path_type=Path)
_identifier: TypeAdapter[str] = TypeAdapter(Identifier)


class SnmpAccess(Record):
    """A file that says how an agent is asked: a community (v2c), or a user with both passwords (v3)."""

    community: Text | None = None
    user: Text | None = None
    auth_password: Text | None = None
    privacy_password: Text | None = None


@dataclass(frozen=True, kw_only=True)
class CollectOptions:
    """What `counters collect` was asked to do."""

    sensors: tuple[str, ...]
    node: str
    link: bool
    namespace: str
    speeds: tuple[str, ...]
    prometheus: str | None
    anywhere: bool
    snmp: str | None
    snmp_access: Path | None
    cache_s: float
    out: Path
    key_path: Path
    ledger: Path | None
    every_s: float
    segment_s: float
    duration_s: float | None
    origin: Origin
    as_json: bool


@click.command()
@click.option("--sensor", "sensors", multiple=True, required=True, metavar="SENSOR=PORT[,PORT...]",
              help="The ports that face a pod, all of them.")  # fmt: skip
@click.option("--node", required=True, help="The name of the gateway or switch, as in the declared cabling.")
@click.option("--link", is_flag=True, help="Poll this machine's interfaces (ip -j -s link).")
@click.option("--namespace", default="", help="With --link: those of this network namespace.")
@click.option("--speed", "speeds", multiple=True, metavar="PORT=BITS_PER_S", help="With --link: the speed of a port.")
@click.option("--prometheus", metavar="URL", help="Scrape this page.")
@click.option("--snmp", metavar="udp://ADDRESS:PORT", help="Poll this agent. Needs the extra snmp.")
@click.option("--anywhere", is_flag=True, help="Allow a page or agent that is not on loopback.")
@click.option("--snmp-access", type=EXISTING_FILE, help="YAML: community, or user, auth_password, privacy_password.")
@click.option("--cache-seconds", "cache_s", type=FiniteRange(0, 3600), default=0.0, show_default=True,
              help="How long the SNMP agent may show a value before it counts again.")  # fmt: skip
@click.option("--out", type=_folder, required=True, help="Folder for statements and payloads.")
@click.option(
    "--key", "key_path", type=EXISTING_FILE, required=True, help="Key that signs the statements (PKCS#8 PEM)."
)
@click.option("--ledger", type=_folder, help="Append every statement's digest to this log.")
@click.option("--every", "every_s", type=FiniteRange(EVERY_S_MIN, SEGMENT_S_MAX), default=1.0, show_default=True,
              help="Seconds between polls.")  # fmt: skip
@click.option("--segment-seconds", "segment_s", type=FiniteRange(SEGMENT_S_MIN, SEGMENT_S_MAX), default=30.0,
              show_default=True, help="A statement covers at most this long.")  # fmt: skip
@click.option("--duration", "duration_s", type=FiniteRange(min=0), help="Stop after so many seconds.")
@click.option("--origin", type=click.Choice(Origin, case_sensitive=False), default=Origin.RECORDED, show_default=True)
@json_option
def collect(**options: Any) -> None:
    """Record the counters of ports until interrupted.

    Writes signed, numbered and chained statements to OUT/statements and readings (JSON lines) to OUT/payloads. Exits 10 if a
    sensor has no reading.
    """
    asked = CollectOptions(**options)
    sensors = _parse_sensors(asked)
    source = _source_of(asked)
    key = SigningKey.read(asked.key_path)
    with contextlib.ExitStack() as stack:
        stopped = stack.enter_context(stop_signals())
        append = ledger_append(stack, asked.ledger, None, key)
        spool = stack.enter_context(DiskSpool(asked.out))
        start_ns = time.time_ns()
        stream = f"{datetime.fromtimestamp(start_ns // 10**9, UTC):%Y%m%dT%H%M%SZ}-{os.urandom(8).hex()}"
        sealer = Sealer(
            spool, key, stream=stream, origin=asked.origin, recorder=RECORDER,
            on_statement=append,
        )  # fmt: skip
        sealing = stack.enter_context(SealingThread(sealer.seal))
        recorder = CounterRecorder(sensors, sealing.put, start_ns=start_ns, segment_s=asked.segment_s)
        until_ns = None if asked.duration_s is None else start_ns + round(asked.duration_s * 1e9)
        polls = poll_until(
            source, recorder, every_s=asked.every_s, clock_ns=time.time_ns, sleep=time.sleep,
            stop=lambda now_ns: stopped() or (until_ns is not None and now_ns >= until_ns),
        )  # fmt: skip
    result: dict[str, object] = {
        "out": str(asked.out),
        "stream": stream,
        "polls": asdict(polls),
        "sensors": {sensor: asdict(count) for sensor, count in recorder.counts.items()},
    }
    if asked.as_json:
        print_json(result)
    else:
        click.echo("\n".join(_lines(asked.out, polls, recorder.counts)))
    if not all(count.readings for count in recorder.counts.values()):
        raise click.exceptions.Exit(EXIT_INCONCLUSIVE)


def _lines(out: Path, polls: Polls, counts: Mapping[str, Polled]) -> list[str]:
    lines = [f"{polls.done:,} polls, {polls.failed:,} failed" + (f" ({polls.last_fault})" if polls.failed else "")]
    for sensor, count in counts.items():
        missing = f"; a port was missing in {count.ports_missing:,} polls" if count.ports_missing else ""
        lines.append(f"{sensor}: {count.readings:,} readings, {count.segments:,} statements in {out}{missing}")
    return lines


def _parse_sensors(asked: CollectOptions) -> dict[str, frozenset[Port]]:
    found: dict[str, frozenset[Port]] = {}
    for text in asked.sensors:
        sensor, separator, names = text.partition("=")
        ports = frozenset(Port(asked.node, name.strip()) for name in names.split(",") if name.strip())
        try:
            _identifier.validate_python(sensor)
        except ValidationError:
            separator = ""
        if not separator or not ports:
            raise InputError("is not SENSOR=PORT[,PORT...]", where=f"--sensor {text}")
        if sensor in found:
            raise InputError("is named twice", where=f"--sensor {text}")
        found[sensor] = ports
    return found


def _source_of(asked: CollectOptions) -> Source:
    """The one source that was asked for. Raises `InputError`."""
    if sum((asked.link, asked.prometheus is not None, asked.snmp is not None)) != 1:
        raise InputError("one source is polled", remedy="give one of --link, --prometheus and --snmp")
    if asked.link:
        return LinkSource(
            asked.node, clock_ns=time.time_ns, speeds=_parse_speeds(asked.speeds), namespace=asked.namespace
        )
    if asked.prometheus is not None:
        return PageSource(asked.prometheus, asked.node, clock_ns=time.time_ns, anywhere=asked.anywhere)
    return _snmp_source(asked)


def _parse_speeds(texts: Sequence[str]) -> dict[str, int]:
    found = {}
    for text in texts:
        port, _, speed = text.partition("=")
        if not port or not speed.isdigit() or len(speed) > 15:
            raise InputError("is not PORT=BITS_PER_S", where=f"--speed {text}")
        found[port] = int(speed)
    return found


def _snmp_source(asked: CollectOptions) -> Source:
    where = f"--snmp {asked.snmp}"
    try:
        parts = urlsplit(asked.snmp or "")
        address = ipaddress.ip_address(parts.hostname or "")
        port = parts.port or 161
    except ValueError:
        raise InputError("is not udp://ADDRESS:PORT", where=where, remedy="give a numeric address") from None
    if parts.scheme != "udp":
        raise InputError("is not udp://ADDRESS:PORT", where=where)
    if not address.is_loopback and not asked.anywhere:
        raise InputError("is not on loopback", where=where, remedy="--anywhere allows an agent on another machine")
    if asked.snmp_access is None:
        raise InputError("needs --snmp-access", where=where)
    try:
        # The module needs an extra; the command line as a whole does not.
        snmp = importlib.import_module("inspectorate.mechanisms.interconnect.counters.snmp")
    except ImportError as fault:
        raise EnvironmentError_(
            f"needs {fault.name}, which is not installed", where=where, remedy="install inspectorate[snmp]"
        ) from None
    access = _read_access(asked.snmp_access)
    found: Source = snmp.SnmpSource(
        snmp.SnmpAgent(
            node=asked.node,
            address=str(address),
            port=port,
            access=snmp.Community(name=access.community)
            if access.community is not None
            else snmp.User(
                name=access.user, auth_password=access.auth_password, privacy_password=access.privacy_password
            ),
            cache_s=asked.cache_s,
        ),
        clock_ns=time.time_ns,
        monotonic_ns=time.monotonic_ns,
    )
    return found


def _read_access(path: Path) -> SnmpAccess:
    """How the agent is asked. Secrets come from a file, since a command line can be seen by others."""
    access = SnmpAccess.parse(read_yaml(path, bytes_max=SECRETS_BYTES_MAX), where=str(path), error=InputError)
    user = (access.user, access.auth_password, access.privacy_password)
    if (access.community is None) == (None in user):
        raise InputError(
            "names neither a community nor a user, or both",
            where=str(path),
            remedy="give community, or user, auth_password and privacy_password",
        )
    return access
