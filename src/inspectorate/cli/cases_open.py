"""`inspectorate cases open`: reports that a quorum opened become cases at this office's desk, sealed."""

from __future__ import annotations

from pathlib import Path

import click

from inspectorate.cli.cases_desk import done, on_desk, open_desk
from inspectorate.cli.options import now
from inspectorate.errors import EnvironmentError_, InputError
from inspectorate.mechanisms.whistleblowing.cases.opening import in_memory, opened_act, read_opened


@click.command("open")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@on_desk
@click.option("--from-disk", is_flag=True, help="Although FOLDER lies on a disk, where traces stay.")
@click.option(
    "--keep-clear", is_flag=True, help="Leave the opened reports where they are; removed by default once sealed."
)
def open_(desk_folder: Path, as_json: bool, folder: Path, from_disk: bool, keep_clear: bool) -> None:
    """Make cases of the opened reports in FOLDER: one, or one in each folder beneath it, as opening left them.

    Each office does so for itself; a case stands once a quorum of offices has (`cases merge` takes over what the others said).
    A report of a source who wrote before comes to the case that is there. Exits 10 if a report was cut short.
    """
    at, desk = now(), open_desk(desk_folder).desk
    if not from_disk and not in_memory(folder):
        raise InputError(
            "lies on a disk, where what is deleted can be found again", where=str(folder),
            remedy="open into a folder in memory (/dev/shm), or say --from-disk",
        )  # fmt: skip
    folders = [folder] if (folder / "report.json").is_file() else sorted(folder.glob("*/report.json"))
    folders = [one if one.is_dir() else one.parent for one in folders]
    if not folders:
        raise InputError("holds no opened report", where=str(folder), remedy="`intake open` makes one")
    rows, lines = [], []
    for one in folders:
        report, files = read_opened(one)
        state = desk.open(opened_act(report), files, at=at)
        rows.append(
            {"case": state.case, "standing": state.standing.value, "complete": report.complete, "files": len(files)}
        )
        short = "" if report.complete else ", CUT SHORT: open it together with the batch after it"
        lines.append(f"{state.case}: {state.standing.value}, {len(files)} files{short}")
        if not keep_clear:
            _remove(one, [file.stored for file in report.files])
    done(as_json, {"cases": rows}, lines)
    if not all(row["complete"] for row in rows):
        raise SystemExit(10)


def _remove(folder: Path, stored: list[str]) -> None:
    """Remove an opened report: its own files and nothing else."""
    try:
        for name in (*stored, "report.json"):
            (folder / name).unlink()
        folder.rmdir()
    except OSError as fault:
        raise EnvironmentError_(
            f"cannot be removed: {fault.strerror}", where=str(folder), remedy="remove it yourself"
        ) from None
