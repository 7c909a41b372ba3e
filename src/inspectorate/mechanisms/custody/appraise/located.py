"""`located-chips`: one assessment for all pods. Whether a device beside the chips of each pod stands where its site is declared.

1. Every pod needs a declared device with a key, at a site with a declared position. Landmarks are the reviewer's own
   (`TrustAnchors.landmarks`): what others timed says nothing.
2. Each measuring gives a region (`location.judge`): by the speed of light in vacuum, so that a relay or a wait can only make it
   larger. It shows a device where the whole region lies within `radius_m_max` of the declared position. A slow one shows nothing,
   and does no harm.
3. A stretch for longer than `located_every_s` in which nobody asked a device is not observed. Where somebody asked, and no answer
   was near enough or none was signed by its key, the clause is open.
4. A region that excludes the declared position leaves it open, too: a clock or a key may be at fault, and nobody has stated how
   often. Times that fit no place, nonces that were asked before and records that cannot be read: invalid evidence.
5. *Consistent*: every device was shown near its place, often enough. It says where the key was, at those times: that chips stand
   beside it is for seals and inspectors.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from inspectorate.agreement import LocatedChips
from inspectorate.assessment import Assessment, Case, Exhibit, ExhibitKind
from inspectorate.declaration import Position, Reporter
from inspectorate.evidence import RoundTripsMeasured, VerifiedStatement
from inspectorate.hearing import spans_text
from inspectorate.keys import PublicKey
from inspectorate.mechanisms.custody import reference
from inspectorate.mechanisms.custody.appraise.common import Said, With, assess, spoken_of
from inspectorate.mechanisms.custody.location.faults import Fault
from inspectorate.mechanisms.custody.location.judge import Believed, Measured, check_round_trips, check_uses
from inspectorate.mechanisms.custody.location.record import landmarks_of
from inspectorate.mechanisms.custody.location.region import Landmark, Medium, Region, Standing
from inspectorate.quantities import Period, uncovered

VOIDING = frozenset({Fault.RECORD_UNREADABLE, Fault.DEVICE_OTHER, Fault.LANDMARKS_DIFFER, Fault.NONCE_REUSED})
"""Faults of the record itself; all others take round trips away, and make a region larger."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Timed:
    """One measuring of a device."""

    device: str
    digest: str
    period: Period
    measured: Measured
    faults: tuple[str, ...]

    @property
    def region(self) -> Region:
        """Strictly: by the speed of light in vacuum."""
        return self.measured.regions[Medium.VACUUM]

    @property
    def usable(self) -> bool:
        return not self.faults and self.region.standing is not Standing.CONTRADICTION

    def shows(self, radius_m: float) -> bool:
        region = self.region
        near = region.radius_m is not None and region.radius_m <= radius_m
        return self.usable and region.standing is Standing.WITHIN and near

    @property
    def name(self) -> str:
        return f"{self.device}: the measuring of {self.period.start:%Y-%m-%d %H:%M:%S} UTC"


def appraise_located(case: Case, clause: LocatedChips) -> tuple[Assessment, ...]:
    spoken = spoken_of(case)
    places = _places(case)
    timed = _timed(case, places)
    said = Said(
        invalid=[text for one in timed for text in _invalid(one)],
        unseen=tuple(_unseen(case, clause, places, timed)),
        doubts=tuple(_doubts(case, clause, timed)),
        kept=_kept(timed, clause),
    )
    return assess(
        case,
        said,
        With(
            assumptions=(
                "the key of a device has not left it, and chips stand beside it",
                "landmarks stand where the reviewer has them, and their clocks run at a true rate",
            )
            if timed
            else (),
            evidence_ids=[one.digest for one in timed],
            exhibits=(_exhibit(timed),) if timed else (),
            not_checked=("where chips are that have no such device, and where each device was between two measurings",),
            unheard=spoken.unheard(RoundTripsMeasured),
        ),
    )


def _places(case: Case) -> dict[str, Position | None]:
    """By device, the position of its site; none where it has none, or no key, or its pods are of several sites."""
    site_of = {pod.id: site for site in case.declaration.sites for cluster in site.clusters for pod in cluster.pods}
    found: dict[str, Position | None] = {}
    for device in spoken_of(case).devices:
        positions = {site_of[pod].id: site_of[pod].position for pod in device.pods}
        found[device.id] = next(iter(positions.values())) if len(positions) == 1 and device.key else None
    return found


def _timed(case: Case, places: Mapping[str, Position | None]) -> list[_Timed]:
    statements = spoken_of(case).of(RoundTripsMeasured)
    devices = {one.id: one for one in spoken_of(case).devices}
    landmarks = landmarks_of(case.landmarks)
    reused, uses = check_uses(statements, payload=case.evidence.payload)
    found = []
    for one in statements:
        said = one.predicate
        assert isinstance(said, RoundTripsMeasured)
        position = places.get(said.reporter)
        if position is not None:
            believed = _believed(devices[said.reporter], position, landmarks)
            measured = check_round_trips(one, payload=case.evidence.payload, believed=believed, reused=reused)
            faults = [
                str(fault)
                for fault in (*measured.faults, *uses)
                if fault.fault in VOIDING and _about(fault.statement, one)
            ]
            found.append(
                _Timed(
                    device=said.reporter,
                    digest=one.digest,
                    period=said.period,
                    measured=measured,
                    faults=tuple(dict.fromkeys(faults)),
                )
            )
    return found


def _about(named: str | None, statement: VerifiedStatement) -> bool:
    return named in (None, statement.digest)


def _believed(device: Reporter, position: Position, landmarks: Mapping[str, Landmark]) -> Believed:
    assert device.key is not None, "a device without a key has no place"
    return Believed(landmarks=landmarks, key=PublicKey(base64.b64decode(device.key)), declared=position)


def _invalid(one: _Timed) -> Iterator[str]:
    yield from (f"{one.name}: {text}" for text in one.faults)
    if not one.faults and one.region.standing is Standing.CONTRADICTION:
        yield f"{one.name}: no place fits all times: a clock, a landmark or the key is false"


def _unseen(
    case: Case, clause: LocatedChips, places: Mapping[str, Position | None], timed: Sequence[_Timed]
) -> Iterator[str]:
    devices = spoken_of(case).devices
    bare = sorted({pod.id for pod in case.declaration.pods} - {pod for one in devices for pod in one.pods})
    if bare:
        yield f"no device is declared beside the chips of {', '.join(bare[:8])}"
    for device in devices:
        mine = [one for one in timed if one.device == device.id]
        if places[device.id] is None:
            yield f"{device.id}: has no key, or its pods have no one declared position"
        elif not case.landmarks:
            yield f"{device.id}: the reviewer knows no landmark"
        elif not mine:
            yield f"{device.id}: nobody asked it"
        else:
            gaps = _gaps(case, clause, [one.period for one in mine if not one.faults])
            if gaps:
                yield f"{device.id}: nobody asked it for longer than {clause.located_every_s:g} s: {spans_text(gaps)} UTC"


def _gaps(case: Case, clause: LocatedChips, periods: Sequence[Period]) -> list[Period]:
    every_s = clause.located_every_s * (1 + 1e-9)
    return [one for one in uncovered(periods, case.period) if one.duration_s > every_s]


def _doubts(case: Case, clause: LocatedChips, timed: Sequence[_Timed]) -> Iterator[str]:
    for one in timed:
        if one.usable and one.region.standing is Standing.AWAY:
            yield (
                f"{one.name}: its key was at least {one.region.away_m / 1e3:,.0f} km from the declared position; next: ask for it,"
                " and look where it is declared"
            )
    for device in spoken_of(case).devices:
        mine = [one for one in timed if one.device == device.id]
        shown = [one.period for one in mine if one.shows(clause.radius_m_max)]
        gaps = _gaps(case, clause, shown)
        if not mine or not gaps:
            continue
        false = sum(
            fault.round_trips for one in mine for fault in one.measured.faults if fault.fault is Fault.SIGNATURE_FALSE
        )
        text = f"; {false} answers were not signed by its key" if false else ""
        nearest = min(
            (one.region.radius_m for one in mine if one.usable and one.region.radius_m is not None), default=None
        )
        far = "no answer could be used" if nearest is None else f"it may be up to {nearest / 1e3:,.0f} km off"
        yield (
            f"{device.id}: not shown within {clause.radius_m_max / 1e3:,.0f} km of its place for longer than"
            f" {clause.located_every_s:g} s ({far}): {spans_text(gaps)} UTC{text}"
        )


def _kept(timed: Sequence[_Timed], clause: LocatedChips) -> tuple[str, ...]:
    shown = [one for one in timed if one.shows(clause.radius_m_max)]
    if not shown:
        return ()
    worst = max(one.region.radius_m or 0.0 for one in shown)
    devices = len({one.device for one in shown})
    return (f"{devices} devices were within {worst / 1e3:,.0f} km of their places, by {len(shown)} measurings",)


def _exhibit(timed: Sequence[_Timed]) -> Exhibit:
    rows: list[tuple[str | float | None, ...]] = [
        (
            one.device,
            f"{one.period.start:%Y-%m-%d %H:%M:%S}",
            one.region.standing.value,
            float(len(one.region.landmarks)),
            one.region.radius_m,
            one.region.away_m,
        )
        for one in timed
    ]
    return Exhibit(
        id="located-devices",
        title="How far each device can stand from its declared position, by the speed of light",
        kind=ExhibitKind.TABLE,
        columns=("device", "asked at", "standing", "landmarks", "radius_m", "away_m"),
        rows=tuple(rows[: reference.ROWS_MAX]),
    )
