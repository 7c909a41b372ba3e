"""What one guarantee processor guards, and where its parts are. The file is measured at the start, byte for byte.

Paths are taken from the folder of the file. A device is one of

    software:FOLDER            a key in a file: says so in every report
    tpm:/dev/tpmrm0            a TPM 2.0 of this machine; its files in `device_files`
    swtpm:HOST:PORT            a software TPM 2.0, for tests and the lab
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from inspectorate.canonical import Digest, Identifier, Record, Text
from inspectorate.errors import InputError
from inspectorate.evidence import Origin
from inspectorate.files import read_bounded
from inspectorate.keys import parse_yaml
from inspectorate.quantities import Positive

CONFIG_BYTES_MAX = 64 * 1024
ARGUMENTS_MAX = 64

PathText = Annotated[str, Field(min_length=1, max_length=1000, pattern=r"^[^\x00]*$")]


class Address(Record):
    """Where something listens: host and port, or a Unix domain socket."""

    host: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    port: Annotated[int, Field(ge=0, le=65535)] | None = None
    socket: PathText | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.socket is None) != (self.host is not None and self.port is not None):
            raise ValueError("give host and port, or a socket")
        return self


class Server(Record):
    """The program that serves a model, started anew on every model that came in."""

    command: tuple[Text, ...] = Field(
        min_length=1, max_length=ARGUMENTS_MAX, description="`{model}` stands for the file of the model"
    )
    at: Address = Field(description="where it will listen, reachable from the processor only")
    user: Annotated[int, Field(ge=1, le=2**31)] = Field(
        default=65_534, description="user and group that it runs as: not root, which could leave its control group"
    )
    environment: dict[str, Text] = Field(default_factory=dict, max_length=64)
    ready_s: Positive = Field(default=60.0, description="it answers within so long, or the model counts as not loaded")


class Chips(Record):
    """What the guarded chips can do at most: every clock bound rests on it."""

    flop_per_s_max: Positive
    cores: Annotated[int, Field(ge=1, le=100_000)] | None = Field(
        default=None,
        description="of a processor whose work is bounded by the time its cores ran; none: by the clock only",
    )
    power_w_max: Positive | None = Field(default=None, description="that the meter of energy can see drawn")
    joules_per_flop_min: Positive | None = Field(
        default=None, description="for a bound from energy; none: no such bound"
    )
    energy_file: PathText | None = Field(
        default=None, description="a cumulative counter in microjoule, such as energy_uj"
    )

    @model_validator(mode="after")
    def _energy_has_a_ceiling(self) -> Self:
        if (self.energy_file or self.joules_per_flop_min) and self.power_w_max is None:
            raise ValueError("a meter of energy needs power_w_max")
        return self


class GuardConfig(Record):
    """All that a processor is told by its operator; none of it can loosen a ruleset."""

    reporter: Identifier
    listen: Address
    control: PathText = Field(description="socket for documents and status")
    state: PathText = Field(description="folder of the state, held by one process")
    state_key: PathText = Field(description="file with 32 secret bytes or more")
    spool: PathText = Field(description="folder for statements and their payloads")
    ledger: PathText | None = None
    ledger_key: PathText | None = None
    statement_key: PathText
    device: Annotated[str, Field(pattern=r"^(software|tpm|swtpm):.{1,1000}$")]
    device_files: PathText | None = Field(
        default=None, description="folder with the key handles and certificates of a TPM"
    )
    baseline: PathText = Field(description="the first ruleset, signed or not: it is trusted by its digest")
    baseline_digest: Digest
    born: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="the device's counter when this processor was set up"
    )
    models: PathText = Field(description="folder for the bytes of models")
    graphs: PathText | None = Field(default=None, description="folder of declared graphs, each named by its digest")
    server: Server
    group: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$")] = Field(
        default="inspectorate-guard", description="name of the control group in which the server runs"
    )
    run: PathText = Field(description="folder for the latch's socket, the server's log and sealed samples")
    chips: Chips
    origin: Origin = Origin.RECORDED

    @field_validator("device")
    @classmethod
    def _has_a_place(cls, value: str) -> str:
        kind, _, place = value.partition(":")
        if kind == "swtpm" and (place.count(":") != 1 or not place.rpartition(":")[2].isdigit()):
            raise ValueError("write swtpm:HOST:PORT")
        return value


def read_config(path: Path) -> tuple[GuardConfig, bytes]:
    """The configuration and the bytes that are measured. Raises `InputError`."""
    # Read once: what is measured is what was parsed, also where the file changes in between.
    data = read_bounded(path, CONFIG_BYTES_MAX)
    value = parse_yaml(data, where=str(path), bytes_max=CONFIG_BYTES_MAX)
    return GuardConfig.parse(value, where=str(path), error=InputError), data
