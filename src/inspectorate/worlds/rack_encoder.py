"""Rendered pictures through a real encoder and into a file: H.264, MPEG-4 or Motion JPEG, in Matroska or MP4."""

from __future__ import annotations

import importlib
import io
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

from inspectorate.errors import EnvironmentError_
from inspectorate.worlds.rack_room import Picture

TICKS = 1000
"""Time stamps are in milliseconds, as Matroska has them."""


@dataclass(frozen=True, kw_only=True)
class Coding:
    """How pictures are encoded."""

    codec: str = "libx264"
    container: str = "matroska"
    quality: str = "26"
    """Rate factor; smaller is better."""
    keyframe_every: int = 24
    preset: str = "ultrafast"


def encode(pictures: Iterable[tuple[float, Picture]], to: Path | BinaryIO, coding: Coding | None = None) -> int:
    """Encode pictures at their times; how many there were."""
    coding = coding or Coding()
    try:
        av: Any = importlib.import_module("av")
    except ImportError as fault:
        raise EnvironmentError_(f"needs {fault.name}", where="encoder", remedy="install inspectorate[camera]") from None
    count = 0
    with av.open(to if not isinstance(to, Path) else str(to), "w", format=coding.container) as container:
        stream: Any = None
        for t, picture in pictures:
            if stream is None:
                stream = container.add_stream(coding.codec, rate=25)
                stream.width, stream.height = picture.shape[1], picture.shape[0]
                stream.pix_fmt = "yuvj420p" if coding.codec == "mjpeg" else "yuv420p"
                stream.codec_context.time_base = Fraction(1, TICKS)
                stream.codec_context.gop_size = coding.keyframe_every
                stream.codec_context.thread_count = 1
                if coding.codec == "libx264":
                    stream.options = {"crf": coding.quality, "preset": coding.preset, "tune": "zerolatency"}
            frame = av.VideoFrame.from_ndarray(picture, format="gray").reformat(format=stream.pix_fmt)
            frame.pts, frame.time_base = round(t * TICKS), Fraction(1, TICKS)
            for packet in stream.encode(frame):
                container.mux(packet)
            count += 1
        if stream is not None:
            for packet in stream.encode(None):
                container.mux(packet)
    return count


def encoded(pictures: Iterable[tuple[float, Picture]], coding: Coding | None = None) -> bytes:
    """The same, in memory."""
    buffer = io.BytesIO()
    encode(pictures, buffer, coding)
    return buffer.getvalue()
