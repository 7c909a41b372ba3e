"""The figures of the HTML report.

Rules:

- Position and line carry the meaning; colour repeats it. What exceeds a limit is drawn above its dashed line, and what was
  not observed is hatched, so that a black-and-white print says the same.
- Panels that are compared share their scales.
- Only identifiers and numbers enter a figure; text from outside stays in the page, where it is escaped.
- Figures are made of `Figure` objects without pyplot: nothing is kept between calls.

Not done here: reading exhibits (`series`), turning figures into elements of the page (`svg`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from inspectorate.account import Account
from inspectorate.report import words
from inspectorate.report.parts import ThresholdRow
from inspectorate.report.series import Channel, Series
from inspectorate.report.svg import COLOURS, figure_svg

POINT = 0.75
"""Points per pixel of a page (CSS: 96 pixels per inch)."""
FONT = 11.5 * POINT
DECADES_MAX = 6
"""What is more than so many powers of ten below the highest value is drawn at the bottom."""
PODS_MAX = 20
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_TICK_STEPS_S = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200, 21_600, 43_200, 86_400, 172_800, 432_000,
                 864_000, 1_209_600, 2_592_000, 7_776_000, 31_536_000)  # fmt: skip


def traffic_panel(
    series: Series, *, label: str, prefix: str, range_s: tuple[float, float], scale: tuple[float, float]
) -> str:
    """One pod's traffic, one row per channel, on a logarithmic scale from `scale[0]` to `scale[1]`."""
    count = len(series.channels)
    figure = _figure(352, 36 + 84 * count)
    left = max(60.0, 10 + 6.4 * max(len(label) for _, label in _decade_labels(scale, series.unit)))
    axes = [figure.add_axes(_box(figure, left=left, right=18, top=18 + 84 * row, height=60)) for row in range(count)]
    for axis, channel in zip(axes, series.channels, strict=True):
        _draw_channel(axis, channel, series, scale)
        axis.set_xlim(*range_s)
        _decades(axis, scale, series.unit)
        _time_axis(axis, range_s, ticks_max=4, labels=axis is axes[-1])
        axis.text(0, 1.02, channel.name.replace("_", " "), transform=axis.transAxes, va="bottom", ha="left",
                  color=COLOURS["ink"], fontsize=FONT, parse_math=False)  # fmt: skip
    return figure_svg(figure, label=label, prefix=prefix)


def shared_scale(series: Sequence[Series]) -> tuple[float, float]:
    """A logarithmic scale for all of `series`: a whole number of powers of ten, with room above the highest value."""
    known = [s.highest for s in series if s.highest > 0] + [s.limit for s in series if s.limit]
    high = math.ceil(_magnitude(max(known, default=1.0)) + 0.06)
    lows = [value for s in series for value in (_typical_low(s), s.limit) if value]
    low = math.floor(_magnitude(min(lows, default=0.1)))
    return 10.0 ** min(max(low, high - DECADES_MAX), high - 2), 10.0**high


def _typical_low(series: Series) -> float | None:
    """A low value of the series that is worth showing: the fifth percentile of what is known and not zero."""
    values = np.concatenate([channel.lower for channel in series.channels])
    values = values[np.isfinite(values) & (values > 0)]
    return float(np.quantile(values, 0.05)) if len(values) else None


def _draw_channel(axis: Axes, channel: Channel, series: Series, scale: tuple[float, float]) -> None:
    bottom, top = scale
    edges = series.edges_s
    lower = np.clip(channel.lower, bottom, top)
    upper = np.where(np.isnan(channel.upper) & ~np.isnan(lower), top, np.clip(channel.upper, bottom, top))
    axis.set_yscale("log")
    axis.set_ylim(bottom, top)
    for start, stop in _runs(series.unobserved.tolist()):
        axis.axvspan(edges[start], edges[stop], facecolor="none", edgecolor=COLOURS["gap"], hatch="////", linewidth=0)
    if bool((upper > lower * 1.03).any()):
        axis.stairs(upper, edges, baseline=lower, fill=True, color=COLOURS["pale"], linewidth=0)
    within = lower if not series.limit else np.minimum(lower, max(series.limit, bottom))
    axis.stairs(within, edges, baseline=bottom, fill=True, color=COLOURS["blue"], alpha=0.16, linewidth=0)
    axis.stairs(lower, edges, baseline=None, color=COLOURS["blue"], linewidth=1.0)
    if series.limit:
        over = np.where(lower > series.limit, lower, np.nan)
        if not np.isnan(over).all():
            axis.stairs(over, edges, baseline=series.limit, fill=True, color=COLOURS["alarm"], alpha=0.4, linewidth=0)
            axis.stairs(over, edges, baseline=None, color=COLOURS["alarm"], linewidth=1.4)
        axis.axhline(series.limit, color=COLOURS["ink"], linewidth=0.9, linestyle=(0, (4, 2.5)))


def ladder(run_flop: float, thresholds: Sequence[ThresholdRow], *, label: str, prefix: str) -> str:
    """The largest hidden run and the thresholds on one logarithmic scale of FLOP."""
    rows = sorted(thresholds, key=lambda row: row.flop_max)
    names = [f"{row.symbol} {words.clipped(row.threshold, 24)}" for row in rows]
    figure = _figure(440, 66 + 30 * len(rows))
    left = 20 + 6.4 * max(len(name) for name in names)
    axis = figure.add_axes(_box(figure, left=left, right=22, top=26, height=30 * len(rows)))
    values = [row.flop_max for row in rows] + ([run_flop] if run_flop > 0 else [])
    low, high = math.floor(_magnitude(min(values)) - 0.3), math.ceil(_magnitude(max(values)) + 0.3)
    low = min(low, high - 3)
    axis.set_xscale("log")
    axis.set_xlim(10.0**low, 10.0**high)
    axis.set_ylim(len(rows), 0)
    if run_flop > 0:
        axis.axvspan(10.0**low, run_flop, color=COLOURS["blue"], alpha=0.16, linewidth=0)
        axis.axvline(run_flop, color=COLOURS["blue"], linewidth=1.8)
        share = (_magnitude(run_flop) - low) / (high - low)
        axis.annotate("largest hidden run", (share, 1), xycoords="axes fraction", xytext=(0, 5), textcoords="offset points",
                      ha="right" if share > 0.7 else "left" if share < 0.3 else "center", fontsize=FONT,
                      color=COLOURS["ink"])  # fmt: skip
    for place, row in enumerate(rows):
        colour = COLOURS["ink"] if row.excluded else COLOURS["alarm"]
        axis.plot([10.0**low, 10.0**high], [place + 0.5] * 2, color=COLOURS["line"], linewidth=0.7)
        axis.plot([row.flop_max], [place + 0.5], marker="|", markersize=13, markeredgewidth=2.6, color=colour)
    step = max(1, -(-(high - low) // 6))
    exponents = range(low, high + 1, step)
    _ticks(axis.xaxis, [10.0**e for e in exponents], [f"10{words.superscript(e)}" for e in exponents])
    _ticks(axis.yaxis, [place + 0.5 for place in range(len(rows))], names)
    axis.annotate("FLOP", (0, 0), xycoords="axes fraction", xytext=(-16, -4), textcoords="offset points", ha="right", va="top",
                  fontsize=FONT, color=COLOURS["soft"])  # fmt: skip
    _frame(axis, "bottom")
    return figure_svg(figure, label=label, prefix=prefix)


def account_over_time(account: Account, *, label: str, prefix: str) -> str:
    """What all pods together could have done, and of that what could be hidden, over time."""
    edges = np.array(
        [point.period.start.timestamp() for point in account.series] + [account.series[-1].period.end.timestamp()]
    )
    lengths = np.diff(edges)
    capacity = np.array([point.capacity_flop for point in account.series]) / lengths
    hidden = np.array([point.hidden_flop_max for point in account.series]) / lengths
    power = _power(float(capacity.max()))
    figure = _figure(500, 250)
    axis = figure.add_axes(_box(figure, left=44, right=20, top=30, height=184))
    axis.stairs(capacity / 10.0**power, edges, baseline=0, fill=True, color=COLOURS["line"], alpha=0.45, linewidth=0)
    axis.stairs(hidden / 10.0**power, edges, baseline=0, fill=True, color=COLOURS["blue"], alpha=0.35, linewidth=0)
    axis.stairs(hidden / 10.0**power, edges, baseline=None, color=COLOURS["blue"], linewidth=1.2)
    axis.stairs(
        capacity / 10.0**power, edges, baseline=None, color=COLOURS["ink"], linewidth=1.0, linestyle=(0, (4, 2.5))
    )
    axis.set_ylim(0, float(capacity.max()) / 10.0**power * 1.12 or 1.0)
    axis.set_xlim(edges[0], edges[-1])
    _time_axis(axis, (float(edges[0]), float(edges[-1])), ticks_max=6, labels=True)
    _linear(axis.yaxis, axis.get_ylim()[1])
    _unit(axis, f"{_times_ten(power)}FLOP/s")
    _frame(axis, "left", "bottom")
    return figure_svg(figure, label=label, prefix=prefix)


def account_by_pod(account: Account, *, label: str, prefix: str) -> str:
    """Per pod: capacity, what could be hidden, and its part in the largest run. The `PODS_MAX` largest parts."""
    pods = sorted(account.pods, key=lambda pod: (-pod.joined_flop_max, -pod.hidden_flop_max, pod.pod))[:PODS_MAX]
    power = _power(max(pod.capacity_flop for pod in pods))
    scale = 10.0**power
    height = 26 if len(pods) <= 10 else 17
    figure = _figure(500, 66 + height * len(pods))
    longest = max(len(pod.pod) for pod in pods)
    axis = figure.add_axes(_box(figure, left=14 + 6.2 * min(longest, 24), right=20, top=30, height=height * len(pods)))
    places = np.arange(len(pods))
    for thickness, colour, alpha, values in (
        (0.72, COLOURS["line"], 0.45, [pod.capacity_flop for pod in pods]),
        (0.72, COLOURS["pale"], 1.0, [pod.hidden_flop_max for pod in pods]),
        (0.36, COLOURS["blue"], 1.0, [pod.joined_flop_max for pod in pods]),
    ):
        axis.barh(places, np.array(values) / scale, height=thickness, color=colour, alpha=alpha, linewidth=0)
    axis.barh(
        places,
        [pod.capacity_flop / scale for pod in pods],
        height=0.72,
        fill=False,
        edgecolor=COLOURS["soft"],
        linewidth=0.8,
    )
    axis.set_ylim(len(pods) - 0.5, -0.5)
    axis.set_xlim(0, max(pod.capacity_flop for pod in pods) / scale * 1.03 or 1.0)
    _ticks(axis.yaxis, places.tolist(), [words.clipped(pod.pod, 24) for pod in pods])
    _linear(axis.xaxis, axis.get_xlim()[1])
    _unit(axis, f"{_times_ten(power)}FLOP")
    _frame(axis, "left", "bottom")
    return figure_svg(figure, label=label, prefix=prefix)


def _figure(width_px: float, height_px: float) -> Figure:
    return Figure(figsize=(width_px * POINT / 72, height_px * POINT / 72), facecolor="none")


def _box(figure: Figure, *, left: float, right: float, top: float, height: float) -> tuple[float, float, float, float]:
    """A place for axes, given in pixels, as the fractions that matplotlib wants."""
    width_px, height_px = (side * 72 / POINT for side in figure.get_size_inches())
    return left / width_px, 1 - (top + height) / height_px, (width_px - left - right) / width_px, height / height_px


def _frame(axis: Axes, *sides: str) -> None:
    axis.set_facecolor("none")
    for side, spine in axis.spines.items():
        spine.set_visible(side in sides)
        spine.set_color(COLOURS["line"])
        spine.set_linewidth(0.9)
    axis.tick_params(which="both", length=0, labelsize=FONT, labelcolor=COLOURS["soft"], pad=4)


def _ticks(axis: object, places: Sequence[float], labels: Sequence[str]) -> None:
    axis.set_major_locator(FixedLocator(places))  # type: ignore[attr-defined]
    axis.set_major_formatter(FixedFormatter(list(labels)))  # type: ignore[attr-defined]
    axis.set_minor_locator(NullLocator())  # type: ignore[attr-defined]


def _decade_labels(scale: tuple[float, float], unit: str) -> list[tuple[float, str]]:
    """Powers of ten on a scale, at most four of them, and how each is written."""
    low, high = round(math.log10(scale[0])), round(math.log10(scale[1]))
    step = max(1, -(-(high - low) // 3))
    return [(10.0**exponent, words.rate(10.0**exponent, unit)) for exponent in range(low, high + 1, step)]


def _decades(axis: Axes, scale: tuple[float, float], unit: str) -> None:
    places, labels = zip(*_decade_labels(scale, unit), strict=True)
    _ticks(axis.yaxis, places, labels)
    axis.yaxis.grid(visible=True, color=COLOURS["line"], linewidth=0.5)
    axis.set_axisbelow(True)
    _frame(axis, "bottom")


def _linear(axis: object, high: float) -> None:
    step = next(s for s in (0.1, 0.2, 0.5, 1, 2, 5, 10) if high / s <= 6)
    places = [step * n for n in range(int(high / step + 1e-9) + 1)]
    _ticks(axis, places, [f"{place:.3g}" for place in places])
    axis.grid(visible=True, color=COLOURS["line"], linewidth=0.5)  # type: ignore[attr-defined]
    axis.axes.set_axisbelow(True)  # type: ignore[attr-defined]


def _unit(axis: Axes, text: str) -> None:
    axis.annotate(text, (0, 1), xycoords="axes fraction", xytext=(-2, 7), textcoords="offset points", ha="left",
                  fontsize=FONT, color=COLOURS["soft"])  # fmt: skip


def _magnitude(value: float) -> float:
    """The decimal logarithm of a positive value, kept where a power of ten is still a float."""
    return min(max(math.log10(value), -300.0), 300.0)


def _power(value: float) -> int:
    """The power of ten in which a value is written; 0 where the plain number is short."""
    power = math.floor(_magnitude(value)) if value > 0 else 0
    return power if not -1 <= power <= 2 else 0


def _times_ten(power: int) -> str:
    return f"× 10{words.superscript(power)} " if power else ""


def _time_axis(axis: Axes, range_s: tuple[float, float], *, ticks_max: int, labels: bool) -> None:
    """Ticks at round times of UTC, at most `ticks_max` of them."""
    start, end = range_s
    step = next((s for s in _TICK_STEPS_S if (end - start) / s <= ticks_max - 0.5), (end - start) / 2)
    first = math.ceil(start / step)
    places = [n * step for n in range(first, math.floor(end / step) + 1)]
    _ticks(axis.xaxis, places, [_time_label(place, step) if labels else "" for place in places])


def _time_label(seconds: float, step: float) -> str:
    time = datetime.fromtimestamp(seconds, UTC)
    if step >= 86_400:
        return f"{time.day} {_MONTHS[time.month - 1]}"
    return f"{time:%H:%M:%S}" if step < 60 else f"{time:%H:%M}"


def _runs(marked: Sequence[bool]) -> list[tuple[int, int]]:
    """Maximal stretches (start, stop) of marked points."""
    found: list[tuple[int, int]] = []
    for place, mark in enumerate(marked):
        if not mark:
            continue
        if found and found[-1][1] == place:
            found[-1] = (found[-1][0], place + 1)
        else:
            found.append((place, place + 1))
    return found
