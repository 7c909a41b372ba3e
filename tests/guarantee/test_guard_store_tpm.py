"""The state on disk under a real TPM's counter (swtpm): what a restart keeps, and what a restored disk cannot bring back."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import tpm_making as making
from guard_store_files import KEY
from tpm_making import Swtpm

from inspectorate.errors import EnvironmentError_
from inspectorate.mechanisms.guarantee.attestation.tpm.provision import provision
from inspectorate.mechanisms.guarantee.machine.store import Loaded, Outcome, Store

pytestmark = [
    pytest.mark.tools,
    pytest.mark.skipif(bool(making.missing()), reason=f"swtpm is missing: {', '.join(making.missing())}"),
]


@pytest.fixture(scope="module")
def maker(tmp_path_factory: pytest.TempPathFactory) -> making.Maker:
    return making.manufacture(tmp_path_factory.mktemp("maker"))


@pytest.fixture
def swtpm(maker: making.Maker, tmp_path: Path) -> Iterator[Swtpm]:
    with making.running(maker, tmp_path) as running:
        with making.opened(running) as tpm:
            provision(tpm)
        (tmp_path / "guard").mkdir()
        yield running


def life(swtpm: Swtpm, tmp_path: Path, *states: bytes, born: int | None = None) -> Loaded:
    """One start of a processor on this TPM, and what it saves."""
    with making.device(swtpm, tmp_path / "guard") as device:
        store = Store(tmp_path / "s", device, key=KEY, born=born)
        try:
            loaded = store.load()
            for state in states:
                store.save(state)
        finally:
            store.close()
    return loaded


def test_a_life_with_restarts_of_the_machine_and_a_restored_disk(swtpm: Swtpm, tmp_path: Path) -> None:
    with making.device(swtpm, tmp_path / "guard") as device:
        born = device.counter()
    assert born > 0, "the counter of a TPM begins anywhere"
    first = life(swtpm, tmp_path, b"budget 10", born=born)
    assert (first.outcome, first.protected, first.anchored) == (Outcome.FRESH, True, True)
    shutil.copytree(tmp_path / "s", tmp_path / "copy")
    swtpm.restart()
    again = life(swtpm, tmp_path, b"budget 0", born=born)
    assert (again.outcome, again.state, again.starts) == (Outcome.CURRENT, b"budget 10", 2)
    shutil.rmtree(tmp_path / "s")
    shutil.copytree(tmp_path / "copy", tmp_path / "s")
    swtpm.restart()
    restored = life(swtpm, tmp_path, born=born)
    assert (restored.outcome, restored.state, restored.stale) == (Outcome.ROLLED_BACK, None, b"budget 10")
    shutil.rmtree(tmp_path / "s")
    assert life(swtpm, tmp_path, born=born).outcome is Outcome.MISSING


def test_a_tpm_that_is_gone_in_the_middle_of_a_save(swtpm: Swtpm, tmp_path: Path) -> None:
    life(swtpm, tmp_path, b"old")
    with making.device(swtpm, tmp_path / "guard") as device:
        store = Store(tmp_path / "s", device, key=KEY, born=None)
        store.load()
        write = store._files.sync_folder

        def gone() -> None:
            write()
            swtpm.stop()

        store._files.sync_folder = gone  # type: ignore[method-assign]
        with pytest.raises(EnvironmentError_):
            store.save(b"new")
        with pytest.raises(EnvironmentError_, match="earlier save failed"):
            store.save(b"newer")
        store.close()
    swtpm.start()
    loaded = life(swtpm, tmp_path)
    assert (loaded.outcome, loaded.state) == (Outcome.TORN, b"new")
    assert life(swtpm, tmp_path).outcome is Outcome.CURRENT
