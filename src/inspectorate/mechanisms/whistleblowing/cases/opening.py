"""From a report that a quorum opened to the act with which an office says that it read it.

Every office makes the act for itself out of what it opened, and all come to the same words: nothing in it depends on who opens,
when, or in which order shares came. So a second office that opens another report under the same name is found out.

An opened report lies in clear (`report.json` and its files). It belongs into memory until it is sealed as a case: `in_memory` says
whether a folder is.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from inspectorate.canonical import canonical_bytes, digest_of, parse_canonical
from inspectorate.errors import EvidenceError
from inspectorate.files import read_bounded
from inspectorate.mechanisms.whistleblowing.cases.acts import Opened
from inspectorate.mechanisms.whistleblowing.cases.naming import thread_of
from inspectorate.mechanisms.whistleblowing.intake.opening import OpenedFile, OpenedReport

REPORT_BYTES_MAX = 64 << 20
FILE_BYTES_MAX = 1 << 30
IN_MEMORY = frozenset({"tmpfs", "ramfs"})


def read_opened(folder: Path) -> tuple[OpenedReport, dict[str, Callable[[], bytes]]]:
    """A report as opening left it, and how to read its files by digest. Raises `InputError`, `EvidenceError`."""
    path = folder / "report.json"
    data = _bounded(path, REPORT_BYTES_MAX)
    report = OpenedReport.parse(parse_canonical(data, where=str(path)), where=str(path), error=EvidenceError)

    def reading(file: OpenedFile) -> Callable[[], bytes]:
        return lambda: _bounded(folder / file.stored, FILE_BYTES_MAX)

    return report, {file.digest: reading(file) for file in report.files}


def opened_act(report: OpenedReport) -> Opened:
    """The act of opening a report. Raises `EvidenceError` on what no report of an intake holds."""
    files = [file.model_dump(mode="json", exclude={"stored"}) for file in report.files]
    content = report.model_dump(mode="json", exclude={"opened_by", "files"}, exclude_none=True) | {"files": files}
    given = {
        "report": digest_of(canonical_bytes(content)),
        "intake": report.intake,
        "sealed_in": report.sealed_in,
        "thread": thread_of(report.mailbox, bytes.fromhex(report.report)),
        "reply_to": None if report.mailbox is None else report.mailbox.recipient,
        "language": report.language,
        "answers": report.answers,
        "files": files,
        "complete": report.complete,
        "offices": report.opened_by,
    }
    return Opened.parse(given, where=f"report {report.report}", error=EvidenceError)


def in_memory(folder: Path) -> bool:
    """Whether a folder lies in memory, by the mount that holds it."""
    place = folder.resolve()
    best, kind = -1, ""
    for line in Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace").splitlines():
        parts = line.split()
        if len(parts) > 2 and place.is_relative_to(parts[1]) and len(parts[1]) >= best:
            best, kind = len(parts[1]), parts[2]
    return kind in IN_MEMORY


def _bounded(path: Path, bytes_max: int) -> bytes:
    return read_bounded(path, bytes_max, too_large=EvidenceError, remedy="give a folder of an opened report")
