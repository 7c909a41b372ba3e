"""The model's disk against the real store: the same saves, cut off at the same places, with the same files put back."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from inspectorate.errors import EnvironmentError_
from inspectorate.mechanisms.guarantee.machine.store import Outcome, Store
from inspectorate.worlds.guard_model_account import EMPTY, World
from inspectorate.worlds.guard_model_world import cuts, put

KEY = b"k" * 32


class Cut(OSError):
    """The process was ended here."""


class Disk:
    """A file in memory, and every file that ever was."""

    def __init__(self) -> None:
        self.data: bytes | None = None
        self.pending: bytes | None = None
        self.cut_at: str | None = None

    def read(self, bytes_max: int) -> bytes | None:
        return self.data

    def create(self, data: bytes) -> None:
        self.pending = data
        self._may_end("create")

    def sync(self) -> None: ...

    def rename(self) -> None:
        self.data = self.pending
        self._may_end("rename")

    def sync_folder(self) -> None: ...

    def close(self) -> None: ...

    def _may_end(self, where: str) -> None:
        if self.cut_at == where:
            raise Cut(where)


class Counter:
    """A device of which only the counter is used."""

    device_id = "sha256:" + "0" * 64
    protects_counter = True

    def __init__(self) -> None:
        self.value = 7

    def counter(self) -> int:
        return self.value

    def advance(self) -> int:
        self.value += 1
        return self.value


@pytest.mark.parametrize("seed", range(12))
def test_the_models_disk_finds_what_the_real_one_finds(seed: int) -> None:
    draw = random.Random(seed)
    disk, device, world = Disk(), Counter(), World()
    files: dict[bytes, tuple[int, int]] = {}
    """Every file: its counter, and the state in it as a number."""
    number = 0
    for _ in range(40):
        disk.data = draw.choice([None, *files]) if files else None
        store = Store(Path("nowhere"), device, key=KEY, born=7, files=disk)  # type: ignore[arg-type]
        at, held = files[disk.data] if disk.data is not None else (-1, EMPTY)
        model = _load(world, held, at - device.value if at >= 0 else None)
        disk.cut_at = draw.choice([None, None, None, "rename"])
        before = device.value
        try:
            loaded = store.load()
        except EnvironmentError_:
            assert model is not None, "an older file is not written over by a load"
            files[disk.data or b""] = device.value + 1, held
            world = next(cuts(model, held, raises=True))[1]
            continue
        assert loaded.usable == (model is not None)
        if model is None:
            assert loaded.outcome in (Outcome.ROLLED_BACK, Outcome.MISSING, Outcome.ALTERED)
            assert device.value == before
            continue
        assert loaded.state == (None if held == EMPTY else str(held).encode())
        world = put(model, held, raises=True)
        files[disk.data or b""] = device.value, held
        number += 1
        disk.cut_at = draw.choice([None, "rename"])
        try:
            store.save(str(number).encode())
            world = put(world, number, raises=True)
            files[disk.data or b""] = device.value, number
        except EnvironmentError_:
            world = next(cuts(world, number, raises=True))[1]
            files[disk.data or b""] = device.value + 1, number
        known = {file for at, file in files.values() if at == device.value}
        assert set(world.current) == known
        assert set(world.following) == {file for at, file in files.values() if at == device.value + 1}


def _load(world: World, held: int, distance: int | None) -> World | None:
    """The model's world once its counter is raised for a torn file; none for a file that is not trusted."""
    if distance is None:
        return world if not world.used and not world.current else None
    if distance == 1:
        assert held in world.following
        return world._replace(current=world.following, following=())
    if distance == 0:
        assert held in world.current
        return world
    return None
