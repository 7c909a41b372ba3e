"""The code reviewer, measured: `python -m bench code_review`, or `python bench/code_review.py --packages FOLDER`.

1. Planted constructs found in the corpus of disguises, by how nasty they are, and look-alikes that were pointed at.
2. The same with every variable of every program renamed, by seeds: a part of the corpus that its author did not write.
3. False pointers on well-known code bases, as wheels in FOLDER (or in the folder that INSPECTORATE_PACKAGES names; without one,
   this part is left out and says so). Nothing of them is installed or run.

A false pointer is one of a parameter-changing kind that must be answered, at a place where no parameter of a model can change after
it was loaded. `code_review_judged.yaml` keeps what one reader judged, at the versions named there, and how: a version that it does
not name is not measured. The share is that of false pointers among all pointers of these kinds that must be answered; it is given
without and with places where gradients of parameters are computed and never used. Packages that rules were developed on stand apart
from those that were fetched after the rules were fixed: only the latter say what to expect. Exits 1 where a target is missed.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import yaml
from rich.console import Console
from rich.table import Table

from inspectorate.mechanisms.inspection.code.archives import read_snapshot
from inspectorate.mechanisms.inspection.code.review import review_code
from inspectorate.mechanisms.inspection.code.source import Source, parse_source
from inspectorate.mechanisms.inspection.code.types import PARAMETERS_CHANGE, Pointer

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "inspection"))
import code_corpus

JUDGED = Path(__file__).with_name("code_review_judged.yaml")
RECALL_MIN, FALSE_MAX = 0.95, 0.05
RENAMINGS = 5
console = Console(highlight=False, width=170)


@dataclass(frozen=True, kw_only=True)
class Package:
    """What the review of one package came to."""

    name: str
    lines: int
    functions: int
    pointers: int
    asked: int
    changing: int
    false: tuple[Pointer, ...]
    gradient: tuple[Pointer, ...]
    seconds: float


def corpus() -> bool:
    """The corpus as written, and renamed."""
    score, renamed = code_corpus.measure(), code_corpus.Score()
    for seed in range(RENAMINGS):
        draw = random.Random(seed)
        for program in code_corpus.programs("training"):
            if len(program.files) == 1:
                other = code_corpus.renamed(program, draw)
                code_corpus.judge(other, code_corpus.pointers(other), renamed)
    table = Table("level", "planted", "found", "share", "renamed: planted", "found", "share", title="disguises")
    for level in (*score.planted, "all"):
        cells = []
        for one in (score, renamed):
            planted = sum(one.planted.values()) if level == "all" else one.planted[level]
            found = sum(one.found.values()) if level == "all" else one.found[level]
            cells += [str(planted), str(found), f"{found / planted:.1%}"]
        table.add_row(level, *cells)
    console.print(table)
    console.print(f"look-alikes with a false pointer: {len(set(score.false))} in {score.honest} programs")
    for line in score.missed:
        console.print(f"missed: {line}", markup=False)
    return score.recall >= RECALL_MIN and not score.false


def judged(entries: dict[str, list[str]], pointer: Pointer) -> str:
    """`false`, `gradient` or `true`."""
    for verdict in ("false", "gradient"):
        for entry in entries.get(verdict, []):
            file, rule, scope = (*entry.split(" "), "*", "*")[:3]
            if fnmatch(pointer.file, file) and fnmatch(pointer.rule, rule) and fnmatch(pointer.scope, scope):
                return verdict
    return "true"


def measured(path: Path, entries: dict[str, list[str]]) -> Package:
    """Review one wheel from the beginning of its package, or from whatever package comes first."""
    start = time.process_time()
    snapshot = read_snapshot(path)
    starts = sorted((f.path.count("/"), f.path) for f in snapshot.files if f.path.endswith("/__init__.py"))
    named = [place for _, place in starts if place.split("/")[0].lower() in path.name.lower()]
    review = review_code(snapshot, (named or [place for _, place in starts])[0])
    asked = review.must_answer()
    changing = [p for p in asked if p.kind in PARAMETERS_CHANGE]
    verdicts = [(p, judged(entries, p)) for p in changing]
    return Package(
        name="-".join(path.name.split("-")[:2]),
        lines=review.lines,
        functions=functions(snapshot.contents),
        pointers=len(review.pointers),
        asked=len(asked),
        changing=len(changing),
        false=tuple(p for p, verdict in verdicts if verdict == "false"),
        gradient=tuple(p for p, verdict in verdicts if verdict == "gradient"),
        seconds=time.process_time() - start,
    )


def functions(contents: dict[str, bytes]) -> int:
    """How many functions the Python files define."""
    parsed = (parse_source(data) for name, data in contents.items() if name.endswith(".py"))
    return sum(one.text.count("def ") for one in parsed if isinstance(one, Source))


def row_of(name: str, total: Counter[str]) -> list[str]:
    """One row of the table, of one package or of all."""
    changing = total["changing"]
    shares = [f"{n / changing:.1%}" if changing else "-" for n in (total["false"], total["false"] + total["gradient"])]
    rate = f"{1000 * total['false'] / max(1, total['lines']):.3f}"
    counts = [f"{total[word]:,}" for word in ("lines", "pointers", "asked", "changing", "false", "gradient")]
    return [name, *counts, *shares, rate, f"{total['wrong']} of {total['functions']:,}", f"{total['seconds']:,}"]


def packages(folder: Path) -> bool:
    """False pointers on the wheels of a folder, for each set of the book."""
    book = yaml.safe_load(JUDGED.read_text(encoding="utf-8"))
    met = True
    for which, entries in book.items():
        table = Table("package", "lines", "pointers", "to answer", "parameters change", "false", "only gradients", "false, share",
                      "both, share", "false / 1000 lines", "functions with a false one", "CPU s", title=which)  # fmt: skip
        total: Counter[str] = Counter()
        for path in sorted(folder.glob("*.whl")):
            name = "-".join(path.name.split("-")[:2])
            if name not in entries:
                continue
            one = measured(path, entries[name])
            row = Counter(
                lines=one.lines, pointers=one.pointers, asked=one.asked, changing=one.changing, false=len(one.false),
                gradient=len(one.gradient), wrong=len({(p.file, p.scope) for p in one.false}), functions=one.functions,
                seconds=round(one.seconds), packages=1,
            )  # fmt: skip
            total += row
            table.add_row(*row_of(name, row))
            for p in one.false:
                console.print(f"false: {name} {p.file}:{p.line} {p.rule} {p.scope} | {p.excerpt[:60]}", markup=False)
        table.add_row(*row_of(f"all {total['packages']}", total))
        console.print(table)
        if missing := len(entries) - total["packages"]:
            console.print(f"{missing} of the packages judged were not in the folder")
        met &= not missing and total["false"] < FALSE_MAX * total["changing"]
    return met


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packages", type=Path, help="a folder of wheels")
    given = parser.parse_args().packages or os.environ.get("INSPECTORATE_PACKAGES")
    met = corpus()
    if given is None:
        console.print("no folder of packages was given: false pointers were not measured")
        return int(not met)
    return int(not (packages(Path(given)) and met))


if __name__ == "__main__":
    sys.exit(main())
