"""The files of `inspectorate ruleset`: signed documents, public keys of signers, and templates."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from inspectorate.canonical import parse_json
from inspectorate.errors import EvidenceError, InputError
from inspectorate.files import read_bounded
from inspectorate.keys import read_yaml
from inspectorate.mechanisms.guarantee.rulesets.types import RULESET_KIND
from inspectorate.mechanisms.guarantee.signing import (
    DOCUMENT_BYTES_MAX,
    SignedDocument,
    Signer,
    SignerKey,
    parse_document,
)

PUBLIC_BYTES_MAX = 8192
TEMPLATE_BYTES_MAX = 512 * 1024


def read_document(path: Path) -> SignedDocument:
    """A ruleset with its signatures, none of them verified. Raises `EvidenceError`."""
    data = read_bounded(path, DOCUMENT_BYTES_MAX, too_large=EvidenceError)
    return parse_document(data, kind=RULESET_KIND, where=str(path))


def read_signer(path: Path) -> Signer:
    """The public keys of a signer, as `ruleset key` writes them. Raises `InputError`."""
    try:
        value = parse_json(read_bounded(path, PUBLIC_BYTES_MAX), where=str(path))
    except EvidenceError as fault:
        raise InputError(fault.problem, where=fault.where, remedy="give the file with the public keys") from None
    return Signer.parse(value, where=str(path), error=InputError)


def named_signers(options: Iterable[str]) -> dict[str, Signer]:
    """Name -> signer of options `NAME=FILE`. The name is that of the option, whatever the file says. Raises `InputError`."""
    found: dict[str, Signer] = {}
    for option in options:
        name, sign, file = option.partition("=")
        if not sign or not name or not file:
            raise InputError(f"{option!r} is not NAME=FILE", where="--signer")
        if name in found:
            raise InputError(f"{name} is given twice", where="--signer")
        keys = read_signer(Path(file)).public_keys
        found[name] = Signer.parse({"name": name, "public_keys": keys}, where="--signer", error=InputError)
    return found


def read_template(path: Path) -> dict[str, object]:
    """The fields that a template gives. Raises `InputError`."""
    value = read_yaml(path, bytes_max=TEMPLATE_BYTES_MAX)
    if not isinstance(value, dict):
        raise InputError("is no template of a ruleset", where=str(path), remedy="docs/rulesets.md shows one")
    given = sorted(str(name) for name in value.keys() & {"version", "previous", "act", "signers"})
    if given:
        raise InputError(
            f"says {', '.join(given)}", where=str(path), remedy="strike that: it is worked out, or given by --signer"
        )
    return {str(name): part for name, part in value.items()}


def sign_once(document: SignedDocument, key: SignerKey, path: Path) -> SignedDocument:
    """The document with one more signature. Raises `InputError` where the key has signed it."""
    if any(signer_id == key.signer_id for signer_id, _ in document.signatures):
        raise InputError("is signed with this key already", where=str(path), remedy="a signer counts once")
    return document.signed_by(key)
