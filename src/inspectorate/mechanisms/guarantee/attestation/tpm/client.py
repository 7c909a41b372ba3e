"""One TPM command and its answer: framing, authorisation, and waiting where the TPM asks for it.

An answer is taken apart exactly: its tag, its size, its code, the handles that the command returns, its parameters, and an
authorisation for each that was sent. Anything else is an `EnvironmentError_`: a TPM that answers otherwise is none that we know.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from inspectorate.errors import EnvironmentError_
from inspectorate.mechanisms.guarantee.attestation.tpm import codes
from inspectorate.mechanisms.guarantee.attestation.tpm.codes import TpmError
from inspectorate.mechanisms.guarantee.attestation.tpm.transport import Transport, connect
from inspectorate.mechanisms.guarantee.attestation.wire import Reader, sized, u8, u16, u32

_NO_SESSIONS, _SESSIONS = 0x8001, 0x8002
_PASSWORD = 0x4000_0009
_CONTINUE_SESSION = 1
_AUTH_BYTES_MAX = 64
_WAITS_S = (0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 2.0)
"""How long the same command is put off, one time after the other, before it counts as refused."""


@dataclass(frozen=True)
class Auth:
    """What authorises a command for one of its handles: a password, or a policy session that is satisfied."""

    password: bytes = b""
    session: int = _PASSWORD

    def encode(self) -> bytes:
        attributes = 0 if self.session == _PASSWORD else _CONTINUE_SESSION
        return u32(self.session) + sized(b"") + u8(attributes) + sized(self.password)


NO_PASSWORD = Auth()


@dataclass(frozen=True, kw_only=True)
class Hierarchies:
    """Passwords of the TPM's hierarchies, where its owner set them. They pass its bus in the clear."""

    owner: Auth = NO_PASSWORD
    endorsement: Auth = NO_PASSWORD


OPEN = Hierarchies()
"""As a TPM leaves its maker."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """One command, as the specification lays it out."""

    name: str
    code: int
    handles: tuple[int, ...] = ()
    auths: tuple[Auth, ...] = ()
    """One for each of the first handles."""
    parameters: bytes = b""
    handles_returned: int = 0

    def encode(self) -> bytes:
        auths = b"".join(auth.encode() for auth in self.auths)
        body = b"".join(map(u32, self.handles)) + (u32(len(auths)) + auths if self.auths else b"") + self.parameters
        tag = _SESSIONS if self.auths else _NO_SESSIONS
        return u16(tag) + u32(len(body) + 10) + u32(self.code) + body


@dataclass(frozen=True)
class Answer:
    """What a command returned."""

    handles: tuple[int, ...]
    parameters: bytes


class Client:
    """A connection to one TPM. A context manager."""

    def __init__(self, transport: Transport, name: str, sleep: Callable[[float], None] = time.sleep) -> None:
        self._transport = transport
        self.name = name
        self._sleep = sleep

    @classmethod
    def open(cls, name: str) -> Self:
        """Connect to the TPM of that name. Raises `InputError` or `EnvironmentError_`."""
        return cls(connect(name), name)

    def close(self) -> None:
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def run(self, command: Command) -> Answer:
        """Run a command. Raises `TpmError` where the TPM refuses, `EnvironmentError_` where it cannot be understood."""
        data = command.encode()
        for wait_s in _WAITS_S:
            answer, code = self._once(command, data)
            if code not in codes.RETRIES:
                break
            self._sleep(wait_s)
        else:
            answer, code = self._once(command, data)
        if code != codes.SUCCESS or answer is None:
            raise TpmError(command.name, code, self.name)
        return answer

    def _once(self, command: Command, data: bytes) -> tuple[Answer | None, int]:
        raw = self._transport.exchange(data)
        try:
            return _read(command, raw)
        except ValueError as fault:
            raise EnvironmentError_(
                f"the TPM's answer to {command.name} is no answer: {fault}", where=self.name
            ) from None


def _read(command: Command, raw: bytes) -> tuple[Answer | None, int]:
    reader = Reader(raw)
    tag, size, code = reader.number(2), reader.number(4), reader.number(4)
    if size != len(raw):
        raise ValueError(f"it claims {size} bytes and has {len(raw)}")
    if code != codes.SUCCESS:
        reader.end()
        return None, code
    if tag != (_SESSIONS if command.auths else _NO_SESSIONS):
        raise ValueError(f"its tag is {tag:#06x}")
    handles = tuple(reader.number(4) for _ in range(command.handles_returned))
    if not command.auths:
        return Answer(handles, reader.rest), code
    parameters = reader.take(reader.number(4))
    for _ in command.auths:
        reader.sized(_AUTH_BYTES_MAX)
        reader.number(1)
        reader.sized(_AUTH_BYTES_MAX)
    reader.end()
    return Answer(handles, parameters), code
