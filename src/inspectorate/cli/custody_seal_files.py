"""What the commands of `custody seal` share: reading photographs, keeping them by digest, outlines, calibrations, pairs."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from inspectorate.canonical import JSON_BYTES_MAX, digest_of
from inspectorate.cli.options import write_text
from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence.exchange import read_plain
from inspectorate.mechanisms.custody.seals.acts import Corner, Marked
from inspectorate.mechanisms.custody.seals.calibration import (
    Calibration,
    alarm_values,
    parse_calibration,
    shipped,
)
from inspectorate.mechanisms.custody.seals.challenge import challenged
from inspectorate.mechanisms.custody.seals.comparing import Compared, Unclear, compare, reference_of
from inspectorate.mechanisms.custody.seals.evaluate import Pair
from inspectorate.mechanisms.custody.seals.photo import Named, decode_apart
from inspectorate.mechanisms.custody.seals.reference import PHOTO_BYTES_MAX
from inspectorate.mechanisms.custody.seals.report import Report

COLUMNS = ("part", "seal", "camera", "condition", "truth", "references", "new", "second")
PAIRS_MAX = 100_000


def photo_bytes(path: Path) -> bytes:
    """A photograph from a file. Raises `InputError`."""
    try:
        return read_plain(path, PHOTO_BYTES_MAX)
    except EvidenceError as fault:
        raise InputError(fault.problem, where=str(path), remedy="name a JPEG or PNG") from None


def calibration_of(path: Path | None) -> Calibration:
    """The calibration named on the command line, or the shipped one."""
    if path is None:
        return shipped()
    return parse_calibration(read_plain(path, JSON_BYTES_MAX), where=str(path))


def keep(folder: Path, payloads: Sequence[bytes]) -> None:
    """Write what the verifier keeps, each under its digest."""
    for data in payloads:
        write_text(folder / digest_of(data).removeprefix("sha256:"), data)


def kept(*folders: Path) -> Callable[[str], bytes]:
    """What was kept, by digest, of the first folder that has it. Raises `EvidenceError` where none has."""

    def payload(digest: str) -> bytes:
        name = digest.removeprefix("sha256:")
        for folder in folders:
            if not (folder / name).is_file():
                continue
            data = read_plain(folder / name, PHOTO_BYTES_MAX)
            if digest_of(data) != digest:
                raise EvidenceError("is not what its name says", where=str(folder / name))
            return data
        raise EvidenceError(
            f"{digest[:19]}… is in none of the folders",
            where="photographs",
            remedy="name the folder in which they are kept",
        )

    return payload


def marked_of(outline: str | None, *, mirrors: bool) -> Marked:
    """The outline as written on the command line: `x,y x,y x,y x,y` in shares of width and height. Raises `InputError`."""
    if outline is None:
        return Marked(mirrors=mirrors)
    try:
        corners = [tuple(float(part) for part in corner.split(",")) for corner in outline.split()]
        written = [{"x": x, "y": y} for x, y in corners]
    except ValueError:
        written = []
    return Marked.parse(
        {"corners": [Corner.parse(one, where="--outline", error=InputError) for one in written], "mirrors": mirrors},
        where="--outline", error=InputError,
    )  # fmt: skip


def as_facts(found: Report) -> Mapping[str, object]:
    """A comparison for a program."""
    changed = found.changed
    photos: list[dict[str, object]] = []
    for photo, one in zip(found.photos, found.found, strict=True):
        if isinstance(one, Unclear):
            said: dict[str, object] = {"unclear": one.why.value, "detail": one.detail, "remedy": one.why.remedy}
        else:
            measures = one.measures
            said = {
                "number": found.calibration.number(measures), "edges_alike": measures.alike, "flakes_again": measures.flakes,
                "flakes_by_chance_log10": measures.log10_chance,
                "alarms": [alarm.value for alarm in found.calibration.alarms(measures, changed)],
                "measures": {alarm.value: value for alarm, value in alarm_values(measures, changed).items()},
            }  # fmt: skip
        photos.append({"file": photo.where, "digest": photo.digest} | said)
    return {
        "points_to": found.points.value, "log_likelihood_ratio": found.number, "range": found.calibration.number_max,
        "alarms": [one.value for one in found.alarms], "photos": photos,
        "challenge": None if found.challenge is None
        else {"angle_rad": found.challenge.angle, "changed": found.challenge.changed},
        "calibration": found.calibration.digest, "calibrated_on": found.calibration.photographs,
    }  # fmt: skip


def as_lines(found: Report) -> list[str]:
    """A comparison for a person."""
    lines = [f"points to: {found.points.value}. A person decides."]
    if found.number is not None:
        lines.append(
            f"log-likelihood ratio {found.number:+.2f} (within ±{found.calibration.number_max:.2f}; above 0 speaks for the same)"
        )
    lines += [f"look: {one.value}: {one.meaning}" for one in found.alarms]
    lines += [f"look: {name}: speaks against it by itself" for name in found.apart]
    for photo, one in zip(found.photos, found.found, strict=True):
        if isinstance(one, Unclear):
            lines.append(f"{photo.where}: unclear, {one.why.value}: {one.detail}; {one.why.remedy}")
        else:
            lines.append(
                f"{photo.where}: {found.calibration.number(one.measures):+.2f}; edges alike {one.measures.alike:.2f}, flakes found "
                f"again {one.measures.flakes:.0%} beyond chance"
            )
    if found.changed is None:
        why = (
            "that needs flakes that shine (--mirrors), and two photographs from different angles under different light"
        )
        lines.append(f"a flat copy is not excluded: {why}")
    if found.calibration.photographs == "rendered":
        lines.append("calibrated on rendered pictures: what its error rates are on photographs is not known")
    return lines


def pairs_of(table: Path, said: Callable[[int], None]) -> Iterator[Pair]:
    """Compare every pair of a table (CSV) whose photographs lie beside it. Raises `InputError` naming the line."""
    text = read_plain(table, JSON_BYTES_MAX).decode("utf-8-sig", errors="replace")
    reader = csv.DictReader(io.StringIO(text))
    if tuple(reader.fieldnames or ()) != COLUMNS:
        raise InputError("has other columns", where=str(table), remedy=f"its first line is {','.join(COLUMNS)}")
    references, reference = "", None
    for number, row in enumerate(reader, start=2):
        where = f"{table}, line {number}"
        if number > PAIRS_MAX:
            raise InputError(f"has more than {PAIRS_MAX} lines", where=str(table))
        if None in row or None in row.values() or row["part"] not in {"learnt", "held-out"} or not row["seal"]:
            raise InputError("is no pair", where=where, remedy="part is `learnt` or `held-out`; every column is there")
        said(number - 1)
        if reference is None or references != row["references"]:
            references = row["references"]
            reference = reference_of(decode_apart([_named(table, name, where) for name in references.split(";")]))
        names = [row["new"], *([row["second"]] if row["second"] else [])]
        fresh = decode_apart([_named(table, name, where) for name in names])
        first, second = compare(reference, fresh[0]), compare(reference, fresh[1]) if row["second"] else None
        changed = None
        if isinstance(first, Compared) and isinstance(second, Compared):
            changed = challenged(first, second).changed
        yield Pair(
            learnt=row["part"] == "learnt", group=row["seal"], camera=row["camera"], condition=row["condition"],
            truth=row["truth"], measures=first.measures if isinstance(first, Compared) else None, changed=changed,
        )  # fmt: skip


def _named(table: Path, name: str, where: str) -> Named:
    path = Path(name)
    if not name or path.is_absolute() or ".." in path.parts:
        raise InputError(f"names {name[:80]!r}, which does not lie beside the table", where=where)
    return str(path), photo_bytes(table.parent / path)
