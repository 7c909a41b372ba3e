"""A matplotlib figure as an SVG element that lives in a page: themed by the page, small, and the same every time.

What matplotlib writes is changed as follows:

1. Style attributes become presentation attributes, so that the page needs no `unsafe-inline` in its content security
   policy; style sheets, metadata and comments go.
2. The colours of `COLOURS` become references to the page's custom properties (`var(--plot-blue)`): one figure serves light,
   dark and print.
3. Identifiers that are referred to are numbered under the figure's own prefix, since a page holds many figures; all others
   go, since matplotlib gives every figure the same ones.
4. Coordinates are rounded to a tenth of a point, and horizontal and vertical steps written as such.

Not done here: what is drawn (`plots`), and anything with files.
"""

from __future__ import annotations

import io
import re
import threading
import xml.etree.ElementTree as ET
from types import MappingProxyType
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

COLOURS = MappingProxyType(
    {
        "ink": "#1b1f26",
        "soft": "#5b6470",
        "line": "#c9ced6",
        "blue": "#0072b2",
        "pale": "#a9cce3",
        "alarm": "#c8500a",
        "gap": "#8d95a1",
    }
)
"""The colours that figures are drawn in, by name; the style sheet gives each a value per theme. From the palette of Okabe
and Ito ("Color Universal Design", 2008), which readers with any common colour vision can tell apart, darkened for thin
lines on white."""

_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "inspectorate",
    "path.simplify": False,
    "hatch.linewidth": 0.7,
}
_DRAWING = threading.Lock()
"""matplotlib reads these settings from one place per process while it draws; two figures take turns."""

_BY_VALUE = {value: f"var(--plot-{name})" for name, value in COLOURS.items()}
_KEPT = frozenset(
    {"fill", "stroke", "stroke-width", "stroke-dasharray", "stroke-linecap", "stroke-linejoin", "opacity"}
    | {"fill-opacity", "stroke-opacity", "fill-rule", "text-anchor"}
)
_REFERENCE = re.compile(r"url\(#([^)]+)\)")
_FONT_SIZE = re.compile(r"(?:^|\s)([0-9.]+)px")
_BOLD = re.compile(r"\b(bold|[6-9]00)\b")
_STEP = re.compile(r"([MLz])\s*(?:(-?[0-9.]+(?:e-?\d+)?)\s+(-?[0-9.]+(?:e-?\d+)?))?\s*")
_PLAIN_PATH = re.compile(r"^[MLz0-9.e\s-]*$")
_NUMBER = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")


def figure_svg(figure: Figure, *, label: str, prefix: str) -> str:
    """The `<svg>` element of a figure. `label` is what a screen reader says; `prefix` must be unique in the page."""
    buffer = io.BytesIO()
    with _DRAWING, mpl.rc_context(_SETTINGS):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    root = ET.fromstring(buffer.getvalue())  # noqa: S314 - what matplotlib has just written
    _strip(root)
    names = _number_references(root, prefix)
    for element in root.iter():
        _restyle(element)
        _rename(element, names)
    _prune(root)
    width, height = (float(root.get(side, "0pt").removesuffix("pt")) for side in ("width", "height"))
    root.attrib = {
        "viewBox": f"0 0 {width:g} {height:g}",
        "width": f"{width * 4 / 3:.0f}",
        "height": f"{height * 4 / 3:.0f}",
        "role": "img",
        "aria-label": label,
    }
    return ET.tostring(root, encoding="unicode")


def _strip(root: ET.Element) -> None:
    """Drop metadata, style sheets, namespaces and white space."""
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        element.tail = None
        if element.text is not None and not element.text.strip():
            element.text = None
        for child in list(element):
            if not isinstance(child.tag, str) or child.tag.rpartition("}")[2] in {"metadata", "style"}:
                element.remove(child)


def _prune(element: ET.Element) -> None:
    """Drop groups that hold nothing."""
    for child in list(element):
        _prune(child)
        if child.tag in {"g", "defs"} and not len(child):
            element.remove(child)


def _number_references(root: ET.Element, prefix: str) -> dict[str, str]:
    """New names for the identifiers that are referred to, in order of first mention."""
    names: dict[str, str] = {}
    for element in root.iter():
        for name, value in element.attrib.items():
            found = [value[1:]] if name.rpartition("}")[2] == "href" else _REFERENCE.findall(value)
            for identifier in found:
                names.setdefault(identifier, f"{prefix}-{len(names)}")
    return names


def _restyle(element: ET.Element) -> None:
    """Style attribute to presentation attributes, colours to custom properties, coordinates to tenths."""
    for part in element.attrib.pop("style", "").split(";"):
        name, _, value = (side.strip() for side in part.partition(":"))
        if name in _KEPT:
            element.set(name, value)
        elif name in {"font", "font-size"} and (size := _FONT_SIZE.search(value)):
            element.set("font-size", f"{float(size[1]):g}")
        elif name in {"font", "font-weight"} and _BOLD.search(value):
            element.set("font-weight", "600")
    for name in ("fill", "stroke"):
        colour = element.get(name, "").lower()
        if colour in _BY_VALUE:
            element.set(name, _BY_VALUE[colour])
    if "d" in element.attrib:
        element.set("d", _shorten(element.attrib["d"]))
    if element.get("transform", "").startswith(("rotate(-0 ", "rotate(0 ")):
        del element.attrib["transform"]
    for name in ("x", "y", "transform", "width", "height"):
        if name in element.attrib:
            element.set(name, _NUMBER.sub(lambda found: f"{float(found[0]):.1f}", element.attrib[name]))


def _rename(element: ET.Element, names: dict[str, str]) -> None:
    for name, value in list(element.attrib.items()):
        local = name.rpartition("}")[2]
        if local == "id":
            if value in names:
                element.set("id", names[value])
            else:
                del element.attrib["id"]
        elif local == "href":
            del element.attrib[name]
            element.set("href", f"#{names[value[1:]]}")
        elif "url(#" in value:
            element.set(name, _REFERENCE.sub(lambda found: f"url(#{names[found[1]]})", value))


def _shorten(path: str) -> str:
    """A path in tenths, with horizontal and vertical steps written as H and V; paths with curves are only rounded."""
    if not _PLAIN_PATH.match(path):
        return _NUMBER.sub(lambda found: f"{float(found[0]):.1f}", path)
    parts: list[str] = []
    last_x = last_y = ""
    for command, x, y in _STEP.findall(path):
        if command == "z":
            parts.append("z")
            continue
        x, y = (f"{float(value):z.1f}".removesuffix(".0") for value in (x, y))
        if command == "L" and y == last_y:
            if x != last_x:
                parts.append(f"H{x}")
        elif command == "L" and x == last_x:
            parts.append(f"V{y}")
        else:
            parts.append(f"{command}{x} {y}")
        last_x, last_y = x, y
    return "".join(parts)
