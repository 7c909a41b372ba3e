"""Who is said to work together: by a list of purposes and hosts, or by the workload claims of a declaration.

The list is a CSV file with the columns `purpose` and `host`, one row per host. A claim joins the hosts of its pods if it is about
work that one run or one service does: two pods that are both idle do nothing together.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from inspectorate.declaration import WorkloadClaim, WorkloadKind
from inspectorate.errors import InputError
from inspectorate.mechanisms.custody.clusters.judge import Purpose
from inspectorate.mechanisms.custody.clusters.reference import HOSTS_MAX, PURPOSES_MAX

PURPOSES_BYTES_MAX = 64 * 1024 * 1024
_FIELD_MAX = 128
_REMEDY = "write a header `purpose,host` and one row per host"


def read_purposes(data: bytes, where: str) -> tuple[Purpose, ...]:
    """Purposes of a CSV file, in the order in which they first appear. Raises `InputError`."""
    if len(data) > PURPOSES_BYTES_MAX:
        raise InputError(f"{len(data)} bytes exceed {PURPOSES_BYTES_MAX}", where=where)
    try:
        rows = csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True)
        if next(rows, None) != ["purpose", "host"]:
            raise InputError("has no header of the columns purpose and host", where=where, remedy=_REMEDY)
        found: dict[str, list[str]] = {}
        for number, row in enumerate(rows, start=2):
            if len(row) != 2 or not all(0 < len(text) <= _FIELD_MAX and text.isprintable() for text in row):
                raise InputError(f"row {number} is not one purpose and one host", where=where, remedy=_REMEDY)
            if number > HOSTS_MAX:
                raise InputError(f"more than {HOSTS_MAX} rows", where=where)
            found.setdefault(row[0], []).append(row[1])
    except (UnicodeDecodeError, csv.Error) as fault:
        raise InputError(f"is no CSV file: {fault}", where=where, remedy=_REMEDY) from None
    if not 0 < len(found) <= PURPOSES_MAX:
        raise InputError(f"has {len(found)} purposes, of at most {PURPOSES_MAX}", where=where, remedy=_REMEDY)
    return tuple(Purpose(name=name, hosts=tuple(hosts)) for name, hosts in found.items())


def claimed_purposes(claims: Iterable[WorkloadClaim], pods: Iterable[str]) -> tuple[Purpose, ...]:
    """Purposes of the claims over more than one pod that the register has, idle ones left out. `pods` are those of the register."""
    known = set(pods)
    found = [
        Purpose(name=claim.id, pods=here)
        for claim in claims
        if claim.kind is not WorkloadKind.IDLE and len(here := tuple(pod for pod in claim.pods if pod in known)) > 1
    ]
    return tuple(found)
