"""Signed notes and their keys (C2SP signed-note v1, C2SP tlog-cosignature v1).

Rules:

- A note is text, a blank line, and signature lines `— name base64(key id || signature)`. One byte form only: base64 that
  would decode the same from other characters is refused.
- A signature of a key that we do not hold is ignored. A signature that claims a key we do hold, and fails, makes the
  whole note invalid.
- Two kinds of key: `LOG` (0x01) signs the text itself; `WITNESS` (0x04) signs the text behind a header and a time. The
  kind is part of the key id, so a signature of one kind never passes for the other.
- Text is worth nothing before a signature on it has been verified; `Note` is unverified by itself.

Not done here: ECDSA, RFC 6962 and ML-DSA signatures (types 0x02, 0x05, 0x06); they are ignored as unknown keys are.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Self

from inspectorate.errors import EvidenceError, InputError
from inspectorate.keys import PublicKey, SigningKey

NOTE_BYTES_MAX = 256 * 1024
"""Room for the 16 signatures that every verifier accepts, were each a post-quantum one of 5 kB, and more."""
SIGNATURES_MAX = 64
"""C2SP signed-note: a verifier sets a limit, and accepts at least 16."""
NAME_CHARACTERS_MAX = 200
TIME_S_MAX = 2**63 - 1
"""C2SP tlog-cosignature: the largest timestamp."""

_DASH = "\u2014 "


class KeyKind(IntEnum):
    """Signature type of a key (C2SP signed-note, "Signature types")."""

    LOG = 0x01
    WITNESS = 0x04


@dataclass(frozen=True, kw_only=True)
class VerifierKey:
    """A public key with its name and kind: what the text `name+hash+base64` stands for."""

    name: str
    kind: KeyKind
    public: PublicKey

    @property
    def key_hash(self) -> bytes:
        """The 4-byte key id: SHA-256(name || 0x0A || type || public key)[:4] (C2SP signed-note, "Signatures")."""
        encoded = self.name.encode() + b"\n" + bytes([self.kind]) + self.public.raw
        return hashlib.sha256(encoded).digest()[:4]

    @property
    def text(self) -> str:
        """The verifier key in its text form."""
        material = base64.b64encode(bytes([self.kind]) + self.public.raw).decode()
        return f"{self.name}+{self.key_hash.hex()}+{material}"

    @classmethod
    def of(cls, key: SigningKey, *, name: str, kind: KeyKind) -> Self:
        """The verifier key of a signing key. Raises `InputError` on a name that notes cannot carry."""
        if not is_key_name(name):
            raise InputError(f"{name!r} cannot name a key", remedy="use a schema-less URL without spaces or plus signs")
        return cls(name=name, kind=kind, public=key.public)

    @classmethod
    def parse(cls, text: str, *, where: str) -> Self:
        """Read `name+hash+base64`. Raises `InputError`: verifier keys come from our own side only."""
        name, _, rest = text.partition("+")
        hash_text, _, material_text = rest.partition("+")
        material = decode_base64(material_text)
        if not is_key_name(name) or material is None or len(material) != 33:
            raise InputError("is not a verifier key name+hash+base64", where=where)
        if material[0] not in tuple(KeyKind):
            raise InputError(f"key type 0x{material[0]:02x} is not supported", where=where)
        key = cls(name=name, kind=KeyKind(material[0]), public=PublicKey(material[1:]))
        if hash_text != key.key_hash.hex():
            raise InputError("the hash in the verifier key does not fit its name and key", where=where)
        return key

    def verify(self, signature: bytes, text: str) -> int | None:
        """Check a signature over a note's text; returns the time of a cosignature in seconds since 1970, else None.

        Raises `EvidenceError`.
        """
        time_s, message, raw = None, text.encode(), signature
        if self.kind is KeyKind.WITNESS:
            if len(signature) != 72:
                raise EvidenceError(f"cosignature of {self.name} has {len(signature)} bytes instead of 72")
            time_s, raw = struct.unpack(">Q", signature[:8])[0], signature[8:]
            if time_s > TIME_S_MAX:
                raise EvidenceError(f"cosignature of {self.name} has an impossible time")
            message = _cosigned_message(text, time_s)
        if not self.public.verifies(raw, message):
            raise EvidenceError(f"signature of {self.name} does not fit the note")
        return time_s


@dataclass(frozen=True, kw_only=True)
class NoteSignature:
    """One signature line, not yet verified."""

    name: str
    key_hash: bytes
    signature: bytes

    @property
    def line(self) -> str:
        return f"{_DASH}{self.name} {base64.b64encode(self.key_hash + self.signature).decode()}\n"

    @classmethod
    def parse(cls, line: str, *, where: str) -> Self:
        """Read one line, without its newline. Raises `EvidenceError`."""
        name, space, encoded = line.removeprefix(_DASH).partition(" ")
        blob = decode_base64(encoded)
        if not line.startswith(_DASH) or not space or not is_key_name(name) or blob is None or len(blob) < 5:
            raise EvidenceError("malformed signature line", where=where)
        return cls(name=name, key_hash=blob[:4], signature=blob[4:])


@dataclass(frozen=True, kw_only=True)
class Note:
    """A note as read: its text and its signatures, none of them verified."""

    text: str
    signatures: tuple[NoteSignature, ...]

    def __bytes__(self) -> bytes:
        return (self.text + "\n" + "".join(s.line for s in self.signatures)).encode()

    @classmethod
    def parse(cls, data: bytes, *, where: str) -> Self:
        """Read a signed note under limits. Raises `EvidenceError`."""
        if len(data) > NOTE_BYTES_MAX:
            raise EvidenceError(f"note of {len(data)} bytes exceeds {NOTE_BYTES_MAX}", where=where)
        try:
            decoded = data.decode()
        except UnicodeDecodeError:
            raise EvidenceError("note is not UTF-8", where=where) from None
        if any(character < " " and character != "\n" for character in decoded):
            raise EvidenceError("note contains control characters", where=where)
        text, blank, block = decoded.rpartition("\n\n")
        if not blank or not block.endswith("\n"):
            raise EvidenceError("note has no signatures behind a blank line", where=where)
        lines = block[:-1].split("\n")
        if len(lines) > SIGNATURES_MAX:
            raise EvidenceError(f"note has more than {SIGNATURES_MAX} signatures", where=where)
        return cls(text=text + "\n", signatures=tuple(NoteSignature.parse(line, where=where) for line in lines))

    def signed_by(self, key: VerifierKey, *, where: str) -> tuple[bool, int | None]:
        """Whether `key` signed this note, and the time of its (first) cosignature.

        Raises `EvidenceError` where a signature claims this key and fails.
        """
        claimed = [s for s in self.signatures if (s.name, s.key_hash) == (key.name, key.key_hash)]
        times_s = []
        for signature in claimed:
            try:
                times_s.append(key.verify(signature.signature, self.text))
            except EvidenceError as fault:
                raise EvidenceError(fault.problem, where=where, remedy="the note was altered or forged") from None
        return bool(claimed), times_s[0] if times_s else None


def sign_note(text: str, keys: Sequence[tuple[SigningKey, str]]) -> bytes:
    """A note signed by each (key, name) as a log. Raises `ValueError` unless `text` ends in a newline."""
    if not text.endswith("\n"):
        raise ValueError("the text of a note ends in a newline")
    signatures = tuple(
        NoteSignature(
            name=name,
            key_hash=VerifierKey.of(key, name=name, kind=KeyKind.LOG).key_hash,
            signature=key.sign(text.encode()),
        )
        for key, name in keys
    )
    return bytes(Note(text=text, signatures=signatures))


def cosign_note(text: str, key: SigningKey, *, name: str, time_s: int) -> NoteSignature:
    """A witness's cosignature over a checkpoint's text at `time_s`, in seconds since 1970 (C2SP tlog-cosignature)."""
    key_hash = VerifierKey.of(key, name=name, kind=KeyKind.WITNESS).key_hash
    signature = struct.pack(">Q", time_s) + key.sign(_cosigned_message(text, time_s))
    return NoteSignature(name=name, key_hash=key_hash, signature=signature)


def _cosigned_message(text: str, time_s: int) -> bytes:
    return f"cosignature/v1\ntime {time_s}\n{text}".encode()


def is_key_name(name: str) -> bool:
    """Whether a note can carry this name: not empty, no Unicode space, plus sign or control character."""
    return 0 < len(name) <= NAME_CHARACTERS_MAX and not any(c.isspace() or c == "+" or c < " " for c in name)


def decode_base64(text: str) -> bytes | None:
    """Bytes of standard base64 in its one byte form, or None."""
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        return None
    return data if base64.b64encode(data).decode() == text else None
