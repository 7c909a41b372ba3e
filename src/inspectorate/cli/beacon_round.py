"""A round of the public beacon, from a file as drand's HTTP interface gives it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inspectorate.canonical import parse_json
from inspectorate.cli.options import parse_time
from inspectorate.drawing.chains import QUICKNET
from inspectorate.drawing.sources import PAYLOAD_BYTES_MAX
from inspectorate.errors import InputError
from inspectorate.files import read_bounded


def given_round(options: Mapping[str, Any]) -> dict[str, Any]:
    """The source of a draw but for its selection, from `--round` and `--received`. Raises `EvidenceError`, `InputError`."""
    where = str(options["round_path"])
    value = parse_json(read_bounded(options["round_path"], PAYLOAD_BYTES_MAX), where=where)
    if not isinstance(value, dict) or not {"round", "signature"} <= set(value):
        raise InputError("is no round of drand: it needs `round` and `signature`", where=where)
    return {
        "kind": "drand", "chain": QUICKNET.chain_hash, "round": value["round"], "signature": value["signature"],
        "received_at": parse_time(options["received"]),
    }  # fmt: skip
