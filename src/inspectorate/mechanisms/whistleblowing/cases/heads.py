"""Published heads: how others notice that an office cut off or hid what it had written.

On a fixed schedule an office publishes a list of fixed size: for every case that it holds, a salted commitment to its own last
entry, and random lines for the rest, sorted by value. The list says neither how many cases there are nor whether anything happened;
its digest goes into the evidence log.

Whoever holds a case can compute, for each entry of the office, the line that it would have made. So for every case:

- the last entry of the office that is no younger than the list must stand in it;
- if it does not, the office wrote something later, and either this copy lacks it so far, or the office cut it off, or left the
  case out. Its own copy, taken over, tells the first from the others.

Between two lists an office can still cut off what nobody has seen. How long that is, the schedule says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from inspectorate.canonical import Hex, Identifier, Record, canonical_bytes, parse_canonical
from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence.dsse import pae
from inspectorate.keys import PublicKey, SigningKey
from inspectorate.mechanisms.whistleblowing.cases.entries import CaseFile
from inspectorate.mechanisms.whistleblowing.cases.naming import heads_commitment
from inspectorate.mechanisms.whistleblowing.cases.state import CaseState
from inspectorate.quantities import Time

HEADS_TYPE = "application/vnd.inspectorate.case-heads+json"
LINES = 1024
"""As many cases may an office hold before its list has to grow, which says something once."""
LINES_MAX = 1 << 17


class Heads(Record):
    """One published list."""

    kind: Literal["case-heads"] = "case-heads"
    office: Identifier
    at: Time
    lines: Annotated[tuple[Hex, ...], Field(min_length=LINES, max_length=LINES_MAX)]

    @model_validator(mode="after")
    def _sorted(self) -> Self:
        if list(self.lines) != sorted(set(self.lines)) or len(self.lines) % LINES:
            raise ValueError(f"lines must be sorted, distinct, and a multiple of {LINES}")
        return self


def publish(
    cases: Iterable[tuple[CaseFile, CaseState]], *, office: str, at: Time, random: Callable[[int], bytes]
) -> Heads:
    """The list of an office as its cases now are."""
    lines = set()
    for file, state in cases:
        own = [one for one in file.held if one.entry.by == office]
        if own:
            last = max(own, key=lambda one: one.entry.number)
            if last.entry.at > at:
                raise InputError("holds an entry that is younger than the list", where=f"case {file.case}")
            lines.add(_line(state, office, last.digest))
    size = max(1, -(-len(lines) // LINES)) * LINES
    while len(lines) < size:
        lines.add(random(32).hex())
    return Heads(office=office, at=at, lines=tuple(sorted(lines)))


def sign_heads(heads: Heads, key: SigningKey) -> bytes:
    """The list with the office's signature, in canonical bytes. The digest of this goes into the log."""
    document = heads.canonical_bytes()
    signature = key.sign(pae(HEADS_TYPE, document))
    return canonical_bytes({"heads": heads.model_dump(mode="json"), "signature": signature.hex()})


def read_heads(data: bytes, keys: Mapping[str, PublicKey], *, where: str) -> Heads:
    """A published list, its signature verified. Raises `EvidenceError`."""
    value = parse_canonical(data, where=where)
    if not isinstance(value, dict) or set(value) != {"heads", "signature"} or not isinstance(value["signature"], str):
        raise EvidenceError("is no list of heads", where=where)
    heads = Heads.parse(value["heads"], where=where, error=EvidenceError)
    key = keys.get(heads.office)
    try:
        signature = bytes.fromhex(value["signature"])
    except ValueError:
        raise EvidenceError("its signature is not hex", where=where) from None
    if key is None or not key.verifies(signature, pae(HEADS_TYPE, heads.canonical_bytes())):
        raise EvidenceError(f"is not signed with the key of {heads.office}", where=where)
    return heads


def cut_off(heads: Heads, file: CaseFile, state: CaseState) -> str | None:
    """What a published list says against a copy of a case; none if they fit, or if the office had not written in it by then."""
    own = [one for one in file.held if one.entry.by == heads.office and one.entry.at <= heads.at]
    if not own:
        return None
    last = max(own, key=lambda one: one.entry.number)
    if _line(state, heads.office, last.digest) in heads.lines:
        return None
    return (
        f"case {file.case}: entry {last.entry.number} of {heads.office} is its last one here before"
        f" {heads.at:%Y-%m-%d %H:%M:%S}, and its list of that time does not hold it: `cases merge` its copy and check again;"
        " if that holds no more, later entries were cut off, or it left the case out"
    )


def _line(state: CaseState, office: str, digest: str) -> str:
    return heads_commitment(state.thread, {office: digest}).removeprefix("sha256:")
