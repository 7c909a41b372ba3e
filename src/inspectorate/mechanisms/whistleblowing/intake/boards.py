"""Replies of an office to its sources: a board of one size, public, made anew whenever the office makes one, replies or not.

    <office>.board     a signed head | new line | 128 places of 4,096 bytes

    place     tag (16) | length (2) | a message of one size sealed by age to the source's recipient | randomness

Rules:

- Places without a reply hold a message of nothing, sealed to a key that nobody has, under a random tag: the same steps.
- The tag follows from the source's mailbox and the board's nonce, so that nobody but the source and the offices finds the same
  source on two boards.
- The head is signed by the office, and numbered: the host cannot write replies, and an older board is refused.

A host that runs the pages sees a reply when its source reads it there, since it opens it for the source. A source with this program
reads a board by itself, of any copy.
"""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import pyrage
from pydantic import Field, StringConstraints

from inspectorate.canonical import Digest, Identifier, Record, digest_of
from inspectorate.errors import EvidenceError, InputError
from inspectorate.keys import SigningKey
from inspectorate.mechanisms.whistleblowing.intake.signed import sign, verified
from inspectorate.mechanisms.whistleblowing.sealing.offices import Offices
from inspectorate.mechanisms.whistleblowing.sealing.phrases import TAG_BYTES, Mailbox, Phrase

PLACES = 128
PLACE_BYTES = 4096
MESSAGE_BYTES = 3584
"""A message before it is sealed, filled up. What age adds to it has at most about 400 bytes."""
REPLY_BYTES_MAX = MESSAGE_BYTES - 2
REPLIES_PER_SOURCE_MAX = 8
HEAD_BYTES_MAX = 4096
BOARD_BYTES_MAX = HEAD_BYTES_MAX + 1 + PLACES * PLACE_BYTES

_KIND = "board"
_LENGTH_BYTES = 2
_RANDOM = random.SystemRandom()


class BoardHead(Record):
    """What an office signs of its board."""

    intake: Identifier
    office: Identifier
    sequence: Annotated[int, Field(ge=1, le=10**9)]
    nonce: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
    places: Digest


@dataclass(frozen=True)
class Reply:
    """What an office answered."""

    office: str
    text: str


@dataclass(frozen=True)
class Answer:
    """A reply that is to be put on a board."""

    mailbox: Mailbox
    text: str


def make_board(intake: str, office: str, sequence: int, answers: Sequence[Answer], key: SigningKey) -> bytes:
    """A new board with these replies, in random order among places without. Raises `InputError` on too many or too long."""
    if len(answers) > PLACES:
        raise InputError(f"{len(answers)} replies are more than the {PLACES} of a board", remedy="take older ones off")
    nonce = os.urandom(16)
    numbers: dict[str, int] = {}
    places = []
    for answer in answers:
        number = numbers[answer.mailbox.key] = numbers.get(answer.mailbox.key, -1) + 1
        if number >= REPLIES_PER_SOURCE_MAX:
            raise InputError(f"more than {REPLIES_PER_SOURCE_MAX} replies to one source", remedy="take older ones off")
        recipient = pyrage.x25519.Recipient.from_str(answer.mailbox.recipient)
        places.append(_place(answer.mailbox.tag(nonce + bytes([number])), answer.text, recipient))
    while len(places) < PLACES:
        places.append(_place(os.urandom(TAG_BYTES), "", pyrage.x25519.Identity.generate().to_public()))
    _RANDOM.shuffle(places)
    data = b"".join(places)
    head = BoardHead(intake=intake, office=office, sequence=sequence, nonce=nonce.hex(), places=digest_of(data))
    return sign(head, _KIND, key) + b"\n" + data


def read_board(data: bytes, intake: str, offices: Offices, *, where: str) -> tuple[BoardHead, bytes]:
    """A board of one of these offices: its head and its places. Raises `EvidenceError`."""
    head_data, _, places = data.partition(b"\n")
    for office in offices.offices:
        try:
            said = verified(head_data, _KIND, office.public_key, where=where)
        except EvidenceError:
            continue
        head = BoardHead.parse(said, where=where, error=EvidenceError)
        if head.office != office.name or head.intake != intake:
            raise EvidenceError(f"is a board of {head.office} for {head.intake}", where=where)
        if digest_of(places) != head.places or len(places) != PLACES * PLACE_BYTES:
            raise EvidenceError("its places are not those that its head names", where=where)
        return head, places
    raise EvidenceError("is a board of none of the offices", where=where, remedy="was it changed on the way?")


def replies_on(board: tuple[BoardHead, bytes], phrase: Phrase) -> list[Reply]:
    """The replies to one source, in the order in which the office wrote them."""
    head, places = board
    mailbox, identity = phrase.mailbox(head.intake), phrase.identity(head.intake)
    by_tag = {places[at : at + TAG_BYTES]: places[at : at + PLACE_BYTES] for at in range(0, len(places), PLACE_BYTES)}
    found = []
    for number in range(REPLIES_PER_SOURCE_MAX):
        place = by_tag.get(mailbox.tag(bytes.fromhex(head.nonce) + bytes([number])))
        text = None if place is None else _text(place, identity)
        if text is not None:
            found.append(Reply(head.office, text))
    return found


def _place(tag: bytes, text: str, recipient: pyrage.x25519.Recipient) -> bytes:
    data = text.encode()
    if len(data) > REPLY_BYTES_MAX:
        raise InputError(f"a reply of {len(data)} bytes is longer than {REPLY_BYTES_MAX}", remedy="write two replies")
    message = len(data).to_bytes(_LENGTH_BYTES) + data + bytes(REPLY_BYTES_MAX - len(data))
    room = PLACE_BYTES - TAG_BYTES - _LENGTH_BYTES
    sealed = pyrage.encrypt(message, [recipient])
    while len(sealed) > room:
        sealed = pyrage.encrypt(message, [recipient])
    return tag + len(sealed).to_bytes(_LENGTH_BYTES) + bytes(sealed) + os.urandom(room - len(sealed))


def _text(place: bytes, identity: pyrage.x25519.Identity) -> str | None:
    """What a place holds for this source; none where the office put there what does not open."""
    start = TAG_BYTES + _LENGTH_BYTES
    length = int.from_bytes(place[TAG_BYTES:start])
    try:
        message = bytes(pyrage.decrypt(place[start : start + length], [identity]))
    except pyrage.DecryptError:
        return None
    size = int.from_bytes(message[:_LENGTH_BYTES])
    return message[_LENGTH_BYTES : _LENGTH_BYTES + size].decode("utf-8", errors="replace")
