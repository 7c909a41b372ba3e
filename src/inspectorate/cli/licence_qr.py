"""QR codes of a licence's parts: one file per part."""

from __future__ import annotations

from pathlib import Path

import segno

from inspectorate.errors import EnvironmentError_, InputError

KINDS = (".svg", ".png")
_SCALE = 4
"""Pixels of a module in a picture: a code of version 25 is then 500 pixels wide."""


def write_codes(parts: tuple[str, ...], out: Path) -> list[Path]:
    """Write `OUT-1-of-n.svg` and so on, beside OUT. Raises `InputError` or `EnvironmentError_`."""
    if out.suffix not in KINDS:
        raise InputError("QR codes are written as SVG or PNG", where=str(out), remedy="name it OUT.svg or OUT.png")
    written = []
    for number, part in enumerate(parts, start=1):
        path = out.with_name(f"{out.stem}-{number}-of-{len(parts)}{out.suffix}")
        code = segno.make_qr(part, error="l", mode="alphanumeric", boost_error=True)
        try:
            code.save(str(path), scale=_SCALE, border=4)
        except OSError as fault:
            raise EnvironmentError_(f"cannot be written: {fault.strerror}", where=str(path)) from None
        written.append(path)
    return written
