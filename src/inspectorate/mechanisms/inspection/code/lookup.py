"""Finding what names and attributes stand for: the first layer of the evaluator, without calls."""

from __future__ import annotations

import ast
import builtins
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from inspectorate.mechanisms.inspection.code import knowledge
from inspectorate.mechanisms.inspection.code.project import Binding, Project, PythonModule, Scope
from inspectorate.mechanisms.inspection.code.values import (
    ALIAS,
    ARGUMENTS,
    ARGUMENTS_MAX,
    HELD,
    NOTHING,
    PUT,
    UNKNOWN,
    Trait,
    Value,
    attribute_name,
    named,
    union,
)

BUILTINS = frozenset(dir(builtins))
PROPERTY = frozenset({"property", "cached_property"})
PARAMETER_NAMES = frozenset({"torch.nn.Parameter", "torch.nn.parameter.Parameter"})


@dataclass(eq=False)
class Lookup(ABC):
    """What is known so far of one project."""

    project: Project
    arguments: dict[Scope, dict[str, list[Value]]] = field(default_factory=dict)
    """What callers were seen to pass, in the round before."""
    passed: dict[Scope, dict[str, list[Value]]] = field(default_factory=dict)
    """The same, gathered in this round."""
    _looking: set[tuple[int, str]] = field(default_factory=set)
    bounds: dict[tuple[int, str], Value] = field(default_factory=dict)
    """What names were found to be bound to, where no circle was cut."""
    _cuts: int = 0
    """How often a circle was cut."""

    @abstractmethod
    def value(self, node: ast.AST, scope: Scope) -> Value:
        """What an expression may stand for."""

    # --- names -------------------------------------------------------------------------------------------------------

    def name(self, identifier: str, scope: Scope) -> Value:
        """What a name may stand for, seen from a scope."""
        around: Scope | None = scope.elsewhere.get(identifier, scope)
        while around is not None:
            if identifier in around.bindings and (around is scope or around.kind != "class"):
                found = self.bound(identifier, around)
                return found if around is scope else without_arguments(found)
            around = around.parent
        module = scope.module
        stars = [star for one in module.scopes if one is module.top or one is scope for star in one.stars]
        if stars and identifier not in BUILTINS:
            return union(self.starred(identifier, stars, module))
        if identifier in BUILTINS:
            return named(f"builtins.{identifier}")
        return UNKNOWN

    def starred(self, identifier: str, stars: Iterable[str], module: PythonModule) -> list[Value]:
        """What `from x import *` may have brought."""
        found = []
        for star in stars:
            other = self.project.find(star, module)
            if other is None:
                found.append(named(knowledge.canonical_name(f"{star}.{identifier}")))
            elif identifier in other.top.bindings or other.top.stars:
                found.append(self.module_member(other, identifier))
        return found or [UNKNOWN]

    def bound(self, identifier: str, scope: Scope) -> Value:
        """The union of what a scope binds to a name."""
        key = (id(scope), identifier)
        if key in self._looking:
            self._cuts += 1
            return NOTHING
        if (known := self.bounds.get(key)) is not None:
            return known
        before = self._cuts
        self._looking.add(key)
        try:
            found = union(self.binding(one, identifier, scope) for one in scope.bindings[identifier])
        finally:
            self._looking.discard(key)
        if self._cuts == before:
            self.bounds[key] = found
        return found

    def binding(self, binding: Binding, identifier: str, scope: Scope) -> Value:
        """What one binding gives."""
        home = binding.scope or scope
        match binding.form:
            case "import":
                return self.imported(binding.target, scope.module)
            case "scope":
                return self._decorated(home)
            case "parameter":
                return self.parameter(identifier, scope, binding.node)
            case "rest":
                given = union(self.arguments.get(scope, {}).get(identifier, ()))
                return Value(UNKNOWN.names, (), given.traits, (given,), ((None, given),))
            case "value" | "enter":
                assert binding.node is not None
                return self.taken(self.value(binding.node, home), binding.steps)
            case "augmented":
                assert binding.node is not None
                more = self.value(binding.node, home)
                kept = Trait.OF_WEIGHT if more.traits & HELD else 0
                return Value(UNKNOWN.names, (), kept | more.traits & ~(ALIAS | Trait.MODULE | Trait.INPUT), more.items)
            case "put":
                assert binding.node is not None
                inside = self.value(binding.node, home)
                return Value(items=(inside, *inside.elements()[:8]), keyed=((PUT, inside),))
            case "element":
                assert binding.node is not None
                return self.taken(self.element(self.value(binding.node, home)), binding.steps)
        return UNKNOWN

    def _decorated(self, scope: Scope) -> Value:
        """A definition; a decorator that is one of a library's transformations shows in the names."""
        found = [named(scope.path)]
        if isinstance(scope.node, ast.FunctionDef | ast.AsyncFunctionDef) and scope.parent is not None:
            for decorator in scope.node.decorator_list:
                given = self.value(decorator, scope.parent)
                if any(knowledge.GRADIENT_MAKERS.match(n) for n in given.names):
                    found.append(Value(given.names, (), Trait.GRADIENT))
        return union(found)

    @staticmethod
    def element(value: Value) -> Value:
        """What iterating over a value gives."""
        inner = value.elements()
        if value.keyed is not None and value.items is None:
            keys = Value(constants=tuple(k for k, _ in value.keyed if k is not None and k != PUT)[:8])
            return keys.with_traits(value.traits)
        texts = [c for c in value.constants if isinstance(c, str)]
        if not inner and texts:
            return Value(constants=tuple(dict.fromkeys("".join(texts)))[:8])
        found = union(inner) if inner else UNKNOWN
        return found.with_traits(found.traits | value.traits)

    def taken(self, value: Value, steps: tuple[int, ...]) -> Value:
        """What unpacking takes out of a value."""
        for step in steps:
            inside = value.items is not None and 0 <= step < len(value.items)
            value = value.items[step] if inside and value.items is not None else self.element(value)
        return value

    def parameter(self, identifier: str, scope: Scope, default: ast.AST | None) -> Value:
        """A parameter: what callers pass, its default, its annotation; `self` and `cls` are the class."""
        found = _passed(self.arguments.get(scope, {}).get(identifier, ()))
        owner = scope.owner
        first = bool(scope.parameters) and scope.parameters[0] == identifier
        if owner is not None and first and isinstance(scope.node, ast.FunctionDef | ast.AsyncFunctionDef):
            decorators = {d.id for d in scope.node.decorator_list if isinstance(d, ast.Name)}
            if "classmethod" in decorators:
                return named(owner.path)
            if "staticmethod" not in decorators:
                return self.instance(owner)
        if default is not None and scope.parent is not None:
            found.append(self.value(default, scope.parent))
        place = scope.parameters.index(identifier) if identifier in scope.parameters[:ARGUMENTS_MAX] else None
        bit = 0 if place is None else Trait.ARGUMENT << place
        found.append(Value(UNKNOWN.names, (), self._annotated(identifier, scope) | bit))
        return union(found)

    def _annotated(self, identifier: str, scope: Scope) -> int:
        if not isinstance(scope.node, ast.FunctionDef | ast.AsyncFunctionDef) or scope.parent is None:
            return Trait.NONE
        args = scope.node.args
        for arg in (*args.posonlyargs, *args.args, *args.kwonlyargs):
            if arg.arg == identifier and isinstance(arg.annotation, ast.Name | ast.Attribute):
                names = self.value(arg.annotation, scope.parent).names
                if names & PARAMETER_NAMES:
                    return Trait.WEIGHT
                if any(knowledge.MODULE_BASES.match(n) for n in names):
                    return Trait.MODULE
        return Trait.NONE

    # --- modules and classes -----------------------------------------------------------------------------------------

    def imported(self, dotted: str, importer: PythonModule | None) -> Value:
        """What an import of a dotted name gives: something of the project, or a name of a library."""
        found = self.project.find(dotted, importer)
        if found is not None:
            return named(found.name)
        head, _, last = dotted.rpartition(".")
        if head and (module := self.project.find(head, importer)) is not None:
            return self.module_member(module, last)
        return named(knowledge.canonical_name(dotted))

    def module_member(self, module: PythonModule, attribute: str) -> Value:
        """A name of a module of the project, seen from outside."""
        if attribute in module.top.bindings:
            return self.bound(attribute, module.top)
        if (below := self.project.modules.get(f"{module.name}.{attribute}")) is not None:
            return named(below.name)
        if module.top.stars and (module, attribute) not in self._starring:
            self._starring.add((module, attribute))
            try:
                return union(self.starred(attribute, module.top.stars, module))
            finally:
                self._starring.discard((module, attribute))
        return named(f"{module.name}.{attribute}")

    _starring: set[tuple[PythonModule, str]] = field(default_factory=set)

    def instance(self, owner: Scope) -> Value:
        """An instance of a class of the project."""
        traits = Trait.MODULE if self.is_module(owner) else Trait.NONE
        return Value(frozenset({f"{owner.path}()"}), (), traits)

    def bases(self, owner: Scope, depth: int = 0) -> list[str]:
        """Names of all bases of a class, near ones first."""
        if depth > 12 or not isinstance(owner.node, ast.ClassDef) or owner.parent is None:
            return []
        found: list[str] = []
        for base in owner.node.bases:
            for name in sorted(self.value(base, owner.parent).names):
                if name in found or name == owner.path:
                    continue
                found.append(name)
                if (other := self.project.scopes.get(name)) is not None and other.kind == "class":
                    found += [n for n in self.bases(other, depth + 1) if n not in found]
        return found

    def is_module(self, owner: Scope) -> bool:
        """Whether a class is a module of a network."""
        if (known := self._is_module.get(owner)) is None:
            self._is_module[owner] = False
            known = any(knowledge.MODULE_BASES.match(n) for n in self.bases(owner))
            self._is_module[owner] = known
        return known

    _is_module: dict[Scope, bool] = field(default_factory=dict)

    def class_member(self, owner: Scope, attribute: str, *, of_instance: bool) -> Value:
        """An attribute of a class or of an instance of it."""
        for name in [owner.path, *self.bases(owner)]:
            one = self.project.scopes.get(name)
            if one is None or one.kind != "class":
                continue
            found = []
            if attribute in one.bindings:
                found.append(self._method(one, attribute))
            if of_instance and attribute in one.attributes:
                key = (id(one), f".{attribute}")
                if key not in self._looking:
                    self._looking.add(key)
                    found += [without_arguments(self.binding(b, attribute, one)) for b in one.attributes[attribute]]
                    self._looking.discard(key)
            if found:
                return union(found)
        outer = [n for n in self.bases(owner) if n not in self.project.scopes]
        names = [attribute_name(f"{n}()" if of_instance else n, attribute) for n in outer]
        return named(*names, f"?.{attribute}")

    def _method(self, owner: Scope, attribute: str) -> Value:
        inner = owner.inner.get(attribute)
        if inner is not None and isinstance(inner.node, ast.FunctionDef):
            words = {d.id if isinstance(d, ast.Name) else getattr(d, "attr", "") for d in inner.node.decorator_list}
            if words & PROPERTY:
                return without_arguments(union(self.value(node, inner) for node in inner.returns))
        return self.bound(attribute, owner)

    # --- attributes --------------------------------------------------------------------------------------------------

    def member(self, base: Value, attribute: str, module: PythonModule) -> Value:
        """An attribute of a value."""
        found = [self._member_of(name, attribute, module) for name in base.names]
        if not base.names:
            found.append(named(f"?.{attribute}"))
        result = union(found)
        return result.with_traits(result.traits | self._attribute_traits(base, attribute))

    def _member_of(self, name: str, attribute: str, module: PythonModule) -> Value:
        if attribute == "__dict__":
            return named(f"{name}.__dict__")
        if attribute == "__class__":
            return named(name.removesuffix("()"))
        if name.startswith("?"):
            return named(f"?.{attribute}")
        if (own := self.project.modules.get(name)) is not None:
            return self.module_member(own, attribute)
        scope = self.project.scopes.get(name.removesuffix("()"))
        if scope is not None and scope.kind == "class":
            return self.class_member(scope, attribute, of_instance=name.endswith("()"))
        whole = knowledge.canonical_name(attribute_name(name, attribute))
        if (own := self.project.modules.get(whole)) is not None:
            return named(own.name)
        return named(whole)

    @staticmethod
    def _attribute_traits(base: Value, attribute: str) -> int:
        traits = Trait.NONE
        if attribute in {"grad", "main_grad", "_grad"}:
            return Trait.GRADIENT
        if attribute in knowledge.WEIGHT_SOURCES or (
            knowledge.WEIGHT_ATTRIBUTE.match(attribute)
            and (base.traits & Trait.MODULE or any(n == "?" or n.startswith("?.") for n in base.names))
        ):
            traits |= Trait.WEIGHT
        if attribute in knowledge.VIEWS:
            traits |= base.traits & (ALIAS | Trait.OF_WEIGHT | Trait.GRADIENT | Trait.RANDOM | Trait.LOADED)
        return traits | (base.traits & Trait.MODULE if attribute not in knowledge.WEIGHT_SOURCES else Trait.NONE)


def _passed(values: Sequence[Value]) -> list[Value]:
    """Arguments as the callee sees them: memory of a weight is such where callers pass it, all of them or some."""
    certain = bool(values) and all(value.traits & HELD for value in values)
    found = []
    for value in values:
        traits = value.traits & ~(ARGUMENTS | HELD)
        if value.traits & HELD:
            traits |= Trait.PASSED if certain else Trait.MIXED
        found.append(value.with_traits(traits))
    return found


def without_arguments(value: Value) -> Value:
    """A value outside of the function whose arguments it spoke of."""
    return value.with_traits(value.traits & ~ARGUMENTS) if value.traits & ARGUMENTS else value
