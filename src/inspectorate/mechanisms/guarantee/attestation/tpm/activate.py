"""The device's part of the ceremony in `enrol`: saying who it is, and opening the verifier's secret."""

from __future__ import annotations

import base64

from inspectorate.errors import EnvironmentError_
from inspectorate.mechanisms.guarantee.attestation import reference
from inspectorate.mechanisms.guarantee.attestation.device import Device
from inspectorate.mechanisms.guarantee.attestation.enrol import Answer, Challenge, DeviceIdentity, bound_to, mac_of
from inspectorate.mechanisms.guarantee.attestation.quote import payload_of
from inspectorate.mechanisms.guarantee.attestation.structures import RH_ENDORSEMENT
from inspectorate.mechanisms.guarantee.attestation.tpm.client import OPEN, Hierarchies
from inspectorate.mechanisms.guarantee.attestation.tpm.commands import Tpm
from inspectorate.mechanisms.guarantee.attestation.tpm.provision import (
    ENDORSEMENTS,
    attestation_key,
    endorsement_certificate,
)


def identity(tpm: Tpm, kind: str, certificate: bytes | None = None, passwords: Hierarchies = OPEN) -> DeviceIdentity:
    """Step 1. `kind` is `rsa` or `ecc`; `certificate` (DER) stands in for one that the TPM does not hold."""
    certificate = certificate or endorsement_certificate(tpm, kind)
    if certificate is None:
        raise EnvironmentError_(
            f"the TPM holds no endorsement certificate of kind {kind}",
            where=tpm.where,
            remedy="try the other kind, or give the maker's certificate as a file",
        )
    with tpm.loaded(RH_ENDORSEMENT, ENDORSEMENTS[kind][0], passwords.endorsement) as handle:
        told = tpm.read_public(handle)
    if told is None:
        raise EnvironmentError_("the TPM lost the endorsement key that it just made", where=tpm.where)
    return DeviceIdentity(
        endorsement_public=_text(told.public),
        endorsement_certificate=_text(certificate),
        attestation_public=_text(attestation_key(tpm).raw),
        manufacturer=tpm.manufacturer,
    )


def answer(tpm: Tpm, device: Device, challenge: Challenge, kind: str, passwords: Hierarchies = OPEN) -> Answer:
    """Step 3. Raises `EnvironmentError_`; so it does where the secret is meant for another TPM."""
    blob, encrypted = base64.b64decode(challenge.credential), base64.b64decode(challenge.secret)
    template, password = ENDORSEMENTS[kind][0], passwords.endorsement
    with tpm.loaded(RH_ENDORSEMENT, template, password) as handle, tpm.endorsement_session(password) as session:
        secret = tpm.activate_credential(reference.AK_HANDLE, handle, session, blob, encrypted)
    return Answer(
        identity=challenge.identity,
        mac=mac_of(secret, challenge.identity).hex(),
        quote=_text(payload_of(device, bound_to(secret, challenge.identity)).encode()),
    )


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
