"""`inspectorate audit code`, `code-diff`, `code-run`: point at what may change parameters, and say what was not seen.

Exit codes: 0 nothing is left to answer, 10 a person has to answer pointers or a technique is not on the whitelist, 20 the run shows
changed parameters, 30 the snapshot is no evidence, 2 wrong use. Nothing here decides: `audit code-decide` keeps what a
person decides.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from inspectorate.cli.options import EXISTING, FiniteRange, json_option, print_json
from inspectorate.mechanisms.inspection.code.archives import read_snapshot
from inspectorate.mechanisms.inspection.code.difference import difference
from inspectorate.mechanisms.inspection.code.review import review_code
from inspectorate.mechanisms.inspection.code.run import RunBounds, RunReport, run_entry
from inspectorate.mechanisms.inspection.code.techniques import Seen, techniques_seen
from inspectorate.mechanisms.inspection.code.types import Doubt, Pointer, Reach, Review

ROWS_MAX = 200
NOTHING_LEFT, TO_ANSWER, CHANGED = 0, 10, 20

entry_option = click.option(
    "--entry", required=True, help="Where it starts: FILE.py, package.module or module:function."
)
allow_option = click.option("--allow", "allowed", multiple=True, metavar="TECHNIQUE",
                            help="A technique that is allowed (training.*, inference.kv-cache); may be given again.")  # fmt: skip


@click.command()
@click.argument("snapshot_path", metavar="SNAPSHOT", type=EXISTING)
@entry_option
@allow_option
@click.option("--all", "show_all", is_flag=True, help="Show every pointer, not only those that must be answered.")
@json_option
@click.pass_context
def code(
    ctx: click.Context, snapshot_path: Path, entry: str, allowed: tuple[str, ...], show_all: bool, as_json: bool
) -> None:
    """Review SNAPSHOT, a folder or archive, from its entry point. Nothing of it is run."""
    snapshot = read_snapshot(snapshot_path)
    review = review_code(snapshot, entry)
    seen = techniques_seen(snapshot, review, allowed or None)
    if as_json:
        print_json({**review.model_dump(mode="json"), "techniques": [s.model_dump(mode="json") for s in seen]})
    else:
        show_review(review, seen, show_all=show_all)
    ctx.exit(TO_ANSWER if review.must_answer() or any(s.allowed is False for s in seen) else NOTHING_LEFT)


@click.command("code-diff")
@click.argument("before_path", metavar="BEFORE", type=EXISTING)
@click.argument("after_path", metavar="AFTER", type=EXISTING)
@entry_option
@click.option("--entry-before", help="Where it started before, if that was elsewhere.")
@json_option
@click.pass_context
def code_diff(
    ctx: click.Context, before_path: Path, after_path: Path, entry: str, entry_before: str | None, as_json: bool
) -> None:
    """What changed from BEFORE, the snapshot approved last, to AFTER: files, and pointers that are new or gone."""
    pairs = []
    for path, start in ((before_path, entry_before or entry), (after_path, entry)):
        snapshot = read_snapshot(path)
        pairs.append((snapshot, review_code(snapshot, start)))
    found = difference(pairs[0], pairs[1])
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        console = Console(highlight=False)
        for line in found.unified:
            console.print(line, markup=False, style={"+": "green", "-": "red", "@": "cyan"}.get(line[:1]))
        for word, names in (("added", found.added), ("removed", found.removed), ("changed", found.changed),
                            ("other mode", found.modes_changed)):  # fmt: skip
            console.print(f"{word}: {len(names)}  {escape(', '.join(names[:8]))}")
        console.print(_pointers(found.new_pointers, "new pointers"))
        console.print(f"{len(found.gone_pointers)} pointers are gone")
    ctx.exit(TO_ANSWER if found.must_answer() else NOTHING_LEFT)


@click.command("code-run")
@click.argument("snapshot_path", metavar="SNAPSHOT", type=EXISTING)
@entry_option
@click.argument("arguments", nargs=-1)
@click.option("--seconds", type=FiniteRange(1, 86_400), default=60.0, show_default=True, help="Of processor time.")
@click.option("--memory-gib", type=click.IntRange(1, 4096), default=8, show_default=True)
@json_option
@click.pass_context
def code_run(
    ctx: click.Context, snapshot_path: Path, entry: str, arguments: tuple[str, ...], seconds: float, memory_gib: int,
    as_json: bool,
) -> None:  # fmt: skip
    """Run the entry point of SNAPSHOT closed in, and report every parameter that changed. The report is the program's own word."""
    snapshot = read_snapshot(snapshot_path)
    review = review_code(snapshot, entry)
    bounds = RunBounds(seconds=seconds, memory_bytes=memory_gib << 30)
    report = run_entry(snapshot_path, snapshot, review, arguments=arguments, bounds=bounds)
    if as_json:
        print_json(report.model_dump(mode="json"))
    else:
        show_run(report, review)
    ctx.exit(exit_code_of(report))


def exit_code_of(report: RunReport) -> int:
    """20 where parameters changed, 10 where that cannot be told, 0 where tensors were watched, none did, and it ended by itself."""
    if report.parameters_changed:
        return CHANGED
    quiet = report.seen is not None and report.seen.tensors > 0 and report.parameters_changed == 0
    return NOTHING_LEFT if quiet and not report.unforeseen else TO_ANSWER


def show_review(review: Review, seen: tuple[Seen, ...], *, show_all: bool) -> None:
    """A review on the terminal."""
    console = Console(highlight=False)
    console.print(f"snapshot {review.snapshot}  ({review.files} files, {review.lines:,} lines of Python)")
    console.print(f"code     {review.code}")
    shown = review.pointers if show_all else review.must_answer()
    console.print(_pointers(shown, "pointers" if show_all else "pointers that must be answered"))
    counts = Counter((p.kind.value, p.doubt.value) for p in review.pointers)
    table = Table("kind", *(d.value for d in Doubt), title="all pointers")
    for kind in sorted({kind for kind, _ in counts}):
        table.add_row(kind, *(str(counts[kind, d.value] or "") for d in Doubt))
    console.print(table)
    if seen:
        table = Table("technique", "allowed", "seen at", title="techniques")
        words = {True: "yes", False: "[red]no[/]", None: "not asked"}
        for one in seen:
            table.add_row(one.technique, words[one.allowed], escape(", ".join(one.places[:3])) + f" ({one.count})")
        console.print(table)
    table = Table("not seen", "why", "places", title="what this review cannot see")
    for unseen in review.cannot_see:
        table.add_row(
            unseen.what,
            unseen.reason.value,
            escape(", ".join(unseen.places[:4])) + (f" ({unseen.count})" if unseen.places else ""),
        )
    console.print(table)


def _pointers(pointers: tuple[Pointer, ...], title: str) -> Table:
    colours = {Reach.YES: "red", Reach.UNKNOWN: "yellow", Reach.NO: "dim"}
    cut = f", the first {ROWS_MAX}" if len(pointers) > ROWS_MAX else ""
    table = Table("place", "rule", "reached", "what stands there", "why", title=f"{len(pointers)} {title}{cut}")
    for p in sorted(pointers, key=lambda p: (list(Reach).index(p.reachable) % 2, p.file, p.line))[:ROWS_MAX]:
        place = f"{p.file}:{p.line}" if p.line else p.file
        table.add_row(
            escape(place), p.rule, f"[{colours[p.reachable]}]{p.reachable.value}[/]", escape(p.excerpt[:80]), p.why
        )
    return table


def show_run(report: RunReport, review: Review) -> None:
    """A run on the terminal."""
    console = Console(highlight=False)
    console.print(
        f"ended {report.ended}, exit code {report.exit_code}; network {'open' if report.network else 'closed'}"
    )
    if report.seen is None:
        console.print("no report that can be read: nothing is known of this run")
        return
    seen = report.seen
    console.print(f"{seen.tensors} tensors watched, {seen.backward} backward calls, {seen.steps} optimiser steps")
    if not seen.tensors:
        console.print("no tensor of torch was seen, so whether parameters change is not known of this run")
    if seen.changed:
        table = Table("tensor", "parameter", "elements", "largest change", "before", "after", title="changed")
        for one in seen.changed[:ROWS_MAX]:
            most = "" if one.largest_change is None else f"{one.largest_change:.3g}"
            table.add_row(escape(one.name), "yes" if one.is_parameter else "no", f"{one.elements:,}", most,
                          one.before[7:19], one.after[7:19])  # fmt: skip
        console.print(table)
    for write in seen.writes:
        if write.when == "other":
            console.print(
                f"wrote to a parameter: {write.operation} at {write.where or 'unknown'} x {write.count}", markup=False
            )
    must = {p.key for p in review.must_answer()}
    console.print(f"of {len(must)} pointers that must be answered, {len(must & set(report.executed))} ran")
    for line in report.unforeseen:
        console.print(f"not foreseen: {line}", markup=False)
    console.print("This is what the program says of itself. A program that knows the probe can hide from it.")
