"""The TPM 2.0 commands that the processor needs (TPM 2.0 Library 1.59, part 3).

Each takes and returns plain values, and takes its answer apart to the last byte. Objects that a command loads are the caller's
to flush: `loaded` and `endorsement_session` do it however the block ends, since no resource manager is assumed.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from inspectorate.errors import EnvironmentError_
from inspectorate.mechanisms.guarantee.attestation.reference import EK_CERTIFICATE_BYTES_MAX
from inspectorate.mechanisms.guarantee.attestation.structures import (
    ALG_NULL,
    ALG_SHA256,
    PCR_SELECT_BYTES,
    RH_ENDORSEMENT,
    bitmap,
    selection,
)
from inspectorate.mechanisms.guarantee.attestation.tpm import codes
from inspectorate.mechanisms.guarantee.attestation.tpm.client import NO_PASSWORD, Auth, Client, Command
from inspectorate.mechanisms.guarantee.attestation.wire import Reader, sized, u8, u16, u32

RH_OWNER, RH_NULL = 0x4000_0001, 0x4000_0007
_SE_POLICY = 0x01
_SU_CLEAR = 0x0000
_CAP_PCRS, _CAP_PROPERTIES = 0x5, 0x6
_PT_FIRMWARE_1, _PT_FIRMWARE_2, _PT_MANUFACTURER = 0x10B, 0x10C, 0x105
_DIGEST_BYTES_MAX, _NAME_BYTES_MAX, _PUBLIC_BYTES_MAX, _BUFFER_BYTES_MAX = 64, 68, 1024, 1024
_PCRS_AT_ONCE = 8
"""TPML_DIGEST holds eight."""
_NV_CHUNK_BYTES = 512
"""Below TPM_PT_NV_BUFFER_MAX of every TPM of the PC Client profile."""

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Public:
    """What a TPM says of a loaded key."""

    public: bytes
    """TPMT_PUBLIC."""
    name: bytes
    qualified_name: bytes


@dataclass(frozen=True, kw_only=True)
class NvPublic:
    """TPMS_NV_PUBLIC, without its policy and its index."""

    attributes: int
    size: int
    name_algorithm: int


class Tpm:
    """One TPM."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.where = client.name

    def close(self) -> None:
        self._client.close()

    def startup(self) -> None:
        """Start the TPM, where firmware did not (swtpm). One that has started stays as it is."""
        try:
            self._client.run(Command(name="Startup", code=0x144, parameters=u16(_SU_CLEAR)))
        except codes.TpmError as fault:
            if fault.code != codes.INITIALIZE:
                raise

    def random(self, count: int) -> bytes:
        """At most `count` random bytes; a TPM may give fewer."""
        answer = self._client.run(Command(name="GetRandom", code=0x17B, parameters=u16(count)))
        return self._read("GetRandom", answer.parameters, lambda reader: reader.sized(_DIGEST_BYTES_MAX))

    def _property(self, number: int) -> int:
        parameters = u32(_CAP_PROPERTIES) + u32(number) + u32(1)
        answer = self._client.run(Command(name="GetCapability", code=0x17A, parameters=parameters))

        def of(reader: Reader) -> int:
            reader.number(1)
            kind, count = reader.number(4), reader.number(4)
            if (kind, count) != (_CAP_PROPERTIES, 1) or reader.number(4) != number:
                raise ValueError(f"property {number:#x} is not told")
            return reader.number(4)

        return self._read("GetCapability", answer.parameters, of)

    @property
    def firmware(self) -> int:
        """The firmware version, as quotes have it."""
        return self._property(_PT_FIRMWARE_1) << 32 | self._property(_PT_FIRMWARE_2)

    @property
    def manufacturer(self) -> str:
        return u32(self._property(_PT_MANUFACTURER)).rstrip(b"\0 ").decode("ascii", errors="replace")

    def pcr_banks(self) -> dict[int, bytes]:
        """Hash -> bitmap of the PCRs that the TPM keeps under it."""
        parameters = u32(_CAP_PCRS) + u32(0) + u32(1)
        answer = self._client.run(Command(name="GetCapability", code=0x17A, parameters=parameters))

        def of(reader: Reader) -> dict[int, bytes]:
            reader.number(1)
            if reader.number(4) != _CAP_PCRS:
                raise ValueError("banks of PCRs are not told")
            return {reader.number(2): reader.take(reader.number(1)) for _ in range(min(reader.number(4), 16))}

        return self._read("GetCapability", answer.parameters, of)

    def extend(self, pcr: int, digest: bytes) -> None:
        parameters = u32(1) + u16(ALG_SHA256) + digest
        self._client.run(
            Command(name="PCR_Extend", code=0x182, handles=(pcr,), auths=(NO_PASSWORD,), parameters=parameters)
        )

    def pcrs(self, numbers: tuple[int, ...]) -> dict[int, bytes]:
        """Values of PCRs in the SHA-256 bank. Not all at one moment: a quote over them says whether they are."""
        values: dict[int, bytes] = {}
        for first in range(0, len(numbers), _PCRS_AT_ONCE):
            some = numbers[first : first + _PCRS_AT_ONCE]
            answer = self._client.run(Command(name="PCR_Read", code=0x17E, parameters=selection(some)))
            values |= self._read("PCR_Read", answer.parameters, functools.partial(_pcr_values, asked=some))
        return values

    def create_primary(self, hierarchy: int, template: bytes, auth: Auth = NO_PASSWORD) -> int:
        """Make the primary key of a template; its transient handle."""
        sensitive = sized(sized(b"") + sized(b""))
        answer = self._client.run(
            Command(
                name="CreatePrimary",
                code=0x131,
                handles=(hierarchy,),
                auths=(auth,),
                parameters=sensitive + sized(template) + sized(b"") + u32(0),
                handles_returned=1,
            )
        )
        return answer.handles[0]

    @contextlib.contextmanager
    def loaded(self, hierarchy: int, template: bytes, auth: Auth = NO_PASSWORD) -> Iterator[int]:
        """The primary key of a template for the length of a block."""
        handle = self.create_primary(hierarchy, template, auth)
        try:
            yield handle
        finally:
            self.flush(handle)

    def flush(self, handle: int) -> None:
        self._client.run(Command(name="FlushContext", code=0x165, parameters=u32(handle)))

    def evict_control(self, handle: int, persistent: int, auth: Auth = NO_PASSWORD) -> None:
        """Make a transient key persistent; or remove a persistent one, if both are the same."""
        self._client.run(
            Command(
                name="EvictControl",
                code=0x120,
                handles=(RH_OWNER, handle),
                auths=(auth,),
                parameters=u32(persistent),
            )
        )

    def read_public(self, handle: int) -> Public | None:
        """The public area of a loaded or persistent key; none if there is none."""
        try:
            answer = self._client.run(Command(name="ReadPublic", code=0x173, handles=(handle,)))
        except codes.TpmError as fault:
            if fault.is_absent:
                return None
            raise
        return self._read(
            "ReadPublic",
            answer.parameters,
            lambda reader: Public(
                public=reader.sized(_PUBLIC_BYTES_MAX),
                name=reader.sized(_NAME_BYTES_MAX),
                qualified_name=reader.sized(_NAME_BYTES_MAX),
            ),
        )

    def quote(self, key: int, extra: bytes, pcrs: tuple[int, ...], auth: Auth = NO_PASSWORD) -> tuple[bytes, bytes]:
        """(TPMS_ATTEST, TPMT_SIGNATURE) by the scheme of the key."""
        parameters = sized(extra) + u16(ALG_NULL) + selection(pcrs)
        answer = self._client.run(
            Command(name="Quote", code=0x158, handles=(key,), auths=(auth,), parameters=parameters)
        )
        reader = Reader(answer.parameters)
        try:
            return reader.sized(_BUFFER_BYTES_MAX), reader.rest
        except ValueError as fault:
            raise self._unreadable("Quote", fault) from None

    def nv_define(self, index: int, attributes: int, size: int, auth: Auth = NO_PASSWORD) -> None:
        public = u32(index) + u16(ALG_SHA256) + u32(attributes) + sized(b"") + u16(size)
        self._client.run(
            Command(
                name="NV_DefineSpace",
                code=0x12A,
                handles=(RH_OWNER,),
                auths=(auth,),
                parameters=sized(b"") + sized(public),
            )
        )

    def nv_undefine(self, index: int, auth: Auth = NO_PASSWORD) -> None:
        self._client.run(Command(name="NV_UndefineSpace", code=0x122, handles=(RH_OWNER, index), auths=(auth,)))

    def nv_public(self, index: int) -> NvPublic | None:
        """What is defined at an index; none if nothing is."""
        try:
            answer = self._client.run(Command(name="NV_ReadPublic", code=0x169, handles=(index,)))
        except codes.TpmError as fault:
            if fault.is_absent:
                return None
            raise

        def of(reader: Reader) -> NvPublic:
            inner = Reader(reader.sized(_BUFFER_BYTES_MAX))
            reader.sized(_NAME_BYTES_MAX)
            if inner.number(4) != index:
                raise ValueError("it tells of another index")
            algorithm, attributes = inner.number(2), inner.number(4)
            inner.sized(_DIGEST_BYTES_MAX)
            size = inner.number(2)
            inner.end()
            return NvPublic(attributes=attributes, size=size, name_algorithm=algorithm)

        return self._read("NV_ReadPublic", answer.parameters, of)

    def nv_read(self, index: int, size: int) -> bytes:
        """`size` bytes of an index whose own password is empty."""
        if size > EK_CERTIFICATE_BYTES_MAX:
            raise EnvironmentError_(f"NV index {index:#010x} has {size} bytes", where=self.where)
        data = b""
        while len(data) < size:
            some = min(size - len(data), _NV_CHUNK_BYTES)
            answer = self._client.run(
                Command(
                    name="NV_Read",
                    code=0x14E,
                    handles=(index, index),
                    auths=(NO_PASSWORD,),
                    parameters=u16(some) + u16(len(data)),
                )
            )
            part = self._read("NV_Read", answer.parameters, lambda reader: reader.sized(_BUFFER_BYTES_MAX))
            if len(part) != some:
                raise EnvironmentError_(f"the TPM gave {len(part)} bytes of {some}", where=self.where)
            data += part
        return data

    def nv_increment(self, index: int, auth: Auth = NO_PASSWORD) -> None:
        self._client.run(Command(name="NV_Increment", code=0x134, handles=(index, index), auths=(auth,)))

    @contextlib.contextmanager
    def endorsement_session(self, auth: Auth = NO_PASSWORD) -> Iterator[Auth]:
        """A policy session that satisfies the policy of endorsement keys: PolicySecret of the endorsement hierarchy."""
        parameters = (
            sized(self.random(16).ljust(16, b"\0")) + sized(b"") + u8(_SE_POLICY) + u16(ALG_NULL) + u16(ALG_SHA256)
        )
        answer = self._client.run(
            Command(
                name="StartAuthSession",
                code=0x176,
                handles=(RH_NULL, RH_NULL),
                parameters=parameters,
                handles_returned=1,
            )
        )
        session = answer.handles[0]
        try:
            self._client.run(
                Command(
                    name="PolicySecret",
                    code=0x151,
                    handles=(RH_ENDORSEMENT, session),
                    auths=(auth,),
                    parameters=sized(b"") + sized(b"") + sized(b"") + u32(0),
                )
            )
            yield Auth(session=session)
        finally:
            self.flush(session)

    def activate_credential(self, key: int, endorsement: int, session: Auth, blob: bytes, secret: bytes) -> bytes:
        """Open a credential; `blob` and `secret` are TPM2Bs."""
        answer = self._client.run(
            Command(
                name="ActivateCredential",
                code=0x147,
                handles=(key, endorsement),
                auths=(NO_PASSWORD, session),
                parameters=blob + secret,
            )
        )
        return self._read("ActivateCredential", answer.parameters, lambda reader: reader.sized(_DIGEST_BYTES_MAX))

    def _read(self, command: str, parameters: bytes, of: Callable[[Reader], T]) -> T:
        reader = Reader(parameters)
        try:
            value = of(reader)
            reader.end()
        except ValueError as fault:
            raise self._unreadable(command, fault) from None
        return value

    def _unreadable(self, command: str, fault: ValueError) -> EnvironmentError_:
        return EnvironmentError_(f"the TPM's answer to {command} is no answer: {fault}", where=self.where)


def _pcr_values(reader: Reader, asked: tuple[int, ...]) -> dict[int, bytes]:
    reader.number(4)
    if reader.number(4) != 1 or reader.number(2) != ALG_SHA256 or reader.number(1) != PCR_SELECT_BYTES:
        raise ValueError("it tells of another bank of PCRs")
    if reader.take(PCR_SELECT_BYTES) != bitmap(asked):
        raise ValueError("it has no SHA-256 bank, or not all PCRs in it")
    if reader.number(4) != len(asked):
        raise ValueError("it tells of fewer PCRs than were asked for")
    values = {number: reader.sized(32) for number in sorted(asked)}
    if any(len(value) != 32 for value in values.values()):
        raise ValueError("a PCR has another size than SHA-256")
    return values
