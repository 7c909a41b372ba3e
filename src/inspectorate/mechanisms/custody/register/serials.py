"""Lists of serials, which most changes of a register are about: a Parquet table of one column, sorted, each serial once."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from inspectorate.errors import EvidenceError, InputError
from inspectorate.mechanisms.custody.register.parquet import open_table, write_parquet
from inspectorate.mechanisms.custody.register.reference import SERIAL
from inspectorate.mechanisms.custody.register.table import check_serials


def read_serials(data: bytes, where: str = "serials") -> pa.Array:
    """Serials as a party handed them over. Raises `EvidenceError`."""
    serials = check_serials(open_table(data, texts=(SERIAL,), where=where)[SERIAL], where, EvidenceError)
    if len(serials) > 1:
        rises = pc.less(serials.slice(0, len(serials) - 1), serials.slice(1)).to_numpy(zero_copy_only=False)
        if not rises.all():
            row = int(np.argmin(rises)) + 2
            raise EvidenceError(f"row {row} is out of order, or stands there twice", where=where)
    return serials


def serials_of(given: Iterable[str], where: str = "serials") -> pa.Array:
    """A list of serials, sorted. Raises `InputError` where one is none, or is given twice, or there is none."""
    listed = sorted(given)
    if not listed:
        raise InputError("no serials are given", where=where)
    twice = [one for one, after in itertools.pairwise(listed) if one == after]
    if twice:
        raise InputError(f"the serial {twice[0][:60]!r} is given twice", where=where)
    return check_serials(pa.array(listed, type=pa.string()), where, InputError)


def write_serials(serials: pa.Array) -> bytes:
    """The payload of a list of serials."""
    return write_parquet({SERIAL: serials})
