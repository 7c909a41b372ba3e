"""The code reviewer, measured: `python -m bench code_review`, or `python bench/code_review.py --packages FOLDER`.

1. Planted constructs found in the corpus of disguises, by how nasty they are, and look-alikes that were pointed at.
2. The same with every variable of every program renamed, by seeds: a part of the corpus that its author did not write.
3. False pointers on well-known code bases, as wheels in FOLDER (or in the folder that INSPECTORATE_PACKAGES names; without one,
   this part is left out and says so). Nothing of them is installed or run.

A false pointer is one of a parameter-changing kind that must be answered, at a place where no parameter of a model can change after
it was loaded. Which are false was judged by reading them once; `code_review_judged.yaml` keeps where they are true. What matches
none of its entries counts as false and is printed. The share is that of false pointers among all pointers of these kinds that must
be answered; beside it stands how many functions have a false one. Exits 1 where a target is missed.
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
console = Console(highlight=False, width=150)


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
    unjudged: int
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


def judged(package: str, pointer: Pointer, book: dict[str, dict[str, list[str]]]) -> str:
    """`true`, `false` or `unjudged`. An entry is `file rule`, with wildcards; false entries are asked first."""
    entries = book.get(package, {})
    for verdict in ("false", "true"):
        for entry in entries.get(verdict, []):
            file, _, rest = entry.partition(" ")
            rule, _, scope = (rest or "*").partition(" ")
            if fnmatch(pointer.file, file) and fnmatch(pointer.rule, rule) and fnmatch(pointer.scope, scope or "*"):
                return verdict
    return "unjudged"


def measured(path: Path, book: dict[str, dict[str, list[str]]]) -> Package:
    """Review one wheel."""
    name = path.name.split("-")[0]
    start = time.process_time()
    snapshot = read_snapshot(path)
    tops = sorted(f.path for f in snapshot.files if f.path.count("/") == 1 and f.path.endswith("/__init__.py"))
    entry = next((top for top in tops if top.split("/")[0].lower() in name.lower()), tops[0])
    review = review_code(snapshot, entry)
    asked = review.must_answer()
    changing = [p for p in asked if p.kind in PARAMETERS_CHANGE]
    verdicts = [(p, judged(name, p, book)) for p in changing]
    return Package(
        name=path.name.split("-py")[0].split("-cp")[0],
        lines=review.lines,
        functions=functions(snapshot.contents),
        pointers=len(review.pointers),
        asked=len(asked),
        changing=len(changing),
        false=tuple(p for p, verdict in verdicts if verdict != "true"),
        unjudged=sum(verdict == "unjudged" for _, verdict in verdicts),
        seconds=time.process_time() - start,
    )


def functions(contents: dict[str, bytes]) -> int:
    """How many functions the Python files define."""
    parsed = (parse_source(data) for name, data in contents.items() if name.endswith(".py"))
    return sum(one.text.count("def ") for one in parsed if isinstance(one, Source))


def cells(lines: int, pointers: int, asked: int, changing: int, false: int) -> list[str]:
    """The counts of a row, with the share of false pointers and how many there are per 1000 lines."""
    share = f"{false / changing:.1%}" if changing else "-"
    return [
        f"{lines:,}",
        str(pointers),
        str(asked),
        str(changing),
        str(false),
        share,
        f"{1000 * false / max(1, lines):.3f}",
    ]


def packages(folder: Path) -> bool:
    """False pointers on the wheels of a folder."""
    book = yaml.safe_load(JUDGED.read_text(encoding="utf-8"))
    table = Table("package", "lines", "pointers", "to answer", "parameters change", "false", "share", "false / 1000 lines",
                  "functions with a false one", "CPU s", title="well-known code bases")  # fmt: skip
    total: Counter[str] = Counter()
    for path in sorted(folder.glob("*.whl")):
        if path.name.split("-")[0] not in book:
            continue
        one = measured(path, book)
        wrong = len({(p.file, p.scope) for p in one.false})
        table.add_row(one.name, *cells(one.lines, one.pointers, one.asked, one.changing, len(one.false)),
                      f"{wrong} of {one.functions:,}", f"{one.seconds:.0f}")  # fmt: skip
        total.update(lines=one.lines, pointers=one.pointers, asked=one.asked, changing=one.changing, false=len(one.false),
                     wrong=wrong, functions=one.functions, packages=1)  # fmt: skip
        for p in one.false:
            console.print(f"false: {one.name} {p.file}:{p.line} {p.rule} {p.scope} | {p.excerpt[:90]}", markup=False)
    counts = (total[word] for word in ("lines", "pointers", "asked", "changing", "false"))
    table.add_row("all", *cells(*counts), f"{total['wrong']} of {total['functions']:,}", "")
    console.print(table)
    return total["packages"] >= 10 and total["false"] < FALSE_MAX * total["changing"]


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
