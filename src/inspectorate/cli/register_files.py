"""What the commands of `register` share: inventories, lists of serials, the clause of an agreement, and faults in words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import pyarrow as pa

from inspectorate.agreement import Agreement, ChipRegister, load_agreement
from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence.exchange import read_plain
from inspectorate.mechanisms.custody.register.faults import Bearing, Found
from inspectorate.mechanisms.custody.register.inventory import (
    INVENTORY_BYTES_MAX,
    PARQUET_MAGIC,
    Mapped,
    read_inventory,
    read_serial_lines,
    read_wiring_csv,
)
from inspectorate.mechanisms.custody.register.judge import Terms
from inspectorate.mechanisms.custody.register.reference import TABLE_BYTES_MAX
from inspectorate.mechanisms.custody.register.serials import read_serials, serials_of
from inspectorate.mechanisms.custody.register.table import Register
from inspectorate.mechanisms.custody.register.wiring import Wiring, read_wiring, wiring_of

PENDING, BREACH, UNUSABLE = 10, 20, 30
"""Exit codes of commands that judge."""

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
_column = click.option(
    "--column", "columns", multiple=True, metavar="OURS=THEIRS", help="What the inventory calls a column; repeatable."
)
_set = click.option(
    "--set", "fixed", multiple=True, metavar="OURS=VALUE", help="One value for all rows of a column; repeatable."
)
_value = click.option(
    "--value", "values", multiple=True, metavar="OURS:THEIRS=VALUE",
    help="What a value of a column means, such as model:'H100 SXM5'=h100-sxm; repeatable.",
)  # fmt: skip
reporter_option = click.option("--reporter", required=True, help="Your keeper of the register, as declared.")
inspector_option = click.option("--as", "by", required=True, help="Your name as a trust anchor.")
at_option = click.option("--at", help="When it happened; the present by default.")


def mapping(command: Callable[..., None]) -> Callable[..., None]:
    """The options with which an inventory is read."""
    for option in (_value, _set, _column):
        command = option(command)
    return command


def inventory(path: Path, options: Mapping[str, Any]) -> Register:
    """The register of an inventory (CSV or Parquet). Raises `InputError`."""
    values: dict[str, dict[str, str]] = {}
    for text in options["values"]:
        ours, _, rest = text.partition(":")
        theirs, value = _pair(rest, "--value")
        values.setdefault(ours, {})[theirs] = value
    mapped = Mapped(
        columns=dict(_pair(text, "--column") for text in options["columns"]),
        fixed=dict(_pair(text, "--set") for text in options["fixed"]),
        values=values,
    )
    return read_inventory(_bytes(path, INVENTORY_BYTES_MAX), mapped, where=str(path))


def wiring(path: Path | None) -> Wiring:
    """The wiring of a file (CSV, or Parquet in our form); none: no host is wired to another. Raises `InputError`."""
    if path is None:
        return wiring_of([])
    data = _bytes(path, INVENTORY_BYTES_MAX)
    if data[:4] != PARQUET_MAGIC:
        return read_wiring_csv(data, where=str(path))
    try:
        return read_wiring(data, where=str(path))
    except EvidenceError as fault:
        raise InputError(fault.problem, where=str(path), remedy=fault.remedy) from None


def serials(path: Path) -> pa.Array:
    """Serials of a file: one a line, or Parquet in our form. Raises `InputError`."""
    data = _bytes(path, TABLE_BYTES_MAX)
    if data[:4] != PARQUET_MAGIC:
        return serials_of(read_serial_lines(data, where=str(path)), where=str(path))
    try:
        return read_serials(data, where=str(path))
    except EvidenceError as fault:
        raise InputError(fault.problem, where=str(path), remedy=fault.remedy) from None


def terms_of(name: str, as_of: datetime) -> tuple[Agreement, Terms]:
    """The agreement as it stood then, and its clause on registers. Raises `InputError`."""
    whole = load_agreement(name)
    try:
        agreement = whole.on(as_of)
    except ValueError as fault:
        raise InputError(str(fault), where=f"agreement {whole.id}") from None
    own = [(one, one.parameters) for one in agreement.clauses if isinstance(one.parameters, ChipRegister)]
    if not own:
        raise InputError(
            "has no clause on a register of chips", where=f"agreement {whole.id}", remedy="one of kind chip-register"
        )
    clause, parameters = own[0]
    return agreement, Terms(clause=parameters, holds_from=clause.holds_from, as_of=as_of)


def fault_facts(found: Iterable[Found]) -> list[dict[str, object]]:
    """Faults for a program."""
    return [
        {
            "fault": one.fault.value, "bearing": one.bearing.value, "detail": one.detail, "chips": one.chips,
            "serials": list(one.serials), "statements": list(one.statements),
            "at": one.at.isoformat() if one.at else None, "mended_by": one.mended_by,
        }
        for one in found
    ]  # fmt: skip


def fault_lines(found: Sequence[Found]) -> list[str]:
    """Faults for a person."""
    lines = []
    for one in found:
        when = f"{one.at:%Y-%m-%d %H:%M:%S} UTC  " if one.at else ""
        lines += [f"{when}{one}", f"    to mend it: {one.mended_by}"]
    return lines


def exit_code(found: Sequence[Found], *, pending: bool) -> int:
    """What a judged register comes to for a script."""
    if any(one.bearing is Bearing.BREACH for one in found):
        return BREACH
    if found:
        return UNUSABLE
    return PENDING if pending else 0


def _pair(text: str, option: str) -> tuple[str, str]:
    ours, equals, theirs = text.partition("=")
    if not equals or not ours or not theirs:
        raise InputError(f"{text[:60]!r} is no pair", where=option, remedy="write one as OURS=THEIRS")
    return ours, theirs


def _bytes(path: Path, limit: int) -> bytes:
    """A file of the operator's own. Raises `InputError`."""
    try:
        return read_plain(path, limit)
    except EvidenceError as fault:
        raise InputError(fault.problem, where=str(path), remedy=fault.remedy) from None
