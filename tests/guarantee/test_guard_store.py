"""The state on disk: after any crash the old or the new one, and nothing older ever passes for it."""

from __future__ import annotations

import os
import shutil
import struct
from pathlib import Path

import pytest
from guard_store_files import KEY, CountingDevice, Cut, CuttableFiles, Power, opened
from hypothesis import given, settings
from hypothesis import strategies as st

from inspectorate.errors import EnvironmentError_, InputError
from inspectorate.mechanisms.guarantee.attestation.software import SoftwareDevice
from inspectorate.mechanisms.guarantee.machine import store as store_module
from inspectorate.mechanisms.guarantee.machine.store import STATE_BYTES_MAX, Outcome, Store


def started(folder: Path, device: CountingDevice, state: bytes | None = None, *, born: int | None = 0) -> Store:
    """A store that was loaded, and perhaps saved once."""
    store = opened(folder, device, born=born)
    assert store.load().usable
    if state is not None:
        store.save(state)
    return store


def found(folder: Path, device: CountingDevice, *, born: int | None = 0, key: bytes = KEY) -> store_module.Loaded:
    store = opened(folder, device, born=born, key=key)
    try:
        return store.load()
    finally:
        store.close()


def snapshot(folder: Path, name: str) -> Path:
    copy = folder.parent / name
    shutil.copytree(folder, copy)
    return copy


def restore(folder: Path, copy: Path) -> None:
    shutil.rmtree(folder)
    shutil.copytree(copy, folder)


# --- honest lives ------------------------------------------------------------------------------------------------------


def test_what_was_saved_is_found_and_starts_are_counted(tmp_path: Path) -> None:
    device = CountingDevice(17)
    first = opened(tmp_path / "s", device, born=17)
    loaded = first.load()
    assert (loaded.outcome, loaded.state, loaded.starts, loaded.anchored) == (Outcome.FRESH, None, 1, True)
    first.save(b"one")
    first.save(b"two")
    first.close()
    again = found(tmp_path / "s", device, born=17)
    assert (again.outcome, again.state, again.starts) == (Outcome.CURRENT, b"two", 2)
    assert found(tmp_path / "s", device, born=17).starts == 3


def test_an_empty_state_is_a_state(tmp_path: Path) -> None:
    device = CountingDevice()
    started(tmp_path / "s", device, b"").close()
    loaded = found(tmp_path / "s", device)
    assert (loaded.outcome, loaded.state) == (Outcome.CURRENT, b"")


def test_a_processor_that_ended_before_its_first_save_is_fresh_again(tmp_path: Path) -> None:
    device = CountingDevice()
    started(tmp_path / "s", device).close()
    loaded = found(tmp_path / "s", device)
    assert (loaded.outcome, loaded.state, loaded.starts) == (Outcome.FRESH, None, 2)


def test_only_its_owner_may_read_the_state(tmp_path: Path) -> None:
    started(tmp_path / "s", CountingDevice(), b"secret").close()
    assert (tmp_path / "s" / "state").stat().st_mode & 0o077 == 0


def test_it_runs_on_the_software_device_and_says_that_nothing_protects_the_counter(tmp_path: Path) -> None:
    device = SoftwareDevice.open(tmp_path / "device")
    store = Store(tmp_path / "s", device, key=KEY, born=device.counter())
    assert store.load().protected is False
    store.save(b"one")
    store.close()
    again = Store(tmp_path / "s", SoftwareDevice.open(tmp_path / "device"), key=KEY, born=0)
    loaded = again.load()
    again.close()
    assert (loaded.outcome, loaded.state) == (Outcome.CURRENT, b"one")


# --- crashes: every step, before and after, with what was not durable kept or lost -------------------------------------


def one_life(folder: Path, device: CountingDevice, power: Power) -> CuttableFiles:
    """Load, and save `new` over what is there; the files, whether it was cut or not."""
    device.power = power
    files = CuttableFiles(folder, power)
    store = Store(folder, device, key=KEY, born=0, files=files)
    try:
        store.load()
        store.save(b"new")
    except Cut:
        return files
    power.steps.append("returned")
    return files


STEPS_OF_A_LIFE = 10
"""Five at the load, five at the save."""


@pytest.mark.parametrize("how", ["kept", "lost"])
@pytest.mark.parametrize("off_at", range(2 * STEPS_OF_A_LIFE))
@pytest.mark.parametrize("before", [None, b"old"])
def test_after_a_crash_anywhere_there_is_the_old_state_or_the_new(
    tmp_path: Path, before: bytes | None, off_at: int, how: str
) -> None:
    device = CountingDevice()
    if before is not None:
        started(tmp_path / "s", device, before).close()
    power = Power(off_at=off_at)
    files = one_life(tmp_path / "s", device, power)
    assert "returned" not in power.steps, "it was cut"
    files.lose(how)
    device.power = Power()
    loaded = found(tmp_path / "s", device)
    assert loaded.usable, loaded.why
    assert loaded.state in (before, b"new")
    if loaded.outcome is Outcome.TORN:
        assert power.steps[-1] in ("advance", "sync_folder", "rename"), "torn only between the file and the counter"
    if off_at < STEPS_OF_A_LIFE:
        assert loaded.state == before, "a start changes no state"
    # And it goes on from there.
    assert found(tmp_path / "s", device).state == loaded.state


def test_the_steps_of_a_life_are_those_that_are_cut(tmp_path: Path) -> None:
    power = Power()
    files = one_life(tmp_path / "s", CountingDevice(), power)
    files.close()
    save = ["create", "sync", "rename", "sync_folder", "advance"]
    assert power.steps == [*save, *save, "returned"]
    assert len(power.steps) - 1 == STEPS_OF_A_LIFE


@pytest.mark.parametrize("how", ["kept", "lost"])
@pytest.mark.parametrize("off_at", range(12))
def test_after_a_crash_while_a_torn_save_is_finished(tmp_path: Path, off_at: int, how: str) -> None:
    device = CountingDevice()
    started(tmp_path / "s", device, b"old").close()
    one_life(tmp_path / "s", device, Power(off_at=18)).lose("kept")
    files = one_life(tmp_path / "s", device, Power(off_at=off_at))
    files.lose(how)
    device.power = Power()
    loaded = found(tmp_path / "s", device)
    assert loaded.usable
    assert loaded.state == b"new"


def test_the_order_matters_a_counter_raised_before_the_file_would_accuse_the_honest(tmp_path: Path) -> None:
    """The crash test can fail: with the counter first, a cut after it looks like a restored disk."""
    device = CountingDevice()
    started(tmp_path / "s", device, b"old").close()
    device.value += 1
    assert found(tmp_path / "s", device).outcome is Outcome.ROLLED_BACK


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 19), st.sampled_from(["kept", "lost"])), min_size=1, max_size=6))
def test_any_number_of_crashes_one_after_the_other(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[tuple[int, str]]
) -> None:
    folder = tmp_path_factory.mktemp("lives") / "s"
    device = CountingDevice()
    started(folder, device, b"old").close()
    for off_at, how in cuts:
        one_life(folder, device, Power(off_at=off_at)).lose(how)
        device.power = Power()
    loaded = found(folder, device)
    assert loaded.usable
    assert loaded.state in (b"old", b"new")


# --- what an adversary with the disk can do ----------------------------------------------------------------------------


def test_a_restored_snapshot_is_found_out_and_stays_so(tmp_path: Path) -> None:
    device = CountingDevice()
    store = started(tmp_path / "s", device, b"budget 10")
    copy = snapshot(tmp_path / "s", "copy")
    store.save(b"budget 0")
    store.close()
    restore(tmp_path / "s", copy)
    for _ in range(2):
        loaded = found(tmp_path / "s", device)
        assert (loaded.outcome, loaded.state, loaded.stale) == (Outcome.ROLLED_BACK, None, b"budget 10")
        assert not loaded.usable
        assert "restored" in loaded.why


def test_every_earlier_file_of_a_life_is_rolled_back(tmp_path: Path) -> None:
    device = CountingDevice()
    copies = []
    for n in range(5):
        store = started(tmp_path / "s", device, b"%d" % n)
        store.close()
        copies.append(snapshot(tmp_path / "s", f"copy{n}"))
    for copy in copies[:-1]:
        restore(tmp_path / "s", copy)
        assert found(tmp_path / "s", device).outcome is Outcome.ROLLED_BACK
    restore(tmp_path / "s", copies[-1])
    assert found(tmp_path / "s", device).state == b"4"


def test_after_a_rollback_the_processor_can_begin_anew_and_no_old_file_returns(tmp_path: Path) -> None:
    device = CountingDevice()
    store = started(tmp_path / "s", device, b"old")
    copy = snapshot(tmp_path / "s", "copy")
    store.save(b"spent")
    store.close()
    restore(tmp_path / "s", copy)
    store = opened(tmp_path / "s", device)
    assert not store.load().usable
    store.save(b"halted")
    store.close()
    assert found(tmp_path / "s", device).state == b"halted"
    restore(tmp_path / "s", copy)
    assert found(tmp_path / "s", device).outcome is Outcome.ROLLED_BACK


def test_a_save_that_was_cut_off_never_replaces_one_that_returned(tmp_path: Path) -> None:
    """Two attempts at one counter value: the first is cut off and kept, an old file is put back, the second returns."""
    device = CountingDevice()
    started(tmp_path / "s", device, b"budget 10").close()
    power = Power(off_at=18)
    files = CuttableFiles(tmp_path / "s", power)
    store = Store(tmp_path / "s", device, key=KEY, born=0, files=files)
    store.load()
    old = snapshot(tmp_path / "s", "old")
    device.power = power
    power.off_at = 2 * len(power.steps) + 8
    with pytest.raises(Cut):
        store.save(b"budget 10, resumed")
    files.close()
    device.power = Power()
    kept = snapshot(tmp_path / "s", "kept")
    restore(tmp_path / "s", old)
    store = opened(tmp_path / "s", device)
    assert store.load().state == b"budget 10"
    store.save(b"budget 0")
    store.close()
    restore(tmp_path / "s", kept)
    loaded = found(tmp_path / "s", device)
    assert loaded.outcome is Outcome.ROLLED_BACK, "what was released after the second save would be undone"


def test_without_a_save_at_every_start_that_attack_succeeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test above can fail: this is the store without its third rule."""
    put = Store._put
    monkeypatch.setattr(Store, "_put", lambda self, state: put(self, state) if self._owns else None)
    device = CountingDevice()

    def life(state: bytes, off_at: int | None) -> None:
        power = Power(off_at=off_at)
        device.power = power
        files = CuttableFiles(tmp_path / "s", power)
        store = Store(tmp_path / "s", device, key=KEY, born=0, files=files)
        store.load()
        try:
            store.save(state)
        except Cut:
            device.power = Power()
        files.close()

    life(b"budget 10", None)
    old = snapshot(tmp_path / "s", "old")
    life(b"budget 10, resumed", 8)
    kept = snapshot(tmp_path / "s", "kept")
    restore(tmp_path / "s", old)
    life(b"budget 0", None)
    restore(tmp_path / "s", kept)
    store = opened(tmp_path / "s", device)
    assert store.load().state == b"budget 10, resumed"
    store.close()


@settings(max_examples=60)
@given(st.data())
def test_no_play_with_cuts_and_restored_files_undoes_a_save_that_returned(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """States are numbers that processors only raise; an oracle keeps the highest that was ever released."""
    folder = tmp_path_factory.mktemp("play") / "s"
    device, released, files_seen = CountingDevice(), 0, list[bytes]()
    for _ in range(data.draw(st.integers(1, 8))):
        if files_seen and data.draw(st.booleans()):
            (folder / "state").write_bytes(data.draw(st.sampled_from(files_seen)))
        off_at = data.draw(st.one_of(st.none(), st.integers(0, 29)))
        power = Power(off_at=off_at)
        device.power = power
        files = CuttableFiles(folder, power)
        store = Store(folder, device, key=KEY, born=0, files=files)
        try:
            loaded = store.load()
            if loaded.usable:
                value = struct.unpack(">I", loaded.state)[0] if loaded.state else 0
                assert value >= released, "a released state was undone"
                for step in range(data.draw(st.integers(0, 2))):
                    store.save(struct.pack(">I", value + step + 1))
                    released = value + step + 1
        except Cut:
            pass
        files.lose(data.draw(st.sampled_from(["kept", "lost"])))
        device.power = Power()
        files_seen += [path.read_bytes() for path in folder.iterdir()]


# --- deletion ----------------------------------------------------------------------------------------------------------


def test_deleting_everything_is_no_fresh_processor_where_its_beginning_is_known(tmp_path: Path) -> None:
    device = CountingDevice(5)
    started(tmp_path / "s", device, b"spent", born=5).close()
    shutil.rmtree(tmp_path / "s")
    loaded = found(tmp_path / "s", device, born=5)
    assert (loaded.outcome, loaded.state, loaded.usable) == (Outcome.MISSING, None, False)


def test_where_its_beginning_is_not_known_the_store_says_so(tmp_path: Path) -> None:
    device = CountingDevice(5)
    started(tmp_path / "s", device, b"spent", born=None).close()
    shutil.rmtree(tmp_path / "s")
    loaded = found(tmp_path / "s", device, born=None)
    assert (loaded.outcome, loaded.anchored, loaded.starts) == (Outcome.FRESH, False, 1)


# --- files of others ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ahead", [2, 3, 1000])
def test_a_file_further_ahead_than_one_is_not_of_this_counter(tmp_path: Path, ahead: int) -> None:
    device = CountingDevice(10)
    started(tmp_path / "s", device, b"x", born=10).close()
    device.value -= ahead
    assert found(tmp_path / "s", device, born=0).outcome is Outcome.ALTERED


@settings(max_examples=40)
@given(data=st.data())
def test_any_changed_byte_is_found(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("altered") / "s"
    device = CountingDevice()
    started(folder, device, b"state of some length").close()
    good = (folder / "state").read_bytes()
    at = data.draw(st.integers(0, len(good) - 1))
    bad = bytearray(good)
    bad[at] ^= data.draw(st.integers(1, 255))
    cut = good[: data.draw(st.integers(0, len(good) - 1))]
    for bytes_ in (bytes(bad), cut, good + b"\0"):
        (folder / "state").write_bytes(bytes_)
        assert found(folder, device).outcome is Outcome.ALTERED


def test_another_key_or_device_is_found(tmp_path: Path) -> None:
    device = CountingDevice()
    started(tmp_path / "s", device, b"x").close()
    assert found(tmp_path / "s", device, key=b"j" * 32).outcome is Outcome.ALTERED
    other = CountingDevice(device.value)
    other.device_id = "sha256:" + "e" * 64
    assert "another device" in found(tmp_path / "s", other).why


@pytest.mark.parametrize("what", ["folder", "fifo", "link", "huge"])
def test_what_is_no_file_of_bounded_size_is_no_state(tmp_path: Path, what: str) -> None:
    folder, device = tmp_path / "s", CountingDevice()
    folder.mkdir()
    path = folder / "state"
    if what == "folder":
        path.mkdir()
    elif what == "fifo":
        os.mkfifo(path)
    elif what == "link":
        (tmp_path / "elsewhere").write_bytes(b"x")
        path.symlink_to(tmp_path / "elsewhere")
    else:
        with path.open("wb") as file:
            file.truncate(STATE_BYTES_MAX * 100)
    if what in ("folder", "link"):
        store = opened(folder, device)
        with pytest.raises(EnvironmentError_):
            store.load()
        store.close()
    else:
        assert found(folder, device).outcome is Outcome.ALTERED


# --- faults, and others who use the same things ------------------------------------------------------------------------


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    store = started(tmp_path / "s", CountingDevice(), b"x")
    with pytest.raises(InputError, match="in use"):
        opened(tmp_path / "s", CountingDevice())
    store.close()
    opened(tmp_path / "s", CountingDevice()).close()


def test_a_second_user_of_the_counter_stops_the_first(tmp_path: Path) -> None:
    device = CountingDevice()
    store = started(tmp_path / "s", device, b"x")
    device.value += 1
    with pytest.raises(EnvironmentError_, match="something else"):
        store.save(b"y")
    with pytest.raises(EnvironmentError_, match="earlier save failed"):
        store.save(b"y")
    store.close()


def test_nothing_is_saved_after_a_save_that_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device = CountingDevice()
    store = started(tmp_path / "s", device, b"x")

    def fails(_: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fails)
        with pytest.raises(EnvironmentError_, match="Input/output error"):
            store.save(b"y")
    with pytest.raises(EnvironmentError_, match="earlier save failed"):
        store.save(b"z")
    store.close()
    assert found(tmp_path / "s", device).state == b"x"


def test_a_state_that_could_not_be_read_again_is_not_written(tmp_path: Path) -> None:
    store = started(tmp_path / "s", CountingDevice(), b"x")
    with pytest.raises(EnvironmentError_, match="exceeds"):
        store.save(bytes(STATE_BYTES_MAX + 1))
    store.save(b"y")
    store.close()


def test_a_short_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="32 bytes"):
        opened(tmp_path / "s", CountingDevice(), key=b"short")
