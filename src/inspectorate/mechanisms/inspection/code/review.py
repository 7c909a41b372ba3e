"""The static review of one snapshot: read, parse, evaluate, point, and say what was not seen. Nothing of the snapshot is run.

    1. every file by content: Python, notebooks, scripts, compiled code, data
    2. one project of all Python; constant text that is run (`exec("...")`) is read as Python of its own
    3. names and data flow, to pointers
    4. what the declared entry point reaches
    5. what cannot be seen: never empty, because a review without blind spots does not exist

`review_code` never raises on what the snapshot holds; an entry point that is not there is an `InputError`.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from dataclasses import dataclass, field

from inspectorate.mechanisms.inspection.code.collect import Collector
from inspectorate.mechanisms.inspection.code.evaluate import Evaluator
from inspectorate.mechanisms.inspection.code.names import Naming
from inspectorate.mechanisms.inspection.code.other_files import cells_of, is_python, look_at
from inspectorate.mechanisms.inspection.code.project import Project, PythonModule, Scope, module_name
from inspectorate.mechanisms.inspection.code.reach import Reached, entry_scopes, reached_from
from inspectorate.mechanisms.inspection.code.snapshot import Snapshot
from inspectorate.mechanisms.inspection.code.source import Source, Unparsed, excerpt_of, parse_source
from inspectorate.mechanisms.inspection.code.types import BlindSpot, Pointer, Review, Unseen
from inspectorate.mechanisms.inspection.code.weights import Writing

START_NAMES = ("sitecustomize.py", "usercustomize.py")
PLACES_MAX = 50
STANDARD = (
    (BlindSpot.METHOD, "what a value is only when the program runs: conditions, order, and data are not told apart"),
    (
        BlindSpot.METHOD,
        "that the code which runs is this code: that takes a digest by a guarantee processor or by attestation",
    ),
    (BlindSpot.DEPENDENCY, "the interpreter, its standard library, drivers and firmware"),
)
"""What no static review sees."""


@dataclass(eq=False)
class _Blind:
    places: dict[tuple[BlindSpot, str], list[str]] = field(default_factory=lambda: defaultdict(list))

    def add(self, reason: BlindSpot, what: str, place: str) -> None:
        self.places[reason, what].append(place)

    def listed(self) -> tuple[Unseen, ...]:
        found = [Unseen(reason=reason, what=what, count=1) for reason, what in STANDARD]
        for (reason, what), places in sorted(self.places.items()):
            shown = tuple(sorted(set(places))[:PLACES_MAX])
            found.append(Unseen(reason=reason, what=what, places=shown, count=len(places)))
        return tuple(found)


def review_code(snapshot: Snapshot, entry: str) -> Review:
    """The review of a snapshot from its entry point (`reach.entry_scopes` says how it is written). Raises `InputError`."""
    collector, blind, project = Collector(), _Blind(), Project()
    lines = _read(snapshot, project, collector, blind)
    folder = entry.partition(":")[0].rpartition("/")[0].replace("/", ".")
    if folder:
        project.roots = (*project.roots, folder)
    starts = entry_scopes(project, entry)
    evaluator = Evaluator(project)
    evaluator.settle()
    _add_constant_code(evaluator)
    for module in project.modules.values():
        for scope in module.scopes:
            Naming(evaluator=evaluator, collector=collector).scan(scope)
            Writing(evaluator=evaluator, collector=collector).scan(scope)
    unresolved = {scope for _, _, scope in collector.unresolved}
    reached = reached_from(starts, evaluator, unresolved)
    for file, line, _ in collector.unresolved:
        blind.add(
            BlindSpot.DYNAMIC_NAME, "what a name or text that is looked up or run here stands for", f"{file}:{line}"
        )
    _dependencies(project, blind)
    if collector.dropped:
        blind.add(BlindSpot.LIMIT, f"{collector.dropped} pointers beyond the most that a review holds", "")
    return Review(
        snapshot=snapshot.digest,
        code=snapshot.code,
        entry=entry,
        files=len(snapshot.files),
        python_files=len(project.modules),
        lines=lines,
        pointers=tuple(sorted(_judged(collector, reached), key=lambda p: (p.file, p.line, p.rule))),
        cannot_see=blind.listed(),
    )


def _read(snapshot: Snapshot, project: Project, collector: Collector, blind: _Blind) -> int:
    """Every file of the snapshot; returns the number of lines of Python."""
    lines = 0
    for file in snapshot.files:
        data, head = snapshot.contents.get(file.path), snapshot.heads.get(file.path, b"")
        if data is not None and file.path.lower().endswith(".ipynb"):
            for cell in cells_of(file.path, data):
                lines += _python(file.path, cell.source, project, collector, blind)
            continue
        if is_python(file.path, head) and data is not None:
            if file.path.rsplit("/", 1)[-1].lower() in START_NAMES:
                collector.add("file.start", (file.path, 0, 0), "")
            lines += _python(file.path, data, project, collector, blind)
            continue
        if (reason := look_at(file.path, head, data, collector)) is not None:
            blind.add(reason, "what this file holds or does", file.path)
    return lines


def _python(name: str, data: bytes, project: Project, collector: Collector, blind: _Blind) -> int:
    parsed = parse_source(data)
    if isinstance(parsed, Unparsed):
        collector.add("source.unparsed", (name, 0, 0), "", resolved=parsed.reason)
        blind.add(BlindSpot.UNPARSED, "this file", name)
        return 0
    for odd in parsed.odd:
        collector.add("source.encoding", (name, 1, 1), excerpt_of(parsed.lines, 1, 1), resolved=odd)
    dotted, is_package = module_name(name)
    project.add(_module(dotted, name, parsed, is_package=is_package))
    return len(parsed.lines)


def _module(dotted: str, file: str, parsed: Source, *, is_package: bool = False, offset: int = 0) -> PythonModule:
    return PythonModule(
        name=dotted, file=file, lines=parsed.lines, tree=parsed.tree, is_package=is_package, line_offset=offset
    )


def _add_constant_code(evaluator: Evaluator) -> None:
    """Read text that is run and is constant as modules beside the file that runs it; they see its names."""
    added = False
    for module in list(evaluator.project.modules.values()):
        for scope in list(module.scopes):
            for node in scope.nodes:
                if isinstance(node, ast.Call) and node.args and _runs(evaluator, node, scope):
                    added |= _constant_code(evaluator, node, scope)
    if added:
        evaluator.memo.clear()
        evaluator.bounds.clear()
        evaluator.settle()


def _runs(evaluator: Evaluator, node: ast.Call, scope: Scope) -> bool:
    names = evaluator.value(node.func, scope).names
    return bool(names & {"builtins.exec", "builtins.eval", "builtins.compile"})


def _constant_code(evaluator: Evaluator, node: ast.Call, scope: Scope) -> bool:
    added = False
    for text in evaluator.value(node.args[0], scope).constants:
        data = text.encode("utf-8", "replace") if isinstance(text, str) else text
        if not isinstance(data, bytes) or not data.strip():
            continue
        parsed = parse_source(data.lstrip(b" \t\n"), encoding="utf-8")
        if isinstance(parsed, Unparsed):
            continue
        name = f"{scope.path}.<text@{node.lineno}:{len(evaluator.project.modules)}>"
        inner = _module(name, scope.module.file, parsed, offset=0)
        for one in ast.walk(inner.tree):
            if isinstance(one, ast.expr | ast.stmt):
                one.lineno, one.end_lineno = node.lineno, node.end_lineno
        lines = ("",) * (node.lineno - 1) + (" ".join(parsed.lines)[:400],) + ("",) * 40
        inner.lines = lines
        evaluator.project.add(inner)
        inner.top.parent = scope
        added = True
    return added


def _judged(collector: Collector, reached: Reached) -> list[Pointer]:
    """Pointers with whether they are reached; text that is run is reached where its runner is."""
    found = []
    for pointer, scope in collector.found:
        around = scope
        while around is not None and around.kind == "module" and around.parent is not None:
            around = around.parent
        found.append(pointer.model_copy(update={"reachable": reached.of(around)}))
    return found


def _dependencies(project: Project, blind: _Blind) -> None:
    """Every library that is imported and not in the snapshot."""
    tops: dict[str, str] = {}
    for module in project.modules.values():
        for dotted, scope in module.imported:
            top = dotted.partition(".")[0]
            if top and top not in tops and project.find(top, scope.module) is None:
                tops[top] = module.file
    for top, file in tops.items():
        if project.find(top) is None:
            blind.add(
                BlindSpot.DEPENDENCY, "libraries that are imported and not in the snapshot", f"{top} ({file})"[:200]
            )
