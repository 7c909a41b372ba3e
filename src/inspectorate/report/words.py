"""Numbers, times and verdicts in words: the one place where a report rounds, names and cleans.

Rules:

- Numbers are rounded to three significant digits; the JSON form of a review carries them whole.
- Times are in UTC, to the second.
- A verdict is a word and a symbol, and only then a colour.
- Text from outside is made visible before it is shown: control characters, line breaks and the Unicode characters that
  reorder or hide text become their code points in words (Unicode Technical Report 36, section 2.5). A report therefore
  cannot be made to move the cursor of a terminal, to forge a line of its own, or to show something other than it holds.

Not done here: escaping for HTML, which the template engine does to everything.
"""

from __future__ import annotations

import math
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType

from inspectorate.assessment import Verdict
from inspectorate.evidence import ProblemKind
from inspectorate.findings import Strength
from inspectorate.quantities import H100_EQUIVALENT_FLOP_PER_S, Period

HOURS_PER_YEAR = 8_766.0
"""Hours of a Julian year of 365.25 days."""

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

_HIDING_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""General categories of characters that are not seen, or that change how others are seen (Unicode, section 4.5)."""


@dataclass(frozen=True, kw_only=True)
class VerdictWords:
    """How one verdict is told."""

    word: str
    symbol: str
    meaning: str
    css: str
    """Name of its colours in the style sheet."""


VERDICTS = MappingProxyType(
    {
        Verdict.INCONSISTENT: VerdictWords(
            word="inconsistent",
            symbol="✗",
            meaning="evidence against a clause reaches the agreed false-accusation rate",
            css="inconsistent",
        ),
        Verdict.INVALID_EVIDENCE: VerdictWords(
            word="invalid evidence",
            symbol="!",
            meaning="evidence was there and cannot be trusted",
            css="invalid",
        ),
        Verdict.NOT_OBSERVED: VerdictWords(
            word="not observed",
            symbol="○",
            meaning="no clause is refuted, but not everything was looked at",
            css="unobserved",
        ),
        Verdict.INCONCLUSIVE: VerdictWords(
            word="inconclusive",
            symbol="?",
            meaning="everything was looked at, but not everything is established",
            css="inconclusive",
        ),
        Verdict.CONSISTENT: VerdictWords(
            word="consistent",
            symbol="✓",
            meaning="observed throughout, and nothing speaks against any clause",
            css="consistent",
        ),
    }
)
"""Every verdict in words, the gravest first."""

GRAVITY = MappingProxyType({verdict: place for place, verdict in enumerate(VERDICTS)})

PROBLEMS = MappingProxyType(
    {
        ProblemKind.MALFORMED: "cannot be parsed, or not in its one canonical form",
        ProblemKind.WRONG_KEY: "signed by no key that the reviewer trusts for it",
        ProblemKind.WRONG_DIGEST: "not the bytes that were signed for",
        ProblemKind.TRUNCATED: "shorter than signed for, or never closed",
        ProblemKind.MISSING: "named or numbered, but not there",
        ProblemKind.DUPLICATED: "the same statement twice",
        ProblemKind.FORKED: "two different statements claim one place",
        ProblemKind.CLONED: "the same content under two sensors or two times",
        ProblemKind.OUT_OF_PERIOD: "of another time than declared, or signed outside its key's time",
        ProblemKind.UNDECLARED: "from a sensor that the declaration does not name",
        ProblemKind.NOT_LOGGED: "no valid proof that it stands in a trusted ledger",
        ProblemKind.WITHHELD: "the ledger holds entries that did not come with the bundle",
        ProblemKind.UNREADABLE: "authentic, but cannot be decoded in full",
    }
)


def visible(text: str) -> str:
    """The text with every character that hides, moves or reorders text written out as its code point."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        f"<U+{ord(character):04X}>" if unicodedata.category(character) in _HIDING_CATEGORIES else character
        for character in text
    )


def clipped(text: str, length_max: int) -> str:
    """The text, or its beginning and an ellipsis if it is longer than `length_max` characters."""
    return text if len(text) <= length_max else text[: length_max - 1].rstrip() + "…"


def superscript(exponent: int) -> str:
    """An exponent in superscript characters."""
    return str(exponent).translate(_SUPERSCRIPTS)


def mantissa_exponent(value: float) -> tuple[str, int]:
    """Three significant digits and a power of ten: 2.114e19 gives ("2.11", 19). `value` is positive and finite."""
    digits, exponent = f"{value:.2e}".split("e")
    return digits, int(exponent)


def flop(value: float) -> str:
    """A count of FLOP: `2.11e19 FLOP`."""
    if value == 0:
        return "0 FLOP"
    digits, exponent = mantissa_exponent(value)
    return f"{digits}e{exponent} FLOP"


def chip_time(value_flop: float) -> str:
    """How long one H100 at its dense FP16 peak would need: `5.93 H100-hours`."""
    seconds = value_flop / H100_EQUIVALENT_FLOP_PER_S
    for unit, size_s in (("years", 3600 * HOURS_PER_YEAR), ("hours", 3600.0), ("minutes", 60.0), ("seconds", 1.0)):
        if seconds >= (10 * size_s if unit == "years" else 0.995 * size_s):
            return f"{number(seconds / size_s)} H100-{unit}"
    return f"{number(seconds)} H100-seconds"


def number(value: float) -> str:
    """A plain number with three significant digits and thousands separators; powers of ten outside 0.001 to 1e9."""
    if value == 0:
        return "0"
    if not 1e-3 <= abs(value) < 1e9:
        digits, exponent = mantissa_exponent(value)
        return f"{digits}e{exponent}"
    rounded = float(f"{value:.3g}")
    decimals = max(0, 2 - math.floor(math.log10(abs(rounded))))
    return f"{rounded:,.{decimals}f}"


def rate(value: float, unit: str) -> str:
    """A rate with the prefix that suits it: 30000, "B/s" gives `30.0 kB/s`. Other units are left as they are."""
    if unit not in {"B/s", "bit/s", "B", "W"}:
        return f"{number(value)} {unit}".rstrip()
    for prefix, size in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:.3g} {prefix}{unit}"
    return f"{value:.3g} {unit}"


def share(part: float, whole: float) -> str:
    """`part` of `whole` in percent; `0 %` of nothing."""
    if whole <= 0 or part <= 0:
        return "0 %"
    percent = 100 * part / whole
    return f"{percent:.0f} %" if percent >= 9.95 else f"{percent:.2g} %" if percent >= 0.01 else "under 0.01 %"


def gap(between: float) -> str:
    """What lies between two bounds, as a share of the larger."""
    return "below 0.01 %" if between < 1e-4 else f"{100 * between:.2g} %" if between < 0.1 else f"{100 * between:.0f} %"


def against_threshold(value: float, threshold: float) -> str:
    """How a bound compares with a threshold: `1/47,300 of it`, or `12.0 times it`."""
    if value <= 0:
        return "nothing"
    ratio = value / threshold
    if ratio > 1:
        return f"{number(ratio)} times it"
    return f"{100 * ratio:.3g} % of it" if ratio >= 0.01 else f"1/{number(1 / ratio)} of it"


def utc(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def span(period: Period) -> str:
    """A period in UTC; the date is said once if it does not change."""
    start, end = period.start.astimezone(UTC), period.end.astimezone(UTC)
    last = f"{end:%H:%M:%S}" if start.date() == end.date() else f"{end:%Y-%m-%d %H:%M:%S}"
    return f"{start:%Y-%m-%d %H:%M:%S} – {last} UTC"


def clock_span(period: Period, within: Period) -> str:
    """A period in UTC, without the date if it lies with all of `within` on one day."""
    start, end = period.start.astimezone(UTC), period.end.astimezone(UTC)
    days = {time.astimezone(UTC).date() for time in (within.start, within.end, start, end)}
    return f"{start:%H:%M:%S} – {end:%H:%M:%S} UTC" if len(days) == 1 else span(period)


def duration(seconds: float) -> str:
    """`15 minutes`, `36 hours`, `12.5 days`."""
    for unit, size_s, from_s in (("days", 86_400.0, 259_200.0), ("hours", 3_600.0, 7_200.0), ("minutes", 60.0, 120.0)):
        if seconds >= from_s:
            return f"{seconds / size_s:.3g} {unit}"
    return f"{seconds:.3g} seconds"


def log10_e(log_e: float) -> float:
    """The decimal logarithm of an e-value from its natural logarithm."""
    return log_e / math.log(10)


def strength_words(strength: Strength) -> str:
    """How strong the evidence against a clause is.

    Below the alarm the words and their steps are those of Jeffreys for Bayes factors, which Vovk and Wang ("E-values:
    calibration, combination and applications", Ann. Statist. 2021, section 2) take over for e-values; his last step,
    "decisive", is left to the alarm, whose height the parties agreed.
    """
    if strength.log_e >= strength.log_e_alarm:
        return "reaches the alarm"
    value = log10_e(strength.log_e)
    if value <= 0:
        return "none"
    for least, word in ((1.5, "very strong"), (1.0, "strong"), (0.5, "substantial")):
        if value >= least:
            return f"{word}, below the alarm"
    return "hardly any"


def short_digest(text: str) -> str:
    """A digest as its first twelve hex digits; any other text clipped."""
    kind, _, digits = text.partition(":")
    if kind == "sha256" and len(digits) == 64:
        return f"{digits[:12]}…"
    return clipped(text, 40)


def plural(count: int, noun: str) -> str:
    """A count and its noun, whose first word takes the plural: `3 pods`, `2 groups of pods`."""
    first, space, rest = noun.partition(" ")
    return f"{count:,} {first}{'' if count == 1 else 's'}{space}{rest}"


def listing(names: tuple[str, ...], shown_max: int) -> str:
    """Names joined by commas, the rest as a count."""
    shown = ", ".join(names[:shown_max])
    return shown if len(names) <= shown_max else f"{shown} and {len(names) - shown_max} more"
