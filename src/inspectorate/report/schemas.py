"""The published JSON Schemas, generated from the records themselves.

`docs/schemas/` holds what `published_schemas` returns, and a test compares the two byte by byte. To write it anew:

    python -c "from pathlib import Path; from inspectorate.report import write_schemas; write_schemas(Path('docs/schemas'))"

A schema is necessary and not sufficient: what a record checks beyond shapes (that periods run forward, that bounds are
ordered, that names are distinct) is said in its docstring and enforced when it is built.

Format: JSON Schema, draft 2020-12.
"""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel

from inspectorate.agreement import Agreement
from inspectorate.declaration import Declaration
from inspectorate.errors import EnvironmentError_
from inspectorate.evidence.kinds import PREDICATES
from inspectorate.keys import TrustAnchors
from inspectorate.review import Review

DIALECT = "https://json-schema.org/draft/2020-12/schema"
BASE = "https://inspectorate.example/schemas/"


def published_schemas() -> dict[str, bytes]:
    """Every published schema as file name -> bytes: UTF-8, indented, keys sorted, with a newline at the end.

    A predicate's file is named after its predicate type: `.../flow-export/v1` is `predicate-flow-export.json`.
    """
    records: dict[str, type[BaseModel]] = {
        "agreement.json": Agreement,
        "declaration.json": Declaration,
        "review.json": Review,
        "trust-anchors.json": TrustAnchors,
    }
    records |= {f"predicate-{kind.value.split('/')[-2]}.json": record for kind, record in PREDICATES.items()}
    return {name: _schema_bytes(name, record) for name, record in sorted(records.items())}


def write_schemas(folder: Path) -> None:
    """Write every published schema into `folder`. Raises `EnvironmentError_`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in published_schemas().items():
            (folder / name).write_bytes(data)
    except OSError as fault:
        raise EnvironmentError_(f"cannot write the schemas: {fault.strerror}", where=str(folder)) from None


def _schema_bytes(name: str, record: type[BaseModel]) -> bytes:
    schema = {"$schema": DIALECT, "$id": BASE + name, **record.model_json_schema()}
    return (json.dumps(schema, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()
