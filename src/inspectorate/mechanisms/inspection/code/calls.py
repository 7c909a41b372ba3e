"""What a call may give: the second layer of the evaluator.

Calls of functions of the project are not followed with their arguments: what callers pass is gathered for the next round, and what
a function returns is the union over all of its returns. Calls that only look names up (`getattr`, `import_module`, `partial`,
`vars`, a constant `eval`) give what they look up.
"""

from __future__ import annotations

import ast
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

from inspectorate.mechanisms.inspection.code import folding, knowledge
from inspectorate.mechanisms.inspection.code.folding import UNFOLDABLE
from inspectorate.mechanisms.inspection.code.lookup import Lookup
from inspectorate.mechanisms.inspection.code.project import Scope
from inspectorate.mechanisms.inspection.code.values import (
    ALIAS,
    ARGUMENTS,
    ARGUMENTS_MAX,
    HELD,
    NOTHING,
    SOURCE,
    UNKNOWN,
    Trait,
    Value,
    attribute_name,
    named,
    union,
)

IMPORTERS = frozenset(
    [
        "importlib.import_module",
        "builtins.__import__",
        "importlib.__import__",
        "pydoc.locate",
        "pkgutil.resolve_name",
        "torch._utils._import_dotted_name",
        "hydra.utils.get_class",
        "hydra.utils.get_method",
        "hydra.utils.get_object",
        "django.utils.module_loading.import_string",
        "werkzeug.utils.import_string",
        "zope.dottedname.resolve.resolve",
        "transformers.utils.direct_transformers_import",
    ]
)
GETTERS = frozenset(
    [
        "builtins.getattr",
        "builtins.object.__getattribute__",
        "builtins.type.__getattribute__",
        "inspect.getattr_static",
        "builtins.object().__getattribute__",
    ]
)
RESOLVERS = (
    IMPORTERS
    | GETTERS
    | {"builtins.eval", "functools.partial", "builtins.vars", "operator.attrgetter", "?.__getattribute__"}
)
"""Calls whose result is a reference to something that has a name."""
SCALARS = frozenset({"builtins.float", "builtins.int", "builtins.bool", "builtins.len", "builtins.str"})
COPYING = frozenset({"clone", "__deepcopy__", "__copy__"})
ASKING = frozenset({"requires_grad_", "requires_grad"})
MADE_HERE = ("torch.", "numpy.", "jax.", "cupy.")


@dataclass(eq=False)
class Calls(Lookup):
    """Adds calls to names and attributes."""

    @abstractmethod
    def fold(self, node: ast.AST, scope: Scope, given: dict[str, Any], depth: int = 0) -> Any:
        """The constant that an expression is."""

    def called(self, node: ast.Call, scope: Scope) -> Value:
        """What a call may give."""
        function = self.value(node.func, scope)
        arguments = [self.value(a, scope) for a in node.args]
        words = {k.arg: self.value(k.value, scope) for k in node.keywords}
        self._follow(node, function, arguments, words)
        found = [self._one(name, node, scope, (function, arguments, words)) for name in function.names]
        result = union(found) if found else UNKNOWN
        if self._may_fold(node, function):
            constant = self.fold(node, scope, {})
            if constant is not UNFOLDABLE:
                return Value(constants=(constant,)) if not isinstance(constant, list | tuple) else folded_list(constant)
        return result.with_traits(result.traits | self._method_traits(node, scope, arguments, words))

    @staticmethod
    def _may_fold(node: ast.Call, function: Value) -> bool:
        if isinstance(node.func, ast.Attribute) and node.func.attr in folding.METHODS:
            return True
        return any(name in folding.FUNCTIONS or name == "builtins.map" for name in function.names)

    def _one(
        self, name: str, node: ast.Call, scope: Scope, given: tuple[Value, list[Value], dict[Any, Value]]
    ) -> Value:
        """What calling one of the names gives."""
        _, arguments, words = given
        own = self.project.scopes.get(name)
        if own is not None and own.kind == "function":
            return self._with_arguments(self._returned(own), own, given)
        if own is not None and own.kind == "class":
            return self.instance(own)
        if name.endswith("()") and (owner := self.project.scopes.get(name[:-2])) is not None:
            return self._call_instance(owner, given)
        if (looked := self._looked_up(name, node, scope, arguments)) is not None:
            return looked
        if (held := self._container(name, node, scope, arguments)) is not None:
            return held
        traits = self._library_traits(name, arguments, words)
        if name.endswith(("value_and_grad()", "grad_and_value()")):
            pair = (UNKNOWN, Value(UNKNOWN.names, (), Trait.GRADIENT))
            return Value(items=pair if name.endswith("value_and_grad()") else pair[::-1])
        if traits & HELD and arguments and knowledge.SHARING.match(name):
            kept = union(arguments)
            return Value(frozenset({f"{name}()"}), (), traits | kept.traits, kept.items, kept.keyed)
        return Value(frozenset({f"{name}()" if not name.startswith("?") else "?"}), (), traits)

    @staticmethod
    def _with_arguments(found: Value, own: Scope, given: tuple[Value, list[Value], dict[Any, Value]]) -> Value:
        """What a function returns, with memory that it shares with arguments shared with these arguments."""
        function, arguments, words = given
        bits = (found.traits & ARGUMENTS) // Trait.ARGUMENT
        traits = found.traits & ~(ARGUMENTS | Trait.PASSED | Trait.MIXED)
        offset = function.partial + (1 if own.owner is not None and own.parameters[:1] in (["self"], ["cls"]) else 0)
        for slot in range(ARGUMENTS_MAX):
            if bits >> slot & 1 and slot < len(own.parameters):
                if 0 <= slot - offset < len(arguments):
                    traits |= arguments[slot - offset].traits & ALIAS
                elif (word := words.get(own.parameters[slot])) is not None:
                    traits |= word.traits & ALIAS
        return found.with_traits(traits)

    def _returned(self, own: Scope) -> Value:
        key = (id(own), "()")
        if key in self._looking:
            self._cuts += 1
            return NOTHING
        self._looking.add(key)
        try:
            found = union(self.value(one, own) for one in own.returns) if own.returns else UNKNOWN
        finally:
            self._looking.discard(key)
        if any(isinstance(n, ast.Yield | ast.YieldFrom) for n in own.nodes):
            return Value(UNKNOWN.names, (), found.traits, (found, *found.elements()[:8]))
        if isinstance(own.node, ast.FunctionDef | ast.AsyncFunctionDef) and own.node.decorator_list:
            return union([found, UNKNOWN])
        return found

    def _call_instance(self, owner: Scope, given: tuple[Value, list[Value], dict[Any, Value]]) -> Value:
        """Calling an instance: its `__call__`, or the `forward` of a module."""
        for attribute in ("__call__", "forward"):
            value = self.class_member(owner, attribute, of_instance=True)
            for name in value.names:
                own = self.project.scopes.get(name)
                if own is not None and own.kind == "function":
                    return self._with_arguments(self._returned(own), own, given)
        return UNKNOWN

    # --- lookups -----------------------------------------------------------------------------------------------------

    def _looked_up(self, name: str, node: ast.Call, scope: Scope, arguments: list[Value]) -> Value | None:
        """What a call that only looks something up gives; `None` for any other."""
        module = scope.module
        if name in GETTERS and len(arguments) >= 2:
            texts = [c for c in arguments[1].constants if isinstance(c, str)]
            found = [self.member(arguments[0], text, module) for text in texts]
            return union([*found, *arguments[2:3]]) if found else union([UNKNOWN, *arguments[2:3]])
        if name.endswith(".__getattribute__") and arguments:
            return self._through(node, scope, arguments)
        if name in IMPORTERS and arguments:
            texts = [c for c in arguments[0].constants if isinstance(c, str)]
            return self._import_call(name, texts, node, scope) if texts else UNKNOWN
        if name in {"functools.partial", "functools.partialmethod"} and arguments:
            first = arguments[0]
            return Value(first.names, first.constants, first.traits, first.items, first.keyed, len(arguments) - 1)
        if name in {"builtins.vars", "builtins.globals", "builtins.locals"}:
            return (
                named(*(f"{n}.__dict__" for n in arguments[0].names)) if arguments else named(f"{module.name}.__dict__")
            )
        if name in {"operator.attrgetter", "operator.methodcaller"} and arguments:
            texts = [c for c in arguments[0].constants if isinstance(c, str)]
            mark = "=" if name.endswith("getter") else "!"
            return named(*(f"operator.get{mark}{text}" for text in texts)) if texts else UNKNOWN
        if name.startswith("operator.get") and name[12:13] in {"=", "!"} and arguments:
            value = arguments[0]
            for part in name[13:].split("."):
                value = self.member(value, part, module)
            return value
        if name == "builtins.type" and len(arguments) == 1:
            return named(*(n.removesuffix("()") for n in arguments[0].names))
        if name == "builtins.super":
            owner = scope.owner
            return named(*(f"{n}()" for n in self.bases(owner))) if owner is not None else UNKNOWN
        if name == "builtins.eval" and arguments:
            return self._evaluated(arguments[0], scope)
        return None

    def _through(self, node: ast.Call, scope: Scope, arguments: list[Value]) -> Value:
        """`x.__getattribute__("name")`."""
        texts = [c for c in arguments[-1].constants if isinstance(c, str)]
        base = self.value(node.func.value, scope) if isinstance(node.func, ast.Attribute) else UNKNOWN
        of = arguments[0] if len(arguments) > 1 else base
        return union(self.member(of, text, scope.module) for text in texts) if texts else UNKNOWN

    def _import_call(self, name: str, texts: list[str], node: ast.Call, scope: Scope) -> Value:
        found = []
        for text in texts:
            whole = text if not text.startswith(".") else scope.module.name.rpartition(".")[0] + text
            top = (
                name.endswith("__import__")
                and len(node.args) < 4
                and not any(k.arg == "fromlist" for k in node.keywords)
            )
            found.append(self.imported(whole.partition(".")[0] if top else whole.replace(":", "."), scope.module))
        return union(found)

    def _evaluated(self, text: Value, scope: Scope) -> Value:
        """`eval` of a constant that is one short expression."""
        source = text.text()
        if source is None or len(source) > 400 or source.count("(") > 50:
            return UNKNOWN
        try:
            tree = ast.parse(source.strip(), mode="eval")
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return UNKNOWN
        return self.value(tree.body, scope)

    # --- containers and traits ---------------------------------------------------------------------------------------

    def _container(self, name: str, node: ast.Call, scope: Scope, arguments: list[Value]) -> Value | None:
        """Calls that only pass elements on; `None` for any other."""
        last = name.rpartition(".")[2]
        if name == "builtins.zip":
            return Value(UNKNOWN.names, (), _traits(arguments), (Value(items=tuple(map(self.element, arguments))),))
        if name == "builtins.enumerate" and arguments:
            return Value(UNKNOWN.names, (), arguments[0].traits, (Value(items=(UNKNOWN, self.element(arguments[0]))),))
        if name in {"builtins.map", "builtins.filter"} and len(arguments) > 1:
            return self._mapped(name, node, scope, arguments)
        if name == "builtins.dict":
            words = tuple((k.arg, self.value(k.value, scope)) for k in node.keywords)
            given = [pair for a in arguments for pair in a.keyed or tuple((None, e) for e in a.elements())]
            return Value(UNKNOWN.names, (), _traits(arguments), None, (*given, *words))
        if (
            name in {"builtins.list", "builtins.tuple", "builtins.iter", "builtins.reversed", "builtins.sorted"}
            and arguments
        ):
            kept = arguments[0]
            return Value(UNKNOWN.names, (), kept.traits, kept.elements() or (self.element(kept),))
        if name == "builtins.next" and arguments:
            return self.element(arguments[0])
        if not isinstance(node.func, ast.Attribute) or last not in {
            "get",
            "pop",
            "items",
            "values",
            "popleft",
            "setdefault",
            "copy",
        }:
            return None
        base = self.value(node.func.value, scope)
        if base.keyed is None and base.items is None:
            return None
        if last == "items":
            rest = [Value(UNKNOWN.names, (), base.traits)] if base.names - {"?"} else []
            pairs = tuple(Value(items=(Value(constants=(k,)), union([v, *rest]))) for k, v in base.keyed or ())
            return Value(UNKNOWN.names, (), base.traits, pairs)
        if last == "copy":
            return base
        if last == "values":
            return Value(UNKNOWN.names, (), base.traits, base.elements())
        exact = [v for k, v in base.keyed or () if arguments and k is not None and k in arguments[0].constants]
        return union([*(exact or base.elements()), *arguments[1:2]])

    def _mapped(self, name: str, node: ast.Call, scope: Scope, arguments: list[Value]) -> Value:
        inner = [self.element(a) for a in arguments[1:]]
        if name == "builtins.filter":
            return Value(UNKNOWN.names, (), inner[0].traits, (inner[0],))
        self._pass_to(arguments[0], inner, {})
        given = union(self._one(n, node, scope, (arguments[0], inner, {})) for n in arguments[0].names)
        return Value(UNKNOWN.names, (), given.traits | carried_by(inner), (given,))

    def _library_traits(self, name: str, arguments: list[Value], words: dict[Any, Value]) -> int:
        """What is known of the result of a library's function."""
        traits = Trait.NONE
        given = _traits([*arguments, *words.values()])
        if name in {"copy.deepcopy", "torch.clone"}:
            traits |= Trait.COPY if given & (HELD | Trait.COPY) else 0
        elif knowledge.SHARING.match(name) or knowledge.WEIGHT_MAKERS.match(name):
            traits |= given
        else:
            traits |= carried_by([*arguments, *words.values()])
        if name in SCALARS:
            traits &= ~Trait.RANDOM
        for pattern, trait in (
            (knowledge.WEIGHT_MAKERS, Trait.WEIGHT), (knowledge.GRADIENT_MAKERS, Trait.GRADIENT),
            (knowledge.LOADERS, Trait.LOADED), (knowledge.READERS, Trait.READ), (knowledge.RANDOMS, Trait.RANDOM),
            (knowledge.MODULES, Trait.MODULE),
        ):  # fmt: skip
            if pattern.search(name):
                traits |= trait
        asked = words.get("requires_grad")
        if asked is not None and True in asked.constants and name.startswith(MADE_HERE):
            traits |= Trait.WEIGHT
        if name == "gc.get_objects":
            traits |= Trait.WEIGHT
        return traits

    def _method_traits(self, node: ast.Call, scope: Scope, arguments: list[Value], words: dict[Any, Value]) -> int:
        """What the object of a method call lends to the result."""
        if not isinstance(node.func, ast.Attribute):
            return Trait.NONE
        base, method = self.value(node.func.value, scope).traits, node.func.attr
        traits = carried_by([*arguments, *words.values()]) if base & (HELD | Trait.OF_WEIGHT) else Trait.NONE
        if method in knowledge.WEIGHT_SOURCES:
            return traits | Trait.WEIGHT
        if method in COPYING:
            return traits | base & ~ALIAS | (Trait.COPY if base & (HELD | Trait.COPY) else 0)
        if method in knowledge.VIEWS or method.endswith("_"):
            traits |= base
        else:
            traits |= carried_by([Value(traits=base)])
        if method in ASKING:
            traits |= Trait.INPUT
        return traits

    # --- arguments ---------------------------------------------------------------------------------------------------

    def _follow(self, node: ast.Call, function: Value, arguments: list[Value], words: dict[Any, Value]) -> None:
        """Carry arguments to every function of the project that this may call, and to targets of threads and maps."""
        if any(isinstance(a, ast.Starred) for a in node.args):
            arguments = [e for a in arguments for e in (a.elements() or (a,))][:16]
        self._pass_to(function, arguments, words)
        target = words.get("target")
        if target is not None:
            given = words.get("args", NOTHING)
            self._pass_to(target, list(given.items or ()), {})
        elif arguments and any(self.project.scopes.get(n) is not None for n in arguments[0].names):
            self._pass_to(arguments[0], [self.element(a) if a.items is not None else a for a in arguments[1:]], {})

    def _pass_to(self, function: Value, arguments: list[Value], words: dict[Any, Value]) -> None:
        for name in function.names:
            own = self.project.scopes.get(name.removesuffix("()"))
            if own is not None and own.kind == "class":
                inner = own.inner.get("__call__" if name.endswith("()") else "__init__")
                if inner is None and name.endswith("()"):
                    inner = own.inner.get("forward")
                own = inner
            if own is None or own.kind != "function":
                continue
            offset = 1 if own.owner is not None and own.parameters[:1] in (["self"], ["cls"]) else 0
            store = self.passed.setdefault(own, {})
            for place, value in enumerate(arguments[:32]):
                slot = place + offset + function.partial
                word = own.parameters[slot] if slot < len(own.parameters) else _rest(own)
                _add(store, word, value)
            for key, value in words.items():
                _add(store, str(key) if key in own.bindings else _rest(own), value)


def _add(store: dict[str, list[Value]], word: str, value: Value) -> None:
    given = store.setdefault(word, [])
    if len(given) < 16 and value not in given:
        given.append(Value(value.names, value.constants, value.traits, value.items, value.keyed, value.partial))


def _rest(scope: Scope) -> str:
    return next((word for word, found in scope.bindings.items() if any(b.form == "rest" for b in found)), "*")


def _traits(values: list[Value]) -> int:
    traits = Trait.NONE
    for value in values:
        traits |= value.traits
        for inner in (value.items or ())[:8]:
            traits |= inner.traits
    return traits & ~(Trait.MODULE | Trait.INPUT)


def carried_by(values: list[Value]) -> int:
    """What computation with these arguments keeps of their traits."""
    traits = _traits(values)
    kept = traits & (Trait.OF_WEIGHT | Trait.GRADIENT | Trait.RANDOM | Trait.LOADED | Trait.READ)
    return kept | (Trait.OF_WEIGHT if traits & SOURCE else Trait.NONE)


def folded_list(items: list[Any] | tuple[Any, ...]) -> Value:
    return Value(frozenset(), (), Trait.NONE, tuple(Value(constants=(item,)) for item in items))


__all__ = ["RESOLVERS", "Calls", "attribute_name", "carried_by"]
