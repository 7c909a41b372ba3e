"""Frames from files and from RTSP; and video that is hostile, broken, huge, endless or none."""

from __future__ import annotations

import contextlib
import io
import itertools
from pathlib import Path

import numpy as np
import pytest
from cameras_cases import film
from cameras_rtsp import Server
from hypothesis import given, settings
from hypothesis import strategies as st

from inspectorate.errors import EnvironmentError_, EvidenceError, InputError, InspectorateError
from inspectorate.mechanisms.custody.cameras import source
from inspectorate.mechanisms.custody.cameras.source import Frame, digest_of_file, frames_of, frames_of_stream
from inspectorate.worlds.rack_encoder import Coding, encode, encoded


def read(data: bytes, rate: float = 4.0) -> list[Frame]:
    return list(frames_of_stream(io.BytesIO(data), rate=rate, where="film"))


@pytest.fixture(scope="module")
def pictures() -> list[tuple[float, np.ndarray]]:
    return film(4)


@pytest.fixture(scope="module")
def matroska(pictures: list[tuple[float, np.ndarray]]) -> bytes:
    return encoded(pictures)


@pytest.mark.parametrize(
    ("codec", "container"), [("libx264", "matroska"), ("libx264", "mp4"), ("mjpeg", "matroska"), ("mpeg4", "mp4")]
)
def test_what_was_filmed_is_read(pictures: list[tuple[float, np.ndarray]], codec: str, container: str) -> None:
    found = read(encoded(pictures, Coding(codec=codec, container=container)))
    assert [one.time_s for one in found] == pytest.approx([t for t, _ in pictures], abs=0.002)
    assert np.abs(found[3].grey.astype(float) - pictures[3][1]).mean() < 12


def test_faster_video_is_thinned_out_and_larger_video_made_smaller() -> None:
    rng = np.random.default_rng(1)
    large = [
        (n / 20, np.kron(rng.integers(0, 255, (18, 32), np.uint8), np.ones((20, 20), np.uint8))) for n in range(40)
    ]
    found = read(encoded(large))
    assert [one.time_s for one in found] == pytest.approx(np.arange(8) / 4, abs=0.03)
    assert found[0].grey.shape == (180, 320)


@pytest.mark.parametrize(
    "data",
    [b"", b"no video at all", b"\x1a\x45\xdf\xa3" + b"\0" * 400, b"\0\0\0\x18ftypmp42" + b"\0" * 400, b"#EXTM3U\nfile:///etc/passwd\n",
     b"ffconcat version 1.0\nfile /etc/passwd\n"],
)  # fmt: skip
def test_what_is_no_video_is_refused_by_name(data: bytes) -> None:
    with pytest.raises(EvidenceError, match="film"):
        read(data)


@pytest.mark.parametrize(("width", "height"), [(8208, 16), (4096, 2320)])
def test_a_huge_picture_is_refused_before_it_is_decoded(width: int, height: int) -> None:
    """A few thousand bytes that would fill memory."""
    data = encoded([(0.0, np.zeros((height, width), np.uint8))], Coding(codec="mjpeg" if width > 8000 else "libx264"))
    assert len(data) < 100_000
    with pytest.raises(EvidenceError, match=f"{width} x {height}|cannot be decoded|holds no frame"):
        read(data)


def test_a_picture_that_grows_on_the_way_is_refused(monkeypatch: pytest.MonkeyPatch, matroska: bytes) -> None:
    monkeypatch.setattr(source, "PIXELS_MAX", 320 * 180 - 1)
    with pytest.raises(EvidenceError, match="320 x 180"):
        read(matroska)


def test_other_codecs_are_refused(pictures: list[tuple[float, np.ndarray]]) -> None:
    with pytest.raises(EvidenceError, match="is encoded as"):
        read(encoded(pictures, Coding(codec="ffv1")))


def test_time_stamps_that_go_back_or_leap_are_refused(pictures: list[tuple[float, np.ndarray]]) -> None:
    leap = [*pictures[:4], (500 * 86_400.0, pictures[4][1])]
    with pytest.raises(EvidenceError, match=r"frame 5.*leaps"):
        read(encoded(leap, Coding(codec="mjpeg")))
    back = [pictures[3], *pictures[:3]]
    with pytest.raises((EvidenceError, ValueError, OSError)):
        read(encoded(back, Coding(codec="mjpeg")))


def test_an_endless_film_is_read_only_as_far_as_asked(matroska: bytes) -> None:
    frames = frames_of_stream(io.BytesIO(matroska), rate=4.0, where="film")
    assert len(list(itertools.islice(frames, 3))) == 3
    frames.close()


def test_files_that_are_none(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.mkv", Path("/dev/null")):
        with pytest.raises(InputError, match="video file"):
            list(frames_of(str(path), rate=4.0))
    with pytest.raises(InputError):
        digest_of_file(tmp_path / "none.mkv")


_SMALL = encoded(film(1.5), Coding(quality="40"))


@settings(max_examples=25)
@given(
    st.lists(st.tuples(st.integers(0, len(_SMALL) - 1), st.integers(0, 255)), min_size=1, max_size=12),
    st.integers(0, len(_SMALL)),
)
def test_a_mutated_film_gives_frames_or_an_error_of_ours(changes: list[tuple[int, int]], keep: int) -> None:
    data = bytearray(_SMALL)
    for place, value in changes:
        data[place] = value
    with contextlib.suppress(InspectorateError):
        for frame in read(bytes(data[: max(keep, 200)])):
            assert frame.grey.shape == (180, 320)


def test_rtsp_is_read_live(pictures: list[tuple[float, np.ndarray]]) -> None:
    """A real server on loopback, pulled over TCP."""
    server = Server(pictures, speed=8.0)
    try:
        frames = frames_of(f"rtsp://user:secret@127.0.0.1:{server.port}/rack", rate=4.0)
        found = list(itertools.islice(frames, 10))
        frames.close()
    finally:
        server.close()
    assert len(found) == 10
    assert [one.time_s for one in found] == pytest.approx(np.arange(10) / 4, abs=0.05)
    assert np.abs(found[3].grey.astype(float) - pictures[3][1]).mean() < 12


def test_a_camera_that_is_not_there_is_an_error_without_its_password() -> None:
    with pytest.raises(EnvironmentError_, match="cannot be read") as caught:
        list(frames_of("rtsp://user:secret@127.0.0.1:9/rack", rate=4.0))
    assert "secret" not in str(caught.value)


def test_encoding_to_a_file_gives_what_encoding_in_memory_gives(
    tmp_path: Path, pictures: list[tuple[float, np.ndarray]]
) -> None:
    path = tmp_path / "film.mkv"
    encode(pictures, path)
    assert len(list(frames_of(str(path), rate=4.0))) == len(pictures)
    assert digest_of_file(path).startswith("sha256:")
