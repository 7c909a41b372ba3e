"""`inspectorate custody camera watch`: video in, signed segments out."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from inspectorate.cli.options import EXISTING_FILE, FiniteRange, now, parse_time, write_text
from inspectorate.cli.replay_files import Signing, own, print_result, sign, signing
from inspectorate.cli.running import stop_signals
from inspectorate.drawing.sources import Promise, parse_whole
from inspectorate.errors import EvidenceError, InputError, InspectorateError
from inspectorate.evidence import VerifiedStatement
from inspectorate.evidence.act import Who
from inspectorate.evidence.custody import CameraWatched
from inspectorate.evidence.exchange import Exchange, read_plain
from inspectorate.keys import Role
from inspectorate.mechanisms.custody.cameras.challenge import LampPlan, Patterns
from inspectorate.mechanisms.custody.cameras.enrolment import Enrolment, read_enrolment, ready
from inspectorate.mechanisms.custody.cameras.eye import Eye
from inspectorate.mechanisms.custody.cameras.judge import Lamp, rows_of
from inspectorate.mechanisms.custody.cameras.reference import RING, SEGMENT_S, SEGMENT_S_MAX
from inspectorate.mechanisms.custody.cameras.source import digest_of_file, frames_of, is_live
from inspectorate.mechanisms.custody.cameras.watch import Link, Segment, Watching, make_segment
from inspectorate.mechanisms.custody.cameras.written import Written, written_of

EXIT_NOTICED = 20
SECRET_FILE_BYTES_MAX = 1 << 16


@click.command()
@click.argument("source")
@click.option("--enrolment", "enrolment_path", type=EXISTING_FILE, required=True)
@click.option("--start", help="When a file begins; now, for a live source.")
@click.option("--segment", "segment_s", type=FiniteRange(1, SEGMENT_S_MAX), default=SEGMENT_S, show_default=True,
              help="Seconds of one segment.")  # fmt: skip
@click.option("--seconds", type=FiniteRange(min=1), help="Stop after so much video.")
@click.option("--last", is_flag=True, help="Nothing will follow: mark the last segment so.")
@click.option("--promise", help="Digest of the verifier's promise by which the lamp in the picture goes.")
@click.option(
    "--secret",
    "secret_path",
    type=EXISTING_FILE,
    help="What was promised, for a watcher of the verifier: answers are judged at once.",
)
@signing
def watch(**options: Any) -> None:
    """Watch SOURCE, a file or rtsp://..., and sign a segment every ten minutes. Ctrl-C ends with a segment.

    A later run with the same --out continues the chain, and looks for repetitions in all that came before. Exits 20 if anything
    was noticed.
    """
    source, enrolment = options["source"], read_enrolment(options["enrolment_path"])
    live = is_live(source)
    if not live and options["start"] is None:
        raise InputError("is needed for a file: its segments say when", where="--start")
    start = now() if live else parse_time(options["start"])
    known = ready(enrolment, RING)
    run = _Run(options, start, enrolment)
    video = None if live else digest_of_file(Path(source))
    run.lamp = _lamp(options, enrolment)
    watching = Watching(known, start, segment_s=options["segment_s"], eye=run.eye_with_history(Eye(known)))
    fault = None
    with stop_signals() as stopped, Console(stderr=True).status("watching …") as status:
        try:
            with closing(frames_of(source, rate=enrolment.rate)) as frames:
                for frame in frames:
                    if stopped() or (options["seconds"] is not None and frame.time_s >= options["seconds"]):
                        break
                    sighting, done = watching.take(frame)
                    for event in sighting.seen.began:
                        where = ", ".join(event.places) or "all places"
                        status.console.print(f"{frame.time_s:10.1f} s  {event.kind.value} at {where}", highlight=False)
                    if done is not None:
                        run.put(done, video, final=False)
        except InspectorateError as one:
            fault = one  # what was seen until then is signed first
        done = watching.end()
        if done is not None:
            run.put(done, video, final=options["last"] and fault is None)
    if fault is not None:
        raise fault
    events = sum(run.events.values())
    print_result(
        options["as_json"],
        {
            "camera": run.camera, "segments": run.count, "frames": run.frames, "unseen_s": run.unseen_s,
            "events": run.events, "challenges": run.challenges, "answered": run.answered, "last": run.previous,
            "video": video,
        },
        [
            f"{run.count} segments, {run.frames} frames, {run.unseen_s:.1f} s unseen"
            + (f", the lamp answered {run.answered} times of {run.challenges}" if run.lamp else ""),
            "noticed: " + (", ".join(f"{kind} {count}" for kind, count in run.events.items()) or "nothing"),
            f"last statement {run.previous}",
        ],
    )  # fmt: skip
    if events or run.answered < run.challenges:
        raise click.exceptions.Exit(EXIT_NOTICED)


class _Run:
    """The chain that this run continues, and what it adds."""

    def __init__(self, options: dict[str, Any], start: datetime, enrolment: Enrolment) -> None:
        self._enrolment = enrolment
        self.camera = camera = enrolment.regions.camera
        self._signing = Signing.of(options)
        self._who = Who(name=camera, at=start, origin=options["origin"])
        self._promise: str | None = options["promise"]
        anchor = self._signing.anchors.by_key_id(self._signing.key.public.key_id)
        if anchor is None or not anchor.may(Role.SENSOR, start) or camera not in anchor.sensors:
            raise InputError(
                f"may not speak for {camera} at that time",
                where="--key",
                remedy="the trust anchors name the key that may",
            )
        self._folder = own(options["out"], self._signing.anchors)
        self._earlier = _chain(self._folder, camera)
        self.count = self.frames = self.challenges = self.answered = 0
        self.lamp: Lamp | None = None
        self._before: Written | None = None
        self.unseen_s = 0.0
        self.events: dict[str, int] = {}
        last = self._earlier[-1] if self._earlier else None
        said = last.predicate if last else None
        assert said is None or isinstance(said, CameraWatched)
        if said is not None and said.final:
            raise InputError("holds a last segment of this camera: nothing can follow", where=str(options["out"]))
        if said is not None and start < said.period.end:
            raise InputError(
                f"lies before {said.period.end:%Y-%m-%dT%H:%M:%SZ}, when the last segment ends", where="--start"
            )
        self.previous = last.digest if last else None
        self._sequence = said.sequence + 1 if said else 0

    def eye_with_history(self, eye: Eye) -> Eye:
        """All lamps of devices of earlier segments, so that a repetition of them is found."""
        for one in self._earlier:
            assert self._folder is not None
            try:
                written = written_of(one, self._folder.payload)
            except EvidenceError:
                continue  # `verify` names it
            for _, bits, visible in rows_of(written):
                eye.history.add(bits, visible)
        return eye

    def put(self, segment: Segment, video: str | None, *, final: bool) -> None:
        for digest, data in segment.clips.items():
            write_text(self._signing.out / "clips" / f"{digest.removeprefix('sha256:')}.jpg", data)
        asked, answered = self._answers(segment.written)
        link = Link(
            sequence=self._sequence, previous=self.previous, final=final, video=video or segment.frames_digest,
            promise=self._promise, challenges=asked, answered=answered,
        )  # fmt: skip
        who = replace(self._who, at=segment.written.head.end)
        self.previous = sign(make_segment(segment, link, who, self._enrolment), self._signing)
        self._sequence += 1
        self.count += 1
        self.frames += segment.written.frame_count
        self.unseen_s += segment.written.unseen_s()
        self.challenges += asked
        self.answered += answered
        for line in segment.written.events:
            if not line.continued:
                self.events[line.event.value] = self.events.get(line.event.value, 0) + 1

    def _answers(self, written: Written) -> tuple[int, int]:
        """Challenges that ended within this segment, and how many of them were answered."""
        before, self._before = self._before, written
        if self.lamp is None:
            return 0, 0
        known = [one for one in (before, written) if one is not None]
        numbers = self.lamp.ended(before.head.end if before else written.head.start, written.head.end)
        answers = [self.lamp.answered(number, known) for number in numbers]
        for one in answers:
            if not one.answered:
                click.echo(f"challenge {one.number}: {one.why}", err=True)
        return len(answers), sum(one.answered for one in answers)


def _lamp(options: dict[str, Any], enrolment: Enrolment) -> Lamp | None:
    """The verifier's lamp, for a watcher who knows its secret."""
    path = options["secret_path"]
    if path is None:
        return None
    if options["promise"] is None or enrolment.lamp_latency_s is None:
        raise InputError("needs --promise, and an enrolment with --lamp-delay", where="--secret")
    return Lamp(patterns=Patterns(read_lamp_secret(path), enrolment.digest), latency_s=enrolment.lamp_latency_s)


def read_lamp_secret(path: Path) -> Promise[LampPlan]:
    """The secret of a lamp with its plan, as `promise --keep` wrote it. Raises `InputError`."""
    try:
        return parse_whole(Promise[LampPlan], read_plain(path, SECRET_FILE_BYTES_MAX), where=str(path))
    except EvidenceError as fault:
        raise InputError(fault.problem, where=str(path), remedy="give the file of `promise --keep`") from None


def _chain(folder: Exchange | None, camera: str) -> list[VerifiedStatement]:
    found = [one for one, said in folder.of(CameraWatched) if said.reporter == camera] if folder else []
    return sorted(found, key=lambda one: one.predicate.sequence)  # type: ignore[union-attr]
