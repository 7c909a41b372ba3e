"""`inspectorate custody locate`: where a device can stand at most, by the time that its signed answers take.

    respond   at the device: answer who asks, with its key
    probe     at a landmark: ask with fresh nonces, and write down every round trip
    region    of the landmarks' files: the region, and how far it reaches from the declared position
    state     sign the landmarks' files as a statement
    verify    judge statements, by the reviewer's landmarks, key and declared position

Exit codes of `region` and `verify`: 0 the device is shown to be within the radius that was asked for (or somewhere, if none was),
10 its region is larger or nothing was measured, 20 it is away from where it is declared, 30 what was measured cannot be used, 2
wrong use.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import secrets
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from inspectorate.cli.options import (
    EXISTING_FILE,
    NEW_PATH,
    FiniteRange,
    anchors_option,
    json_option,
    now,
    print_json,
    write_text,
)
from inspectorate.cli.replay_files import Signing, either, print_result, sign, signing
from inspectorate.declaration import Declaration, load_declaration
from inspectorate.declaration.types import Position, ReporterKind
from inspectorate.errors import InputError
from inspectorate.evidence.act import Who
from inspectorate.evidence.custody import RoundTripsMeasured
from inspectorate.evidence.exchange import Exchange, read_plain
from inspectorate.keys import PublicKey, SigningKey, TrustAnchors
from inspectorate.mechanisms.custody.location.acts import make_round_trips
from inspectorate.mechanisms.custody.location.drawing import geojson
from inspectorate.mechanisms.custody.location.judge import Believed, Measured, check_round_trips, check_uses, judge
from inspectorate.mechanisms.custody.location.prober import Machine, Plan
from inspectorate.mechanisms.custody.location.prober import probe as ask_device
from inspectorate.mechanisms.custody.location.record import (
    OfLandmark,
    RoundTrips,
    read_landmarks,
    read_round_trips,
    together,
)
from inspectorate.mechanisms.custody.location.reference import NONCE_BYTES, PINGS_MAX, RECORD_BYTES_MAX
from inspectorate.mechanisms.custody.location.region import Medium, Region, Standing
from inspectorate.mechanisms.custody.location.responder import respond as listen
from inspectorate.mechanisms.custody.location.routes import ROUTES_BYTES_MAX, fit_routes, locate_usually, read_routes
from inspectorate.quantities import Period, from_ns

_folder = click.Path(exists=True, file_okay=False, path_type=Path)
_landmarks = click.option(
    "--landmarks",
    "landmarks_path",
    type=EXISTING_FILE,
    required=True,
    help="Where your landmarks stand (YAML), as `landmarks:` of trust anchors says it.",
)
_within = click.option(
    "--within-km",
    type=FiniteRange(min=0, min_open=True),
    help="The radius that must be shown; any, if it is left out.",
)


@click.group()
def locate() -> None:
    """Bound where a device stands, by the time that signed answers take to landmarks."""


@locate.command()
@click.option("--key", "key_path", type=EXISTING_FILE, required=True, help="The device's key.")
@click.option("--bind", default="127.0.0.1:4190", show_default=True, metavar="HOST:PORT")
def respond(key_path: Path, bind: str) -> None:
    """Answer landmarks until interrupted. Needs no other right than to listen."""
    asyncio.run(_respond(SigningKey.read(key_path), _address(bind, "--bind")))


async def _respond(key: SigningKey, bind: tuple[str, int]) -> None:
    done = asyncio.Event()
    transport, responder = await listen(key, bind, time.monotonic)
    loop = asyncio.get_running_loop()
    for one in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(one, done.set)
    click.echo(f"answering on {bind[0]}:{bind[1]} as {base64.b64encode(key.public.raw).decode()}")
    try:
        await done.wait()
    finally:
        transport.close()
        click.echo(f"answered {responder.answered}, passed over {responder.passed_over}")


@locate.command()
@click.argument("address", metavar="HOST:PORT")
@click.option("--device", required=True, help="The device, as declared.")
@click.option("--key", "key_text", required=True, help="The device's public key (base64), as declared.")
@click.option("--landmark", required=True, help="This landmark, as the reviewer calls it.")
@click.option("--pings", type=click.IntRange(1, PINGS_MAX), default=50, show_default=True)
@click.option("--interval", type=FiniteRange(0.001, 60), default=0.2, show_default=True, help="Seconds between two.")
@click.option("--timeout", type=FiniteRange(0.01, 60), default=2.0, show_default=True, help="Seconds after the last.")
@click.option("--out", type=NEW_PATH, required=True, help="The file of all round trips.")
@json_option
def probe(address: str, key_text: str, out: Path, as_json: bool, **options: Any) -> None:
    """Ask a device, and write every question and answer down. Exits 10 where nothing was answered."""
    machine = Machine(steady_ns=time.monotonic_ns, wall_ns=time.time_ns, nonce=lambda: secrets.token_bytes(NONCE_BYTES))
    plan = Plan(pings=options["pings"], interval_s=options["interval"], timeout_s=options["timeout"])
    pings = asyncio.run(ask_device(_address(address, "HOST:PORT"), _public(key_text), plan, machine))
    value = {"device": options["device"], "landmarks": [OfLandmark(landmark=options["landmark"], pings=pings)]}
    record = RoundTrips.parse(value, where="probe", error=InputError)
    write_text(out, record.canonical_bytes())
    times = sorted(one.round_trip_ns / 1e6 for one in pings if one.round_trip_ns is not None)
    facts: dict[str, object] = {
        "asked": len(pings), "answered": len(times), "least_ms": times[0] if times else None, "out": str(out)
    }  # fmt: skip
    least = f", the shortest in {times[0]:.3f} ms" if times else ""
    print_result(as_json, facts, [f"{len(times)} of {len(pings)} answered{least}", f"written to {out}"])
    raise click.exceptions.Exit(0 if times else 10)


@locate.command()
@click.argument("files", type=EXISTING_FILE, nargs=-1, required=True)
@_landmarks
@click.option("--key", "key_text", required=True, help="The device's public key (base64), as declared.")
@click.option("--declared", required=True, metavar="LATITUDE,LONGITUDE", help="Where the device is declared to stand.")
@_within
@click.option("--geojson", "map_path", type=NEW_PATH, help="Write the strict region as a map.")
@click.option(
    "--routes",
    "routes_path",
    type=EXISTING_FILE,
    help="Least round trips between known places (CSV: distance_km,round_trip_ms): say, too, what such delays usually mean.",
)
@click.option(
    "--confidence",
    type=FiniteRange(0, 1, min_open=True, max_open=True),
    default=0.95,
    show_default=True,
    help="With --routes.",
)
@json_option
def region(files: tuple[Path, ...], landmarks_path: Path, key_text: str, declared: str, **options: Any) -> None:
    """The region of the landmarks' FILES, strictly and under the assumption of fibre.

    What routes usually mean (--routes) is said apart, and decides nothing.
    """
    record = together([read_round_trips(read_plain(one, RECORD_BYTES_MAX), where=str(one)) for one in files])
    believed = Believed(landmarks=read_landmarks(landmarks_path), key=_public(key_text), declared=_position(declared))
    found = judge(record, believed)
    if options["map_path"]:
        _write_map(options["map_path"], found, believed)
    facts, lines = _facts(found), _lines(found)
    if options["routes_path"]:
        usual = _usual(options["routes_path"], found, believed, options["confidence"])
        facts["usually"] = {"confidence": options["confidence"], **_region(usual)}
        lines.append(f"if its routes are like those that were measured, at {options['confidence']:g}: {_stands(usual)}")
    print_result(options["as_json"], facts, lines)
    raise click.exceptions.Exit(_code([found], options["within_km"]))


@locate.command()
@click.argument("files", type=EXISTING_FILE, nargs=-1, required=True)
@click.option("--as", "by", required=True, help="Your name as a trust anchor.")
@signing
def state(files: tuple[Path, ...], **options: Any) -> None:
    """Sign what landmarks measured, from their FILES, as one statement."""
    record = together([read_round_trips(read_plain(one, RECORD_BYTES_MAX), where=str(one)) for one in files])
    pings = [ping for one in record.landmarks for ping in one.pings]
    times = [int(ping.sent_ns) for ping in pings] + [int(ping.received_ns) for ping in pings if ping.received_ns]
    # A period has microseconds; it begins before the first nanosecond and ends after the last.
    period = Period.parse(
        {"start": from_ns(min(times)), "end": from_ns(max(times) + 1999)}, where="round trips", error=InputError
    )
    act = make_round_trips(record, Who(name=options["by"], at=now(), origin=options["origin"]), period=period)
    digest = sign(act, Signing.of(options))
    facts: dict[str, object] = {
        "statement": digest, "device": record.device, "landmarks": len(record.landmarks), "round_trips": len(pings)
    }  # fmt: skip
    words = f"{len(pings)} round trips of {record.device} to {len(record.landmarks)} landmarks"
    print_result(options["as_json"], facts, [words, f"statement {digest}"])


@locate.command()
@click.argument("folders", type=_folder, nargs=-1, required=True)
@anchors_option
@_landmarks
@click.option(
    "--declaration", "declaration_path", type=EXISTING_FILE, required=True, help="Keys and declared positions."
)
@_within
@json_option
def verify(
    folders: tuple[Path, ...], anchors_path: Path, landmarks_path: Path, declaration_path: Path, **options: Any
) -> None:
    """Judge the statements of round trips in the FOLDERS. Anybody can who has the landmarks."""
    sides = [Exchange(folder, anchors=TrustAnchors.read(anchors_path)) for folder in folders]
    statements = {one.digest: one for side in sides for one, _ in side.of(RoundTripsMeasured)}
    if not statements:
        raise InputError(
            "nothing was measured", where=", ".join(map(str, folders)), remedy="name the inspectors' folder"
        )
    declaration, landmarks, payload = load_declaration(declaration_path), read_landmarks(landmarks_path), either(*sides)
    reused, _ = check_uses(list(statements.values()), payload=payload)
    found: dict[str, Measured] = {}
    for digest, statement in statements.items():
        said = statement.predicate
        assert isinstance(said, RoundTripsMeasured)
        key, declared = _declared(declaration, said.reporter)
        believed = Believed(landmarks=landmarks, key=key, declared=declared)
        found[digest] = check_round_trips(statement, payload=payload, believed=believed, reused=reused)
    aside = [text for side in sides for text in side.set_aside]
    if options["as_json"]:
        print_json(
            {"measured": [{"statement": digest, **_facts(one)} for digest, one in found.items()], "set_aside": aside}
        )
    else:
        for digest, one in found.items():
            click.echo(f"statement {digest[7:19]}")
            click.echo("\n".join(f"  {line}" for line in _lines(one)))
        for text in aside:
            click.echo(f"set aside: {text}")
    raise click.exceptions.Exit(_code(list(found.values()), options["within_km"]))


def _declared(declaration: Declaration, device: str) -> tuple[PublicKey, Position]:
    for site in declaration.sites:
        for one in site.reporters:
            if one.id == device and one.kind is ReporterKind.LOCATED:
                if one.key is None or site.position is None:
                    raise InputError(f"declares no key of {device}, or no position of {site.id}", where=declaration.id)
                return _public(one.key), site.position
    raise InputError(f"declares no located device {device}", where=declaration.id)


def _address(text: str, where: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise InputError(f"{text[:80]!r} is no address", where=where, remedy="write HOST:PORT")
    return host.strip("[]"), int(port)


def _public(text: str) -> PublicKey:
    try:
        return PublicKey(base64.b64decode(text, validate=True))
    except (ValueError, binascii.Error) as fault:
        raise InputError(f"is no public key: {fault}", where="--key", remedy="give base64 of 32 bytes") from None


def _position(text: str) -> Position:
    latitude, _, longitude = text.partition(",")
    value = {"latitude_deg": latitude.strip(), "longitude_deg": longitude.strip()}
    return Position.parse(value, where="--declared", error=InputError)


def _write_map(path: Path, found: Measured, believed: Believed) -> None:
    drawn = geojson(found.regions[Medium.VACUUM], believed.landmarks, believed.declared)
    write_text(path, json.dumps(drawn))


def _facts(found: Measured) -> dict[str, object]:
    return {
        "asked": found.asked, "answered": found.answered,
        "least_ms": {name: value * 1e3 for name, value in found.least_s.items()},
        "regions": {medium.value: _region(one) for medium, one in found.regions.items()},
        "faults": [
            {"fault": one.fault.value, "side": one.fault.side.value, "detail": one.detail, "round_trips": one.round_trips}
            for one in found.faults
        ],
    }  # fmt: skip


def _usual(path: Path, found: Measured, believed: Believed, confidence: float) -> Region:
    try:
        model = fit_routes(read_routes(read_plain(path, ROUTES_BYTES_MAX), where=str(path)))
    except ValueError as fault:
        raise InputError(str(fault), where=str(path), remedy="measure more routes, or fewer") from None
    return locate_usually(
        found.least_s, believed.landmarks, believed.declared, model=model, miss_probability=1 - confidence
    )


def _region(one: Region) -> dict[str, object]:
    return {
        "standing": one.standing.value, "radius_m": one.radius_m, "away_m": one.away_m, "farthest": one.farthest,
        "distances_m": dict(one.distances_m),
    }  # fmt: skip


_STANDS: Mapping[Standing, str] = {
    Standing.WITHIN: "within {radius:,.1f} km of where it is declared",
    Standing.AWAY: "at least {away:,.1f} km away from where it is declared, and within {radius:,.1f} km of it",
    Standing.CONTRADICTION: "nowhere: a clock, a position of a landmark or a key is false",
    Standing.NOT_MEASURED: "not measured",
}


def _stands(one: Region) -> str:
    return _STANDS[one.standing].format(radius=(one.radius_m or 0) / 1e3, away=one.away_m / 1e3)


def _lines(found: Measured) -> list[str]:
    lines = [f"{found.answered} of {found.asked} answered; landmarks used: {', '.join(found.least_s) or 'none'}"]
    for medium, one in found.regions.items():
        how = "by the speed of light" if medium is Medium.VACUUM else "if every route is ordinary fibre"
        lines.append(f"{how}: {_stands(one)}")
    return [*lines, *(f"{one.fault.value} ({one.fault.side.value}): {one.detail}" for one in found.faults)]


def _code(found: Sequence[Measured], within_km: float | None) -> int:
    strict = [one.regions[Medium.VACUUM] for one in found]
    if any(one.standing is Standing.CONTRADICTION for one in strict):
        return 30
    if any(one.standing is Standing.AWAY for one in strict):
        return 20
    shown = [
        one.radius_m is not None and (within_km is None or one.radius_m <= within_km * 1e3)
        for one in strict
        if one.standing is Standing.WITHIN
    ]
    return 0 if len(shown) == len(strict) and all(shown) else 10
