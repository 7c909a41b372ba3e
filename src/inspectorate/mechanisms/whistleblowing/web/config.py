"""How one intake is served: `serve.yaml` in its folder. What the store fixes already is not written a second time.

Rules:

- What pages promise of sizes, waits and offices follows from the settings of the store, or must agree with them: a page that says
  other than what happens would cost a source dearly.
- A server without a log for its commitments is refused: what is not logged can be made to vanish.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, StringConstraints

from inspectorate.canonical import Record
from inspectorate.errors import InputError
from inspectorate.keys import read_yaml
from inspectorate.mechanisms.whistleblowing.intake.settings import Settings
from inspectorate.mechanisms.whistleblowing.sealing.offices import Offices
from inspectorate.mechanisms.whistleblowing.web.limits import Limits
from inspectorate.mechanisms.whistleblowing.web.pages import Notice
from inspectorate.mechanisms.whistleblowing.web.server import Where
from inspectorate.mechanisms.whistleblowing.web.tor import read_address

CONFIG = "serve.yaml"
CONFIG_BYTES_MAX = 256 * 1024
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
_WAIT_TICKS = 3
"""A short report waits for the next tick, and for the one after it where that was being written already; a busy disk takes one."""

_Name = Annotated[str, StringConstraints(pattern=r"^([a-z0-9.-]{1,253}|\[[0-9a-f:.]{2,45}\])$")]
_Path = Annotated[str, StringConstraints(max_length=4096, pattern=r"^[^\x00]*$")]


class Config(Record):
    """Read from YAML. Paths that are not absolute are below the folder of the intake."""

    notice: Notice
    limits: Limits = Limits()
    names: tuple[_Name, ...] = Field(
        default=(), max_length=16, description="under which it is reached, beside loopback and the onion address"
    )
    socket: _Path = Field(default="", description="a unix socket to listen at; none: the address below")
    host: str = Field(default="127.0.0.1", max_length=64)
    port: int = Field(default=8480, ge=0, le=65535)
    onion: _Path = Field(default="", description="the file `hostname` that tor made")
    ledger: _Path = Field(default="", description="the log for the commitments of batches")
    ledger_key: _Path = Field(default="", description="the key of that log; none: the key of the intake")

    @classmethod
    def read(cls, path: Path) -> Self:
        """Raises `InputError`."""
        return cls.parse(read_yaml(path, bytes_max=CONFIG_BYTES_MAX), where=str(path), error=InputError)

    def where(self, folder: Path, *, beyond_loopback: bool) -> Where:
        if self.socket:
            return Where(path=folder / self.socket)
        return Where(host=self.host, port=self.port, beyond_loopback=beyond_loopback)

    def address(self, folder: Path) -> str:
        """The onion address; empty where none is set. Raises `InputError`."""
        return read_address(folder / self.onion) if self.onion else ""

    def hosts(self, address: str) -> frozenset[str]:
        return LOOPBACK_NAMES | set(self.names) | ({address} if address else set())

    def check(self, settings: Settings, offices: Offices, *, where: str) -> None:
        """That pages and store agree. Raises `InputError`."""
        limits, notice = self.limits, self.notice
        for problem, wrong in (
            (f"limits: files of {limits.upload_bytes} bytes are more than the {settings.report_bytes_max} of a report",
             limits.upload_bytes > settings.report_bytes_max),
            (f"limits: {limits.files} files are more than the {settings.files_max} of a report", limits.files > settings.files_max),
            ((f"notice: {notice.quorum} of {len(notice.offices)} offices, and reports are sealed to "
             f"{offices.quorum} of {len(offices.offices)}"),
             (len(notice.offices), notice.quorum) != (len(offices.offices), offices.quorum)),
            *((f"notice: another recipient than that of office {listed.name}", shown.recipient not in {"", listed.recipient})
              for shown, listed in zip(notice.offices, offices.offices, strict=False)),
        ):  # fmt: skip
            if wrong:
                raise InputError(problem, where=where)

    def shown(self, settings: Settings, address: str) -> Notice:
        """The notice with what follows from the settings, and the onion address."""
        return self.notice.model_copy(
            update={
                "wait_s": min(600, max(2, math.ceil(_WAIT_TICKS * settings.tick_s))),
                "collected_h": min(1000, max(2, math.ceil(settings.batch_s / 3600))),
                "file_mb_max": max(1, self.limits.upload_bytes // 10**6),
                "files_max": max(2, self.limits.files),
                "onion": address or self.notice.onion,
            }
        )
