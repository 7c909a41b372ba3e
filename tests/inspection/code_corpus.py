"""The corpus of disguises and of honest look-alikes, read from their files, and the score of a review on them."""

from __future__ import annotations

import ast
import io
import random
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from inspectorate.mechanisms.inspection.code.review import review_code
from inspectorate.mechanisms.inspection.code.snapshot import Found, Snapshot, snapshot_of
from inspectorate.mechanisms.inspection.code.types import PARAMETERS_CHANGE, UNREADABLE, Doubt, Kind, Pointer

FOLDER = Path(__file__).parent / "disguises"
OPAQUE = UNREADABLE | {Kind.PROCESS}
MARK = re.compile(r"[ \t]*#<(o?)$")
ENTRY = "main.py"


@dataclass(frozen=True, kw_only=True)
class Program:
    """One program: its files without markers, and where constructs are planted."""

    name: str
    level: str
    needs: str
    files: dict[str, str]
    planted: tuple[tuple[str, int, bool], ...]
    """File, line, and whether it is opaque."""


def programs(which: str) -> list[Program]:
    """`training` or `honest`."""
    text = (FOLDER / f"{which}.corpus").read_text(encoding="utf-8")
    found = []
    for section in re.split(r"^=== ", text, flags=re.MULTILINE)[1:]:
        head, _, body = section.partition("\n")
        words = [word.strip() for word in head.split("|")]
        files, planted = {}, []
        for place, part in enumerate(re.split(r"^--- (.*)$", "--- main.py\n" + body, flags=re.MULTILINE)[1:]):
            if place % 2 == 0:
                name = part.strip()
                continue
            lines = part.removeprefix("\n").split("\n")
            for number, line in enumerate(lines, 1):
                if mark := MARK.search(line):
                    planted.append((name, number, bool(mark.group(1))))
                    lines[number - 1] = line[: mark.start()]
            files[name] = "\n".join(lines)
        level = words[1] if len(words) > 2 else "honest"
        found.append(Program(name=words[0], level=level, needs=words[-1], files=files, planted=tuple(planted)))
    return found


def snapshot(files: dict[str, str]) -> Snapshot:
    """A snapshot of files in memory."""
    return snapshot_of_bytes({name: text.encode() for name, text in files.items()})


def snapshot_of_bytes(files: dict[str, bytes]) -> Snapshot:
    """The same, of bytes."""

    def one(name: str, data: bytes) -> Found:
        return Found(name=name, size=len(data), executable=False, open=lambda: io.BytesIO(data))

    return snapshot_of(iter([one(name, data) for name, data in files.items()]), where="corpus")


def renamed(program: Program, draw: random.Random) -> Program:
    """The same program with other names for everything that it binds itself; lines stay where they are."""
    tree = ast.parse(program.files[ENTRY])
    bound = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    bound |= {n.arg for n in ast.walk(tree) if isinstance(n, ast.arg)}
    quoted = {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    bound -= {name for name in bound if any(name in text for text in quoted)} | {"self", "cls", "b", "f"}
    words = {name: f"{draw.choice('bcdfghjk')}{place}" for place, name in enumerate(sorted(bound))}
    # Words after a dot are attributes, and words before an equals sign within a call may be keywords: both stay.
    text = re.sub(r"(?<![.\w])([A-Za-z_]\w*)(?![\w\"']|=[^= ])", lambda m: words.get(m[1], m[1]), program.files[ENTRY])
    return Program(**{**program.__dict__, "files": {ENTRY: text}})


def pointers(program: Program) -> tuple[Pointer, ...]:
    return review_code(snapshot(program.files), ENTRY).pointers


@dataclass
class Score:
    """Planted constructs that were found, by level; and look-alikes that were pointed at."""

    planted: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    missed: list[str] = field(default_factory=list)
    false: list[str] = field(default_factory=list)
    honest: int = 0

    @property
    def recall(self) -> float:
        return sum(self.found.values()) / max(1, sum(self.planted.values()))


def judge(program: Program, given: tuple[Pointer, ...], score: Score) -> None:
    """Hold the pointers of one program against what is planted in it."""
    for file, line, opaque in program.planted:
        kinds = PARAMETERS_CHANGE | OPAQUE if opaque else PARAMETERS_CHANGE
        hit = any(
            p.doubt is Doubt.MUST_ANSWER
            and p.kind in kinds
            and p.file == file
            and (p.line <= line <= p.end_line or file.endswith(".ipynb"))
            for p in given
        )
        score.planted[program.level] += 1
        score.found[program.level] += hit
        if not hit:
            score.missed.append(
                f"{program.name}: {file}:{line}: {program.files[file].split(chr(10))[line - 1].strip()}"
            )


def measure() -> Score:
    """The whole corpus."""
    score = Score()
    for program in programs("training"):
        judge(program, pointers(program), score)
    for program in programs("honest"):
        score.honest += 1
        score.false += [
            f"{program.name}: {p.rule} {p.line}: {p.excerpt}"
            for p in pointers(program)
            if p.doubt is Doubt.MUST_ANSWER and p.kind in PARAMETERS_CHANGE
        ]
    return score


if __name__ == "__main__":
    result = measure()
    for level, planted in result.planted.items():
        print(level, result.found[level], "of", planted)
    print("recall", result.recall, "honest programs", result.honest)
    print("\n".join(["missed:", *result.missed, "false:", *result.false]))
