"""The page on which a person looks at both photographs, lined up: one file, without any network.

Rules:

- It fetches nothing: its policy forbids every connection, pictures are inside it, and its own script and style are named by digest.
- It holds the photographs: whoever has the page can copy the seal. It is for the verifier, and says so.
- Both are shown straightened, with their surroundings, under one another (a slider, and a blink), and what differs is marked.
- It records no decision: that is a signed statement (`custody seal check`).
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspectorate.mechanisms.custody.opencv import opencv
from inspectorate.mechanisms.custody.seals.aligning import Floats, grown, straightened, to_patch
from inspectorate.mechanisms.custody.seals.calibration import HIGH, Alarm, alarm_values
from inspectorate.mechanisms.custody.seals.comparing import Compared, Reference, Unclear
from inspectorate.mechanisms.custody.seals.photo import Photo
from inspectorate.mechanisms.custody.seals.reference import CHALLENGE_ANGLE_MIN, PATCH
from inspectorate.mechanisms.custody.seals.report import Points, Report
from inspectorate.mechanisms.custody.seals.structure import cell_middles

SIDE = 560
WIDE = 1.35
"""How much of the surroundings is shown, as a multiple of the seal's outline."""
UNLIKE = 0.25
"""Below the median by this much a cell is marked. Only for the eye: no rate rests on it."""
QUALITY = 88


def render_page(found: Report, *, title: str) -> str:
    """The page of one comparison."""
    script, style = _part("page.js"), _part("page.css")
    policy = (
        f"default-src 'none'; img-src data:; script-src '{_digest(script)}'; style-src '{_digest(style)}'; "
        "connect-src 'none'; base-uri 'none'; form-action 'none'"
    )
    parts = {
        "POLICY": html.escape(policy), "STYLE": style, "SCRIPT": script, "TITLE": html.escape(title),
        "POINTS": html.escape(f"points to: {found.points.value}"), "MOOD": "" if found.points is Points.SAME else "look",
        "BODY": _number(found) + "".join(_photo(found, k) for k in range(len(found.photos))), "FOOT": _foot(found),
    }  # fmt: skip
    return re.sub("@([A-Z]+)@", lambda one: parts[one[1]], _part("page.html"))


def _number(found: Report) -> str:
    calibration = found.calibration
    if found.number is None:
        text = "<p>No number: no photograph could be compared. Take them again as said below.</p>"
    else:
        most = calibration.number_max
        edge = " (the most that this calibration can say)" if abs(found.number) >= most - 1e-9 else ""
        text = (
            f"<p>Log-likelihood ratio <strong>{found.number:+.2f}</strong>{edge}: how much more likely these photographs are if it "
            f"is the same seal than if it is another one of its make. Above 0 speaks for the same. It ranges over ±{most:.2f}.</p>"
        )
    looks = [f"{one.value}: {one.meaning}" for one in found.alarms]
    looks += [f"{name}: speaks against it by itself" for name in found.apart]
    marks = "".join(f"<li>{html.escape(one)}</li>" for one in looks)
    text += f'<ul class="marks">{marks}</ul>' if marks else ""
    return text + _challenge(found)


def _challenge(found: Report) -> str:
    if found.challenge is None:
        return '<p class="soft">No second photograph under other light was compared: a flat copy is not excluded.</p>'
    if found.challenge.angle < CHALLENGE_ANGLE_MIN:
        return '<p class="soft">Both photographs are from nearly one angle: a flat copy is not excluded. Take one aslant.</p>'
    return (
        f'<p class="soft">Between the first two photographs the view turned by {np.degrees(found.challenge.angle):.0f}° and '
        f"{found.challenge.changed:.0%} of the brightness changed.</p>"
    )


def _photo(found: Report, k: int) -> str:
    one, photo = found.found[k], found.photos[k]
    head = f"<h2>{html.escape(photo.where)}</h2>"
    if isinstance(one, Unclear):
        return head + (
            f"<p>Not compared: {html.escape(one.why.value)} ({html.escape(one.detail)}). "
            f"{html.escape(_sentence(one.why.remedy))}</p>"
            f'<div class="pair">{_figure(_data(_fitted(photo)), "as it was taken")}</div>'
        )
    reference = found.reference
    wide = to_patch(grown(reference.outline, WIDE))
    scale = np.diag([SIDE / PATCH, SIDE / PATCH, 1.0])
    old = _flat(reference.photos[one.nearest], _to_reference(reference, one, wide, scale))
    new = _flat(photo, scale @ wide @ np.linalg.inv(to_patch(reference.outline)) @ np.linalg.inv(one.plane))
    over = (
        f'<figure><div class="over"><img src="{_data(old)}" alt="reference">'
        f'<img class="top" src="{_data(new)}" alt="new photograph">'
        '</div><div class="tools"><button type="button" aria-pressed="false">Blink</button>'
        '<input type="range" min="0" max="100" value="50" aria-label="how much of the reference is shown"></div>'
        "<figcaption>left of the slider the reference, right of it the new one</figcaption></figure>"
    )
    shown = (
        _figure(_data(old), f"reference {one.nearest + 1}") + _figure(_data(new), "new, lined up") + over
        + _figure(_data(_marked(one)), "unlike where it is dark; framed where it stands out")
    )  # fmt: skip
    return f'{head}<div class="pair">{shown}</div>{_table(found, one)}'


def _to_reference(reference: Reference, one: Compared, wide: Floats, scale: Floats) -> Floats:
    return (
        scale @ wide
        if one.nearest == 0
        else scale @ wide @ np.linalg.inv(to_patch(reference.outline)) @ np.linalg.inv(reference.planes[one.nearest])
    )


def _table(found: Report, one: Compared) -> str:
    measures, calibration = one.measures, found.calibration
    changed = found.changed
    raised = calibration.alarms(measures, changed)
    rows = [
        ("edges alike", f"{measures.alike:.3f}", "", False),
        (
            "flakes found again beyond chance",
            f"{measures.flakes:.0%}",
            f"by chance 1 in 10^{-measures.log10_chance:.0f}",
            False,
        ),
        ("number of this photograph", f"{calibration.number(measures):+.2f}", "", calibration.number(measures) < 0),
    ]
    for alarm, value in alarm_values(measures, changed).items():
        limit = calibration.thresholds.get(alarm)
        way = "at most" if alarm in HIGH else "at least"
        said = "not measured" if value is None else f"{value:.3f}"
        usual = "" if limit is None else f"{way} {limit:.3f} in {1 - calibration.alarm_rate:.0%} of genuine ones"
        rows.append((_MEASURED[alarm], said, usual, alarm in raised))
    body = "".join(
        f"<tr><td>{html.escape(name)}</td><td{' class=bad' if bad else ''}>{html.escape(value)}</td>"
        f"<td>{html.escape(usual)}</td></tr>"
        for name, value, usual, bad in rows
    )
    return f"<table><tr><th>measure</th><th>here</th><th>usual</th></tr>{body}</table>"


_MEASURED = {
    Alarm.WEAKEST: "weakest part, below the middle", Alarm.TORN: "parts shifted against one another",
    Alarm.AROUND: "surroundings alike", Alarm.MOVED: "off its place, of its side", Alarm.MOIRE: "regular lines",
    Alarm.FLAT: "changed between two photographs",
}  # fmt: skip


def _marked(one: Compared) -> NDArray[np.uint8]:
    """The new seal, dark where it is unlike, with frames about cells that stand out."""
    cv = opencv()
    alike = np.nan_to_num(one.cells.alike, nan=0.0)
    shade = cv.resize(np.clip(alike, 0, 1).astype(np.float32), (PATCH, PATCH), interpolation=cv.INTER_LINEAR)
    grey = one.structure.picture.astype(np.float32) * (0.2 + 0.8 * shade[..., None])
    picture = cv.resize(grey, (SIDE, SIDE), interpolation=cv.INTER_LINEAR).astype(np.uint8)
    middles = cell_middles(len(alike)) * SIDE / PATCH
    half = int(8 * SIDE / PATCH)
    low = alike < float(np.median(alike)) - UNLIKE
    for row, column in np.argwhere(low):
        x, y = int(middles[column]), int(middles[row])
        cv.rectangle(picture, (x - half, y - half), (x + half, y + half), (40, 110, 235), 2, cv.LINE_AA)
    return np.asarray(picture, np.uint8)


def _flat(photo: Photo, plane: Floats) -> NDArray[np.uint8]:
    return straightened(photo, plane, SIDE)


def _fitted(photo: Photo) -> NDArray[np.uint8]:
    cv = opencv()
    share = SIDE / max(photo.size)
    return np.asarray(cv.resize(photo.colour, None, fx=share, fy=share, interpolation=cv.INTER_AREA), np.uint8)


def _figure(data: str, caption: str) -> str:
    return f'<figure><img src="{data}" alt="{html.escape(caption)}"><figcaption>{html.escape(caption)}</figcaption></figure>'


def _data(picture: NDArray[np.uint8]) -> str:
    cv: Any = opencv()
    done, data = cv.imencode(".jpg", picture, [cv.IMWRITE_JPEG_QUALITY, QUALITY])
    assert done
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()


def _foot(found: Report) -> str:
    calibration = found.calibration
    source = "rendered pictures, not photographs" if calibration.photographs == "rendered" else "photographs"
    lines = [
        f"Error rates of the calibration come from {source}: {calibration.split.held_out}.",
        *(
            f"{one.name}: {one.value:.4g} ({one.lower:.4g} to {one.upper:.4g}, of {one.of})"
            for one in calibration.rates[:1]
        ),
        f"calibration {calibration.digest}",
        *(f"reference {k + 1}: {one.digest}" for k, one in enumerate(found.reference.photos)),
        *(f"new {k + 1}: {one.digest}" for k, one in enumerate(found.photos)),
        "This page holds the photographs. Keep it with them: with it a seal can be copied.",
    ]
    return "<br>".join(html.escape(line) for line in lines)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."


@cache
def _part(name: str) -> str:
    return (files(__package__) / "sheet" / name).read_text(encoding="utf-8")


def _digest(content: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
