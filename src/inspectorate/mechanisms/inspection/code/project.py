"""The snapshot's Python as tables: modules, scopes, what each name in a scope may be bound to, and which files import which.

Bindings are collected without regard to order: a name may be whatever is bound to it anywhere in its scope. Comprehensions share
the scope around them. Modules are found by their dotted name from the root of the snapshot, from the folder of the entry point,
from `src`, and from the folder of the importer: what cannot be found is taken for a dependency outside of the snapshot.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
PUTS = frozenset(
    {"append", "add", "insert", "extend", "appendleft", "put", "put_nowait", "push", "send", "setdefault", "update"}
)
"""Methods that put their last argument into a container."""
LOOPS = (ast.For, ast.AsyncFor, ast.While, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


@dataclass(frozen=True, eq=False)
class Binding:
    """One way in which a name gets a value.

    `form`: value, element (of an iteration), enter (of a context), put (into a container), augmented, import, scope,
    parameter, rest, error.
    """

    form: str
    node: ast.AST | None = None
    target: str = ""
    steps: tuple[int, ...] = ()
    scope: Scope | None = None


@dataclass(eq=False)
class Scope:
    """A module, class, function or lambda."""

    path: str
    kind: str
    node: ast.AST
    module: PythonModule
    parent: Scope | None
    name: str
    bindings: dict[str, list[Binding]] = field(default_factory=dict)
    attributes: dict[str, list[Binding]] = field(default_factory=dict)
    """Of a class: what methods bind to `self.name`."""
    elsewhere: dict[str, Scope] = field(default_factory=dict)
    nodes: list[ast.AST] = field(default_factory=list)
    returns: list[ast.expr] = field(default_factory=list)
    inner: dict[str, Scope] = field(default_factory=dict)
    parameters: list[str] = field(default_factory=list)
    stars: list[str] = field(default_factory=list)

    @property
    def label(self) -> str:
        """The scope as a reader of its file calls it."""
        return self.path.removeprefix(self.module.name).removeprefix(".") or "<module>"

    @property
    def owner(self) -> Scope | None:
        """The class of a method."""
        return self.parent if self.parent is not None and self.parent.kind == "class" else None


@dataclass(eq=False)
class PythonModule:
    """One file of Python."""

    name: str
    file: str
    lines: tuple[str, ...]
    tree: ast.Module
    is_package: bool
    line_offset: int = 0
    scopes: list[Scope] = field(default_factory=list)
    parents: dict[ast.AST, ast.AST] = field(default_factory=dict)
    scope_of: dict[ast.AST, Scope] = field(default_factory=dict)
    """Of every definition: the scope it opens."""
    imported: list[tuple[str, Scope]] = field(default_factory=list)

    @property
    def top(self) -> Scope:
        return self.scopes[0]


class _Builder:
    """Walks one tree without recursion and fills the tables."""

    def __init__(self, module: PythonModule) -> None:
        self.module = module
        self.top = Scope(module.name, "module", module.tree, module, None, "")
        module.scopes.append(self.top)
        module.scope_of[module.tree] = self.top
        self._work: list[tuple[ast.AST, Scope]] = []
        self._late: list[tuple[ast.AST, ast.AST, str, Scope]] = []

    def build(self) -> None:
        self._queue(module_body(self.module.tree), self.top)
        while self._work:
            node, scope = self._work.pop()
            scope.nodes.append(node)
            self._visit(node, scope)
            if isinstance(node, SCOPES):
                self._enter(node, scope)
            else:
                for child in ast.iter_child_nodes(node):
                    self.module.parents[child] = node
                self._queue(list(ast.iter_child_nodes(node)), scope)
        for target, value, form, scope in self._late:
            self.bind(target, value, scope, form)

    def _queue(self, nodes: list[ast.AST], scope: Scope) -> None:
        self._work.extend((node, scope) for node in reversed(nodes))

    def _enter(self, node: ast.AST, scope: Scope) -> None:
        assert isinstance(node, SCOPES)
        name = "<lambda>" if isinstance(node, ast.Lambda) else node.name
        kind = "class" if isinstance(node, ast.ClassDef) else "function"
        path = f"{scope.path}.{name}"
        if name in scope.inner or isinstance(node, ast.Lambda):
            path = f"{scope.path}.{name}@{node.lineno}:{node.col_offset}"
        inner = Scope(path, kind, node, self.module, scope, name)
        scope.inner[name if name not in scope.inner else path] = inner
        self.module.scopes.append(inner)
        self.module.scope_of[node] = inner
        outside: list[ast.AST] = []
        if isinstance(node, ast.Lambda):
            body: list[ast.AST] = [node.body]
            inner.returns.append(node.body)
        else:
            body = list(node.body)
            outside += node.decorator_list
            scope.bindings.setdefault(name, []).append(Binding("scope", node, scope=inner))
        if isinstance(node, ast.ClassDef):
            outside += [*node.bases, *node.keywords]
        else:
            outside += [*node.args.defaults, *(d for d in node.args.kw_defaults if d is not None)]
            self._parameters(node, inner)
        for child in (*body, *outside):
            self.module.parents[child] = node
        self._queue(outside, scope)
        self._queue(body, inner)

    def _parameters(self, node: FunctionNode, inner: Scope) -> None:
        args = node.args
        plain = [*args.posonlyargs, *args.args]
        defaults: dict[str, ast.expr] = dict(
            zip([a.arg for a in plain][len(plain) - len(args.defaults) :], args.defaults, strict=True)
        )
        defaults |= {a.arg: d for a, d in zip(args.kwonlyargs, args.kw_defaults, strict=True) if d is not None}
        inner.parameters = [a.arg for a in plain]
        for arg in (*plain, *args.kwonlyargs):
            found = inner.bindings.setdefault(arg.arg, [])
            found.append(Binding("parameter", defaults.get(arg.arg), target=arg.arg, scope=inner))
        for rest in (args.vararg, args.kwarg):
            if rest is not None:
                inner.bindings.setdefault(rest.arg, []).append(Binding("rest", target=rest.arg, scope=inner))

    def _visit(self, node: ast.AST, scope: Scope) -> None:
        """Record what a node binds."""
        match node:
            case ast.Import() | ast.ImportFrom():
                self._imports(node, scope)
            case ast.Assign():
                for target in node.targets:
                    self._late.append((target, node.value, "value", scope))
            case ast.AugAssign():
                self._late.append((node.target, node.value, "augmented", scope))
            case ast.AnnAssign(value=ast.expr()) | ast.NamedExpr():
                assert node.value is not None
                self._late.append((node.target, node.value, "value", scope))
            case ast.For() | ast.AsyncFor() | ast.comprehension():
                self._late.append((node.target, node.iter, "element", scope))
            case ast.withitem(optional_vars=ast.expr()):
                assert node.optional_vars is not None
                self._late.append((node.optional_vars, node.context_expr, "enter", scope))
            case ast.Call(func=ast.Attribute(attr=attr), args=[*_, last]) if attr in PUTS:
                assert isinstance(node.func, ast.Attribute)
                self._late.append((node.func.value, last, "put", scope))
            case ast.ExceptHandler(name=str()):
                scope.bindings.setdefault(str(node.name), []).append(Binding("error"))
            case ast.Global():
                scope.elsewhere |= dict.fromkeys(node.names, self.top)
            case ast.Nonlocal():
                if scope.parent is not None:
                    scope.elsewhere |= dict.fromkeys(node.names, scope.parent)
            case ast.Return(value=ast.expr()) | ast.Yield(value=ast.expr()) | ast.YieldFrom():
                assert node.value is not None
                scope.returns.append(node.value)
            case ast.MatchAs(name=str()) | ast.MatchStar(name=str()):
                scope.bindings.setdefault(str(node.name), []).append(Binding("error"))

    def _imports(self, node: ast.Import | ast.ImportFrom, scope: Scope) -> None:
        if isinstance(node, ast.Import):
            for alias in node.names:
                shown = alias.asname or alias.name.partition(".")[0]
                target = alias.name if alias.asname else shown
                scope.bindings.setdefault(shown, []).append(Binding("import", node, target=target))
                self.module.imported.append((alias.name, scope))
            return
        base = absolute(node, self.module)
        for alias in node.names:
            self.module.imported.append((f"{base}.{alias.name}" if alias.name != "*" else base, scope))
            if alias.name == "*":
                scope.stars.append(base)
            else:
                target = f"{base}.{alias.name}" if base else alias.name
                scope.bindings.setdefault(alias.asname or alias.name, []).append(Binding("import", node, target=target))

    def bind(self, target: ast.AST, value: ast.AST, scope: Scope, form: str) -> None:
        """Bind a target, taking tuples apart."""
        waiting: list[tuple[ast.AST, tuple[int, ...]]] = [(target, ())]
        while waiting:
            one, steps = waiting.pop()
            if isinstance(one, ast.Tuple | ast.List):
                waiting += [(item, (*steps, place)) for place, item in enumerate(one.elts)]
            elif isinstance(one, ast.Starred):
                waiting.append((one.value, (*steps[:-1], -1)))
            elif isinstance(one, ast.Name):
                home = scope.elsewhere.get(one.id, scope)
                home.bindings.setdefault(one.id, []).append(Binding(form, value, steps=steps, scope=scope))
            elif isinstance(one, ast.Attribute) and (owner := self._self_of(one.value, scope)) is not None:
                owner.attributes.setdefault(one.attr, []).append(Binding(form, value, steps=steps, scope=scope))
            elif isinstance(one, ast.Subscript) and form in {"value", "element", "enter"} and not steps:
                self.bind(one.value, value, scope, "put")

    @staticmethod
    def _self_of(node: ast.AST, scope: Scope) -> Scope | None:
        """The class whose instance a name is: the first parameter of a method around it."""
        around: Scope | None = scope
        while around is not None:
            if around.owner is not None and around.parameters:
                same = isinstance(node, ast.Name) and node.id == around.parameters[0]
                return around.owner if same else None
            around = around.parent
        return None


def module_body(tree: ast.Module) -> list[ast.AST]:
    return list(tree.body)


def absolute(node: ast.ImportFrom, module: PythonModule) -> str:
    """The dotted name that a `from` import takes from."""
    if not node.level:
        return node.module or ""
    parts = module.name.split(".")
    kept = parts[: len(parts) - node.level + (1 if module.is_package else 0)]
    return ".".join([*kept, *([node.module] if node.module else [])])


@dataclass(eq=False)
class Project:
    """All modules of a snapshot, and how to find them."""

    modules: dict[str, PythonModule] = field(default_factory=dict)
    scopes: dict[str, Scope] = field(default_factory=dict)
    roots: tuple[str, ...] = ("", "src", "lib")

    def add(self, module: PythonModule) -> None:
        _Builder(module).build()
        self.modules.setdefault(module.name, module)
        for scope in module.scopes:
            self.scopes.setdefault(scope.path, scope)

    def find(self, dotted: str, importer: PythonModule | None = None) -> PythonModule | None:
        """The module of that name, seen from a file."""
        if (found := self.modules.get(dotted)) is not None:
            return found
        roots: Iterable[str] = self.roots
        if importer is not None:
            roots = (*self.roots, importer.name.rpartition(".")[0])
        return next((self.modules[f"{r}.{dotted}"] for r in roots if r and f"{r}.{dotted}" in self.modules), None)


def module_name(file: str) -> tuple[str, bool]:
    """The dotted name of a file, and whether it is a package."""
    stem = file.rsplit(".", 1)[0] if "." in file.rsplit("/", 1)[-1] else file
    parts = stem.split("/")
    if parts[-1] == "__init__" and len(parts) > 1:
        return ".".join(parts[:-1]), True
    return ".".join(parts), False


def ancestors(node: ast.AST, module: PythonModule) -> Iterator[ast.AST]:
    """What is around a node, up to and without its function or class."""
    while (up := module.parents.get(node)) is not None and not isinstance(up, SCOPES):
        yield up
        node = up
