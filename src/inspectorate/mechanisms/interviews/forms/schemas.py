"""The published JSON Schemas of forms, frames, captures and of who was heard. `docs/schemas/interviews/` holds them, byte by byte.

A schema is necessary and not sufficient: what `types` and `checking` refuse beyond shapes is said there. To write them anew:

    inspectorate interview form schema --into docs/schemas/interviews
"""

from __future__ import annotations

import json

from pydantic import BaseModel

from inspectorate.mechanisms.interviews.forms.bank import Bank
from inspectorate.mechanisms.interviews.forms.capture import Capture, Frame
from inspectorate.mechanisms.interviews.forms.recording import Held
from inspectorate.mechanisms.interviews.forms.types import Form

DIALECT = "https://json-schema.org/draft/2020-12/schema"
BASE = "https://inspectorate.example/schemas/interviews/"
PUBLISHED: dict[str, type[BaseModel]] = {"bank": Bank, "capture": Capture, "form": Form, "frame": Frame, "held": Held}


def schema_bytes(name: str) -> bytes:
    """One schema: UTF-8, indented, keys sorted, with a newline at the end."""
    schema = {"$schema": DIALECT, "$id": f"{BASE}{name}.json", **PUBLISHED[name].model_json_schema()}
    return (json.dumps(schema, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()
