"""The balance: supply less what is gone less what is declared, and what could be missing at a stated confidence.

1. Every figure is reduced by losses since its middle: (1 - r)^age with one loss rate r for all, itself a range.
2. Kinds of chips are balanced one by one: chips declared in excess of one kind do not stand in for another.
3. What could be missing is the upper end of supply that is left, less what is declared and what was certified destroyed, at
   confidence 1 - beta; in chips, H100-equivalents, FLOP a month at the agreement's utilisation, and the run in a window.
4. Each end is given under three assumptions on how figures depend (`ranges`): independent, all together, any. Under any dependence
   beta is halved between figures and losses, and the total over kinds is the sum of the kinds' means beyond the quantile, less what
   is declared of each, counted up to the sum of its quantiles: that is never below the quantile of the sum of shortages.

A shortage is no finding. With figures as wide as those of today, a party that declared every chip still comes out short.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np
from pydantic import Field

from inspectorate.canonical import Record
from inspectorate.errors import InputError
from inspectorate.mechanisms.custody.clusters.reference import MONTH_S
from inspectorate.mechanisms.custody.supply.figures import Figure, FigureKind, Figures
from inspectorate.mechanisms.custody.supply.own import h100_equivalents_each, peak_flop_per_s
from inspectorate.mechanisms.custody.supply.ranges import DRAWS, Dependence, FloatArray, Range
from inspectorate.mechanisms.custody.supply.reference import LOSS_PER_YEAR

YEAR_DAYS = 365.25
NARROW_SHOWN = 12


@dataclass(frozen=True)
class Losses:
    """Chips that fail or are scrapped in a year, as shares, and those whose destruction inspectors certified, by kind."""

    per_year: Range = field(default_factory=lambda: Range(*LOSS_PER_YEAR))
    certified: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class SupplyTerms:
    """What is asked, and by which terms."""

    kind: FigureKind
    until: date
    """Supply up to then; figures that end later are left out."""
    confidence: float
    utilisation: float
    formats: tuple[str, ...]
    """Number formats whose peak rates the agreement counts."""
    window_s: float
    thresholds: Mapping[str, float] = field(default_factory=dict)
    """FLOP by the name of the threshold."""
    owners: frozenset[str] | None = None
    designers: frozenset[str] | None = None
    chips: frozenset[str] | None = None
    seed: int = 1
    draws: int = DRAWS


class Ends(Record):
    """Lower and upper end under each assumption."""

    independent: tuple[float, float]
    together: tuple[float, float]
    any_dependence: tuple[float, float]


class ChipBalance(Record):
    """One kind of chip."""

    chip: str
    figures: int
    supplied_median: float = Field(description="chips, before losses")
    left_median: float = Field(description="chips, after median losses")
    left: Ends = Field(description="chips after losses")
    declared: float
    certified: float
    missing: Ends = Field(description="chips; the lower end is zero where everything may be declared")
    missing_share: float = Field(description="of the upper end of what is left, under any dependence")
    h100_equivalents_each: float
    missing_h100_equivalents: Ends
    in_excess: bool = Field(description="more is declared than was supplied, by the upper end under any dependence")


class QuarterSupply(Record):
    """One kind of chip in one quarter, before losses. Stocks are declared by kind, so nothing is missing of a quarter."""

    chip: str
    quarter: str
    low: float
    median: float
    high: float
    width_h100_equivalents: float = Field(
        description="that knowing it exactly would take off the total, under any dependence"
    )


class Narrowing(Record):
    """How far the total would fall if one thing were known to be at its median."""

    what: str
    h100_equivalents: float
    share: float = Field(description="of the total, under any dependence")


class Reconciliation(Record):
    """The whole balance."""

    basis: FigureKind
    until: date
    confidence: float
    figures: int
    chips: tuple[ChipBalance, ...]
    quarters: tuple[QuarterSupply, ...]
    missing_h100_equivalents: Ends
    missing_share: Ends = Field(description="of the H100-equivalents left, at the same end")
    flop_per_month: Ends
    window_s: float
    largest_run_flop: Ends = Field(description="of the missing chips over the window, as if well connected")
    thresholds: dict[str, float]
    runs_per_threshold: dict[str, float] = Field(description="largest run over each threshold, under any dependence")
    narrowing: tuple[Narrowing, ...]
    declared_unmatched: dict[str, float] = Field(description="declared chips of kinds that no figure of supply has")
    assumptions: tuple[str, ...]


def reconcile(
    figures: Figures, declared: Mapping[tuple[str, str | None], float], losses: Losses, terms: SupplyTerms
) -> Reconciliation:
    """The balance of figures against declared stocks by kind of chip and owner.

    Raises `InputError` where no figure is about what is asked.
    """
    rows = [one for one in figures.of(terms.kind) if _asked(one, terms)]
    if not rows:
        raise InputError("no figure is about what is asked", where="figures of supply",
                         remedy=f"look at basis {terms.kind.value}, the filters, and until {terms.until}")  # fmt: skip
    stock = _declared(declared, terms)
    sheet = _Sheet(rows, stock, losses, terms)
    balances = tuple(sheet.balance(place) for place in range(len(sheet.kinds)))
    missing = sheet.total(sheet.each)
    flop_per_s = _scaled(sheet.total(sheet.peak_flop_per_s), terms.utilisation)
    run = _scaled(flop_per_s, terms.window_s)
    return Reconciliation(
        basis=terms.kind,
        until=terms.until,
        confidence=terms.confidence,
        figures=len(rows),
        chips=balances,
        quarters=sheet.quarters(),
        missing_h100_equivalents=missing,
        missing_share=sheet.shares(missing),
        flop_per_month=_scaled(flop_per_s, MONTH_S),
        window_s=terms.window_s,
        largest_run_flop=run,
        thresholds=dict(terms.thresholds),
        runs_per_threshold={name: run.any_dependence[1] / flop for name, flop in terms.thresholds.items()},
        narrowing=sheet.narrowing(missing.any_dependence[1]),
        declared_unmatched={kind: units for kind, units in sorted(stock.items()) if kind not in sheet.kinds},
        assumptions=_assumptions(terms, losses),
    )


def _asked(one: Figure, terms: SupplyTerms) -> bool:
    wanted = ((terms.owners, one.owner), (terms.designers, one.designer), (terms.chips, one.chip))
    return one.end <= terms.until and all(names is None or name in names for names, name in wanted)


def _declared(declared: Mapping[tuple[str, str | None], float], terms: SupplyTerms) -> dict[str, float]:
    """Declared chips by kind, of the owners that are asked about; stocks without an owner count for all."""
    found: dict[str, float] = defaultdict(float)
    for (kind, owner), units in declared.items():
        named = terms.owners is None or owner is None or owner in terms.owners
        if named and (terms.chips is None or kind in terms.chips):
            found[kind] += units
    return found


def _scaled(ends: Ends, factor: float) -> Ends:
    return Ends(
        independent=(ends.independent[0] * factor, ends.independent[1] * factor),
        together=(ends.together[0] * factor, ends.together[1] * factor),
        any_dependence=(ends.any_dependence[0] * factor, ends.any_dependence[1] * factor),
    )


class _Sheet:
    """Ends of every figure, kind and total, under each assumption."""

    def __init__(self, rows: Sequence[Figure], stock: Mapping[str, float], losses: Losses, terms: SupplyTerms) -> None:
        self.rows, self.losses, self.terms = rows, losses, terms
        self.kinds = sorted({one.chip for one in rows})
        self.of_row = np.array([self.kinds.index(one.chip) for one in rows])
        middle = np.array([(one.start.toordinal() + one.end.toordinal()) / 2 for one in rows])
        self.age_years = (terms.until.toordinal() - middle) / YEAR_DAYS
        self.each = np.array([self._each(kind) for kind in self.kinds])
        self.peak_flop_per_s = np.array([peak_flop_per_s(kind, one, terms.formats)
                                         for kind, one in zip(self.kinds, self.each.tolist(), strict=True)])  # fmt: skip
        self.accounted = np.array([stock.get(kind, 0.0) + losses.certified.get(kind, 0.0) for kind in self.kinds])
        self.stock = stock
        self.beta = 1 - terms.confidence
        self.medians = np.array([one.units.median for one in rows])
        self.kept_median = (1 - losses.per_year.median) ** self.age_years
        self.ends = {
            Dependence.TOGETHER: tuple(
                self._row_ends(share, Dependence.TOGETHER, self.beta) for share in self._shares(self.beta)
            ),
            Dependence.ANY: tuple(
                self._row_ends(share, Dependence.ANY, self.beta / 2) for share in self._shares(self.beta / 2)
            ),
        }
        # Quantiles at the level that the means beyond them belong to: what may be taken off a mean.
        self.quantiles = self._kinds(self._row_ends(1 - self.beta / 2, Dependence.TOGETHER, self.beta / 2))
        self.drawn = self._draw()

    def _each(self, kind: str) -> float:
        """H100-equivalents of one chip, as the agreement counts them: by the catalogue; else the mean over the figures."""
        listed = h100_equivalents_each(kind)
        if listed is not None:
            return listed
        own = [one for one in self.rows if one.chip == kind]
        total = sum(one.units.median for one in own)
        if total <= 0:
            return max(one.h100_equivalents_each for one in own)
        return sum(one.units.median * one.h100_equivalents_each for one in own) / total

    @staticmethod
    def _shares(beta: float) -> tuple[float, float]:
        return beta, 1 - beta

    def _kept(self, share: float, beta: float) -> FloatArray:
        """What losses left of each figure, at the end that goes with a share: few losses for an upper end."""
        rate = min(1.0, self.losses.per_year.quantile(beta if share > 0.5 else 1 - beta))
        kept: FloatArray = (1 - rate) ** self.age_years
        return kept

    def _row_ends(self, share: float, dependence: Dependence, beta: float) -> FloatArray:
        ends: FloatArray = np.array([one.units.at_end(share, dependence) for one in self.rows])
        return ends * self._kept(share, beta)

    def _kinds(self, of_row: FloatArray) -> FloatArray:
        found: FloatArray = np.bincount(self.of_row, weights=of_row, minlength=len(self.kinds)).astype(np.float64)
        return found

    def _draw(self) -> FloatArray:
        """Chips left of every kind, figure by figure independently, with one loss rate for each draw."""
        rng = np.random.default_rng(self.terms.seed)
        rate = np.minimum(1.0, self.losses.per_year.at(rng.standard_normal(self.terms.draws)))
        found = np.zeros((self.terms.draws, len(self.kinds)))
        for one, kind, age in zip(self.rows, self.of_row.tolist(), self.age_years.tolist(), strict=True):
            found[:, kind] += one.units.at(rng.standard_normal(self.terms.draws)) * (1 - rate) ** age
        return found

    def balance(self, place: int) -> ChipBalance:
        kind, mine = self.kinds[place], self.of_row == place
        together, anyhow = (
            [float(end[mine].sum()) for end in self.ends[one]] for one in (Dependence.TOGETHER, Dependence.ANY)
        )
        drawn = np.quantile(self.drawn[:, place], self._shares(self.beta)).tolist()
        left = Ends(independent=tuple(drawn), together=tuple(together), any_dependence=tuple(anyhow))
        accounted = float(self.accounted[place])
        missing = Ends(**{name: tuple(max(0.0, end - accounted) for end in ends) for name, ends in left})
        return ChipBalance(
            chip=kind,
            figures=int(np.count_nonzero(mine)),
            supplied_median=float(self.medians[mine].sum()),
            left_median=float((self.medians * self.kept_median)[mine].sum()),
            left=left,
            declared=self.stock.get(kind, 0.0),
            certified=float(self.losses.certified.get(kind, 0.0)),
            missing=missing,
            missing_share=missing.any_dependence[1] / anyhow[1] if anyhow[1] > 0 else 0.0,
            h100_equivalents_each=float(self.each[place]),
            missing_h100_equivalents=_scaled(missing, float(self.each[place])),
            in_excess=accounted > anyhow[1],
        )

    def total(self, each: FloatArray) -> Ends:
        """What could be missing of all kinds together, each chip of a kind counted as `each`."""
        short = np.maximum(0.0, self.drawn - self.accounted) @ each
        together = [np.maximum(0.0, self._kinds(end) - self.accounted) @ each for end in self.ends[Dependence.TOGETHER]]
        low, high = (self._kinds(end) for end in self.ends[Dependence.ANY])
        return Ends(
            independent=tuple(np.quantile(short, self._shares(self.beta)).tolist()),
            together=(float(together[0]), float(together[1])),
            # From below nothing is known of a sum of shortages but that each is at least zero, and their sum at least the sum.
            any_dependence=(
                max(0.0, float((low - self.accounted) @ each)),
                float((high - np.minimum(self.accounted, self.quantiles)) @ each),
            ),
        )

    def shares(self, missing: Ends) -> Ends:
        """Missing over left, each at the same end."""
        drawn = np.quantile(self.drawn @ self.each, self._shares(self.beta))
        together, anyhow = (
            [float(self._kinds(end) @ self.each) for end in self.ends[one]]
            for one in (Dependence.TOGETHER, Dependence.ANY)
        )

        def over(part: tuple[float, float], whole: Sequence[float]) -> tuple[float, float]:
            return tuple(a / b if b > 0 else 0.0 for a, b in zip(part, whole, strict=True))  # type: ignore[return-value]

        return Ends(
            independent=over(missing.independent, drawn.tolist()),
            together=over(missing.together, together),
            any_dependence=over(missing.any_dependence, anyhow),
        )

    def _widths(self) -> FloatArray:
        """What knowing each figure exactly, at its median, takes off the total under any dependence, in H100-equivalents."""
        kept = self._kept(1.0, self.beta / 2)
        width: FloatArray = (self.ends[Dependence.ANY][1] - self.medians * kept) * self.each[self.of_row]
        return width

    def quarters(self) -> tuple[QuarterSupply, ...]:
        groups: dict[tuple[str, str], list[int]] = defaultdict(list)
        for place, one in enumerate(self.rows):
            groups[one.chip, one.quarter].append(place)
        widths = self._widths()
        return tuple(
            QuarterSupply(
                chip=chip,
                quarter=quarter,
                low=sum(self.rows[place].units.low for place in places),
                median=sum(self.rows[place].units.median for place in places),
                high=sum(self.rows[place].units.high for place in places),
                width_h100_equivalents=float(widths[places].sum()),
            )
            for (chip, quarter), places in sorted(groups.items())
        )

    def narrowing(self, total: float) -> tuple[Narrowing, ...]:
        """What would take most off the total: figures, kinds and the loss rate. No two of them are to be added up."""
        widths = self._widths()
        found = [(f"{one.chip} {one.quarter}{f' of {one.owner}' if one.owner else ''} ({one.where})", width)
                 for one, width in zip(self.rows, widths.tolist(), strict=True)]  # fmt: skip
        found += [
            (f"all figures of {kind}", float(width))
            for kind, width in zip(self.kinds, self._kinds(widths), strict=True)
        ]
        kept = self._kept(1.0, self.beta / 2)
        lost = self.ends[Dependence.ANY][1] * (1 - self.kept_median / kept)
        found.append(("the rate of losses", float(self._kinds(lost) @ self.each)))
        found.sort(key=lambda one: -one[1])
        return tuple(
            Narrowing(what=what, h100_equivalents=width, share=width / total if total > 0 else 0.0)
            for what, width in found[:NARROW_SHOWN]
            if width > 0
        )


def _assumptions(terms: SupplyTerms, losses: Losses) -> tuple[str, ...]:
    rate = losses.per_year
    return (
        "the shape of a range: two lognormal halves that meet in the median (a half that reaches zero: normal, cut off)",
        f"losses of {100 * rate.low:g} to {100 * rate.high:g} % of the chips in a year, {100 * rate.median:g} % in the middle",
        f"at a utilisation of {terms.utilisation:g}, and as if the missing chips were one well-connected cluster",
        "figures are unbiased: no range covers a maker or a channel that its source does not know of",
    )
