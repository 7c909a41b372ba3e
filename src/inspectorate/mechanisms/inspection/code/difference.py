"""What changed since the last approved snapshot: files, and pointers that are new or gone.

Pointers are told apart by their key, which does not depend on lines: code that only moved within its scope gives nothing new. A
rule that was added to the catalogue in between gives new pointers in old files, and those are listed too.
"""

from __future__ import annotations

import difflib

from pydantic import Field

from inspectorate.canonical import Digest, Record
from inspectorate.mechanisms.inspection.code.snapshot import Snapshot
from inspectorate.mechanisms.inspection.code.types import Doubt, FileName, Pointer, Review

DIFF_LINES_MAX = 4000
LINE_CHARACTERS_MAX = 400


class Difference(Record):
    """From one snapshot to another."""

    before: Digest
    after: Digest
    added: tuple[FileName, ...] = ()
    removed: tuple[FileName, ...] = ()
    changed: tuple[FileName, ...] = ()
    modes_changed: tuple[FileName, ...] = ()
    new_pointers: tuple[Pointer, ...] = ()
    gone_pointers: tuple[Pointer, ...] = ()
    unified: tuple[str, ...] = Field(default=(), description="lines of a unified difference of the text files")
    unified_cut: bool = Field(default=False, description="whether there were more lines than are kept")

    @property
    def same(self) -> bool:
        """Whether nothing at all changed."""
        return self.before == self.after

    def must_answer(self) -> tuple[Pointer, ...]:
        """New pointers that an approval has to answer."""
        return tuple(p for p in self.new_pointers if p.doubt is Doubt.MUST_ANSWER)


def difference(before: tuple[Snapshot, Review], after: tuple[Snapshot, Review]) -> Difference:
    """What lies between two reviewed snapshots. Raises `ValueError` where a review is of another snapshot."""
    for snapshot, review in (before, after):
        if snapshot.digest != review.snapshot:
            raise ValueError("the review is of another snapshot")
    old, new = ({file.path: file for file in one[0].files} for one in (before, after))
    both = sorted(old.keys() & new.keys())
    changed = tuple(path for path in both if old[path].digest != new[path].digest)
    known = {pointer.key for pointer in before[1].pointers}
    kept = {pointer.key for pointer in after[1].pointers}
    lines, cut = _unified(before[0], after[0], sorted({*changed, *(old.keys() ^ new.keys())}))
    return Difference(
        before=before[0].digest,
        after=after[0].digest,
        added=tuple(sorted(new.keys() - old.keys())),
        removed=tuple(sorted(old.keys() - new.keys())),
        changed=changed,
        modes_changed=tuple(path for path in both if old[path].executable != new[path].executable),
        new_pointers=tuple(p for p in after[1].pointers if p.key not in known),
        gone_pointers=tuple(p for p in before[1].pointers if p.key not in kept),
        unified=tuple(lines),
        unified_cut=cut,
    )


def _unified(before: Snapshot, after: Snapshot, paths: list[str]) -> tuple[list[str], bool]:
    lines: list[str] = []
    for path in paths:
        texts = [_text(snapshot.contents.get(path, b"")) for snapshot in (before, after)]
        if texts[0] is None or texts[1] is None:
            lines.append(f"binary {path} differs")
            continue
        for line in difflib.unified_diff(texts[0], texts[1], f"before/{path}", f"after/{path}", lineterm="", n=2):
            lines.append(_shown(line))
            if len(lines) > DIFF_LINES_MAX:
                return lines[:DIFF_LINES_MAX], True
    return lines, False


def _text(data: bytes) -> list[str] | None:
    if b"\0" in data[:8192] or len(data) > 1 << 20:
        return None
    return data.decode("utf-8", "replace").split("\n")


def _shown(line: str) -> str:
    return "".join(c if c.isprintable() or c == "\t" else f"\\u{ord(c):04x}" for c in line[:LINE_CHARACTERS_MAX])
