"""The page on which a person looks at events: frames before and after each, with what the watcher measured. One file, no network.

Every strip is checked against the digest in the signed segment before it is shown; one that is missing or another is named as
such. The page decides nothing: there is no button on it.
"""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Callable, Sequence

from inspectorate.canonical import digest_of
from inspectorate.errors import EvidenceError
from inspectorate.mechanisms.custody.cameras.judge import CameraJudged, JudgedSegment
from inspectorate.mechanisms.custody.cameras.written import EventLine

JPEG = b"\xff\xd8\xff"
SHOWN_MAX = 500
WORDS = {
    "covered": "The reference can no longer be seen: something is before the lens, or on it.",
    "defocused": "Coarse shapes are there, fine ones are not.",
    "moved": "The picture is displaced, or another one is there.",
    "frozen": "The lamps of devices stopped, or not one pixel changes.",
    "replayed": "The lamps of devices do what they did at an earlier time.",
    "door-opened": "The door's region shows something else, and what surrounds it does not.",
    "cabling-changed": "Parts of the cabling's region show something else.",
    "dark": "It is darker than in the darkest enrolled light.",
    "gap": "No frame came.",
}
_STYLE = """
body{font:16px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem;color:#111;background:#fff}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2.5rem;border-top:1px solid #999;padding-top:1rem}
table{border-collapse:collapse}th,td{text-align:left;padding:.2rem .8rem .2rem 0;vertical-align:top}
.strip{overflow-x:auto}.strip img{height:180px;display:block}.note{color:#444}
@media (prefers-color-scheme:dark){body{color:#eee;background:#111}.note{color:#bbb}}
"""


def render_page(cameras: Sequence[CameraJudged], clip: Callable[[str], bytes]) -> str:
    """The page. `clip` gives the bytes under a digest, or raises `EvidenceError`."""
    style = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'"
    body = "".join(_camera(one, clip) for one in cameras) or "<p>No segment can be used.</p>"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{html.escape(policy)}">'
        '<meta name="viewport" content="width=device-width"><title>What cameras noticed</title>'
        f"<style>{_STYLE}</style></head><body><main><h1>What cameras noticed</h1>"
        "<p>An event is no verdict. Look at the frames before and after it, and decide.</p>"
        f"{body}</main></body></html>\n"
    )


def _camera(camera: CameraJudged, clip: Callable[[str], bytes]) -> str:
    events = [(segment, line) for segment in camera.segments for line in segment.written.events]
    frames = sum(one.said.frames for one in camera.segments)
    unseen = sum(one.said.unseen_s for one in camera.segments)
    alone = " Its key is held by the prover alone." if camera.prover_alone else ""
    summary = (
        f"<h2>Camera {html.escape(camera.camera)}</h2><p>{len(camera.segments)} segments, {frames} frames, "
        f"{unseen:.1f} s in which some place could not be seen, {len(events)} events.{alone}</p>"
    )
    parts = [summary]
    if camera.faults:
        rows = "".join(
            f"<tr><td>{html.escape(one.fault.value)}</td><td>{html.escape(one.detail)}</td>"
            f"<td>{html.escape(str(one.period or ''))}</td></tr>"
            for one in camera.faults[:SHOWN_MAX]
        )
        parts.append(f"<h3>What is wrong with the segments</h3><table>{rows}</table>")
    parts += [_event(segment, line, clip) for segment, line in events[:SHOWN_MAX]]
    if len(events) > SHOWN_MAX:
        parts.append(f"<p>{len(events) - SHOWN_MAX} more events are not shown.</p>")
    return "".join(parts)


def _event(segment: JudgedSegment, line: EventLine, clip: Callable[[str], bytes]) -> str:
    at = segment.written.at(line.noticed_ms)
    where = ", ".join(line.places) or "all places"
    until = f" until {segment.written.at(line.to_ms):%H:%M:%S}" if line.to_ms is not None else ", and lasts"
    again = " (from an earlier segment)" if line.continued else ""
    return (
        f"<h3>{html.escape(line.event.value)} at {html.escape(where)}, {at:%Y-%m-%d %H:%M:%S} UTC{until}{again}</h3>"
        f"<p>{html.escape(WORDS[line.event.value])} <span class=note>Measured {line.score:g}, threshold "
        f"{line.threshold:g}.</span></p>{_strip(line, clip)}"
    )


def _strip(line: EventLine, clip: Callable[[str], bytes]) -> str:
    if line.clip is None:
        return '<p class="note">No frames were kept with it.</p>'
    try:
        data = clip(line.clip)
    except EvidenceError as fault:
        return f'<p class="note">Its frames cannot be shown: {html.escape(str(fault))}</p>'
    if digest_of(data) != line.clip or not data.startswith(JPEG):
        return '<p class="note">Its frames are not the signed ones, and are not shown.</p>'
    picture = base64.b64encode(data).decode()
    return (
        f'<div class="strip" tabindex="0" role="group" aria-label="frames before and after">'
        f'<img alt="frames from {line.event.value}, oldest first" src="data:image/jpeg;base64,{picture}"></div>'
    )
