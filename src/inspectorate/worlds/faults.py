"""Named ways in which sensors break or are tampered with, each with what the receiver must say of it.

Three places to do harm:

- `Damage` of an exporter: the datagrams differ, every signature is good, and only an appraisal can notice.
- the segments of a collector, before they are signed (`reshape`) or after (`forge`);
- the files of the bundle (`spoil`).

The expected problems are those of `evidence.read_statements` and `evidence.receive`, as multisets of (kind, sensor).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from inspectorate.evidence import ProblemKind
from inspectorate.mechanisms.interconnect.collector import ClosedSegment
from inspectorate.worlds import model
from inspectorate.worlds.exporter import Damage
from inspectorate.worlds.site import Protocol, SimSite

Segments = dict[str, list[ClosedSegment]]
Problems = Counter[tuple[ProblemKind, str | None]]


@dataclass(frozen=True, kw_only=True)
class Sealed:
    """One signed segment and whether it goes into the ledger and into the bundle."""

    sensor: str
    sequence: int
    envelope: bytes
    payload: str
    """Digest of the payload."""
    logged: bool = True
    bundled: bool = True


Seal = Callable[[Sequence[ClosedSegment], bool], list[Sealed]]
"""Signs the segments of one sensor from the beginning; with the collector's key, or (False) with a stranger's."""


@dataclass(frozen=True, kw_only=True)
class Tampering:
    """One fault as drawn for one site. The affected sensor is number `sensor`."""

    sensor: int
    damage: Damage | None = None
    reshape: Callable[[Segments], Segments] | None = None
    forge: Callable[[Segments, dict[str, list[Sealed]], Seal], dict[str, list[Sealed]]] | None = None
    spoil: Callable[[dict[str, bytes]], dict[str, bytes]] | None = None
    expected: Callable[[Segments], Problems] = lambda _: Counter()
    refused: ProblemKind | None = None
    withheld: int = 0


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A registered fault."""

    name: str
    description: str
    draw: Callable[[SimSite, np.random.Generator], Tampering]


def _sensor(site: SimSite, random: np.random.Generator, kinds: Sequence[Protocol] = tuple(Protocol)) -> int:
    """A sensor of one of the kinds that watches its link alone, so that losing it shows."""
    watched = Counter(sensor.pod for sensor in site.sensors)
    fit = [n for n, sensor in enumerate(site.sensors) if sensor.protocol in kinds and watched[sensor.pod] == 1]
    if not fit:
        raise ValueError(f"the site has no lone sensor of {', '.join(kinds)}")
    return int(random.choice(fit))


def _silenced(site: SimSite, random: np.random.Generator) -> Tampering:
    length = float(random.uniform(60, 240))
    start = float(random.uniform(0, site.duration_s - length))
    return Tampering(sensor=_sensor(site, random), damage=Damage(silent_s=(start, start + length)))


def _lost_templates(site: SimSite, random: np.random.Generator) -> Tampering:
    kinds = (Protocol.NETFLOW_V9, Protocol.IPFIX)
    return Tampering(sensor=_sensor(site, random, kinds), damage=Damage(templates=False))


def _wrong_rate(site: SimSite, random: np.random.Generator) -> Tampering:
    rate = int(model.SAMPLING_RATE // random.integers(2, 9))
    return Tampering(sensor=_sensor(site, random, (Protocol.SFLOW,)), damage=Damage(announced_rate=rate))


def _clock_shift(site: SimSite, random: np.random.Generator) -> Tampering:
    shift = float(random.choice((-1, 1)) * random.uniform(60, 600))
    kinds = (Protocol.NETFLOW_V9, Protocol.IPFIX)
    return Tampering(sensor=_sensor(site, random, kinds), damage=Damage(clock_shift_s=shift))


def _times(kind: ProblemKind, sensor: str, times: int = 1) -> Callable[[Segments], Problems]:
    return lambda _: Counter({(kind, sensor): times})


def _drop(
    site: SimSite, random: np.random.Generator, which: Callable[[int, int], bool], *, kind: ProblemKind, logged: bool
) -> Tampering:
    """Leave segments of one sensor out of the bundle, logged or not; `which(number, count)` says which."""
    number = _sensor(site, random)
    name = site.sensors[number].id

    def forge(segments: Segments, sealed: dict[str, list[Sealed]], seal: Seal) -> dict[str, list[Sealed]]:
        count = len(sealed[name])
        kept = [
            replace(item, bundled=False, logged=logged) if which(item.sequence, count) else item
            for item in sealed[name]
        ]
        return sealed | {name: kept}

    return Tampering(sensor=number, forge=forge, expected=_times(kind, name), withheld=1 if logged else 0)


def _one_in_the_middle(random: np.random.Generator) -> Callable[[int, int], bool]:
    share = random.random()
    return lambda sequence, count: sequence == 1 + int(share * (count - 2))


def _missing(site: SimSite, random: np.random.Generator) -> Tampering:
    return _drop(site, random, _one_in_the_middle(random), kind=ProblemKind.MISSING, logged=False)


def _withheld(site: SimSite, random: np.random.Generator) -> Tampering:
    return _drop(site, random, _one_in_the_middle(random), kind=ProblemKind.MISSING, logged=True)


def _truncated(site: SimSite, random: np.random.Generator) -> Tampering:
    return _drop(site, random, lambda sequence, count: sequence >= count // 2, kind=ProblemKind.TRUNCATED, logged=False)


def _copy(segments: Segments, source: tuple[str, int], target: tuple[str, int]) -> Segments:
    """The target's segment with the content of the source's."""
    taken = segments[source[0]][source[1]]
    changed = list(segments[target[0]])
    changed[target[1]] = replace(
        changed[target[1]], chunks=taken.chunks, size_bytes=taken.size_bytes, datagrams=taken.datagrams
    )
    return segments | {target[0]: changed}


def _cloned(site: SimSite, random: np.random.Generator) -> Tampering:
    number = _sensor(site, random)
    name = site.sensors[number].id
    others = [n for n, sensor in enumerate(site.sensors) if sensor.pod != site.sensors[number].pod]
    other = site.sensors[int(random.choice(others))].id

    def reshape(segments: Segments) -> Segments:
        for sequence in range(len(segments[name]) // 2, len(segments[name])):
            segments = _copy(segments, (other, sequence), (name, sequence))
        return segments

    def expected(segments: Segments) -> Problems:
        count = len(segments[name]) - len(segments[name]) // 2
        return Counter({(ProblemKind.CLONED, name): count, (ProblemKind.CLONED, other): count})

    return Tampering(sensor=number, reshape=reshape, expected=expected)


def _replayed(site: SimSite, random: np.random.Generator) -> Tampering:
    number = _sensor(site, random)
    name = site.sensors[number].id

    def reshape(segments: Segments) -> Segments:
        return _copy(segments, (name, 0), (name, len(segments[name]) - 1))

    return Tampering(sensor=number, reshape=reshape, expected=_times(ProblemKind.CLONED, name, 2))


def _wrong_key(site: SimSite, random: np.random.Generator) -> Tampering:
    number = _sensor(site, random)
    name = site.sensors[number].id

    def forge(segments: Segments, sealed: dict[str, list[Sealed]], seal: Seal) -> dict[str, list[Sealed]]:
        half = len(sealed[name]) // 2
        return sealed | {name: sealed[name][:half] + seal(segments[name], False)[half:]}

    def expected(segments: Segments) -> Problems:
        count = len(segments[name]) - len(segments[name]) // 2
        return Counter({(ProblemKind.WRONG_KEY, None): count, (ProblemKind.TRUNCATED, name): 1})

    return Tampering(sensor=number, forge=forge, expected=expected)


def _forked(site: SimSite, random: np.random.Generator) -> Tampering:
    number = _sensor(site, random)
    name = site.sensors[number].id

    def forge(segments: Segments, sealed: dict[str, list[Sealed]], seal: Seal) -> dict[str, list[Sealed]]:
        half = len(sealed[name]) // 2
        # A second history of the same stream: from the middle on it says that nothing came.
        emptied = [
            replace(s, chunks=s.chunks[:1], size_bytes=len(s.chunks[0]), datagrams=0) if s.sequence >= half else s
            for s in segments[name]
        ]
        return sealed | {name: sealed[name] + seal(emptied, True)[half : half + 1]}

    return Tampering(sensor=number, forge=forge, expected=_times(ProblemKind.FORKED, name))


def _flipped(site: SimSite, random: np.random.Generator) -> Tampering:
    share, where = random.random(), random.random()

    def spoil(files: dict[str, bytes]) -> dict[str, bytes]:
        payloads = sorted(name for name in files if name.startswith("payloads/"))
        name = payloads[int(share * len(payloads))]
        data = bytearray(files[name])
        data[int(where * len(data))] ^= 1
        return files | {name: bytes(data)}

    return Tampering(sensor=_sensor(site, random), spoil=spoil, refused=ProblemKind.WRONG_DIGEST)


FAULTS: Mapping[str, Fault] = {
    fault.name: fault
    for fault in (
        Fault(
            name="silenced-exporter",
            description="an exporter says nothing for 1 to 4 minutes; its sequence numbers go on as if nothing had been",
            draw=_silenced,
        ),
        Fault(name="lost-templates", description="an exporter never announces its templates", draw=_lost_templates),
        Fault(
            name="wrong-sampling-rate",
            description="an sFlow exporter samples as declared and announces a rate that makes traffic look 2 to 9 times smaller",
            draw=_wrong_rate,
        ),
        Fault(
            name="clock-shift",
            description="an exporter's clock is 1 to 10 minutes off, so its bytes fall into other intervals",
            draw=_clock_shift,
        ),
        Fault(
            name="missing-segment",
            description="a segment in the middle was thrown away before it was logged",
            draw=_missing,
        ),
        Fault(
            name="truncated-stream",
            description="the second half of a stream is gone, its end included",
            draw=_truncated,
        ),
        Fault(
            name="withheld-statement",
            description="a segment is in the ledger and was left out of the bundle",
            draw=_withheld,
        ),
        Fault(
            name="cloned-sensor",
            description="half of one sensor's segments carry the content of another's",
            draw=_cloned,
        ),
        Fault(
            name="replayed-history",
            description="a sensor's last segment carries the content of its first",
            draw=_replayed,
        ),
        Fault(
            name="wrong-key", description="half of a stream is signed with a key that nobody trusts", draw=_wrong_key
        ),
        Fault(name="forked-stream", description="two histories of one stream, both signed and logged", draw=_forked),
        Fault(name="flipped-payload", description="one bit of one payload differs from what was signed", draw=_flipped),
    )
}
"""Every fault by name."""
