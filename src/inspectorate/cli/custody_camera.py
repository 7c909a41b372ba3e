"""`inspectorate custody camera`: enrol a camera, watch its video, and judge what was watched.

    inspector  enrol      from honest video to reference pictures and thresholds
    verifier   promise    fix the secret of a lamp in the picture, by digest
    verifier   lamp       when that lamp is on and off
    verifier   reveal     hand the secret over, once the lamp has stopped
    watcher    watch      a file or rtsp://...: signed segments
    anybody    verify     judge segments: chain, counts, repetitions, answers to the lamp
    anybody    show       a page with the frames around each event

Exit codes: 0 nothing is wrong, 10 something is pending, 20 something was noticed or is wrong, 30 what another party sent cannot
be used, 2 wrong use.
"""

from __future__ import annotations

import itertools
import secrets
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from inspectorate.cli.custody_camera_verify import show, verify
from inspectorate.cli.custody_camera_watch import read_lamp_secret, watch
from inspectorate.cli.options import (
    EXISTING_FILE,
    HOURS_MAX,
    NEW_PATH,
    FiniteRange,
    anchors_option,
    json_option,
    now,
    parse_time,
    print_json,
    write_text,
)
from inspectorate.cli.replay_files import Signing, keep_secret, print_result, sign, signing
from inspectorate.drawing.ranks import SECRET_BYTES
from inspectorate.drawing.sources import Promise
from inspectorate.errors import InputError
from inspectorate.evidence import Origin, RandomnessPromised
from inspectorate.evidence.act import Act
from inspectorate.evidence.exchange import Exchange
from inspectorate.evidence.spool import DiskSpool
from inspectorate.evidence.subjects import subject_digest
from inspectorate.keys import TrustAnchors
from inspectorate.mechanisms.custody.cameras.challenge import LampPlan, Patterns
from inspectorate.mechanisms.custody.cameras.enrol import check, enrol
from inspectorate.mechanisms.custody.cameras.enrolment import read_enrolment
from inspectorate.mechanisms.custody.cameras.reference import RATE, RATE_MAX, RATE_MIN
from inspectorate.mechanisms.custody.cameras.regions import read_regions
from inspectorate.mechanisms.custody.cameras.source import frames_of

CHANGES_MAX = 100_000


@click.group()
def camera() -> None:
    """Watch racks: covered, moved, frozen or replayed pictures, open doors, changed cabling, and time in which nothing was
    seen."""


camera.add_command(watch)
camera.add_command(verify)
camera.add_command(show)


@camera.command("enrol")
@click.argument("source")
@click.option(
    "--regions", "regions_path", type=EXISTING_FILE, required=True, help="What of the picture is which place (JSON)."
)
@click.option("--out", type=NEW_PATH, required=True, help="The enrolment, a JSON file.")
@click.option(
    "--rate",
    type=FiniteRange(RATE_MIN, RATE_MAX),
    default=RATE,
    show_default=True,
    help="Frames a second to look at.",
)
@click.option("--seconds", type=FiniteRange(min=1), help="Take so much of SOURCE.")
@click.option(
    "--check", "check_sources", multiple=True, help="More honest video: count alarms on it, with the thresholds fixed."
)
@click.option(
    "--lamp-delay",
    type=FiniteRange(0, 3),
    help="Delay from the verifier's lamp to the picture, as `verify` measures it.",
)
@click.option("--origin", type=click.Choice(Origin, case_sensitive=False), default=Origin.RECORDED, show_default=True)
@json_option
def enrol_(**options: Any) -> None:
    """Enrol a camera on honest video of SOURCE, a file or rtsp://..., filmed while an inspector stood by.

    Film the corridor empty, doors closed, with lights on and off, for some minutes. Give more honest video with --check: its
    length decides how few false alarms can be claimed.
    """
    regions = read_regions(options["regions_path"])
    status = Console(stderr=True).status("looking …")
    with status, closing(frames_of(options["source"], rate=options["rate"])) as frames:
        seconds = options["seconds"]
        taken = frames if seconds is None else itertools.takewhile(lambda one: one.time_s < seconds, frames)
        made = enrol(taken, regions, rate=options["rate"], origin=options["origin"])
    for source in options["check_sources"]:
        with (
            Console(stderr=True).status(f"checking {source} …"),
            closing(frames_of(source, rate=options["rate"])) as frames,
        ):
            made = check(made, frames)
    if options["lamp_delay"] is not None:
        made = made.model_copy(update={"lamp_latency_s": options["lamp_delay"]})
    write_text(options["out"], made.canonical_bytes())
    checked = made.checked
    facts: dict[str, object] = {
        "enrolment": made.digest, "camera": regions.camera, "places": list(regions.places), "states": len(made.states),
        "blinking_lamps": len(made.spots), "checked_s": checked.seconds, "false_alarms": checked.alarms,
        "false_alarms_per_day_max": checked.alarms_per_day_max,
    }  # fmt: skip
    bound = (
        f"{checked.alarms} alarms in {checked.seconds:.0f} s of other video: below {checked.alarms_per_day_max:g} a day at 95 %"
        if checked.alarms_per_day_max is not None
        else "no other honest video was checked: no rate of false alarms is claimed (--check)"
    )
    blinking = (
        f"{len(made.spots)} blinking lamps of devices"
        if made.lively_min > 0
        else f"{len(made.spots)} blinking lamps of devices: too few to tell frozen or repeated pictures"
    )
    print_result(
        options["as_json"], facts,
        [f"enrolment {made.digest}", f"{len(made.states)} states of the lights, {blinking}", bound],
    )  # fmt: skip


@camera.command()
@click.option("--camera", "reporter", required=True, help="The camera as a reporter of the declaration.")
@click.option("--as", "by", required=True, help="Your name as a trust anchor.")
@click.option(
    "--keep", type=NEW_PATH, required=True, help="A new file for the secret. It goes into the lamp, and nowhere else."
)
@click.option("--begins", required=True, help="When the lamp begins, such as 2026-12-01T00:00:00Z.")
@click.option("--hours", type=FiniteRange(0, HOURS_MAX, min_open=True), default=24.0, show_default=True)
@click.option(
    "--every",
    type=FiniteRange(min=1),
    default=30.0,
    show_default=True,
    help="Seconds from challenge to challenge.",
)
@click.option("--slots", type=click.IntRange(8, 64), default=20, show_default=True, help="Bits of one challenge.")
@click.option("--slot", type=FiniteRange(min=0.05), default=0.37, show_default=True,
              help="Seconds of one bit; no multiple of the time between frames, so that delays show between them.")  # fmt: skip
@click.option(
    "--tolerance", type=FiniteRange(min=0.01), default=0.05, show_default=True, help="Of the delay, in seconds."
)
@signing
def promise(**options: Any) -> None:
    """Fix the secret of the lamp that stands in a camera's picture, before it begins."""
    begins = parse_time(options["begins"])
    at = now()
    if begins < at:
        raise InputError("lies in the past: a promise comes before what it fixes", where="--begins")
    plan = LampPlan.parse(
        {
            "begins_at": begins, "ends_at": begins + timedelta(hours=options["hours"]), "every_s": options["every"],
            "slots": options["slots"], "slot_s": options["slot"], "tolerance_s": options["tolerance"],
        },
        where="--begins, --hours, --every, --slots, --slot", error=InputError,
    )  # fmt: skip
    made = Promise[LampPlan](secret=secrets.token_bytes(SECRET_BYTES).hex(), selection=plan)
    predicate = RandomnessPromised(
        origin=options["origin"], by=options["by"], reporter=options["reporter"], promised_at=at
    )
    digest = sign(
        Act(predicate=predicate, subjects={"secret": made.digest}),
        Signing.of(options),
        before=lambda _: keep_secret(options["keep"], made.canonical_bytes()),
    )
    print_result(
        options["as_json"],
        {"statement": digest, "promise": made.digest, "kept": str(options["keep"]), "challenges": plan.count},
        [
            f"promised {plan.count} challenges of {plan.slots} bits", f"statement {digest}",
            f"the secret is in {options['keep']}: for the lamp, and after {plan.ends_at:%Y-%m-%d %H:%M} UTC for everybody",
        ],
    )  # fmt: skip


@camera.command()
@click.argument("secret", type=EXISTING_FILE)
@click.option("--enrolment", "enrolment_path", type=EXISTING_FILE, required=True)
@click.option("--limit", type=click.IntRange(1, CHANGES_MAX), default=CHANGES_MAX, help="Print so many challenges.")
@json_option
def lamp(secret: Path, enrolment_path: Path, limit: int, as_json: bool) -> None:
    """When the lamp of a promised SECRET is on and off: what a controller of the lamp plays."""
    made = read_lamp_secret(secret)
    patterns = Patterns(made, read_enrolment(enrolment_path).digest)
    plan = made.selection
    rows = [
        {"challenge": number, "at": plan.time_of(number).isoformat(), "slot_s": plan.slot_s,
         "pattern": "".join("1" if on else "0" for on in patterns.of(number))}
        for number in range(min(limit, plan.count))
    ]  # fmt: skip
    if as_json:
        print_json(list(rows))
    else:
        click.echo("\n".join(f"{row['at']}  {row['pattern']}  {row['slot_s']} s each" for row in rows))


@camera.command()
@click.argument("secret", type=EXISTING_FILE)
@click.option(
    "--out", type=click.Path(exists=True, file_okay=False, path_type=Path), required=True,
    help="Your folder, with the promise: the secret goes beside it, for bundles and for everybody.",
)  # fmt: skip
@anchors_option
@json_option
def reveal(secret: Path, out: Path, anchors_path: Path, as_json: bool) -> None:
    """Hand the promised SECRET of a lamp over. Refused while the lamp goes on: who knows the pattern can make up a picture."""
    made = read_lamp_secret(secret)
    folder = Exchange(out, anchors=TrustAnchors.read(anchors_path))
    named = [one for one, _ in folder.of(RandomnessPromised) if subject_digest(one, "secret") == made.digest]
    if not named:
        raise InputError(
            "is not the secret of any promise here",
            where=str(secret),
            remedy="give the folder of `promise`",
        )
    ends = made.selection.ends_at
    if now() < ends:
        raise InputError(
            f"its lamp goes on until {ends:%Y-%m-%d %H:%M:%S} UTC", where=str(secret), remedy="hand it over afterwards"
        )
    with DiskSpool(out) as spool:
        spool.put(f"payloads/{made.digest.removeprefix('sha256:')}", [made.canonical_bytes()])
    print_result(
        as_json,
        {"promise": named[0].digest, "secret": made.digest},
        [f"the secret of promise {named[0].digest} lies in {out}"],
    )
