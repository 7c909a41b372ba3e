"""How an intake writes: fixed once, for all to see, and the same whether anybody reports or not."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from inspectorate.canonical import Identifier, Record
from inspectorate.errors import InputError
from inspectorate.keys import read_yaml

SETTINGS_BYTES_MAX = 64 * 1024
PAGE_BYTES = 4096
SLOTS_MAX = 10**8


class Settings(Record):
    """What an intake writes, how often, and how much it takes in at once."""

    intake: Identifier = Field(description="the name of this intake; replies depend on it: never change it")
    block_bytes: Annotated[int, Field(ge=PAGE_BYTES, le=1024 * 1024, multiple_of=PAGE_BYTES)] = Field(
        default=65_536, description="of one block on the disk; a short report takes one"
    )
    blocks_per_tick: Annotated[int, Field(ge=1, le=10_000)] = Field(
        default=8, description="written at each tick, always"
    )
    tick_s: Annotated[float, Field(ge=0.01, le=3600)] = Field(
        default=4.0, description="between two writes; a source waits this long for an answer"
    )
    batch_s: Annotated[float, Field(ge=0.05, le=31 * 86_400)] = Field(
        default=86_400.0, description="after so long a batch is closed and its commitments are logged"
    )
    report_bytes_max: Annotated[int, Field(ge=PAGE_BYTES, le=1 << 32)] = 32 * 1024 * 1024
    reports_at_once_max: Annotated[int, Field(ge=1, le=10_000)] = Field(
        default=64, description="reports that may be on their way in at the same time; more are asked to wait"
    )
    window_blocks: Annotated[int, Field(ge=2, le=256)] = Field(
        default=8, description="blocks of one report that may wait in memory"
    )
    files_max: Annotated[int, Field(ge=0, le=64)] = 32

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if self.batch_s < self.tick_s:
            raise ValueError("a batch must last for one tick at least")
        if self.slots > SLOTS_MAX:
            raise ValueError(f"a batch of {self.slots} blocks is more than {SLOTS_MAX}")
        return self

    @property
    def ticks(self) -> int:
        """Of one batch, where nothing stands still."""
        return math.ceil(self.batch_s / self.tick_s)

    @property
    def slots(self) -> int:
        """Places for blocks in one batch."""
        return self.ticks * self.blocks_per_tick

    @property
    def batch_bytes(self) -> int:
        return self.slots * self.block_bytes

    @property
    def bytes_per_s(self) -> float:
        """What the intake writes, always."""
        return self.blocks_per_tick * self.block_bytes / self.tick_s

    @property
    def receipt_chars_max(self) -> int:
        """The longest receipt that a report of the greatest size can have."""
        blocks = math.ceil(self.report_bytes_max / (self.block_bytes // 2)) + 2
        return 2_000 + 40 * blocks

    @property
    def memory_bytes_max(self) -> int:
        """Of reports on their way in."""
        return self.reports_at_once_max * (self.window_blocks + 2) * self.block_bytes

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read settings (YAML). Raises `InputError`."""
        return cls.parse(read_yaml(path, bytes_max=SETTINGS_BYTES_MAX), where=str(path), error=InputError)
