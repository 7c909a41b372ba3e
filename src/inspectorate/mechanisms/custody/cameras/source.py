"""Frames from a file or from RTSP, in grey, at the working size, a few a second.

PyAV reads both: it brings its own FFmpeg libraries, has no system package behind it, and gives the time stamp of every frame,
which OpenCV's VideoCapture does not do reliably.

Rules, because a file is the other side's word:

- Only Matroska, WebM, MP4 and MOV are opened as files, told by their first bytes, and no format that names other files or
  addresses. Only the codecs of `CODECS` are decoded, video alone.
- Width and height are bounded before a decoder starts, again for every frame, and in the decoder itself.
- Time stamps never go back, and never leap beyond `SPAN_S_MAX`. What is wrong with them is an `EvidenceError` with the frame's
  number.
- An endless file ends where the caller stops taking frames: nothing is read ahead.

Decoders are large programs in C. What they do with hostile bytes is bounded here, not contained: watch on a machine that holds
nothing else.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import stat
from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from inspectorate.errors import EnvironmentError_, EvidenceError, InputError
from inspectorate.mechanisms.custody.cameras.reference import (
    CODECS,
    HEIGHT,
    PIXELS_MAX,
    SIDE_MAX,
    SPAN_S_MAX,
    WAIT_S,
    WIDTH,
)

Grey = NDArray[np.uint8]
"""A working picture, shape (HEIGHT, WIDTH)."""

UNSTAMPED_MAX = 100
"""A live source may send so many frames before it says what time they are of; they are passed over."""
MAGIC_MATROSKA = b"\x1a\x45\xdf\xa3"
_PIECE_BYTES = 1 << 20
_UNREADABLE = "re-encode it as H.264 in Matroska or MP4, and keep the original with its digest"


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One frame that was looked at."""

    time_s: float
    """Since the first frame, by the stamps of the source."""
    grey: Grey


@cache
def pyav() -> Any:
    """The module `av`. Raises `EnvironmentError_` naming the extra where it is not installed."""
    try:
        module = importlib.import_module("av")
    except ImportError as fault:
        raise EnvironmentError_(
            f"needs PyAV, which cannot be loaded: {fault}", where="camera", remedy="install inspectorate[camera]"
        ) from None
    module.logging.set_level(module.logging.PANIC)
    return module


def is_live(source: str) -> bool:
    return source.startswith(("rtsp://", "rtsps://"))


def frames_of(source: str, *, rate: float) -> Generator[Frame, None, None]:
    """The frames of a file or an address, at most `rate` a second. Closes the source at the end, whatever ends it.

    Raises `InputError`, `EvidenceError` or `EnvironmentError_`.
    """
    return _live(source, rate) if is_live(source) else frames_of_file(Path(source), rate=rate)


def frames_of_file(path: Path, *, rate: float) -> Generator[Frame, None, None]:
    """The frames of a video file."""
    with _plain(path) as file:
        yield from frames_of_stream(file, rate=rate, where=str(path))


def frames_of_stream(file: BinaryIO, *, rate: float, where: str) -> Generator[Frame, None, None]:
    """The frames of an open file, which must be seekable."""
    av = pyav()
    start = file.read(12)
    file.seek(0)
    if start.startswith(MAGIC_MATROSKA):
        name = "matroska"
    elif start[4:8] in (b"ftyp", b"moov", b"mdat", b"wide"):
        name = "mp4"
    else:
        raise EvidenceError("is neither Matroska nor MP4", where=where, remedy=_UNREADABLE)
    options = {"protocol_whitelist": "", "enable_drefs": "0", "use_absolute_path": "0"}
    try:
        # Streams are probed by decoding: the bound holds there, too.
        bounds = [{"max_pixels": str(PIXELS_MAX)}]
        with av.open(file, "r", format=name, options=options, stream_options=bounds) as container:
            yield from _taken(_decoded(container, where, live=False), rate, where)
    except av.error.FFmpegError as fault:
        raise EvidenceError(f"cannot be decoded: {_words(fault)}", where=where, remedy=_UNREADABLE) from None


def _live(url: str, rate: float) -> Generator[Frame, None, None]:
    av = pyav()
    where = _without_password(url)
    options = {"rtsp_transport": "tcp", "allowed_media_types": "video", "max_delay": "500000"}
    try:
        with av.open(url, "r", format="rtsp", options=options, timeout=(WAIT_S, WAIT_S)) as container:
            yield from _taken(_decoded(container, where, live=True), rate, where)
    except av.error.FFmpegError as fault:
        raise EnvironmentError_(
            f"the camera cannot be read: {_words(fault)}", where=where, remedy="check address, user and network"
        ) from None


def _words(fault: Any) -> str:
    return str(getattr(fault, "strerror", None) or type(fault).__name__)[:200]


def _without_password(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


def _decoded(container: Any, where: str, *, live: bool) -> Iterator[tuple[float, Any]]:
    """Time stamps and frames of the one video stream, under all bounds."""
    streams = container.streams.video
    if len(streams) != 1:
        raise EvidenceError(f"has {len(streams)} streams of video, not one", where=where, remedy=_UNREADABLE)
    stream = streams[0]
    context = stream.codec_context
    if context is None or context.name not in CODECS:
        name = "nothing known" if context is None else context.name
        raise EvidenceError(f"is encoded as {name}", where=where, remedy=f"one of {', '.join(CODECS)} is read")
    _check_size(context.width, context.height, where)
    context.options = {"max_pixels": str(PIXELS_MAX)}
    context.thread_count = 1
    context.skip_frame = "DEFAULT"
    first = last = None
    number = 0
    for packet in container.demux(stream):
        for frame in packet.decode():
            number += 1
            place = f"{where}: frame {number}"
            _check_size(frame.width, frame.height, place)
            if frame.pts is None and live and first is None and number <= UNSTAMPED_MAX:
                continue
            if frame.pts is None or not frame.time_base:
                raise EvidenceError("has no time stamp", where=place, remedy="record with time stamps")
            at = float(frame.pts * frame.time_base)
            first = at if first is None else first
            if last is not None and at < last:
                raise EvidenceError(f"its time stamp goes back by {last - at:.3f} s", where=place, remedy=_UNREADABLE)
            if at - first > SPAN_S_MAX:
                raise EvidenceError(f"its time stamp leaps to {at - first:.0f} s", where=place, remedy=_UNREADABLE)
            last = at
            yield at - first, frame
    if first is None:
        raise EvidenceError("holds no frame", where=where, remedy=_UNREADABLE)


def _check_size(width: int, height: int, where: str) -> None:
    if not (0 < width <= SIDE_MAX and 0 < height <= SIDE_MAX) or width * height > PIXELS_MAX:
        raise EvidenceError(
            f"is {width} x {height}, where at most {PIXELS_MAX} pixels are decoded", where=where, remedy=_UNREADABLE
        )


def _taken(decoded: Iterator[tuple[float, Any]], rate: float, where: str) -> Iterator[Frame]:
    """Thin out to `rate`, and bring to the working size."""
    due = 0.0
    for at, frame in decoded:
        if at + 1e-3 < due:
            continue
        due = max(due + 1 / rate, at + 0.5 / rate)
        small = frame.reformat(width=WIDTH, height=HEIGHT, format="gray", interpolation="AREA")
        yield Frame(time_s=at, grey=np.ascontiguousarray(small.to_ndarray()))


def _plain(path: Path) -> BinaryIO:
    """A plain file, open. Raises `InputError`."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as fault:
        raise InputError(f"cannot be read: {fault.strerror}", where=str(path), remedy="name a video file") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        with suppress(OSError):
            os.close(descriptor)
        raise InputError("is no plain file", where=str(path), remedy="name a video file, or rtsp://...")
    return os.fdopen(descriptor, "rb")


def digest_of_file(path: Path) -> str:
    """The digest of a file, read in pieces."""
    with _plain(path) as file:
        hasher = hashlib.sha256()
        while piece := file.read(_PIECE_BYTES):
            hasher.update(piece)
    return "sha256:" + hasher.hexdigest()
