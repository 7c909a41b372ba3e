"""Files that a user or another party names: read whole, and never beyond a limit."""

from __future__ import annotations

from pathlib import Path

from inspectorate.errors import InputError, InspectorateError

_PART_BYTES = 1 << 20


def read_bounded(
    path: Path,
    bytes_max: int,
    *,
    unreadable: type[InspectorateError] = InputError,
    too_large: type[InspectorateError] = InputError,
    remedy: str = "",
) -> bytes:
    """The bytes of a file, a pipe or a device that holds at most `bytes_max`.

    Links are followed: a file in a folder of the other side is read by `evidence.exchange.read_plain`. Raises `unreadable` where
    the file cannot be read, and `too_large` where it holds more.
    """
    data = bytearray()
    try:
        with path.open("rb") as file:
            # Bit by bit: a buffer of the whole limit may be more than the memory.
            while len(data) <= bytes_max and (part := file.read(min(_PART_BYTES, bytes_max + 1 - len(data)))):
                data += part
    except OSError as fault:
        raise unreadable(f"cannot be read: {fault.strerror}", where=str(path), remedy=remedy) from None
    except ValueError as fault:
        raise unreadable(f"cannot be read: {fault}", where=repr(str(path)), remedy=remedy) from None
    if len(data) > bytes_max:
        raise too_large(f"has more than {bytes_max} bytes", where=str(path), remedy=remedy)
    return bytes(data)
