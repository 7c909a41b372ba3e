"""An evaluation as one HTML file that stands alone: every table, and beside each the figure of its main column.

Rules, as for every page of this program (`html`): nothing is fetched and nothing runs; every number comes from the tables; equal
answers give equal bytes. A figure shows values with their intervals, one row per detector, and panels share the scale from 0 to 1;
what cannot be had is not drawn as 0.

An answer is a mapping: `title`, `columns`, `rows`, `notes`; a cell is a text, a number, nothing, or a mapping with `value`,
`n`, `low` and `high`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from inspectorate.report.html import asset, csp_digest
from inspectorate.report.plots import FONT, POINT
from inspectorate.report.svg import COLOURS, figure_svg

OURS = "ours"
ROW_PX, PANEL_PX, LEFT_PX = 19, 420, 170
PANELS_MAX = 40

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{{ policy }}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>Workload signatures: evaluation</title>
<style>{{ style }}</style>
</head>
<body>
<main>
<header>
<p class="kicker">Workload signatures</p>
<h1>Evaluation on held-out runs, with peers</h1>
{% for line in about %}
<p class="about">{{ line }}</p>
{% endfor %}
{% for line in left_out %}
<p class="about">Left out: {{ line }}</p>
{% endfor %}
</header>
{% for answer in answers %}
<section>
<h2>{{ answer.title }}</h2>
{% for panel in answer.panels %}
<figure>{{ panel }}</figure>
{% endfor %}
<div class="evaluation"><table>
<thead><tr>{% for name in answer.columns %}<th>{{ name }}</th>{% endfor %}</tr></thead>
<tbody>
{% for row in answer.rows %}
<tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}
</tbody>
</table></div>
{% for note in answer.notes %}
<p class="aside">{{ note }}</p>
{% endfor %}
</section>
{% endfor %}
</main>
</body>
</html>
"""
_STYLE = """
.evaluation { overflow-x: auto; margin: 10px 0; }
.evaluation table { border-collapse: collapse; font-size: 13px; }
.evaluation th, .evaluation td { text-align: left; padding: 3px 14px 3px 0; border-bottom: 1px solid var(--line);
  white-space: nowrap; font-variant-numeric: tabular-nums; }
.evaluation th { color: var(--soft); font-weight: 600; vertical-align: bottom; }
"""


def evaluation_page(answers: Sequence[Mapping[str, Any]], *, about: Sequence[str], left_out: Sequence[str] = ()) -> str:
    """The page of these answers."""
    style = asset("report.css") + _STYLE
    environment = Environment(
        loader=DictLoader({"page.html": _PAGE}),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    shown = [
        {
            "title": answer["title"],
            "columns": answer["columns"],
            "rows": [[cell_text(cell) for cell in row] for row in answer["rows"]],
            "notes": answer["notes"],
            "panels": _panels(answer, f"e{place}"),
        }
        for place, answer in enumerate(answers)
    ]
    return environment.get_template("page.html").render(
        answers=shown,
        about=about,
        left_out=left_out,
        style=Markup(style),  # noqa: S704 - our own files
        policy=f"default-src 'none'; style-src '{csp_digest(style)}'; base-uri 'none'; form-action 'none'",
    )


def cell_text(cell: Any) -> str:
    """A cell for reading."""
    if cell is None:
        return "–"
    if isinstance(cell, Mapping):
        if cell["value"] is None:
            return f"– (n {cell['n']})"
        spread = "" if cell["low"] is None else f" [{cell['low']:.3g}, {cell['high']:.3g}]"
        return f"{cell['value']:.3f}{spread} (n {cell['n']})"
    return f"{cell:.3g}" if isinstance(cell, float) else str(cell)


def _panels(answer: Mapping[str, Any], prefix: str) -> list[Markup]:
    """One panel for each value of the first column, of the first column that has shares with n."""
    columns: list[str] = list(answer["columns"])
    rows: list[list[Any]] = list(answer["rows"])
    if "detector" not in columns or not rows:
        return []
    main = next((place for place, cell in enumerate(rows[0]) if isinstance(cell, Mapping)), None)
    if main is None:
        return []
    first = columns[0] if columns[0] != "detector" else ""
    groups = list(dict.fromkeys(str(row[0]) if first else "" for row in rows))[:PANELS_MAX]
    who = columns.index("detector")
    found = []
    for place, group in enumerate(groups):
        drawn = [(_name(row, columns, who), row[main]) for row in rows if (not first or str(row[0]) == group)]
        svg = _panel(drawn, title=f"{group}: {columns[main]}" if group else columns[main], prefix=f"{prefix}p{place}")
        found.append(Markup(svg))  # noqa: S704 - our own serialiser
    return found


def _name(row: Sequence[Any], columns: Sequence[str], who: int) -> str:
    rate = f" at {row[columns.index('rate set per h')]:.3g}/h" if "rate set per h" in columns else ""
    return f"{row[who]}{rate}"


def _panel(drawn: Sequence[tuple[str, Mapping[str, Any]]], *, title: str, prefix: str) -> str:
    """Values with their intervals, one line each, on a scale from 0 to 1, or wider where a rate needs it."""
    height = 44 + ROW_PX * len(drawn)
    figure = Figure(figsize=((LEFT_PX + PANEL_PX) * POINT / 72, height * POINT / 72), facecolor="none")
    axis = figure.add_axes(
        (
            LEFT_PX / (LEFT_PX + PANEL_PX),
            20 / height,
            (PANEL_PX - 20) / (LEFT_PX + PANEL_PX),
            ROW_PX * len(drawn) / height,
        )
    )
    ends = [cell[key] for _, cell in drawn for key in ("value", "high") if cell[key] is not None]
    axis.set_xlim(0, max(1.0, *ends) * 1.02 if ends else 1.0)
    axis.set_ylim(len(drawn), 0)
    axis.set_facecolor("none")
    for name, spine in axis.spines.items():
        spine.set_visible(name == "bottom")
        spine.set_color(COLOURS["line"])
    axis.xaxis.grid(visible=True, color=COLOURS["line"], linewidth=0.5)
    axis.set_axisbelow(True)
    axis.tick_params(which="both", length=0, labelsize=FONT, labelcolor=COLOURS["soft"], pad=4)
    for line, (name, cell) in enumerate(drawn):
        if cell["value"] is None:
            continue
        own = name.split(" ")[0] == OURS
        colour = COLOURS["blue"] if own else COLOURS["soft"]
        if cell["low"] is not None:
            axis.plot([cell["low"], cell["high"]], [line + 0.5] * 2, color=colour, linewidth=2.2 if own else 1.1)
        axis.plot([cell["value"]], [line + 0.5], marker="s" if own else "o", markersize=5.5 if own else 4, color=colour)
    axis.yaxis.set_major_locator(FixedLocator([line + 0.5 for line in range(len(drawn))]))
    axis.yaxis.set_minor_locator(NullLocator())
    axis.set_yticklabels([name for name, _ in drawn], parse_math=False)
    axis.annotate(title, (0, 1), xycoords="axes fraction", xytext=(0, 6), textcoords="offset points", ha="left", fontsize=FONT,
                  color=COLOURS["ink"], parse_math=False)  # fmt: skip
    said = "; ".join(f"{name} {cell_text(cell)}" for name, cell in drawn)
    return figure_svg(figure, label=f"{title}: {said}", prefix=prefix)
