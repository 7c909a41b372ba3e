"""What the declared entry point reaches: a graph of scopes over the whole snapshot, conservative on purpose.

- A scope leads to every function and class of the project that it names, called or not: what is passed on may be called.
- Importing a module runs its top; a class that is named may run all of its methods with special names and all that override what a
  library calls (`forward`).
- An attribute of something unknown may be any method of that name: such a step gives `unknown`, not `yes`.
- Where code that is reached runs text or looks up names that could not be told, nothing is certainly unreachable: `no` becomes
  `unknown`.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from dataclasses import dataclass, field

from inspectorate.errors import InputError
from inspectorate.mechanisms.inspection.code.evaluate import Evaluator
from inspectorate.mechanisms.inspection.code.project import Project, Scope
from inspectorate.mechanisms.inspection.code.types import Reach

CALLED_BY_LIBRARIES = frozenset({"forward", "run", "main", "setup", "handle", "do_GET", "do_POST", "call", "build"})


@dataclass(eq=False)
class Reached:
    """How far the entry point gets."""

    sure: set[Scope] = field(default_factory=set)
    maybe: set[Scope] = field(default_factory=set)
    anything: bool = False
    """Whether code that is reached may run anything at all."""

    def of(self, scope: Scope | None) -> Reach:
        """Whether a scope is reached."""
        if scope is None:
            return Reach.UNKNOWN
        if scope in self.sure:
            return Reach.YES
        return Reach.UNKNOWN if scope in self.maybe or self.anything else Reach.NO


def entry_scopes(project: Project, entry: str) -> list[Scope]:
    """The scopes with which the entry point begins: `folder/file.py`, `package.module` or `package.module:function`.

    Raises `InputError`.
    """
    place, _, function = entry.partition(":")
    module = next((m for m in project.modules.values() if m.file == place), None) or project.find(place)
    if module is not None and module.is_package and not function:
        module = project.modules.get(f"{module.name}.__main__", module)
    if module is None:
        raise InputError("is no Python file or module of the snapshot", where=f"entry point {entry}")
    found = [module.top]
    parts = module.name.split(".")
    around = (project.modules.get(".".join(parts[:depth])) for depth in range(1, len(parts)))
    found += [package.top for package in around if package is not None]
    if function:
        scope = module.top
        for part in function.split("."):
            if part not in scope.inner:
                raise InputError(f"{function!r} is not in {module.file}", where=f"entry point {entry}")
            scope = scope.inner[part]
        found.append(scope)
    return found


def reached_from(starts: list[Scope], evaluator: Evaluator, unresolved: set[Scope]) -> Reached:
    """Everything that the starts lead to."""
    by_name: dict[str, list[Scope]] = defaultdict(list)
    for scope in evaluator.project.scopes.values():
        if scope.owner is not None:
            by_name[scope.name].append(scope)
    reached = Reached()
    edges = _Edges(evaluator, by_name)
    _spread(starts, reached.sure, set(), edges, sure=True)
    begin = {one for scope in reached.sure for one in edges.of(scope)[1]} - reached.sure
    _spread(list(begin), reached.maybe, reached.sure, edges, sure=False)
    reached.anything = bool((reached.sure | reached.maybe) & unresolved)
    return reached


@dataclass(eq=False)
class _Edges:
    evaluator: Evaluator
    by_name: dict[str, list[Scope]]
    _known: dict[Scope, tuple[set[Scope], set[Scope]]] = field(default_factory=dict)

    def of(self, scope: Scope) -> tuple[set[Scope], set[Scope]]:
        """Where a scope leads for sure, and where perhaps."""
        if (known := self._known.get(scope)) is not None:
            return known
        sure: set[Scope] = set()
        maybe: set[Scope] = set()
        project = self.evaluator.project
        for node in scope.nodes:
            if isinstance(node, ast.Name | ast.Attribute | ast.Call):
                for name in self.evaluator.value(node, scope).names:
                    self._name(name, sure, maybe)
            elif isinstance(node, ast.ClassDef | ast.Lambda) and node in scope.module.scope_of:
                inner = scope.module.scope_of[node]
                sure.add(inner)
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.decorator_list:
                sure.add(scope.module.scope_of[node])
        for dotted, importing in scope.module.imported:
            if importing is scope:
                self._import(dotted, scope, sure)
        if scope.kind == "class":
            for name, inner in scope.inner.items():
                if (name.startswith("__") and name.endswith("__")) or name in CALLED_BY_LIBRARIES:
                    sure.add(inner)
            sure |= {p for n in self.evaluator.bases(scope) if (p := project.scopes.get(n)) is not None}
        self._known[scope] = (sure, maybe)
        return self._known[scope]

    def _name(self, name: str, sure: set[Scope], maybe: set[Scope]) -> None:
        project = self.evaluator.project
        if (scope := project.scopes.get(name.removesuffix("()"))) is not None:
            sure.add(scope)
        elif name.startswith("?."):
            found = self.by_name.get(name[2:], ())
            maybe.update(found[:200])
        elif "()." in name:
            owner = project.scopes.get(name.partition("()")[0])
            if owner is not None:
                maybe.update(self.by_name.get(name.rpartition(".")[2], ())[:200])

    def _import(self, dotted: str, scope: Scope, sure: set[Scope]) -> None:
        parts = dotted.split(".")
        for depth in range(1, len(parts) + 1):
            module = self.evaluator.project.find(".".join(parts[:depth]), scope.module)
            if module is not None:
                sure.add(module.top)


def _spread(starts: list[Scope], into: set[Scope], without: set[Scope], edges: _Edges, *, sure: bool) -> None:
    waiting = [s for s in starts if s not in without]
    while waiting:
        scope = waiting.pop()
        if scope in into or scope in without:
            continue
        into.add(scope)
        certain, perhaps = edges.of(scope)
        waiting += certain
        if not sure:
            waiting += perhaps
