"""A real folder whose steps can be cut off one by one, and a counter that outlives the processor. Test code only."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from inspectorate.evidence import KeyCustody
from inspectorate.mechanisms.guarantee.attestation.device import Quoted
from inspectorate.mechanisms.guarantee.machine.store import StateFiles, Store

KEY = b"k" * 32


class Cut(BaseException):
    """The power goes off."""


@dataclass
class Power:
    """Counts steps and goes off before or after one of them."""

    off_at: int | None = None
    """Index of the step at which it goes off; even: before the step, odd: after."""
    steps: list[str] = field(default_factory=list)

    def step(self, name: str, action: object) -> object:
        number = 2 * len(self.steps)
        self.steps.append(name)
        assert callable(action)
        if self.off_at == number:
            raise Cut(name)
        result = action()
        if self.off_at == number + 1:
            raise Cut(name)
        return result


class CountingDevice:
    """What a TPM gives: a counter in something that no restored disk touches."""

    def __init__(self, value: int = 0) -> None:
        self.value = value
        self.power = Power()

    custody = KeyCustody.SOFTWARE
    device_id = "sha256:" + "d" * 64
    certificates: tuple[bytes, ...] = ()
    measured: tuple[tuple[str, str], ...] = ()
    protects_counter = True

    def measure(self, name: str, digest: bytes) -> None:
        raise AssertionError("a store measures nothing")

    def quote(self, bound: bytes) -> Quoted:
        raise AssertionError("a store quotes nothing")

    def counter(self) -> int:
        return self.value

    def advance(self) -> int:
        result = self.power.step("advance", self._raise)
        assert isinstance(result, int)
        return result

    def _raise(self) -> int:
        self.value += 1
        return self.value


class CuttableFiles(StateFiles):
    """The product's own steps on a real folder, cut off where `power` says.

    What POSIX allows to be lost at a cut is kept in mind: the old file until the folder was synchronised, and half of the new one
    until that was.
    """

    def __init__(self, folder: Path, power: Power) -> None:
        super().__init__(folder)
        self.path = folder
        self.power = power
        self.synced = False
        self.old: bytes | str | None = "settled"

    def create(self, data: bytes) -> None:
        self.synced = False
        self.power.step("create", lambda: super(CuttableFiles, self).create(data))

    def sync(self) -> None:
        self.power.step("sync", super().sync)
        self.synced = True

    def rename(self) -> None:
        old = self.path / "state"
        before = old.read_bytes() if old.exists() else None

        def act() -> None:
            self.old = before
            super(CuttableFiles, self).rename()

        self.power.step("rename", act)

    def sync_folder(self) -> None:
        self.power.step("sync_folder", super().sync_folder)
        self.old = "settled"

    def lose(self, how: str) -> None:
        """What is left after the cut: `kept` all, `lost` all that was not yet durable."""
        self.close()
        state, temporary = self.path / "state", self.path / "state.temporary"
        if how == "kept":
            return
        if self.old != "settled":
            if self.old is None:
                state.unlink()
            else:
                assert isinstance(self.old, bytes)
                state.write_bytes(self.old)
        elif temporary.exists() and not self.synced:
            os.truncate(temporary, temporary.stat().st_size // 2)


def opened(folder: Path, device: CountingDevice, *, born: int | None = 0, key: bytes = KEY) -> Store:
    return Store(folder, device, key=key, born=born)
