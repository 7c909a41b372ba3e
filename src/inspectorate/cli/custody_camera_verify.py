"""`inspectorate custody camera verify` and `show`: what segments of cameras show, and the frames around each event."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.console import Console

from inspectorate.canonical import digest_of
from inspectorate.cli.custody_camera_watch import SECRET_FILE_BYTES_MAX
from inspectorate.cli.options import (
    EXISTING_FILE,
    NEW_PATH,
    anchors_option,
    json_option,
    print_json,
    write_text,
)
from inspectorate.cli.replay_files import either
from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence import RandomnessPromised
from inspectorate.evidence.custody import CameraWatched
from inspectorate.evidence.exchange import Exchange, read_plain
from inspectorate.keys import TrustAnchors
from inspectorate.mechanisms.custody.cameras.challenge import latency_of
from inspectorate.mechanisms.custody.cameras.enrolment import read_enrolment
from inspectorate.mechanisms.custody.cameras.judge import Brought, CameraJudged, WatchFault, judge_cameras
from inspectorate.mechanisms.custody.cameras.page import render_page

EXIT_PENDING, EXIT_NOTICED, EXIT_INVALID = 10, 20, 30
SHOWN_MAX = 40
CLIP_BYTES_MAX = 1 << 22

_folder = click.Path(exists=True, file_okay=False, path_type=Path)
_enrolments = click.option(
    "--enrolment", "enrolment_paths", type=EXISTING_FILE, multiple=True, required=True, help="Both parties know it."
)
_promises = click.option("--promises", type=_folder, help="The verifier's folder, with promises of the lamp.")
_secret = click.option(
    "--secret", "secret_paths", type=EXISTING_FILE, multiple=True, help="A promised secret that was handed over."
)


@click.command()
@click.argument("folder", type=_folder)
@_enrolments
@_promises
@_secret
@anchors_option
@json_option
def verify(**options: Any) -> None:
    """Judge the segments in FOLDER: chain, counts, repetitions across all of them, answers to the verifier's lamp.

    Exits 20 if a segment tells of an event or anything is wrong, 30 if a segment cannot be used, 10 if a chain was never closed,
    a lamp's secret is still to come, or a statement was set aside.
    """
    cameras, pending = _judged(options)
    facts = [_facts(one) for one in cameras]
    if options["as_json"]:
        print_json({"cameras": facts, "pending": pending})
    else:
        for one in cameras:
            _print(one)
        for line in pending:
            click.echo(line)
    faults = {fault.fault for one in cameras for fault in one.faults}
    events = any(one.said.events for camera in cameras for one in camera.segments)
    if faults & {WatchFault.PAYLOAD, WatchFault.FORKED, WatchFault.PROMISE}:
        raise click.exceptions.Exit(EXIT_INVALID)
    if events or faults - {WatchFault.UNCLOSED}:
        raise click.exceptions.Exit(EXIT_NOTICED)
    if faults or pending:
        raise click.exceptions.Exit(EXIT_PENDING)


@click.command()
@click.argument("folder", type=_folder)
@click.option("--html", "html_path", type=NEW_PATH, required=True, help="The page to write.")
@_enrolments
@_promises
@_secret
@anchors_option
@json_option
def show(**options: Any) -> None:
    """Write a page with the frames before and after each event in FOLDER, for a person to look at."""
    cameras, pending = _judged(options)
    for line in pending:
        click.echo(line, err=True)
    folder: Path = options["folder"]

    def clip(digest: str) -> bytes:
        return read_plain(folder / "clips" / f"{digest.removeprefix('sha256:')}.jpg", CLIP_BYTES_MAX)

    write_text(options["html_path"], render_page(cameras, clip))
    events = sum(len(one.written.events) for camera in cameras for one in camera.segments)
    if options["as_json"]:
        print_json({"page": str(options["html_path"]), "events": events})
    else:
        click.echo(f"{events} events on {options['html_path']}")


def _judged(options: dict[str, Any]) -> tuple[tuple[CameraJudged, ...], list[str]]:
    anchors = TrustAnchors.read(options["anchors_path"])
    theirs = Exchange(options["folder"], anchors=anchors)
    mine = Exchange(options["promises"], anchors=anchors) if options["promises"] else None
    if not theirs.of(CameraWatched):
        raise InputError("holds no segment of a camera that verifies", where=str(options["folder"]))
    enrolments = {one.digest: one for one in map(read_enrolment, options["enrolment_paths"])}
    secrets = {
        digest_of(data): data for data in (read_plain(path, SECRET_FILE_BYTES_MAX) for path in options["secret_paths"])
    }
    folders = either(theirs, mine)

    def payload(digest: str) -> bytes:
        return secrets[digest] if digest in secrets else folders(digest)

    promises = [one for folder in (theirs, mine) if folder for one, _ in folder.of(RandomnessPromised)]
    with Console(stderr=True).status("judging …"):
        brought = Brought(payload=payload, enrolments=enrolments, promises=promises)
        cameras = judge_cameras(theirs.statements, brought)
    aside = [f"set aside: {line}" for folder in (theirs, mine) if folder for line in folder.set_aside]
    return cameras, [*_pending(cameras, brought), *aside]


def _pending(cameras: tuple[CameraJudged, ...], brought: Brought) -> list[str]:
    """Promises that segments name, and whose secrets are still to come."""
    found = []
    known = {one.digest: one for one in brought.promises}
    for camera in cameras:
        for named in sorted({one.said.promise for one in camera.segments if one.said.promise}):
            promise = known.get(named)
            if promise is None:
                continue
            try:
                brought.payload(promise.statement.subject[0].digest_text)
            except EvidenceError:
                found.append(f"{camera.camera}: the secret of promise {named[:19]}… is not handed over yet")
    return found


def _facts(camera: CameraJudged) -> dict[str, object]:
    answers = [one for segment in camera.segments for one in segment.answers]
    return {
        "camera": camera.camera,
        "segments": len(camera.segments),
        "frames": sum(one.said.frames for one in camera.segments),
        "unseen_s": sum(one.said.unseen_s for one in camera.segments),
        "events": {
            kind.value: sum(one.said.events.get(kind, 0) for one in camera.segments)
            for kind in sorted({kind for one in camera.segments for kind in one.said.events})
        },
        "challenges": len(answers),
        "answered": sum(one.answered for one in answers),
        "lamp_delay_s": latency_of(answers),
        "prover_alone": camera.prover_alone,
        "faults": [
            {
                "fault": one.fault.value,
                "detail": one.detail,
                "statement": one.statement,
                "period": str(one.period or ""),
            }
            for one in camera.faults
        ],
    }


def _print(camera: CameraJudged) -> None:
    facts = _facts(camera)
    alone = ", signed by the prover alone" if camera.prover_alone else ""
    click.echo(
        f"{camera.camera}: {facts['segments']} segments, {facts['frames']} frames, {facts['unseen_s']:.1f} s unseen{alone}"
    )
    events = facts["events"]
    assert isinstance(events, dict)
    click.echo("  events: " + (", ".join(f"{kind} {count}" for kind, count in events.items()) or "none"))
    if facts["challenges"]:
        delay = f", after {facts['lamp_delay_s']:.3f} s" if facts["lamp_delay_s"] is not None else ""
        click.echo(f"  the lamp was answered {facts['answered']} times of {facts['challenges']}{delay}")
    for fault in camera.faults[:SHOWN_MAX]:
        click.echo(f"  {fault.fault.value}: {fault.detail}" + (f" ({fault.period})" if fault.period else ""))
    if len(camera.faults) > SHOWN_MAX:
        click.echo(f"  and {len(camera.faults) - SHOWN_MAX} more")
