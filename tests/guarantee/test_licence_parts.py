"""Licences as text and QR codes: written by one library, read by another, put together in any order."""

from __future__ import annotations

import base64
import hashlib
import random
import zlib
from pathlib import Path

import licence_making as make
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from inspectorate.cli.licence_qr import write_codes
from inspectorate.errors import EnvironmentError_, EvidenceError, InputError
from inspectorate.mechanisms.guarantee.licences.parts import (
    PART_CHARACTERS,
    PARTS_MAX,
    from_parts,
    to_parts,
)
from inspectorate.mechanisms.guarantee.metering.types import MeterKind

DOCUMENT = make.signed(make.licence(1, {MeterKind.FLOP: 1e18, MeterKind.BYTES_OUT: 1e9}), ("ana", "bo", "chen"))
PARTS = to_parts(DOCUMENT)
OF = len(PARTS)
ALPHANUMERIC = set("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:")


def test_parts_fit_their_code_and_are_its_alphabet() -> None:
    assert 12 <= OF <= 14
    for part in PARTS:
        assert len(part) <= PART_CHARACTERS
        assert set(part) <= ALPHANUMERIC
    assert len(to_parts(DOCUMENT, characters=4296)) == 5


@settings(max_examples=20)
@given(st.integers(100, 4296), st.randoms(use_true_random=False), st.integers(0, 3))
def test_parts_of_any_length_in_any_order_make_the_document(characters: int, rng: random.Random, repeats: int) -> None:
    parts = list(to_parts(DOCUMENT, characters=characters))
    assert max(len(part) for part in parts) <= characters
    parts += parts[:repeats]
    rng.shuffle(parts)
    assert from_parts(parts, where="x") == DOCUMENT


def test_case_and_surrounding_blanks_do_not_matter() -> None:
    assert from_parts([f"  {part.lower()}\r\n" for part in PARTS], where="x") == DOCUMENT


def test_what_is_missing_is_named() -> None:
    with pytest.raises(EvidenceError, match=f"of {OF} parts, missing: 2, {OF}"):
        from_parts([PARTS[0], *PARTS[2:-1]], where="x")
    with pytest.raises(EvidenceError, match="no parts"):
        from_parts([], where="x")


def misread(part: str, place: int) -> str:
    return part[:place] + ("A" if part[place] != "A" else "B") + part[place + 1 :]


def test_the_part_that_was_misread_is_named() -> None:
    with pytest.raises(EvidenceError, match=f"number 4: part 4 of {OF} was misread"):
        from_parts([*PARTS[:3], misread(PARTS[3], 200), *PARTS[4:]], where="x")


def other_parts() -> tuple[str, ...]:
    return to_parts(make.signed(make.licence(2), ("ana", "bo", "chen")))


def forged(number: int, data: bytes) -> str:
    """A part that says of itself that it is sound."""
    head = "/".join(PARTS[0].split("/")[:2])
    return f"{head}/{number}/{OF}/{zlib.crc32(data):08X}/{base64.b32encode(data).decode().rstrip('=')}"


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ([*PARTS[:-1], other_parts()[-1]], "several licences"),
        ([*PARTS, forged(5, b"other")], "part 5 was read in two ways"),
        ([*PARTS[:4], forged(5, b"other"), *PARTS[5:]], "do not make up one licence"),
        (["ILQ1/0123456789ABCDEF/2/1/00000000/AA"], "part 2 of 1 cannot be"),
        (["ILQ1/0123456789ABCDEF/1/999/00000000/AA"], "part 1 of 999 cannot be"),
        (["ILQ1/0123456789ABCDEF/0/1/00000000/AA"], "is not a part"),
        (["ILQ2" + PARTS[0][4:]], "is not a part"),
        ([""], "is not a part"),
        ([PARTS[0] * 10], "is not a part"),
        ([PARTS[0]] * (2 * PARTS_MAX + 1), "more than"),
    ],
)
def test_everything_else_that_is_wrong_is_named(parts: list[str], words: str) -> None:
    with pytest.raises(EvidenceError, match=words):
        from_parts(parts, where="x")


def made_of(packed: bytes) -> list[str]:
    """Parts that are sound, of bytes that need not be a licence."""
    name = hashlib.sha256(packed).hexdigest()[:16].upper()
    return [f"ILQ1/{name}/1/1/{zlib.crc32(packed):08X}/{base64.b32encode(packed).decode().rstrip('=')}"]


@pytest.mark.parametrize(
    ("packed", "words"),
    [
        (zlib.compress(b"{}") + b"x", "something behind"),
        (zlib.compress(b"{}")[:-2], "cut short"),
        (b"not compressed", "cannot be unpacked"),
        (zlib.compress(b"{}"), "not a signed document"),
    ],
)
def test_what_is_packed_must_be_one_licence(packed: bytes, words: str) -> None:
    with pytest.raises(EvidenceError, match=words):
        from_parts(made_of(packed), where="x")


def test_a_small_part_cannot_unpack_to_a_large_one() -> None:
    bomb = zlib.compress(bytes(1_100_000), 9)
    assert len(bomb) < 2600
    with pytest.raises(EvidenceError, match="unpacks to more"):
        from_parts(made_of(bomb), where="x")


@settings(max_examples=60)
@given(st.lists(st.one_of(st.text(max_size=80), st.sampled_from(PARTS), st.just(misread(PARTS[0], 30))), max_size=6))
def test_any_texts_are_a_licence_or_an_error_of_ours(texts: list[str]) -> None:
    with pytest.raises(EvidenceError):
        from_parts(texts, where="x")


def test_bounds_of_what_is_written() -> None:
    for characters in (99, 4297):
        with pytest.raises(InputError, match="100 to 4296"):
            to_parts(DOCUMENT, characters=characters)
    many = DOCUMENT
    for _ in range(10):
        many = many.signed_by(make.KEYS["dee"])
    with pytest.raises(InputError, match="use longer parts"):
        to_parts(many, characters=100)


def test_codes_on_paper_are_read_back_by_another_library(tmp_path: Path) -> None:
    decoder = pytest.importorskip("zxingcpp", reason="needs zxing-cpp")
    written = write_codes(PARTS, tmp_path / "licence.png")
    assert [path.name for path in written][:2] == [f"licence-{number}-of-{OF}.png" for number in (1, 2)]
    texts = []
    for path in reversed(written):
        (code,) = decoder.read_barcodes(Image.open(path))
        texts.append(code.text)
    assert from_parts(texts, where="x") == DOCUMENT


def test_the_largest_code_is_read_back_turned_and_dirty(tmp_path: Path) -> None:
    decoder = pytest.importorskip("zxingcpp", reason="needs zxing-cpp")
    parts = to_parts(DOCUMENT, characters=4296)
    texts = []
    for path in write_codes(parts, tmp_path / "large.png"):
        picture = Image.open(path).convert("L").rotate(90, expand=True)
        picture.paste(0, (400, 400, 412, 412))
        (code,) = decoder.read_barcodes(picture)
        texts.append(code.text)
    assert from_parts(texts, where="x") == DOCUMENT


def test_codes_are_svg_or_png(tmp_path: Path) -> None:
    (one,) = write_codes(PARTS[:1], tmp_path / "x.svg")
    assert one.read_bytes().startswith(b"<?xml")
    with pytest.raises(InputError, match="SVG or PNG"):
        write_codes(PARTS, tmp_path / "x.gif")
    with pytest.raises(EnvironmentError_):
        write_codes(PARTS, tmp_path / "absent" / "x.svg")
