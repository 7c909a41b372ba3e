"""Declarations from YAML (as people write them) and from canonical JSON (as they are signed)."""

from __future__ import annotations

from pathlib import Path

from inspectorate.canonical import parse_canonical
from inspectorate.declaration.types import Declaration
from inspectorate.errors import EvidenceError, InputError
from inspectorate.keys import read_yaml

DECLARATION_BYTES_MAX = 16 * 1024 * 1024


def load_declaration(path: Path) -> Declaration:
    """The declaration in a YAML file. Raises `InputError`."""
    return Declaration.parse(read_yaml(path, bytes_max=DECLARATION_BYTES_MAX), where=str(path), error=InputError)


def parse_declaration(data: bytes, *, where: str) -> Declaration:
    """The declaration in the payload of a signed statement. Raises `EvidenceError`."""
    return Declaration.parse(parse_canonical(data, where=where), where=where, error=EvidenceError)
