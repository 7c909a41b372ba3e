"""Sources against declarations: what is there and not declared, declared and not there, and sources as they are written."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest
from record_support import meter, samples

from inspectorate.cli.telemetry_sources import open_sources, parse_source
from inspectorate.declaration import MeasuringPoint, Meter
from inspectorate.errors import EnvironmentError_, InputError
from inspectorate.mechanisms.workloads.record.declared import Narrowed, only, refuse_undeclared, signals_in
from inspectorate.mechanisms.workloads.record.source import Facts, Scrape
from inspectorate.mechanisms.workloads.telemetry.frame import Samples


class Shows:
    """A source that shows what it was given."""

    def __init__(self, answer: Samples | Scrape, *, point: MeasuringPoint = MeasuringPoint.NODE) -> None:
        self._answer = answer
        self.facts = Facts(name="a source", point=point, signals=(), bandwidth_hz=None, note="")
        self.closed = False

    def poll(self) -> Samples | Scrape:
        return self._answer

    def close(self) -> None:
        self.closed = True


def check(declared: Meter, shown: Samples, *, point: MeasuringPoint = MeasuringPoint.NODE) -> None:
    refuse_undeclared(declared, [Shows(shown, point=point)], [shown])


def test_what_is_shown_as_declared_is_accepted() -> None:
    check(meter(units=("u0", "u1"), signals=("power_w", "energy_j")),
          samples([1, 1], units=("u1", "u0"), signals=("energy_j", "power_w")))  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"signals": ("power_w", "energy_j")}, "declared, but not there are the signals: energy_j"),
        ({"signals": ("energy_j",)}, "there, but not declared are the signals: power_w"),
        ({"units": ("u0", "u1")}, "declared, but not there are the units: u1"),
        ({"units": ("u7",)}, "there, but not declared are the units: u0"),
        ({"point": MeasuringPoint.CHIP}, "declared at the chip, but a source measures at the node"),
    ],
)
def test_every_difference_is_named(changes: dict[str, object], fault: str) -> None:
    with pytest.raises(InputError, match=fault):
        check(meter(**changes), samples([1]))


def test_a_source_that_shows_nothing_shows_not_even_its_signals() -> None:
    nothing = samples([])
    assert signals_in(nothing) == ()
    with pytest.raises(InputError, match=r"signals: power_w.*units: u0"):
        check(meter(), nothing)


def test_a_column_without_values_is_no_signal() -> None:
    shown = samples([1, 1], units=("u0", "u1"), signals=("power_w", "energy_j"))
    shown.values[:, 1] = np.nan
    assert signals_in(shown) == ("power_w",)


def test_one_unit_from_two_sources_is_refused() -> None:
    shown = samples([1])
    with pytest.raises(InputError, match="two sources show the same units: u0"):
        refuse_undeclared(meter(), [Shows(shown), Shows(shown)], [shown, shown])


def test_only_some_signals_leaves_no_row_and_no_unit_without_a_value() -> None:
    shown = samples([1, 2, 3], units=("u0", "u1", "u2"), signals=("power_w", "energy_j"))
    shown.values[1, 1] = np.nan
    kept = only(shown, ["energy_j"])
    assert (kept.units, kept.signals, list(kept.time_ns)) == (("u0", "u2"), ("energy_j",), [1, 3])
    assert [kept.units[unit] for unit in kept.unit] == ["u0", "u2"]
    assert only(shown, []).units == ()
    with pytest.raises(InputError, match="kept whole"):
        Narrowed(Shows(Scrape(time_ns=1, took_ns=1, text=b"x 1")), ["power_w"]).poll()


def test_an_address_may_hold_commas_and_options_stand_behind_it() -> None:
    found = parse_source("redfish:http://127.0.0.1/x,y=z,access=/a/b,signals=power_w")
    assert (found.kind, found.place) == ("redfish", "http://127.0.0.1/x,y=z")
    assert dict(found.options) == {"access": "/a/b", "signals": "power_w"}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("nvml", "is no source"),
        ("watt:5", "is no source"),
        ("prometheus:", "names no address"),
        ("linux:cgroups=/x", "is no option of linux"),
        ("nvml:signals=power_w,signals=energy_j", "says signals twice"),
        ("linux:pids=1+x", "pids are numbers"),
        ("linux:pids=99999999999", "pids are numbers"),
        ("linux:", "names nothing to read"),
        ("linux:interface=lo,link=lo", "an interface and a link"),
        ("linux:pids=1,signals=watts", "unknown signals: watts"),
        ("amd:drm=/nowhere", "shows no AMD chip"),
        ("prometheus:http://192.0.2.1/metrics", "not on loopback"),
        ("snmp:udp://192.0.2.1", "not on loopback"),
        ("snmp:tcp://127.0.0.1", "is not udp"),
        ("snmp:udp://pdu.example", "numeric address"),
        ("snmp:udp://127.0.0.1", "needs access=FILE"),
        ("redfish:http://127.0.0.1/,access=/nowhere", "cannot be read"),
    ],
)
def test_a_source_that_cannot_be_is_refused_with_its_place(text: str, fault: str) -> None:
    with pytest.raises((InputError, EnvironmentError_), match=fault):
        open_sources(meter(), [parse_source(text)], clock_ns=time.time_ns, anywhere=False)


def test_a_page_is_a_meter_of_its_own_and_what_was_opened_is_closed_again() -> None:
    texts = [parse_source(f"linux:pids={os.getpid()}"), parse_source("prometheus:http://127.0.0.1:1/metrics")]
    with pytest.raises(InputError, match="a page among several sources"):
        open_sources(meter(), texts, clock_ns=time.time_ns, anywhere=False)


def test_units_of_one_meter_say_which_is_which_and_are_narrowed_alike() -> None:
    two = meter(units=("u0", "u1"), signals=("cpu_time_s",))
    me = os.getpid()
    with pytest.raises(InputError, match="says no unit"):
        open_sources(two, [parse_source(f"linux:pids={me}")], clock_ns=time.time_ns, anywhere=False)
    uneven = [parse_source(f"linux:unit=u0,pids={me},signals=declared"), parse_source(f"linux:unit=u1,pids={me}")]
    with pytest.raises(InputError, match="all the same signals"):
        open_sources(two, uneven, clock_ns=time.time_ns, anywhere=False)
    texts = [parse_source(f"linux:unit={unit},pids={me},signals=declared") for unit in two.units]
    (source,) = open_sources(two, texts, clock_ns=time.time_ns, anywhere=False)
    shown = source.poll()
    assert isinstance(shown, Samples)
    assert (shown.units, shown.signals) == (("u0", "u1"), ("cpu_time_s",))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("community: x\nuser: y\n", "neither a community nor a user, or both"),
        ("user: y\nauth_password: z\n", "neither a community nor a user"),
        ("comunity: x\n", "comunity"),
        ("community: x\n", "needs layout=NAME, or power=OID"),
    ],
)
def test_an_access_file_that_does_not_say_how_is_refused(tmp_path: Path, text: str, fault: str) -> None:
    pytest.importorskip("pysnmp")
    (tmp_path / "access.yaml").write_text(text)
    with pytest.raises(InputError, match=fault):
        open_sources(
            meter(point=MeasuringPoint.RACK), [parse_source(f"snmp:udp://127.0.0.1:1,access={tmp_path}/access.yaml")],
            clock_ns=time.time_ns, anywhere=False,
        )  # fmt: skip
