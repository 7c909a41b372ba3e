"""Agreements from YAML, and the ones that are shipped with the program."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path

from inspectorate.agreement.types import Agreement
from inspectorate.errors import InputError
from inspectorate.keys import parse_yaml, read_yaml

AGREEMENT_BYTES_MAX = 1024 * 1024


def load_agreement(name_or_path: str) -> Agreement:
    """The agreement in a YAML file, or the shipped one of that name. Raises `InputError`."""
    path = Path(name_or_path)
    if path.suffix in {".yaml", ".yml"} or os.path.exists(name_or_path):
        return Agreement.parse(read_yaml(path, bytes_max=AGREEMENT_BYTES_MAX), where=str(path), error=InputError)
    shipped = resources.files("inspectorate.agreement") / "shipped" / f"{name_or_path}.yaml"
    if name_or_path not in shipped_agreements():
        known = ", ".join(shipped_agreements())
        raise InputError(f"no agreement {name_or_path!r}", remedy=f"give a YAML file or one of: {known}")
    return parse_agreement(shipped.read_bytes(), where=f"{name_or_path}.yaml (shipped)")


def parse_agreement(data: bytes, *, where: str) -> Agreement:
    """An agreement from the bytes of a YAML document. Raises `InputError`."""
    return Agreement.parse(parse_yaml(data, where=where, bytes_max=AGREEMENT_BYTES_MAX), where=where, error=InputError)


def shipped_agreements() -> tuple[str, ...]:
    """The names of the agreements that are shipped."""
    folder = resources.files("inspectorate.agreement") / "shipped"
    return tuple(sorted(item.name.removesuffix(".yaml") for item in folder.iterdir() if item.name.endswith(".yaml")))
