"""The words of a plan: rates, slowdowns, times and layouts, the same on the terminal and on the page.

Rules: three significant digits; what is absent is said in words, never shown as a number; nothing here decides anything.
"""

from __future__ import annotations

from types import MappingProxyType

from inspectorate.report import words

DAY_S = 86_400.0
YEAR_DAYS = 365.25
_PREFIXES = (("P", 1e15), ("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3), ("", 1.0))

CASES = MappingProxyType(
    {
        "published": "what has been shown, at the loss that was shown",
        "central": "what is argued besides, at middling loss",
        "cautious": "the strongest adversary that the verifier should count with",
    }
)
KINDS = MappingProxyType(
    {
        "joint": "joint pre-training, over more than one pod",
        "pre-training": "pre-training, joint or in one pod alone",
        "post-training": "the same, and post-training whose tokens are made in other pods",
    }
)
LEVELS = MappingProxyType(
    {
        "at-scale": "shown at 50B parameters or more",
        "mid": "shown at 5B or more",
        "small": "shown below 5B",
        "argued": "argued only",
    }
)
BOUNDS = MappingProxyType(
    {"compute": "computing", "link": "the link", "memory": "memory", "number of pods": "the number of pods"}
)

_BRIEF = MappingProxyType({"years": "y", "days": "d", "hours": "h", "minutes": "min", "seconds": "s"})


def prefixed(value: float, unit: str) -> str:
    """A value with the prefix that suits it: 125000, "B/s" gives `125 kB/s`."""
    value = float(f"{value:.3g}")
    prefix, size = next(((p, s) for p, s in _PREFIXES if value >= s), ("", 1.0))
    if value and not 1e-3 <= value < 1e18:
        return f"{value:.3g} {unit}"
    return f"{value / size:.3g} {prefix}{unit}"


def rate(bytes_per_s: float) -> str:
    return prefixed(bytes_per_s, "B/s")


def bit_rate(bytes_per_s: float) -> str:
    return prefixed(bytes_per_s * 8, "bit/s")


def both_ways(sent: float, received: float) -> str:
    """The limit of one pod in words."""
    if sent == received:
        return f"{rate(sent)} each way ({bit_rate(sent)})"
    return f"{rate(sent)} up and {rate(received)} down ({bit_rate(sent)} and {bit_rate(received)})"


def count(value: float) -> str:
    """A large count as this field writes it: 405B, 15.6T, 16.8M."""
    for suffix, size in (("T", 1e12), ("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if size <= float(f"{value:.3g}") < 1e18:
            return f"{float(f'{value / size:.3g}'):,g}{suffix}"
    return f"{value:.3g}"


def times(slowdown: float | None) -> str:
    """A slowdown: `446×`; `does not work` where there is none."""
    if slowdown is None:
        return "does not work"
    if slowdown >= 1e9:
        digits, exponent = words.mantissa_exponent(slowdown)
        return f"{digits}e{exponent}×"
    return f"{words.number(slowdown)}×"


def days(value: float | None, *, brief: bool = False) -> str:
    """A length of time given in days: `52 minutes`, `2.93 days`, `6.55 y` if brief; `never` where nothing works."""
    if value is None:
        return "never"
    seconds = value * DAY_S
    for unit, size_s, from_s in (
        ("years", YEAR_DAYS * DAY_S, 2 * YEAR_DAYS * DAY_S),
        ("days", DAY_S, 2 * DAY_S),
        ("hours", 3_600.0, 7_200.0),
        ("minutes", 60.0, 120.0),
    ):
        if seconds >= from_s:
            return f"{words.number(seconds / size_s)} {_BRIEF[unit] if brief else unit}"
    return f"{words.number(seconds)} {_BRIEF['seconds'] if brief else 'seconds'}"


def percent(share: float | None) -> str:
    """An error as a signed percentage: `+2.5 %`; `bound` where ours is a bound and not a prediction."""
    if share is None:
        return "bound"
    value = 100 * share
    digits = 2 if abs(value) < 0.995 else 1 if abs(value) < 9.95 else 0
    said = f"{value:+z.{digits}f} %"
    return said.removeprefix("+" if float(f"{value:.{digits}f}") == 0 else "").replace("-", "−")


def layout(groups: float | None, parts: float | None, inner_steps: float | None) -> str:
    """How a method used the pods."""
    if groups is None or parts is None or inner_steps is None:
        return "–"
    pods = words.plural(int(groups * parts), "pod")
    if groups * parts == 1:
        return "one pod"
    shape = pods if parts == 1 else f"{words.plural(int(groups), 'copy')} over {int(parts)} pods each"
    shape = shape.replace("copys", "copies")
    return f"{shape}, every {int(inner_steps):,} steps" if inner_steps > 1 else f"{shape}, every step"


def target(kind: str, slowdown_min: float | None, flop: float | None, period_s: float) -> str:
    """A target in words: what the limit is to achieve."""
    if slowdown_min is not None:
        return f"{kind}: at least {slowdown_min:,.6g}× slower"
    assert flop is not None
    return f"{kind}: {short(flop)} FLOP takes over {_period(period_s)}"


def short(flop: float) -> str:
    """A count without needless digits: `1e24`, `3.79e25`."""
    digits, exponent = words.mantissa_exponent(flop)
    return f"{float(digits):g}e{exponent}"


def _period(seconds: float) -> str:
    return "a year" if abs(seconds / (YEAR_DAYS * DAY_S) - 1) < 1e-9 else days(seconds / DAY_S)


def largest(bytes_per_s: float | None, unlimited: bool, breaks_it: str) -> str:
    """The largest limit for a target: a rate, or why there is none."""
    if unlimited:
        return "holds without any limit"
    if bytes_per_s is None:
        return "no limit: one pod alone does it" if breaks_it == "alone" else f"no limit: {breaks_it} does it"
    return rate(bytes_per_s)


def room(headroom: float) -> str:
    """How a limit stands to what is needed."""
    if headroom >= 1:
        return f"{words.number(headroom)}× the need"
    return f"too tight: 1/{words.number(1 / headroom)} of the need"


def figure(value: float, unit: str) -> str:
    """A number of a table that others printed, in its unit, to five digits."""
    if unit == "FLOP":
        digits, exponent = f"{value:.3e}".split("e")
        return f"{digits}e{int(exponent)} FLOP"
    rounded = float(f"{value:.5g}")
    if unit in {"B", "B/s"}:
        prefix, size = next(((p, s) for p, s in _PREFIXES if rounded >= s), ("", 1.0))
        return f"{float(f'{rounded / size:.5g}'):.6g} {prefix}{unit}"
    plain = f"{rounded:,.10g}"
    return plain if unit in {"1", "share"} else f"{plain} {unit}"
