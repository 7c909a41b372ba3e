"""What is let in: claims of size are read before anything decodes, broken files are named, and decoding happens apart."""

from __future__ import annotations

import contextlib
import struct
import zlib
from functools import cache

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspectorate.errors import InputError
from inspectorate.mechanisms.custody.seals.header import Header, read_header
from inspectorate.mechanisms.custody.seals.photo import decode, decode_apart
from inspectorate.mechanisms.custody.seals.reference import PHOTO_BYTES_MAX, SCANS_MAX, WORK_SIDE


@cache
def picture(form: str, width: int = 640, height: int = 480) -> bytes:
    rng = np.random.default_rng(1)
    small = rng.integers(0, 255, (height // 40, width // 40, 3), np.uint8)
    done, data = cv2.imencode(form, cv2.resize(small, (width, height)))
    assert done
    return bytes(data.tobytes())


def png(width: int, height: int, *, depth: int = 8, colour: int = 2) -> bytes:
    def part(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(b"IDAT", zlib.compress(b"")) + part(b"IEND", b"")


def jpeg(width: int, height: int, *, scans: int = 1) -> bytes:
    frame = struct.pack(">BHHB", 8, height, width, 3) + bytes(9)
    scan = b"\xff\xda" + struct.pack(">H", 12) + bytes(10)
    return b"\xff\xd8\xff\xc0" + struct.pack(">H", 2 + len(frame)) + frame + scan * scans + b"\xff\xd9"


@pytest.mark.parametrize(("form", "name"), [(".jpg", "jpeg"), (".png", "png")])
def test_a_photograph_says_its_size(form: str, name: str) -> None:
    assert read_header(picture(form), where="x") == Header(form=name, width=640, height=480)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is empty"),
        (b"GIF89a" + bytes(100), "neither a JPEG nor a PNG"),
        (b"\0\0\0\x18ftypheic" + bytes(100), "HEIC"),
        (png(60_000, 60_000), "claims 60000 x 60000"),
        (png(16_000, 16_000), "claims 16000 x 16000"),
        (jpeg(65_000, 500), "claims 65000 x 500"),
        (jpeg(300, 300), "too few"),
        (png(1000, 1000, depth=16), "unusual"),
        (png(1000, 1000, colour=3), "unusual"),
        (jpeg(0, 500), "unusual"),
        (jpeg(800, 600, scans=SCANS_MAX + 1), "passes"),
        (picture(".jpg")[:40], "without a readable header"),
        (picture(".png")[:20], "without a header"),
        (picture(".png")[:33], "without a picture"),
        (b"\xff\xd8" + b"\xff" * 5000, "without a readable header"),
        (b"\xff\xd8\xff\xe0\0\0" + bytes(50), "without a readable header"),
    ],
)
def test_what_cannot_be_a_photograph_is_refused_before_it_is_decoded(data: bytes, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        read_header(data, where="door.jpg")
    assert caught.value.where == "door.jpg"
    assert caught.value.remedy


def test_a_file_that_is_too_large_is_refused() -> None:
    with pytest.raises(InputError, match="bytes, more than"):
        read_header(picture(".jpg") + bytes(PHOTO_BYTES_MAX), where="x")


CHANGES = st.lists(st.tuples(st.integers(0, 700), st.integers(0, 255)), max_size=6)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from([".jpg", ".png"]), CHANGES, st.integers(0, 9000))
def test_a_spoilt_file_is_read_with_the_size_of_its_header_or_refused(
    form: str, changes: list[tuple[int, int]], cut: int
) -> None:
    data = bytearray(picture(form))
    for place, value in changes:
        data[place % len(data)] = value
    data = data[: max(len(data) - cut, 0)]
    with contextlib.suppress(InputError):
        header = read_header(bytes(data), where="x")
        photo = decode(bytes(data), where="x")
        wide, narrow = max(header.width, header.height), min(header.width, header.height)
        share = min(1, WORK_SIDE / wide)
        assert sorted(photo.size) == sorted((round(narrow * share), round(wide * share)))


def test_a_file_that_is_no_picture_behind_a_good_header_is_refused() -> None:
    for data in (png(800, 600), jpeg(800, 600)):
        with pytest.raises(InputError, match="cannot be decoded"):
            decode(data, where="x")


def exif(turn: int) -> bytes:
    """The photograph with an EXIF orientation."""
    tiff = b"MM\0*\0\0\0\x08\0\x01" + struct.pack(">HHIHH", 0x0112, 3, 1, turn, 0) + bytes(4)
    body = b"Exif\0\0" + tiff
    return picture(".jpg")[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + picture(".jpg")[2:]


def test_a_photograph_is_turned_as_the_camera_says() -> None:
    upright, turned = decode(exif(1), where="x"), decode(exif(6), where="x")
    assert (upright.size, turned.size) == ((640, 480), (480, 640))
    assert np.abs(np.rot90(upright.grey, -1).astype(int) - turned.grey).max() <= 2


def test_apart_and_here_give_the_same_pixels_and_the_broken_one_is_named() -> None:
    large = picture(".jpg", 2000, 1200)
    photos = decode_apart([("a", large), ("b", exif(6))])
    for one, data in zip(photos, (large, exif(6)), strict=True):
        here = decode(data, where=one.where)
        assert (one.digest, one.size) == (here.digest, here.size)
        assert np.array_equal(one.colour, here.colour)
    with pytest.raises(InputError, match="cannot be decoded") as caught:
        decode_apart([("good", picture(".jpg")), ("bad", png(800, 600))])
    assert caught.value.where == "bad"
