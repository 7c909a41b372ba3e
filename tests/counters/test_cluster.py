"""The counters of a real training cluster: an outage, balances, periods; then one port taken away, and one forged."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from inspectorate.mechanisms.interconnect.counters.conservation import Balance, balance, balances
from inspectorate.mechanisms.interconnect.counters.findings import Finding
from inspectorate.mechanisms.interconnect.counters.increase import PortSteps, increases
from inspectorate.mechanisms.interconnect.counters.levels import amounts, gap_totals, observed
from inspectorate.mechanisms.interconnect.counters.period import PortPeriod, grid_of, periods
from inspectorate.mechanisms.interconnect.counters.readings import Port, Readings

parquet = pytest.importorskip("pyarrow.parquet", reason="needs pyarrow")
pytestmark = pytest.mark.data

BUSY_BYTES_PER_S = 1e6


@pytest.fixture(scope="module")
def table(data: Path) -> dict[tuple[str, str], dict[str, np.ndarray]]:
    """The table, read in the plainest way, as an oracle."""
    path = data / "switch_counters" / "port_counters.parquet"
    found = parquet.read_table(path, filters=[("switch", "=", "Leaf-1")])
    frame = {name: found[name].to_numpy() for name in ("t_ms", "in_octets", "out_octets")}
    port = np.array(found["port"].to_pylist())
    return {("Leaf-1", str(p)): {name: values[port == p] for name, values in frame.items()} for p in np.unique(port)}


@pytest.fixture(scope="module")
def readings(data: Path) -> Readings:
    from inspectorate.mechanisms.interconnect.counters.parquet import read_parquet

    return read_parquet(data / "switch_counters" / "port_counters.parquet")


@pytest.fixture(scope="module")
def steps(readings: Readings) -> dict[Port, PortSteps]:
    return increases(readings)


@pytest.fixture(scope="module")
def found(steps: dict[Port, PortSteps]) -> dict[str, PortPeriod]:
    return {one.port: one for one in periods(steps, grid_of(steps, 1.0), bytes_per_s_min=BUSY_BYTES_PER_S)}


# --- the outage --------------------------------------------------------------------------------------------------------


def test_the_outage_is_a_gap_in_every_port(steps: dict[Port, PortSteps]) -> None:
    assert len(steps) == 475
    for one in steps.values():
        gaps = [told for told in one.found if told.finding is Finding.GAP]
        assert [gap.count for gap in gaps] == [1]
        assert 245 < (gaps[0].end_ns - gaps[0].start_ns) / 1e9 < 256


def test_totals_over_the_outage_are_those_of_the_table(
    steps: dict[Port, PortSteps], table: dict[tuple[str, str], dict[str, np.ndarray]]
) -> None:
    busy = 0
    for (switch, name), columns in table.items():
        (total,) = gap_totals(steps[Port(switch, name)])
        after = int(np.diff(columns["t_ms"]).argmax()) + 1
        assert total.end_ns == int(columns["t_ms"][after]) * 1_000_000
        assert total.in_lower == total.in_upper == columns["in_octets"][after]
        assert total.out_lower == total.out_upper == columns["out_octets"][after]
        busy += total.in_lower > 10**9
    assert busy > 50


def test_the_outage_is_not_silence(steps: dict[Port, PortSteps]) -> None:
    """In it no interval is observed, and none is said to have carried nothing, or everything."""
    one = steps[Port("Leaf-1", "FourHundredGigE1/0/33")]
    (gap,) = gap_totals(one)
    edges = gap.start_ns + 10 * 10**9 * np.arange(26, dtype=np.int64)
    bound = amounts(one, "in_octets", edges)
    assert not observed(one, edges).any()
    assert (bound.lower[1:-1] == 0).all()
    assert (bound.upper[1:-1] == gap.in_lower).all()
    whole = amounts(one, "in_octets", np.array([gap.start_ns, gap.end_ns]))
    assert whole.lower[0] == whole.upper[0] == gap.in_lower


# --- balances ----------------------------------------------------------------------------------------------------------


def test_what_enters_a_leaf_leaves_it(steps: dict[Port, PortSteps], capsys: pytest.CaptureFixture[str]) -> None:
    sums = balances(steps)
    with capsys.disabled():
        print()
        for one in sums:
            print(f"  {one.explanation()} (relative {one.relative:+.1e}, {one.carried.sum():.3g} bytes in)")
    assert [one.node for one in sums] == ["Leaf-1", "Leaf-10", "Leaf-11", "Leaf-12", "Leaf-13"]
    for one in sums:
        assert one.verdict is Balance.BALANCED
        assert one.digits > 5
        assert not one.unbalanced.any()


@pytest.mark.parametrize("name", ["FourHundredGigE1/0/33", "FourHundredGigE1/0/40", "FourHundredGigE1/0/50"])
@pytest.mark.parametrize("leaf", ["Leaf-1", "Leaf-12"])
def test_a_port_taken_away_breaks_the_balance_and_is_named(steps: dict[Port, PortSteps], leaf: str, name: str) -> None:
    gone = Port(leaf, name)
    rest = {port: one for port, one in steps.items() if port != gone}
    declared = tuple(port for port in steps if port.node == leaf)
    broken = balance(leaf, rest.values(), declared=declared)
    assert broken.verdict is Balance.LASTING_IMBALANCE
    assert broken.missing == (str(gone),)
    assert broken.one_port_fits
    assert name in broken.explanation()
    # The rate of the hypothesis is the net rate of the port that was taken away.
    into, out = amounts(steps[gone], "in_octets", broken.edges_ns), amounts(steps[gone], "out_octets", broken.edges_ns)
    assert broken.net == pytest.approx(-(into.estimate - out.estimate), abs=3e-3 * broken.carried.max())
    # The same without a list of declared ports: the imbalance stays, the name is not known.
    unnamed = balance(leaf, rest.values())
    assert unnamed.verdict is Balance.LASTING_IMBALANCE
    assert unnamed.missing == ()


@pytest.mark.slow
def test_how_many_missing_ports_the_sum_finds_by_itself(
    steps: dict[Port, PortSteps], capsys: pytest.CaptureFixture[str]
) -> None:
    """Not those that carry as much in as out in every window: servers in a ring. Only a list of ports names these."""
    own = [one for port, one in steps.items() if port.node == "Leaf-12"]
    busy = [one for one in own if one.sides["in_octets"].lower.sum() > 10**9][::3]  # each takes a balance of its own
    caught = [
        one.port.name
        for one in busy
        if balance("Leaf-12", [o for o in own if o is not one]).verdict is Balance.LASTING_IMBALANCE
    ]
    with capsys.disabled():
        print(f"\n  taken away one by one: {len(caught)} of {len(busy)} busy ports of Leaf-12 break the balance")
    assert len(caught) >= 10
    assert sum(name.startswith("FourHundred") for name in caught) >= 10


# --- a forged port -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("catches_up", [True, False])
def test_a_forged_frozen_port_is_named(readings: Readings, catches_up: bool) -> None:
    forged = Port("Leaf-11", "FourHundredGigE1/0/36")
    leaf = readings.only(port for port in readings.ports if port.node == "Leaf-11")
    rows = leaf.rows.copy()
    place = leaf.ports.index(forged)
    own = np.flatnonzero(rows["port"] == place)
    first, last = len(own) // 3, 2 * len(own) // 3
    for name in ("in_octets", "out_octets", "in_packets", "out_packets"):
        stopped = rows[name][own[first]]
        if not catches_up:
            rows[name][own[last:]] -= rows[name][own[last]] - stopped
        rows[name][own[first:last]] = stopped
    honest, changed = increases(leaf), increases(replace(leaf, rows=rows))
    frozen = {port for port, one in changed.items() if any(t.finding is Finding.FROZEN for t in one.found)}
    assert frozen - {port for port, one in honest.items() if one.frozen.any()} == {forged}
    broken = balance("Leaf-11", changed.values())
    assert str(forged) in broken.suspects
    assert broken.unbalanced.sum() > 5
    assert balance("Leaf-11", honest.values()).unbalanced.sum() == 0


def test_no_busy_port_of_the_honest_record_is_called_frozen(steps: dict[Port, PortSteps]) -> None:
    frozen = [one for one in steps.values() if one.frozen.any()]
    assert [str(one.port) for one in frozen if one.sides["in_octets"].lower.sum() > 10**9] == []


# --- periods -----------------------------------------------------------------------------------------------------------


def plain_period(one: PortSteps, edges: np.ndarray) -> float:
    """The highest line of a plain Fourier transform of the observed seconds: no ranks, no background, no p-value."""
    seen = observed(one, edges)
    load = (amounts(one, "in_octets", edges).estimate + amounts(one, "out_octets", edges).estimate)[seen]
    power = np.abs(np.fft.rfft(load - load.mean())) ** 2
    frequencies = np.fft.rfftfreq(len(load), 1.0)
    power[frequencies < 1 / 600] = 0
    return float(1 / frequencies[power.argmax()])


def test_the_period_of_every_busy_port_is_found(
    steps: dict[Port, PortSteps], found: dict[str, PortPeriod], capsys: pytest.CaptureFixture[str]
) -> None:
    """Known from an analysis of others: 52, 26 and 11 s, and 57 and 114 s, which are five and ten times 11.4 s."""
    edges = grid_of(steps, 1.0)
    significant = {port: one for port, one in found.items() if one.significant}
    families = Counter(
        next(
            (
                name
                for name, s in (("52", 51.7), ("26", 25.6), ("11.4", 11.4), ("125", 125.5))
                if abs(one.period_s / s - 1) < 0.02
            ),
            "other",
        )
        for one in significant.values()
    )
    agree = 0
    for port, one in steps.items():
        if str(port) in significant:
            ratio = significant[str(port)].period_s / plain_period(one, edges)
            # The plain transform finds some multiple or part of the period, and knows it to 1 part in 2 x cycles.
            ratio = max(ratio, 1 / ratio)
            agree += abs(ratio - round(ratio)) < 0.035 * ratio
    with capsys.disabled():
        print(
            f"\n  {len(significant)} of {len(found)} busy ports have a period: {dict(families)}; {agree} as a plain transform says"
        )
    assert len(found) > 300
    assert len(significant) > 0.9 * len(found)
    assert families["52"] > 80
    assert min(families["26"], families["11.4"], families["125"]) >= 5
    assert agree > 0.8 * len(significant)


@pytest.mark.parametrize("leaf", ["Leaf-10", "Leaf-11", "Leaf-12"])
def test_all_uplinks_of_a_leaf_have_the_period_of_its_job(found: dict[str, PortPeriod], leaf: str) -> None:
    uplinks = [one for port, one in found.items() if port.startswith(f"{leaf}/FourHundred") and one.significant]
    assert len(uplinks) >= 30
    assert all(abs(one.period_s - 51.7) < 0.5 for one in uplinks)


def test_shuffled_intervals_have_no_period(steps: dict[Port, PortSteps]) -> None:
    """The same loads in random order: what makes the period is the order."""
    from inspectorate.mechanisms.interconnect.counters.period import best_period, spectrum

    edges = grid_of(steps, 2.0)
    ports = [one for port, one in steps.items() if port.node == "Leaf-10" and port.name.startswith("FourHundred")]
    ports = [one for one in ports if one.sides["in_octets"].lower.sum() > 10**9]
    seen = observed(ports[0], edges)
    loads = np.stack([amounts(one, "in_octets", edges).estimate for one in ports])
    shuffled = loads.copy()
    shuffled[:, seen] = np.random.default_rng(1).permutation(loads[:, seen], axis=1)
    ratios, frequencies = spectrum(shuffled, seen, 2.0)
    assert min(best_period(ratio, frequencies)[1] for ratio in ratios) > 0.01 / len(ports)
    ratios, frequencies = spectrum(loads, seen, 2.0)
    assert max(best_period(ratio, frequencies)[1] for ratio in ratios) < 1e-6
