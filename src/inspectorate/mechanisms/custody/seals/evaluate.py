"""From measured pairs to a calibration with its error rates: what is learnt, what is held out, what is counted.

1. A group is a seal, or what cannot be separated from it (a door with all seals that were on it). No group is in both parts, or
   this is refused. Whether cameras and conditions are apart, too, is found out and said.
2. The number is fitted, and thresholds of alarms are set, on the learnt part alone.
3. Rates are those of the held-out part: equal error, misses at fixed rates of taking others, the cost of the ratios, unclear ones,
   false alarms, and for each attack how many are found. Intervals come from drawing groups.
4. A photograph that was unclear has no number. Its share is a rate of its own, and it counts neither as found nor as missed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from inspectorate.errors import InputError
from inspectorate.mechanisms.custody.opencv import opencv
from inspectorate.mechanisms.custody.seals import metrics
from inspectorate.mechanisms.custody.seals.calibration import (
    Alarm,
    Calibration,
    Rate,
    Split,
    alarm_values,
    fit,
    threshold,
)
from inspectorate.mechanisms.custody.seals.comparing import Measures
from inspectorate.mechanisms.custody.seals.reference import METHOD

SAME, OTHER = "same", "other"
TAKEN = (0.01, 0.001)
ALARM_RATE = 0.01
"""Of genuine pairs of the learnt part, that pass each one threshold."""
SEALS_MIN = 8


@dataclass(frozen=True, kw_only=True)
class Pair:
    """References of one seal and one new photograph, whose truth is known."""

    learnt: bool
    group: str
    camera: str
    condition: str
    truth: str
    """`same`, `other`, or the name of an attack."""
    measures: Measures | None
    """None: it was unclear."""
    changed: float | None = None
    """With a second photograph, of a seal with mirrors: how much changed."""


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where pairs come from."""

    rendered: bool
    made_by: str


def calibrate(pairs: Sequence[Pair], origin: Origin) -> Calibration:
    """Make a calibration of pairs. Raises `InputError` where the split is none, or has too little."""
    learnt, held_out = _split(pairs)
    numbered = [one for one in learnt if one.truth in {SAME, OTHER} and one.measures is not None]
    made = fit([_known(one) for one in numbered], [one.truth == SAME for one in numbered])
    groups = len({one.group for one in held_out})
    bare = Calibration(
        method=METHOD, library=f"OpenCV {opencv().__version__}",
        photographs="rendered" if origin.rendered else "photographed", made_by=origin.made_by,
        split=_named(learnt, held_out), centres=_places(made.centres), scales=_places(made.scales),
        weights=_places(made.weights), bias=round(made.bias, PLACES),
        number_max=round(float(np.log(groups + 1)), PLACES), alarm_rate=ALARM_RATE, thresholds=_thresholds(learnt),
        rates=(Rate(name="none yet", value=0, lower=0, upper=0, of=0),),
    )  # fmt: skip
    rates = tuple(_rounded(one) for one in rates_of(bare, held_out))
    return Calibration.model_validate(bare.model_dump() | {"rates": [one.model_dump() for one in rates]})


def rates_of(calibration: Calibration, pairs: Sequence[Pair]) -> Iterator[Rate]:
    """Error rates of a calibration on pairs that it was not made of."""
    told = [one for one in pairs if one.truth in {SAME, OTHER}]
    sure = [one for one in told if one.measures is not None]
    scores = np.array([calibration.number(_known(one)) for one in sure])
    same = np.array([one.truth == SAME for one in sure])
    groups = [one.group for one in sure]
    raw = np.array([_raw(calibration, _known(one)) for one in sure])
    yield _rate("equal-error rate", metrics.equal_error_rate, raw, same, groups)
    for most in TAKEN:
        yield _rate(f"same missed where {most:.1%} of others are taken", _missed(most), raw, same, groups)
    yield _rate("cost of the number (Cllr, bits)", metrics.cllr, scores, same, groups)
    yield _rate("the same, at best (Cllr min, bits)", metrics.cllr_least, scores, same, groups)
    yield _rate("same with a number below 0", lambda s, t: float((s[t] < 0).mean()), scores, same, groups)
    yield _rate("other with a number above 0", lambda s, t: float((s[~t] > 0).mean()), scores, same, groups)
    for truth in (SAME, OTHER):
        yield _share(f"unclear, of {truth}", [(one.group, one.measures is None) for one in told if one.truth == truth])
    genuine = [one for one in sure if one.truth == SAME]
    yield _share("false alarms: any", [(one.group, bool(_marks(calibration, one))) for one in genuine])
    for alarm in calibration.thresholds:
        asked = [one for one in genuine if alarm is not Alarm.FLAT or one.changed is not None]
        yield _share(f"false alarms: {alarm.value}", [(one.group, alarm in _marks(calibration, one)) for one in asked])
    yield from _attacks(calibration, pairs)


def _missed(most: float) -> metrics.Measure:
    return lambda scores, same: metrics.missed_at(scores, same, most)


def _attacks(calibration: Calibration, pairs: Sequence[Pair]) -> Iterator[Rate]:
    """For each attack: unclear; found by the number or by any alarm; found by each."""
    for truth in dict.fromkeys(one.truth for one in pairs if one.truth != SAME):
        mine = [one for one in pairs if one.truth == truth]
        sure = [one for one in mine if one.measures is not None]
        if truth != OTHER:
            yield _share(f"unclear, of {truth}", [(one.group, one.measures is None) for one in mine])
        found = [(one.group, bool(_marks(calibration, one)) or _below(calibration, one)) for one in sure]
        yield _share(f"found, of {truth}", found)
        yield _share(f"found, of {truth}: number below 0", [(one.group, _below(calibration, one)) for one in sure])
        for alarm in calibration.thresholds:
            asked = [one for one in sure if alarm is not Alarm.FLAT or one.changed is not None]
            if any(hits := [alarm in _marks(calibration, one) for one in asked]):
                groups = [one.group for one in asked]
                yield _share(f"found, of {truth}: {alarm.value}", list(zip(groups, hits, strict=True)))


def _marks(calibration: Calibration, pair: Pair) -> tuple[Alarm, ...]:
    return calibration.alarms(_known(pair), pair.changed)


def _below(calibration: Calibration, pair: Pair) -> bool:
    return calibration.number(_known(pair)) < 0


def _raw(calibration: Calibration, measures: Measures) -> float:
    """The number before it is held within what the data support: its order is kept at the ends."""
    return calibration.model_copy(update={"number_max": 1e9}).number(measures)


def _known(pair: Pair) -> Measures:
    assert pair.measures is not None
    return pair.measures


def _split(pairs: Sequence[Pair]) -> tuple[list[Pair], list[Pair]]:
    learnt, held_out = [one for one in pairs if one.learnt], [one for one in pairs if not one.learnt]
    for name, part in (("learnt", learnt), ("held-out", held_out)):
        for truth in (SAME, OTHER):
            groups = {one.group for one in part if one.truth == truth and one.measures is not None}
            if len(groups) < SEALS_MIN:
                raise InputError(
                    f"{len(groups)} seals of the {name} part have pairs {truth!r} that can be compared",
                    where="pairs", remedy=f"photograph at least {SEALS_MIN} seals for each part",
                )  # fmt: skip
    if both := {one.group for one in learnt} & {one.group for one in held_out}:
        raise InputError(
            f"the seal {min(both)!r} is in both parts",
            where="pairs",
            remedy="learn from some seals, and measure on others",
        )
    return learnt, held_out


def _named(learnt: Sequence[Pair], held_out: Sequence[Pair]) -> Split:
    cameras = [sorted({one.camera for one in part}) for part in (learnt, held_out)]
    conditions = [sorted({one.condition for one in part}) for part in (learnt, held_out)]
    groups = [len({one.group for one in part}) for part in (learnt, held_out)]
    texts = [
        f"{count} seals or doors; cameras {', '.join(seen)}; conditions {', '.join(under)}"
        for count, seen, under in zip(groups, cameras, conditions, strict=True)
    ]
    return Split(
        learnt=texts[0], held_out=texts[1], learnt_seals=groups[0], held_out_seals=groups[1],
        cameras_apart=not set(cameras[0]) & set(cameras[1]), conditions_apart=not set(conditions[0]) & set(conditions[1]),
    )  # fmt: skip


def _thresholds(learnt: Sequence[Pair]) -> dict[Alarm, float]:
    values: dict[Alarm, list[float]] = {alarm: [] for alarm in Alarm}
    for one in learnt:
        if one.truth == SAME and one.measures is not None:
            for alarm, value in alarm_values(one.measures, one.changed).items():
                if value is not None:
                    values[alarm].append(value)
    return {
        alarm: round(threshold(alarm, found, ALARM_RATE), PLACES)
        for alarm, found in values.items()
        if len(found) >= SEALS_MIN
    }


def _rate(
    name: str, measure: metrics.Measure, scores: metrics.Values, same: metrics.Truth, groups: Sequence[str]
) -> Rate:
    """A measure with its interval by groups. A share of errors that is 0 is bounded by the rule of three over groups."""
    lower, upper = metrics.by_group(measure, scores, same, groups)
    value = measure(scores, same)
    if value == 0 and "Cllr" not in name:
        upper = max(upper, _three(len(set(groups))))
    return Rate(name=name, value=value, lower=lower, upper=upper, of=len(scores))


def _three(groups: int) -> float:
    """What a share may be at 95 % where none of so many groups shows it."""
    return float(1 - 0.05 ** (1 / groups))


def _share(name: str, hits: Sequence[tuple[str, bool]]) -> Rate:
    """A share with its interval by groups. Where nothing or everything was hit, the rule of three over groups bounds it."""
    if not hits:
        return Rate(name=name, value=0.0, lower=0.0, upper=1.0, of=0)
    by: dict[str, list[bool]] = {}
    for group, hit in hits:
        by.setdefault(group, []).append(hit)
    sums = np.array([sum(one) for one in by.values()], float)
    counts = np.array([len(one) for one in by.values()], float)
    value = float(sums.sum() / counts.sum())
    three = _three(len(by))
    if value in {0.0, 1.0}:
        return Rate(
            name=name,
            value=value,
            lower=0.0 if value == 0 else 1 - three,
            upper=three if value == 0 else 1.0,
            of=len(hits),
        )
    rng = np.random.default_rng(1)
    drawn = rng.integers(0, len(sums), (metrics.DRAWS, len(sums)))
    lower, upper = np.percentile(sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1), metrics.PERCENT)
    return Rate(name=name, value=value, lower=float(lower), upper=float(upper), of=len(hits))


PLACES = 6
"""What machines round otherwise beyond these does not change a digest."""


def _places(pair: tuple[float, float]) -> tuple[float, float]:
    return round(pair[0], PLACES), round(pair[1], PLACES)


def _rounded(rate: Rate) -> Rate:
    return rate.model_copy(update={name: round(getattr(rate, name), PLACES) for name in ("value", "lower", "upper")})


def found_by(rates: Sequence[Rate]) -> Mapping[str, Rate]:
    """Rates by their names."""
    return {one.name: one for one in rates}
