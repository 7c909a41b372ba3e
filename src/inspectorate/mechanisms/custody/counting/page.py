"""The page on which serials are read: one file, made for one draw and one team, that runs on a phone without any network.

Rules:

- The page fetches nothing and can reach nothing: its policy forbids every connection, and names its own script and style by digest.
- It keeps what is read in memory, and gives it out as a file that a person saves; the same page goes on with a saved file. It holds
  no key and no secret.
- In a blind count it holds no serial, and no number of them: nobody can tick what is not there.
- What it exports is believed by nobody: `checklist` and `held` hold it against draw and register.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from inspectorate.errors import InputError
from inspectorate.evidence.custody import CountUnit
from inspectorate.mechanisms.custody.counting.checklist import CHECKLIST_FORMAT, Reading
from inspectorate.mechanisms.custody.counting.judge import Asked
from inspectorate.mechanisms.custody.counting.reference import PAGE_UNITS_MAX, READS_OF_PLACE_MAX

_SERIAL = r"^[A-Za-z0-9][A-Za-z0-9._:\/+\-]{0,63}$"


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """What a page, or a paper form, is for."""

    asked: Asked
    blind: bool = True
    reading: Reading = Reading.LABEL
    sites: Collection[str] | None = None
    """The sites that one team visits; none: all."""


def places_of(sheet: Sheet) -> list[tuple[int, str]]:
    """Drawn units of the sheet, with what is written on their doors. Raises `InputError` where none, or too many, are left."""
    found = drawn_places(sheet.asked, sheet.sites)
    if not 1 <= len(found) <= PAGE_UNITS_MAX:
        remedy = "make one page for each site" if found else "name a site that was drawn"
        raise InputError(f"{len(found)} places are on the page, of 1 to {PAGE_UNITS_MAX}", where="page", remedy=remedy)
    return found


def drawn_places(asked: Asked, sites: Collection[str] | None = None) -> list[tuple[int, str]]:
    """Drawn units, at some sites or at all, with what is written on their doors."""
    rows = [asked.units.rows(unit).start for unit in asked.sample.units]
    return [
        (unit, _place(asked.drawn.unit, (chip.site, chip.cluster, chip.pod, chip.rack, chip.host)))
        for unit, chip in zip(asked.sample.units, asked.register.chips(rows), strict=True)
        if sites is None or chip.site in sites
    ]


def _place(unit: CountUnit, parts: tuple[str, ...]) -> str:
    site, cluster, pod, rack, host = parts
    words = f"{site} · {cluster} · {pod} · rack {rack}"
    return words if unit is CountUnit.RACK else f"{words} · host {host}"


def render_page(sheet: Sheet) -> str:
    """The page of this sheet."""
    script, style = _part("page.js"), _part("page.css")
    policy = (
        f"default-src 'none'; script-src '{_digest(script)}'; style-src '{_digest(style)}'; connect-src 'none'; "
        "base-uri 'none'; form-action 'none'"
    )
    title = f"Count {sheet.asked.digest[7:19]}"
    parts = {"POLICY": html.escape(policy), "TITLE": html.escape(title), "STYLE": style, "SCRIPT": script}
    parts["DATA"] = _data(sheet)
    return re.sub("@([A-Z]+)@", lambda found: parts[found[1]], _part("page.html"))


def _data(sheet: Sheet) -> str:
    """What the script reads. `<` is written as an escape, so that no name of a register ends the element it stands in."""
    asked = sheet.asked
    units: list[dict[str, object]] = [{"unit": unit, "place": place} for unit, place in places_of(sheet)]
    if not sheet.blind:
        for one in units:
            rows = asked.units.rows(int(str(one["unit"])))
            one["expected"] = asked.register.serials.slice(rows.start, len(rows)).to_pylist()
    data = {
        "format": CHECKLIST_FORMAT, "drawn": asked.digest, "blind": sheet.blind, "reading": sheet.reading.value, "serial": _SERIAL,
        "max": READS_OF_PLACE_MAX, "units": units,
    }  # fmt: skip
    written = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return written.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


@cache
def _part(name: str) -> str:
    return (files(__package__) / "sheet" / name).read_text(encoding="utf-8")


def _digest(content: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
