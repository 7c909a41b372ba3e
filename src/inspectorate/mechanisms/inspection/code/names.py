"""Pointers from names: what a name or attribute was found to stand for, held against the catalogue of rules."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

from inspectorate.mechanisms.inspection.code.calls import GETTERS, IMPORTERS, RESOLVERS
from inspectorate.mechanisms.inspection.code.collect import Collector
from inspectorate.mechanisms.inspection.code.evaluate import Evaluator
from inspectorate.mechanisms.inspection.code.project import Scope, ancestors
from inspectorate.mechanisms.inspection.code.rules import rules
from inspectorate.mechanisms.inspection.code.source import Source, parse_source
from inspectorate.mechanisms.inspection.code.types import Doubt, Kind
from inspectorate.mechanisms.inspection.code.values import HELD, Trait, Value

OPTIMISER_NAME = re.compile(r"optim|(^|[._])opt($|[._\d])|adam|(^|_)sgd|scaler", re.IGNORECASE)
RUNS_TEXT = frozenset({"builtins.exec", "builtins.eval", "builtins.compile"})
CHECKS = frozenset({"isinstance", "issubclass"})
MODEL_FITS = frozenset({"fit", "partial_fit"})
INNER_KINDS = frozenset({Kind.HIDDEN_START, Kind.NATIVE_CODE, Kind.SECRET})
"""Kinds of names that count where something hangs from them, as in `sys.meta_path.insert`."""
PATCHABLE = frozenset(
    {"torch", "numpy", "builtins", "jax", "tensorflow", "transformers", "sys", "importlib", "os", "threading"}
)


@dataclass(frozen=True, kw_only=True)
class Naming:
    """Finds pointers in one scope by names."""

    evaluator: Evaluator
    collector: Collector

    def scan(self, scope: Scope) -> None:
        """Every node of a scope that names something."""
        skipped = _annotations(scope)
        for node in scope.nodes:
            if node in skipped:
                continue
            match node:
                case ast.Name(ctx=ast.Load()) | ast.Attribute(ctx=ast.Load()):
                    self._reference(node, scope)
                case ast.Call():
                    self._call(node, scope)
                case ast.Import() | ast.ImportFrom():
                    self._import(node, scope)
                case ast.Assign():
                    for target in node.targets:
                        self._patched(target, node.value, scope)
                case ast.ClassDef() if node in scope.module.scope_of:
                    self._class(scope.module.scope_of[node], scope)

    def _reference(self, node: ast.Name | ast.Attribute, scope: Scope) -> None:
        parent = scope.module.parents.get(node)
        if isinstance(parent, ast.Attribute):
            for name in self.evaluator.value(node, scope).names if isinstance(node, ast.Attribute) else ():
                rule = rules().exact.get(name)
                if rule is not None and rule.kind in INNER_KINDS:
                    self.collector.at(rule.id, node, scope, resolved=name)
            return
        if isinstance(parent, ast.ExceptHandler) or _is_check(node, parent, scope):
            return
        self._match(self.evaluator.value(node, scope), node, scope, parent)

    def _match(self, value: Value, node: ast.AST, scope: Scope, parent: ast.AST | None) -> None:
        """Point to a node for each rule that one of its names has."""
        for name in sorted(value.names):
            rule = rules().of(name)
            if rule is None or name in self.evaluator.project.scopes:
                continue
            if name in RUNS_TEXT and isinstance(parent, ast.Call) and parent.func is node:
                continue  # judged with its argument
            if rule.id.startswith("gradient.functional") and name == "torch.autograd.grad":
                continue
            self.collector.at(rule.id, node, scope, resolved=name)

    def _import(self, node: ast.Import | ast.ImportFrom, scope: Scope) -> None:
        """An import by itself is a place to look at; what is made of it is pointed to where it is used."""
        for alias in node.names:
            given = self.evaluator.value(
                ast.Name(id=alias.asname or alias.name.partition(".")[0], ctx=ast.Load()), scope
            )
            for name in sorted(given.names):
                rule = rules().of(name)
                if rule is not None and name not in self.evaluator.project.scopes:
                    lowered = Doubt.LOOK if rule.doubt is Doubt.MUST_ANSWER else rule.doubt
                    self.collector.at(rule.id, node, scope, resolved=name, doubt=lowered)

    # --- calls -------------------------------------------------------------------------------------------------------

    def _call(self, node: ast.Call, scope: Scope) -> None:
        function = self.evaluator.value(node.func, scope)
        names = function.names
        if names & RUNS_TEXT:
            self._runs_text(node, scope)
        if names & RESOLVERS or any(n.endswith(".__getattribute__") or n.startswith("operator.get") for n in names):
            self._match(self.evaluator.value(node, scope), node, scope, None)
        if not isinstance(node.func, ast.Name | ast.Attribute):
            self._match(function, node, scope, None)
        if names & GETTERS and len(node.args) >= 2:
            self._getter(node, scope)
        if names & IMPORTERS and node.args:
            self._importer(node, scope)
        if "torch.autograd.grad" in names:
            self._autograd(node, scope)
        if (
            names & {"builtins.setattr", "builtins.object.__setattr__", "builtins.type.__setattr__"}
            and len(node.args) == 3
        ):
            self._set_attribute(node, scope)
        if isinstance(node.func, ast.Attribute):
            self._method(node, node.func, scope)

    def _method(self, node: ast.Call, function: ast.Attribute, scope: Scope) -> None:
        words = {k.arg for k in node.keywords}
        if function.attr == "step" and len(node.args) + len(words - {"closure"}) == 0:
            if OPTIMISER_NAME.search(ast.unparse(function.value)[:200]) and not self._own(node, scope):
                self.collector.at("optimiser.step-call", node, scope)
        elif (function.attr == "compile" and words & {"optimizer", "loss"} and "optimizer" in words) or (
            function.attr in MODEL_FITS and self.evaluator.value(function.value, scope).traits & Trait.MODULE
        ):
            self.collector.at("trainer.fit-call", node, scope)

    def _own(self, node: ast.Call, scope: Scope) -> bool:
        return any(n in self.evaluator.project.scopes for n in self.evaluator.value(node.func, scope).names)

    def _runs_text(self, node: ast.Call, scope: Scope) -> None:
        """`exec`, `eval`, `compile`: constant text was read as code elsewhere; any other must be answered."""
        text = self.evaluator.value(node.args[0], scope) if node.args else None
        if text is not None and text.constants and not text.names and all(map(_reads, text.constants)):
            self.collector.at("dynamic.constant", node, scope)
            self._match(self.evaluator.value(node, scope), node, scope, None)
            return
        called = self.evaluator.value(node.func, scope).names
        self.collector.at("dynamic.evaluated" if "builtins.eval" in called else "dynamic.code", node, scope)
        self.collector.unresolved.append((scope.module.file, node.lineno, scope))

    def _getter(self, node: ast.Call, scope: Scope) -> None:
        name = self.evaluator.value(node.args[1], scope)
        texts = [c for c in name.constants if isinstance(c, str)]
        if texts and not name.names - {"?"}:
            return
        built = bool(name.traits & Trait.READ) or _is_built(node.args[1])
        used = isinstance(scope.module.parents.get(node), ast.Call)
        self.collector.at("dynamic.name-built" if built and used else "dynamic.name", node, scope)
        self.collector.unresolved.append((scope.module.file, node.lineno, scope))

    def _importer(self, node: ast.Call, scope: Scope) -> None:
        name = self.evaluator.value(node.args[0], scope)
        if any(isinstance(c, str) for c in name.constants):
            return
        built = bool(name.traits & Trait.READ)
        self.collector.at("dynamic.name-built" if built else "dynamic.import", node, scope)
        self.collector.unresolved.append((scope.module.file, node.lineno, scope))

    def _autograd(self, node: ast.Call, scope: Scope) -> None:
        target = (
            node.args[1] if len(node.args) > 1 else next((k.value for k in node.keywords if k.arg == "inputs"), None)
        )
        traits = self.evaluator.value(target, scope).traits if target is not None else Trait.NONE
        only_input = bool(traits & Trait.INPUT) and not traits & (HELD | Trait.OF_WEIGHT)
        self.collector.at("gradient.of-input" if only_input else "gradient.autograd", node, scope)

    # --- patches and classes -----------------------------------------------------------------------------------------

    def _set_attribute(self, node: ast.Call, scope: Scope) -> None:
        base = self.evaluator.value(node.args[0], scope)
        self._patch(base, self.evaluator.value(node.args[2], scope), node, scope)

    def _patched(self, target: ast.expr, value: ast.expr, scope: Scope) -> None:
        if isinstance(target, ast.Attribute):
            self._patch(self.evaluator.value(target.value, scope), self.evaluator.value(value, scope), target, scope)
        elif isinstance(target, ast.Subscript):
            base = self.evaluator.value(target.value, scope)
            if any(
                n == "sys.modules" or (n.split(".")[0] in PATCHABLE and n.endswith(".__dict__")) for n in base.names
            ):
                self.collector.at("patch.library", target, scope)

    def _patch(self, base: Value, value: Value, node: ast.AST, scope: Scope) -> None:
        """A name of a library that is given a new meaning: something callable, not a setting."""
        if not value.known or not value.names or value.constants:
            return
        for name in sorted(base.names):
            if name.split(".")[0] in PATCHABLE and "()" not in name and name not in self.evaluator.project.modules:
                self.collector.at("patch.library", node, scope, resolved=name)

    def _class(self, own: Scope, scope: Scope) -> None:
        """A class with the methods of an optimiser."""
        if {"step", "zero_grad"} <= set(own.inner):
            self.collector.at("optimiser.class", own.node, scope)
        assert isinstance(own.node, ast.ClassDef)


def _reads(text: object) -> bool:
    """Whether constant text is Python, which was then read as such."""
    data = text.encode("utf-8", "replace") if isinstance(text, str) else text
    return isinstance(data, bytes) and isinstance(parse_source(data.lstrip(b" \t\n"), encoding="utf-8"), Source)


def _annotations(scope: Scope) -> set[ast.AST]:
    """Nodes of annotations, which are not used."""
    found: set[ast.AST] = set()
    for node in scope.nodes:
        if isinstance(node, ast.AnnAssign):
            found.update(ast.walk(node.annotation))
    return found


def _is_check(node: ast.AST, parent: ast.AST | None, scope: Scope) -> bool:
    """Whether a name only tells kinds of objects apart."""
    around = [parent, *ancestors(node, scope.module)] if parent is not None else []
    return any(
        isinstance(one, ast.Call) and isinstance(one.func, ast.Name) and one.func.id in CHECKS and node is not one.func
        for one in around[:4]
    )


def _is_built(node: ast.expr) -> bool:
    """Whether a name is put together by more than attribute access and formatting."""
    for part in ast.walk(node):
        if isinstance(part, ast.Call):
            return True
        if isinstance(part, ast.Subscript) and isinstance(part.slice, ast.Slice):
            return True
    return False
