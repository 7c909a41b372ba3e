"""The code phrase of a source: the only key to replies, held by nobody else.

Rules:

- A phrase is 16 random bytes. It is written as twelve BIP-39 words of any of five languages, or as 42 digits in seven groups, which
  need no word list (Arabic has none) and are read in any script's digits. All forms are one phrase: somebody may read it in one
  language and type it in another.
- A slip is caught: four bits of check in the words (one slip in sixteen passes), a remainder modulo 997 in the digits.
- Everything else follows from the phrase and the intake's name by HKDF. There is no slow hash: 128 random bits cannot be guessed at
  any speed, and a slow hash would let a stranger keep the intake busy.
- Nothing here keeps a phrase, or a list of them. Whether one was ever given out cannot be told.

Sources: BIP-39 (words, checksum); RFC 5869 (HKDF); age, C2SP (the identity of replies, in Bech32 of BIP-173).
"""

from __future__ import annotations

import hashlib
import hmac
import os
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Self

import pyrage
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from mnemonic import Mnemonic
from pydantic import StringConstraints

from inspectorate.canonical import Hex, Record
from inspectorate.errors import InputError

PHRASE_BYTES = 16
WORDS = 12
DIGITS = 39
"""Enough for 128 bits."""
CHECK_MODULUS = 997
CHECK_DIGITS = 3
GROUP = 6
TYPED_CHARS_MAX = 500
"""What somebody may type for a phrase; the longest is twelve words of eight letters."""
TAG_BYTES = 16

WORD_LISTS = {
    "en": "english",
    "zh": "chinese_simplified",
    "fr": "french",
    "ru": "russian",
    "es": "spanish",
}
"""Languages of the pages that have a word list. Arabic has none, and shows digits."""

Recipient = Annotated[str, StringConstraints(pattern=r"^age1[02-9ac-hj-np-z]{58}$")]
"""An X25519 recipient of age."""


class Mailbox(Record):
    """What offices need to answer a source. It stands inside the sealed report, and nowhere else."""

    key: Hex
    recipient: Recipient

    def tag(self, board: bytes) -> bytes:
        """Where replies to this source stand on one board: different on each, so that boards cannot be held side by side."""
        return hmac.digest(bytes.fromhex(self.key), b"tag" + board, hashlib.sha256)[:TAG_BYTES]


@dataclass(frozen=True)
class Phrase:
    """A code phrase. It prints as nothing, so that it does not end up in a message by accident."""

    entropy: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.entropy) != PHRASE_BYTES:
            raise ValueError(f"a phrase has {PHRASE_BYTES} bytes, not {len(self.entropy)}")

    @classmethod
    def make(cls, random: Callable[[int], bytes] = os.urandom) -> Self:
        return cls(random(PHRASE_BYTES))

    @classmethod
    def parse(cls, typed: str) -> Self:
        """Read a phrase in any of its forms: words of any list, digits of any script, any white space. Raises `InputError`."""
        if len(typed) > TYPED_CHARS_MAX:
            raise _refused()
        text = _exact(typed)
        digits = _as_digits(text)
        if digits is not None:
            return cls(_of_digits(digits))
        for language in WORD_LISTS:
            found = _of_words(text, language)
            if found is not None:
                return cls(found)
        raise _refused()

    def words(self, language: str) -> str:
        """Twelve words, or the digits where the language has no list."""
        if language not in WORD_LISTS:
            return self.digits()
        return unicodedata.normalize("NFC", _list(language).to_mnemonic(self.entropy))

    def digits(self) -> str:
        """42 digits in groups of six."""
        number = int.from_bytes(self.entropy)
        text = f"{number:0{DIGITS}d}{number % CHECK_MODULUS:0{CHECK_DIGITS}d}"
        return " ".join(text[start : start + GROUP] for start in range(0, len(text), GROUP))

    def mailbox(self, intake: str) -> Mailbox:
        """What stands in reports to the intake of this name."""
        return Mailbox(key=self._derived(intake, b"mailbox").hex(), recipient=str(self.identity(intake).to_public()))

    def identity(self, intake: str) -> pyrage.x25519.Identity:
        """What opens replies."""
        return pyrage.x25519.Identity.from_str(_bech32("age-secret-key-", self._derived(intake, b"identity")).upper())

    def _derived(self, intake: str, use: bytes) -> bytes:
        info = b"inspectorate source " + use
        return HKDF(algorithm=SHA256(), length=32, salt=intake.encode(), info=info).derive(self.entropy)


def _refused() -> InputError:
    return InputError("is no code phrase", remedy="compare it with what was written down: twelve words, or 42 digits")


@cache
def _list(language: str) -> Mnemonic:
    return Mnemonic(WORD_LISTS[language])


@cache
def _numbers(language: str) -> dict[str, int]:
    """How people may type a word -> its number: without its accents too, where that leaves all words apart."""
    words = _list(language).wordlist
    plain = {_plain(word): number for number, word in enumerate(words)}
    exact = {_exact(word): number for number, word in enumerate(words)}
    return (plain if len(plain) == len(words) else {}) | exact


def _exact(word: str) -> str:
    return unicodedata.normalize("NFKD", word).casefold()


def _plain(word: str) -> str:
    return "".join(one for one in _exact(word) if not unicodedata.combining(one))


def _of_words(text: str, language: str) -> bytes | None:
    """The entropy of words; the check is that it gives these words again."""
    typed = list("".join(text.split())) if language == "zh" else text.split()
    known = _numbers(language)
    numbers = [known.get(word, known.get(_plain(word), -1)) for word in typed]
    if len(numbers) != WORDS or min(numbers) < 0:
        return None
    bits = 0
    for number in numbers:
        bits = bits << 11 | number
    entropy = (bits >> (11 * WORDS - 8 * PHRASE_BYTES)).to_bytes(PHRASE_BYTES)
    words = _list(language).wordlist
    return entropy if _list(language).to_mnemonic(entropy).split() == [words[number] for number in numbers] else None


def _as_digits(text: str) -> str | None:
    """The digits of any script, if there is nothing else but separators."""
    kept = [one for one in text if not (one.isspace() or unicodedata.category(one) in {"Pd", "Cf", "Po"})]
    numbers = [unicodedata.digit(one, None) for one in kept]
    if not numbers or None in numbers:
        return None
    return "".join(str(number) for number in numbers)


def _of_digits(digits: str) -> bytes:
    number, check = (int(digits[:DIGITS]), int(digits[DIGITS:])) if len(digits) == DIGITS + CHECK_DIGITS else (1, 0)
    if number % CHECK_MODULUS != check or number >= 1 << (8 * PHRASE_BYTES):
        raise _refused()
    return number.to_bytes(PHRASE_BYTES)


_BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


def _bech32(prefix: str, data: bytes) -> str:
    """BIP-173 without its limit on length, as age writes keys."""
    number, bits = int.from_bytes(data), -(-len(data) * 8 // 5) * 5
    number <<= bits - len(data) * 8
    values = [(number >> shift) & 31 for shift in range(bits - 5, -1, -5)]
    head = [ord(one) >> 5 for one in prefix] + [0] + [ord(one) & 31 for one in prefix]
    check = _polymod([*head, *values, 0, 0, 0, 0, 0, 0]) ^ 1
    values += [(check >> shift) & 31 for shift in range(25, -1, -5)]
    return prefix + "1" + "".join(_BECH32[value] for value in values)


def _polymod(values: list[int]) -> int:
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for place, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            check ^= generator if (top >> place) & 1 else 0
    return check
