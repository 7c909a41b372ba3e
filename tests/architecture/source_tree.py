"""The source as data: modules, what they import, and in which room they stand."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src"
PACKAGE = "inspectorate"


@dataclass(frozen=True)
class Import:
    """One imported module, with the names taken from it; `within` is the function that holds the import, if any."""

    target: str
    names: tuple[str, ...]
    line: int
    within: str = ""


@dataclass(frozen=True)
class Module:
    """One file of the source."""

    name: str
    path: Path
    tree: ast.Module
    imports: tuple[Import, ...]

    @property
    def room(self) -> str:
        return room_of(self.name)

    @property
    def place(self) -> str:
        return str(self.path.relative_to(ROOT))


def room_of(name: str) -> str:
    """The top-level module or package: `inspectorate.ledger.log` stands in `ledger`; the package itself in ``."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 else ""


@cache
def modules() -> tuple[Module, ...]:
    """All modules, by name."""
    found: list[Module] = []
    paths = sorted((SOURCE / PACKAGE).rglob("*.py"))
    names = {path: _name(path) for path in paths}
    known = frozenset(names.values())
    for path in paths:
        tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
        found.append(Module(names[path], path, tree, tuple(_imports(tree, known))))
    return tuple(found)


def _name(path: Path) -> str:
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(tree: ast.Module, known: frozenset[str]) -> list[Import]:
    """Imports of our own modules. `from package import submodule` counts as an import of the submodule."""
    found: list[Import] = []

    def visit(node: ast.AST, within: str) -> None:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            within = getattr(node, "name", "lambda")
        if isinstance(node, ast.Import):
            found.extend(Import(alias.name, (), node.lineno, within) for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative import"
            base = node.module or ""
            plain = tuple(alias.name for alias in node.names if f"{base}.{alias.name}" not in known)
            if plain:
                found.append(Import(base, plain, node.lineno, within))
            found.extend(
                Import(f"{base}.{alias.name}", (), node.lineno, within)
                for alias in node.names
                if f"{base}.{alias.name}" in known
            )
        for child in ast.iter_child_nodes(node):
            visit(child, within)

    visit(tree, "")
    return found


def ours(module: Module) -> tuple[Import, ...]:
    """Its imports within the package."""
    return tuple(one for one in module.imports if one.target.split(".")[0] == PACKAGE)
