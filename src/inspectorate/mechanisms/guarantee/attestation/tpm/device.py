"""A `Device` that is a TPM.

Rules:

- What was measured is also kept in a file, since a TPM keeps only the end of it. The file is written before the PCR is extended; a
  processor that restarts reads both, and goes on only if the log replays to the PCR (or all but its last entry does, which then was
  never extended). A lost, altered or older log, and a PCR that holds anything else, end in an error: only a restart of the machine
  sets the PCR back.
- A quote is over the values that were read with it: if they changed in between, it is taken again.
- Nothing is kept loaded in the TPM.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Self

from cryptography.hazmat.primitives.serialization import Encoding

from inspectorate.canonical import canonical_bytes, digest_of, parse_canonical
from inspectorate.errors import EnvironmentError_, EvidenceError, InputError
from inspectorate.evidence import KeyCustody
from inspectorate.files import read_bounded, replace_file
from inspectorate.mechanisms.guarantee.attestation import reference
from inspectorate.mechanisms.guarantee.attestation.chain import parse_pem
from inspectorate.mechanisms.guarantee.attestation.device import Quoted, measured_pairs
from inspectorate.mechanisms.guarantee.attestation.measured import PCR_START, Measured, adds, replay
from inspectorate.mechanisms.guarantee.attestation.structures import read_quote
from inspectorate.mechanisms.guarantee.attestation.tpm.client import Client
from inspectorate.mechanisms.guarantee.attestation.tpm.commands import Tpm
from inspectorate.mechanisms.guarantee.attestation.tpm.provision import attestation_key, counter

LOG_NAME, CERTIFICATES_NAME = "measured.json", "device-certificates.pem"
_LOG_BYTES_MAX = 64 * 1024
_QUOTES_TRIED = 4
_RESTART = "restart the machine: nothing else sets the PCR back"


class TpmDevice:
    """A `Device` of one TPM and one folder, which holds the log of measurements and the certificates."""

    def __init__(self, tpm: Tpm, folder: Path) -> None:
        self._tpm = tpm
        self._folder = folder
        self._public = attestation_key(tpm)
        counter(tpm)
        self._certificates = _certificates(folder / CERTIFICATES_NAME, self._public.key)
        self._log = _log_in_force(folder / LOG_NAME, tpm.pcrs((reference.MEASURED_PCR,))[reference.MEASURED_PCR])

    @classmethod
    def open(cls, name: str, folder: Path) -> Self:
        """Open the TPM `name` (`/dev/tpmrm0`, `swtpm:HOST:PORT`). Raises `InputError` or `EnvironmentError_`."""
        client = Client.open(name)
        try:
            tpm = Tpm(client)
            tpm.startup()
            return cls(tpm, folder)
        except BaseException:
            client.close()
            raise

    def close(self) -> None:
        self._tpm.close()

    @property
    def tpm(self) -> Tpm:
        """The TPM itself, for the ceremony of certification."""
        return self._tpm

    @property
    def custody(self) -> KeyCustody:
        return KeyCustody.TPM

    @property
    def device_id(self) -> str:
        return digest_of(self._public.raw)

    @property
    def public(self) -> bytes:
        return self._public.raw

    @property
    def certificates(self) -> tuple[bytes, ...]:
        return self._certificates

    def measure(self, name: str, digest: bytes) -> None:
        entry = Measured(name=name, digest=digest)
        if not adds(self._log, entry):
            return
        if len(self._log) >= reference.MEASURED_MAX:
            raise EnvironmentError_(f"{reference.MEASURED_MAX} measurements were made", remedy=_RESTART)
        log = (*self._log, entry)
        self._keep(log)
        self._tpm.extend(reference.MEASURED_PCR, entry.event)
        self._log = log

    def _keep(self, log: tuple[Measured, ...]) -> None:
        entries = [{"digest": entry.digest.hex(), "name": entry.name} for entry in log]
        replace_file(self._folder / LOG_NAME, canonical_bytes({"log": entries}), mode=0o600)

    @property
    def measured(self) -> tuple[tuple[str, str], ...]:
        return measured_pairs(self._log)

    def quote(self, bound: bytes) -> Quoted:
        for _ in range(_QUOTES_TRIED):
            values = self._tpm.pcrs(reference.QUOTED_PCRS)
            if values[reference.MEASURED_PCR] != replay(self._log):
                raise EnvironmentError_(
                    f"PCR {reference.MEASURED_PCR} holds something that was not measured here",
                    where=self._tpm.where,
                    remedy=_RESTART,
                )
            attested, signature = self._tpm.quote(reference.AK_HANDLE, bound, reference.QUOTED_PCRS)
            together = b"".join(values[pcr] for pcr in reference.QUOTED_PCRS)
            try:
                same = read_quote(attested).pcr_digest == hashlib.sha256(together).digest()
            except ValueError as fault:
                raise EnvironmentError_(f"the TPM's quote is none: {fault}", where=self._tpm.where) from None
            if same:
                platform = tuple(values[pcr] for pcr in reference.PLATFORM_PCRS)
                return Quoted(attested=attested, signature=signature, platform=platform)
        raise EnvironmentError_("the PCRs change faster than they can be quoted", where=self._tpm.where)

    def counter(self) -> int:
        return counter(self._tpm)

    def advance(self) -> int:
        self._tpm.nv_increment(reference.COUNTER_INDEX)
        return self.counter()

    @property
    def protects_counter(self) -> bool:
        return True


def _log_in_force(path: Path, pcr: bytes) -> tuple[Measured, ...]:
    """The log that replays to the PCR's value. Raises `EnvironmentError_` if there is none."""
    if pcr == PCR_START:
        return ()
    log = _read_log(path)
    for known in (log, log[:-1]):
        if known and replay(known) == pcr:
            return known
    raise EnvironmentError_(
        f"the log of measurements does not replay to PCR {reference.MEASURED_PCR}: it was altered, or something else was measured",
        where=str(path),
        remedy=_RESTART,
    )


def _read_log(path: Path) -> tuple[Measured, ...]:
    try:
        value = parse_canonical(read_bounded(path, _LOG_BYTES_MAX), where=str(path))
        entries = value["log"]
        return tuple(Measured(name=one["name"], digest=bytes.fromhex(one["digest"])) for one in entries)
    except (InputError, EvidenceError) as fault:
        raise EnvironmentError_(f"the log of measurements: {fault.problem}", where=str(path), remedy=_RESTART) from None
    except (ValueError, TypeError, KeyError):
        raise EnvironmentError_("is no log of measurements", where=str(path), remedy=_RESTART) from None


def _certificates(path: Path, key: object) -> tuple[bytes, ...]:
    """The certificates of the attestation key, leaf first; none before it was certified."""
    if not path.exists():
        return ()
    try:
        found = parse_pem(read_bounded(path, 4 * reference.CERTIFICATES_BYTES_MAX))
        ours = found[0].public_key() == key
    except ValueError as fault:
        raise InputError(f"holds no certificates: {fault}", where=str(path)) from None
    if not ours:
        raise InputError("certifies another key", where=str(path), remedy="repeat the ceremony of certification")
    data = tuple(one.public_bytes(Encoding.DER) for one in found)
    if len(data) > reference.CERTIFICATES_MAX or sum(map(len, data)) > reference.CERTIFICATES_BYTES_MAX:
        raise InputError("holds more certificates than a quote can carry", where=str(path))
    return data
