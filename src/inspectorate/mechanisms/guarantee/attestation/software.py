"""A device in software: a key in a file, a counter in a file, and no claim beyond that.

Whoever has the folder can speak for the device, and whoever restores a copy of the folder restores its counter. Both stand in
every report: `custody` is `software`, `protects_counter` is false.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Self

from inspectorate.canonical import digest_of
from inspectorate.errors import EnvironmentError_, InputError
from inspectorate.evidence import KeyCustody
from inspectorate.files import replace_file
from inspectorate.keys import SigningKey
from inspectorate.mechanisms.guarantee.attestation.device import Quoted, measured_pairs
from inspectorate.mechanisms.guarantee.attestation.measured import Measured, adds, replay
from inspectorate.mechanisms.guarantee.attestation.quote import software_message
from inspectorate.mechanisms.guarantee.attestation.reference import MEASURED_MAX

KEY_NAME, COUNTER_NAME = "device.pem", "counter"
_COUNTER_BYTES_MAX = 24


class SoftwareDevice:
    """A `Device` of one folder. What was measured is kept in memory, and starts anew with the process."""

    def __init__(self, folder: Path, key: SigningKey) -> None:
        self._folder = folder
        self._key = key
        self._log: list[Measured] = []

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open the device of a folder, or make one. Raises `InputError` or `EnvironmentError_`."""
        path = folder / KEY_NAME
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            new = not path.exists()
        except OSError as fault:
            raise EnvironmentError_(f"cannot be made: {fault.strerror}", where=str(folder)) from None
        if new:
            SigningKey(os.urandom(32)).write(path)
        return cls(folder, SigningKey.read(path))

    @classmethod
    def existing(cls, folder: Path) -> Self:
        """Open the device of a folder that has one. Raises `InputError`."""
        return cls(folder, SigningKey.read(folder / KEY_NAME))

    def close(self) -> None:
        """Nothing is held open."""

    @property
    def custody(self) -> KeyCustody:
        return KeyCustody.SOFTWARE

    @property
    def device_id(self) -> str:
        return digest_of(self.public)

    @property
    def public(self) -> bytes:
        return self._key.public.raw

    @property
    def certificates(self) -> tuple[bytes, ...]:
        return ()

    def measure(self, name: str, digest: bytes) -> None:
        entry = Measured(name=name, digest=digest)
        if not adds(self._log, entry):
            return
        if len(self._log) >= MEASURED_MAX:
            raise EnvironmentError_(f"{MEASURED_MAX} measurements were made", remedy="restart the processor")
        self._log.append(entry)

    @property
    def measured(self) -> tuple[tuple[str, str], ...]:
        return measured_pairs(tuple(self._log))

    def quote(self, bound: bytes) -> Quoted:
        return Quoted(attested=b"", signature=self._key.sign(software_message(bound, replay(self._log))))

    def counter(self) -> int:
        path = self._folder / COUNTER_NAME
        try:
            with path.open("rb") as file:
                data = file.read(_COUNTER_BYTES_MAX)
        except FileNotFoundError:
            return 0
        except OSError as fault:
            raise EnvironmentError_(f"cannot be read: {fault.strerror}", where=str(path)) from None
        if not data.isascii() or not data.isdigit() or len(data) >= _COUNTER_BYTES_MAX:
            raise InputError("is no counter", where=str(path), remedy="it was altered; enrol the device anew")
        return int(data)

    def advance(self) -> int:
        value = self.counter() + 1
        replace_file(self._folder / COUNTER_NAME, str(value).encode(), mode=0o600)
        return value

    @property
    def protects_counter(self) -> bool:
        return False
