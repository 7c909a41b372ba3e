"""The report as one HTML file that stands alone.

Rules:

- Nothing is fetched: no script, no font, no picture from elsewhere. The page's content security policy forbids all of it,
  and allows the one style sheet by its digest (W3C Content Security Policy Level 3, section 8.3), so that markup which
  slipped into the page could load and style nothing.
- Everything that is not made here is escaped by the template engine; what is made here is marked as `Markup` in this
  file and nowhere else.
- Equal reviews give equal bytes: no clock, no random identifiers.
- The order of the page is that of the outline; plots stand before the reasons.

Not done here: writing the file.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup, escape

from inspectorate.assessment import ExhibitKind
from inspectorate.findings import Finding
from inspectorate.quantities import Period
from inspectorate.report import plots, words
from inspectorate.report.outline import outline
from inspectorate.report.parts import Outline, StrengthRow
from inspectorate.report.series import Series, read_series
from inspectorate.review import Review

PANELS_MAX = 24
"""Panels of one clause; the report names the pods whose panels it leaves out."""
SCALE_PX = 84
_COUNT = re.compile(r"\b([0-9]+(?:\.[0-9]+)?)e\+?([0-9]{1,3}) FLOP(/s)?(?![A-Za-z])")


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One pod's traffic."""

    pods: str
    note: str
    alarm: bool
    svg: Markup


@dataclass(frozen=True, kw_only=True)
class PanelGroup:
    """The panels of one clause, on shared scales."""

    clause: str
    title: str
    limit: str
    note: str
    panels: tuple[Panel, ...]
    banded: bool
    unobserved: bool
    exceeding: bool


@dataclass(frozen=True, kw_only=True)
class Figures:
    """The plots of a report."""

    groups: tuple[PanelGroup, ...]
    unreadable: tuple[str, ...]
    ladder: Markup | None
    over_time: Markup
    by_pod: Markup
    pods_left_out: int


def render_html(review: Review, *, doubt: Markup | None = None) -> str:
    """The report on a review as a self-contained HTML page; `doubt` is its part on where to look next (`doubt_page`)."""
    told = outline(review)
    style = asset("report.css")
    environment = Environment(
        loader=DictLoader({"report.html": asset("report.html.j2")}),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["powers"] = powers
    return environment.get_template("report.html").render(
        told=told,
        doubt=doubt,
        figures=_figures(review, told),
        style=Markup(style),  # noqa: S704 - our own file
        policy=f"default-src 'none'; style-src '{csp_digest(style)}'; base-uri 'none'; form-action 'none'",
        flop=_flop,
        scale=_scale,
        span=words.span,
        duration=words.duration,
    )


def asset(name: str) -> str:
    """A file of ours: a template or a style sheet."""
    return (resources.files("inspectorate.report") / "assets" / name).read_text("utf-8")


def csp_digest(style: str) -> str:
    """What a content security policy allows one style sheet by."""
    return "sha256-" + base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()


def _flop(value: float) -> Markup:
    """A count of FLOP with its power of ten set as such."""
    if value == 0:
        return Markup("0&nbsp;FLOP")
    digits, exponent = words.mantissa_exponent(value)
    return Markup('<span class="n">{}&nbsp;×&nbsp;10<sup>{}</sup>&nbsp;FLOP</span>').format(
        digits, str(exponent).replace("-", "−")
    )


def powers(text: str) -> Markup:
    """Escaped text in which counts such as `2.11e19 FLOP` are set with a power of ten."""
    return Markup(_COUNT.sub(r'<span class="n">\1&nbsp;×&nbsp;10<sup>\2</sup>&nbsp;FLOP\3</span>', str(escape(text))))  # noqa: S704


def _scale(strength: StrengthRow) -> Markup:
    """Where the evidence stands between e = 1 and the square of the alarm; the alarm is the mark in the middle."""
    reached = strength.share_of_scale * SCALE_PX
    return Markup(
        '<svg class="scale{}" viewBox="0 0 {w} 10" width="{w}" height="10" aria-hidden="true">'
        '<rect class="track" x="0" y="3" width="{w}" height="4" rx="2"/>'
        '<rect class="reached" x="0" y="3" width="{:.1f}" height="4" rx="2"/>'
        '<rect class="mark" x="{:.1f}" y="0" width="1.5" height="10"/></svg>'
    ).format(" alarm" if strength.alarm else "", reached, SCALE_PX / 2, w=SCALE_PX)


def _figures(review: Review, told: Outline) -> Figures:
    account = review.account
    groups, unreadable = _panel_groups(review)
    ladder = None
    if told.thresholds:
        ladder = plots.ladder(
            account.hidden_flop_max,
            told.thresholds,
            label="The largest hidden run and the thresholds, in FLOP",
            prefix="ladder",
        )
    over_time = plots.account_over_time(
        account, label="Capacity, and what could be hidden, over time", prefix="account"
    )
    by_pod = plots.account_by_pod(account, label="Capacity, and what could be hidden, per pod", prefix="pods")
    return Figures(
        groups=groups,
        unreadable=unreadable,
        ladder=_made_here(ladder) if ladder else None,
        over_time=_made_here(over_time),
        by_pod=_made_here(by_pod),
        pods_left_out=max(0, len(account.pods) - plots.PODS_MAX),
    )


def _made_here(svg: str) -> Markup:
    """An element that `svg` serialised: its text is escaped already."""
    return Markup(svg)  # noqa: S704


def _panel_groups(review: Review) -> tuple[tuple[PanelGroup, ...], tuple[str, ...]]:
    """The series of every finding as panels, and the titles of those that could not be read."""
    groups: list[PanelGroup] = []
    unreadable: list[str] = []
    for finding in review.findings:
        found: list[tuple[str, Series]] = []
        for assessment in finding.assessments:
            for exhibit in assessment.exhibits:
                series = read_series(exhibit)
                if series is not None:
                    found.append((", ".join(assessment.scope.pods), series))
                elif exhibit.kind is ExhibitKind.SERIES:
                    unreadable.append(words.clipped(words.visible(exhibit.title), 200))
        if found:
            groups.append(_panel_group(finding, found, review.period, f"panel-{len(groups)}"))
    return tuple(groups), tuple(unreadable)


def _panel_group(finding: Finding, found: Sequence[tuple[str, Series]], period: Period, prefix: str) -> PanelGroup:
    """Panels of one clause: what exceeds the limit first, then what was not observed throughout, then by name."""
    ordered = sorted(found, key=lambda item: (not item[1].exceeds, not item[1].unobserved.any(), item[0]))
    shown = ordered[:PANELS_MAX]
    all_series = [series for _, series in shown]
    range_s = (period.start.timestamp(), period.end.timestamp())
    scales = {
        unit: plots.shared_scale([series for series in all_series if series.unit == unit])
        for unit in {series.unit for series in all_series}
    }
    limits = {words.rate(s.limit, words.visible(s.unit)) for s in all_series if s.limit is not None}
    pooled = max(series.pooled for series in all_series)
    notes = [f"Each point is the highest of up to {pooled} rows."] if pooled > 1 else []
    if len(ordered) > len(shown):
        notes.append(f"{len(ordered) - len(shown)} further series are in the JSON form only.")
    return PanelGroup(
        clause=finding.clause,
        title=words.clipped(words.visible(finding.title), 400),
        limit=limits.pop() if len(limits) == 1 else "",
        note=" ".join(notes),
        panels=tuple(
            _panel(pods, series, range_s, scales[series.unit], f"{prefix}-{place}")
            for place, (pods, series) in enumerate(shown)
        ),
        banded=any(bool((c.upper > c.lower * 1.03).any()) for s in all_series for c in s.channels),
        unobserved=any(bool(series.unobserved.any()) for series in all_series),
        exceeding=any(series.exceeds for series in all_series),
    )


def _panel(pods: str, series: Series, range_s: tuple[float, float], scale: tuple[float, float], prefix: str) -> Panel:
    unseen_s = float((series.edges_s[1:] - series.edges_s[:-1])[series.unobserved].sum())
    notes = ["over the limit"] if series.exceeds else []
    if series.unobserved.all():
        notes.append("not observed")
    elif unseen_s > 0:
        notes.append(f"not observed for {words.duration(unseen_s)}")
    highest = words.rate(series.highest, words.visible(series.unit))
    label = f"{pods}: " + "; ".join([*notes, f"at most {highest} where it was observed"])
    svg = plots.traffic_panel(series, label=label, prefix=prefix, range_s=range_s, scale=scale)
    return Panel(pods=pods, note="; ".join(notes), alarm=series.exceeds, svg=_made_here(svg))
