"""A session from opening to closing, crashes on the way, and telemetry that cannot stand as a run."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from enrol_making import (
    ANCHORS,
    APPROVER,
    INSPECTOR,
    LOADS,
    MANIFEST,
    STRANGER,
    TERMS,
    at,
    closed,
    load_setting,
    opened,
    opening,
    record,
    record_all,
    rows,
    run_period,
    service,
    write_spool,
)

from inspectorate.canonical import digest_of
from inspectorate.errors import EvidenceError, InputError, InspectorateError
from inspectorate.evidence import Origin, RejectedEvidence
from inspectorate.mechanisms.workloads.enrol.closing import review_session
from inspectorate.mechanisms.workloads.enrol.load import read_signature
from inspectorate.mechanisms.workloads.enrol.recording import RunRefused
from inspectorate.mechanisms.workloads.enrol.session import open_session, read_session
from inspectorate.mechanisms.workloads.telemetry.frame import Samples
from inspectorate.quantities import Period, to_ns


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A session with all runs, not closed."""
    folder = tmp_path_factory.mktemp("recorded")
    opened(folder / "session")
    record_all(folder / "session", folder)
    return folder / "session"


@pytest.fixture
def session(recorded: Path, tmp_path: Path) -> Path:
    """A copy of it to do things to."""
    return Path(shutil.copytree(recorded, tmp_path / "session"))


@pytest.fixture
def new(tmp_path: Path) -> Path:
    """A session that was only opened."""
    opened(tmp_path / "new")
    return tmp_path / "new"


# --- the whole way -----------------------------------------------------------------------------------------------------


def test_a_session_is_closed_and_read_back(session: Path) -> None:
    done = closed(session)
    assert done.sufficiency.sufficient
    found = read_session(session, anchors=ANCHORS)
    assert found.closing is not None
    loaded = read_signature(found.closing, found.payload, [found.opening])
    assert loaded.record == done.record
    assert [run.id for run in loaded.record.runs] == [f"run-{i:02d}" for i in range(1, 7)]
    assert [(one.name, one.kind) for one in loaded.record.contrasts] == [("idling", "idle"), ("hard", "training")]
    assert loaded.record.valid_until == at(7200) + timedelta(seconds=TERMS.valid_s_max)
    for load, (name, frame) in zip(LOADS, loaded.runs.items(), strict=True):
        period = run_period(LOADS.index(load))
        assert frame.start_ns == to_ns(period.start), name
        original = service(load, start=period.start, seed=LOADS.index(load))
        assert np.allclose(frame.of("power_w"), original.values[:, 0].reshape(-1, 2), rtol=1e-6)
    _, hard = loaded.contrasts["hard"]
    assert float(np.nanmean(hard[0].of("power_w"))) > 600


def test_the_reference_can_be_built_again_from_the_segments(session: Path) -> None:
    done = closed(session)
    found = read_session(session, anchors=ANCHORS)
    assert found.enrolled is not None
    names = {path.name for path in (session / "recorded" / "payloads").iterdir()}
    assert {digest[7:] for digest in found.enrolled.references} == names
    other = session.parent / "again"
    shutil.copytree(session, other)
    for path in (other / "statements").iterdir():
        if path.name == f"{digest_of(done.envelope)[7:]}.json":
            path.unlink()
    assert closed(other).record.reference == done.record.reference


def test_a_closed_session_takes_nothing_more(session: Path, tmp_path: Path) -> None:
    closed(session)
    with pytest.raises(InputError, match="closed already"):
        closed(session)
    period = run_period(20)
    spool = write_spool(tmp_path / "late", service(0.5, start=period.start, seed=50), period)
    with pytest.raises(InputError, match="is closed"):
        record(session, spool, load_setting(0.5))


def test_a_crash_at_any_write_leaves_a_session_that_goes_on(
    session: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closing is cut off before each of its files; what is left is an open session, and closing it again gives the same."""
    from inspectorate.evidence.spool import DiskSpool

    whole = closed(Path(shutil.copytree(session, tmp_path / "whole")))
    put = DiskSpool.put
    for crash_at in range(3):
        calls = 0

        def crashing(self: DiskSpool, name: str, chunks: list[bytes], *, crash_at: int = crash_at) -> None:
            nonlocal calls
            if calls == crash_at:
                raise KeyboardInterrupt
            calls += 1
            put(self, name, chunks)

        monkeypatch.setattr(DiskSpool, "put", crashing)
        with pytest.raises(KeyboardInterrupt):
            closed(session)
        monkeypatch.setattr(DiskSpool, "put", put)
        assert read_session(session, anchors=ANCHORS).closing is None
    assert closed(session).envelope == whole.envelope


def test_a_run_that_was_cut_off_while_it_was_taken_in_is_no_run(
    new: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from inspectorate.evidence.spool import DiskSpool

    period = run_period(0)
    spool = write_spool(tmp_path / "spool", service(0.5, start=period.start), period)
    put = DiskSpool.put

    def crashing(self: DiskSpool, name: str, chunks: list[bytes]) -> None:
        if name.startswith("runs/"):
            raise KeyboardInterrupt
        put(self, name, chunks)

    monkeypatch.setattr(DiskSpool, "put", crashing)
    with pytest.raises(KeyboardInterrupt):
        record(new, spool, load_setting(0.5))
    monkeypatch.setattr(DiskSpool, "put", put)
    assert read_session(new, anchors=ANCHORS).recorded == ()
    assert record(new, spool, load_setting(0.5)).run.id == "run-01"
    assert len(read_session(new, anchors=ANCHORS).recorded) == 1


# --- opening -----------------------------------------------------------------------------------------------------------


def test_one_folder_holds_one_session(new: Path) -> None:
    with pytest.raises(InputError, match="holds a session already"):
        opened(new)


@pytest.mark.parametrize(("key", "by"), [(APPROVER, "approver"), (STRANGER, "ines"), (INSPECTOR, "other")])
def test_a_key_that_may_not_sign_opens_nothing(tmp_path: Path, key: object, by: str) -> None:
    with pytest.raises(InputError, match="nobody would accept") as fault:
        open_session(tmp_path / "s", opening(by=by), key=key, anchors=ANCHORS)  # type: ignore[arg-type]
    assert "role inspector" in fault.value.remedy
    assert not (tmp_path / "s" / "statements").exists()


def test_a_folder_that_holds_no_session_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="enrol open"):
        read_session(tmp_path, anchors=ANCHORS)


def test_a_session_whose_manifest_was_changed_is_refused(new: Path) -> None:
    path = new / "payloads" / digest_of(MANIFEST.canonical_bytes())[7:]
    path.write_bytes(path.read_bytes().replace(b"answers", b"trains!"))
    with pytest.raises(EvidenceError, match="not the payload of its name"):
        read_session(new, anchors=ANCHORS)


# --- what cannot stand as a run ----------------------------------------------------------------------------------------


def spoilt(samples: Samples, how: str) -> Samples:
    """The same telemetry with one thing wrong."""
    values = samples.values.copy()
    one = samples.unit == 1
    if how == "silent":
        return rows(samples, ~(one & (np.arange(len(samples)) // 2 % 120 >= 50) & (np.arange(len(samples)) // 2 < 60)))
    if how == "absent":
        return rows(samples, ~one)
    if how == "stuck":
        values[one] = values[one][0]
    if how == "copied":
        values[one] = values[~one]
    if how == "lacking":
        values[np.flatnonzero(one)[::10], 0] = np.nan
    if how == "no signal":
        return replace(samples, signals=samples.signals[:1], values=values[:, :1])
    if how == "undeclared":
        return replace(samples, units=(*samples.units[:1], "pod-z/9"))
    return replace(samples, values=values)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("silent", "were silent for longer than 3 s: pod-a/1"),
        ("absent", "nothing of pod-a/1"),
        ("stuck", "pod-a/1 did not change"),
        ("copied", "pod-a/1 shows the very power_w of pod-a/0"),
        ("lacking", "lack values of power_w: pod-a/1 has 108 in 120"),
        ("no signal", "has no busy_share"),
        ("undeclared", "units that nobody declared: pod-z/9"),
    ],
)
def test_a_sensor_that_does_not_measure_refuses_the_run(new: Path, tmp_path: Path, how: str, said: str) -> None:
    period = run_period(0)
    samples = spoilt(service(0.5, start=period.start), how)
    with pytest.raises(RunRefused, match=said):
        record(new, write_spool(tmp_path / "spool", samples, period), load_setting(0.5))
    assert read_session(new, anchors=ANCHORS).recorded == ()


def test_the_same_run_without_a_fault_is_taken(new: Path, tmp_path: Path) -> None:
    period = run_period(0)
    record(new, write_spool(tmp_path / "spool", service(0.5, start=period.start), period), load_setting(0.5))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"without": (1,)}, "segment 1 is not there"),
        ({"without": (0,)}, "segment 0 is not there"),
        ({"without": (2,)}, "never closed"),
        ({"sequence": 0, "previous": None}, "claim number 0"),
        ({"samples": 7}, "holds 80 samples, signed for are 7"),
        ({"payload_bytes": 3}, "3 were signed for"),
    ],
    ids=str,
)
def test_a_chain_that_does_not_hold_refuses_the_run(
    new: Path, tmp_path: Path, changes: dict[str, object], said: str
) -> None:
    period = run_period(0)
    spool = write_spool(tmp_path / "spool", service(0.5, start=period.start), period, **changes)
    with pytest.raises(EvidenceError, match=said):
        record(new, spool, load_setting(0.5), period=period)


def test_segments_of_a_key_that_is_not_the_meters_are_refused(new: Path, tmp_path: Path) -> None:
    period = run_period(0)
    for key in (STRANGER, INSPECTOR):
        spool = write_spool(tmp_path / key.key_id[7:15], service(0.5, start=period.start), period, key=key)
        with pytest.raises(RejectedEvidence):
            record(new, spool, load_setting(0.5))


def test_a_payload_that_was_altered_refuses_the_run(new: Path, tmp_path: Path) -> None:
    period = run_period(0)
    spool = write_spool(tmp_path / "spool", service(0.5, start=period.start), period)
    path = next((spool / "payloads").iterdir())
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    with pytest.raises(EvidenceError, match="not the payload of its name"):
        record(new, spool, load_setting(0.5))


def test_simulated_telemetry_does_not_get_into_a_recorded_session(new: Path, tmp_path: Path) -> None:
    period = run_period(0)
    spool = write_spool(tmp_path / "s", service(0.5, start=period.start), period, origin=Origin.SIMULATED)
    with pytest.raises(InputError, match="is simulated"):
        record(new, spool, load_setting(0.5))


def test_what_lies_outside_of_the_session_is_no_run_of_it(new: Path, tmp_path: Path) -> None:
    period = Period(start=at(-60), end=at(60))
    spool = write_spool(tmp_path / "early", service(0.5, start=period.start), period)
    with pytest.raises(RunRefused, match="outside of the session"):
        record(new, spool, load_setting(0.5))
    late = run_period(3)
    spool = write_spool(tmp_path / "late", service(0.5, start=late.start), late)
    with pytest.raises(RunRefused, match="outside of the session"):
        record(new, spool, load_setting(0.5), now=late.end - timedelta(seconds=1))


def test_a_run_is_not_recorded_twice(session: Path, tmp_path: Path) -> None:
    """The same stretch; the same payload under a later time; the same values on other chips or another level."""
    first, later = run_period(0), run_period(30)
    again = service(LOADS[0], start=first.start, seed=0)
    with pytest.raises(RunRefused, match="shares time with run run-01"):
        record(session, write_spool(tmp_path / "same", again, first), load_setting(0.0))
    moved = service(LOADS[3], start=later.start, seed=3)
    with pytest.raises(RunRefused, match="repeat 16 samples and more of power_w of run run-04"):
        record(session, write_spool(tmp_path / "moved", moved, later), load_setting(0.5))
    swapped = replace(moved, unit=1 - moved.unit, values=moved.values + np.array([40.0, 0.0]))
    with pytest.raises(RunRefused, match="of run run-04"):
        record(session, write_spool(tmp_path / "swapped", swapped, later), load_setting(0.5))
    half = replace(service(0.5, start=later.start, seed=77), values=moved.values.copy())
    half.values[: len(half) // 2] = service(0.5, start=later.start, seed=77).values[: len(half) // 2]
    with pytest.raises(RunRefused, match="of run run-04"):
        record(session, write_spool(tmp_path / "half", half, later), load_setting(0.5))
    record(session, write_spool(tmp_path / "own", service(0.5, start=later.start, seed=77), later), load_setting(0.5))


def test_a_copy_that_was_scaled_or_dressed_with_noise_is_found(session: Path, tmp_path: Path) -> None:
    later = run_period(31)
    moved = service(LOADS[3], start=later.start, seed=3)
    fresh = service(0.5, start=later.start, seed=78)
    dressed = fresh.values.copy()
    noise = np.random.default_rng(8).normal(0, 0.2, len(moved))
    dressed[:, 0] = 1.07 * moved.values[:, 0] + 3 + noise
    spool = write_spool(tmp_path / "dressed", replace(fresh, values=dressed), later)
    with pytest.raises(RunRefused, match=r"power_w of .*run-04/pod-a/. .* are one series \(near copy\)"):
        record(session, spool, load_setting(0.5))


def test_a_sensor_that_repeats_one_value_for_a_while_refuses_the_run(new: Path, tmp_path: Path) -> None:
    period = run_period(0)
    samples = service(0.5, start=period.start)
    values = samples.values.copy()
    values[(samples.unit == 1) & (np.arange(len(samples)) // 2 >= 30), 0] = 412.0
    with pytest.raises(RunRefused, match="stuck: this-run/pod-a/1"):
        record(new, write_spool(tmp_path / "spool", replace(samples, values=values), period), load_setting(0.5))


def test_a_stretch_of_a_collector_that_goes_on_is_a_run(new: Path, tmp_path: Path) -> None:
    """The end of the stream does not matter, if the run ended before; several starts of the collector are several runs."""
    period = Period(start=at(60), end=at(360))
    samples = service(0.5, start=period.start, seconds=300)
    spool = write_spool(tmp_path / "spool", samples, period, final=False)
    within = Period(start=at(90), end=at(210))
    taken = record(new, spool, load_setting(0.5), period=within)
    assert taken.run.period == within
    assert len(taken.segments) == 4
    with pytest.raises(RunRefused, match=r"never closed|nobody listened"):
        record(new, spool, load_setting(0.5), period=Period(start=at(300), end=at(400)))
    other = Period(start=at(400), end=at(520))
    write_spool(spool, service(0.5, start=other.start, seed=9), other)
    with pytest.raises(RunRefused, match=r"started 2 times|nobody listened"):
        record(new, spool, load_setting(0.5), period=Period(start=at(220), end=at(500)))
    record(new, spool, load_setting(0.5), period=other)
    assert review_session(read_session(new, anchors=ANCHORS), anchors=ANCHORS).sufficiency.runs == 2


@pytest.mark.parametrize(
    ("settings", "said"),
    [((), "load is not set"), ((load_setting(1.5),), "outside of 0 to 1"), ((load_setting(0.1),) * 2, "set twice")],
)
def test_settings_cover_the_operating_range(new: Path, tmp_path: Path, settings: tuple[object, ...], said: str) -> None:
    with pytest.raises(InputError, match=said):
        record(new, tmp_path, *settings)  # type: ignore[arg-type]


def test_contrasts_keep_their_kind_and_runs_their_names(session: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="needs its kind"):
        record(session, tmp_path, contrast="other")
    with pytest.raises(InputError, match="was recorded as idle"):
        record(session, tmp_path, contrast="idling", kind="training")
    with pytest.raises(InputError, match="recorded already"):
        record(session, tmp_path, load_setting(0.5), id="run-01")


# --- closing -----------------------------------------------------------------------------------------------------------


def test_other_code_is_another_session(session: Path) -> None:
    with pytest.raises(InputError, match="not what it was when the session was opened"):
        closed(session, code=digest_of(b"other code"))


def test_a_session_without_runs_is_not_closed(new: Path) -> None:
    with pytest.raises(InputError, match="no run of the workload"):
        closed(new, short=True)


def test_too_little_is_closed_only_if_it_is_said(new: Path, tmp_path: Path) -> None:
    period = run_period(0)
    record(new, write_spool(tmp_path / "spool", service(0.5, start=period.start), period), load_setting(0.5))
    with pytest.raises(InputError, match="not enough was recorded: runs: 1 separate runs") as fault:
        closed(new)
    assert "--short" in fault.value.remedy
    done = closed(new, short=True)
    assert not done.sufficiency.sufficient
    assert done.sufficiency.false_alarms_per_device_hour_on_average == pytest.approx(15.0)


def test_a_signature_is_not_valid_for_longer_than_agreed(session: Path) -> None:
    with pytest.raises(InputError, match="longer than the clause allows"):
        closed(session, valid_s=TERMS.valid_s_max + 1)
    assert closed(session, valid_s=3600.0).record.valid_until == at(7200 + 3600)


def test_closing_looks_at_the_segments_again(session: Path) -> None:
    """A segment that went missing, a payload that changed, a run's file that names another stretch: none is closed over."""
    statements = sorted((session / "recorded" / "statements").iterdir())
    kept = statements[0].read_bytes()
    statements[0].unlink()
    with pytest.raises(EvidenceError, match="segments of it are gone"):
        closed(session)
    statements[0].write_bytes(kept)
    payload = next((session / "recorded" / "payloads").iterdir())
    data = payload.read_bytes()
    payload.write_bytes(data[:-8] + b"\0" * 8)
    with pytest.raises(InspectorateError):
        closed(session)
    payload.write_bytes(data)
    run = session / "runs" / "run-02.json"
    text = run.read_bytes()
    run.write_bytes(text.replace(b'"run-02"', b'"run-99"'))
    with pytest.raises(EvidenceError, match="is the file of run run-99"):
        closed(session)
    run.write_bytes(text)
    assert closed(session).sufficiency.sufficient
