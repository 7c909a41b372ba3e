"""What any expression of a project may stand for: constants, dotted names, traits of tensors. Nothing is run.

The evaluator is conservative in one direction: what it names may be there; what it does not know it calls unknown. Loops, order
and conditions are not told apart. Arguments travel from callers to callees in `ROUNDS` rounds.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import Any

from inspectorate.mechanisms.inspection.code import folding
from inspectorate.mechanisms.inspection.code.calls import Calls
from inspectorate.mechanisms.inspection.code.folding import UNFOLDABLE
from inspectorate.mechanisms.inspection.code.project import Scope
from inspectorate.mechanisms.inspection.code.reference import EVALUATION_DEPTH_MAX, ROUNDS
from inspectorate.mechanisms.inspection.code.values import (
    ALIAS,
    NOTHING,
    SOURCE,
    UNKNOWN,
    Constant,
    Trait,
    Value,
    constant,
    named,
    union,
)

SETTINGS = frozenset(
    {"lr", "initial_lr", "momentum", "weight_decay", "betas", "eps", "dampening", "nesterov", "amsgrad"}
)
"""Keys of a group of parameters that are no parameters."""
TAKEN = Trait.OF_WEIGHT | Trait.GRADIENT
TRIES_MAX = 8
"""How often a value that a circle cut short is evaluated again."""
CARRIED = Trait.OF_WEIGHT | Trait.GRADIENT | Trait.RANDOM | Trait.LOADED | Trait.READ


@dataclass(eq=False)
class Evaluator(Calls):
    """All layers together."""

    memo: dict[ast.AST, Value] = field(default_factory=dict)
    _depth: int = 0
    _active: set[ast.AST] = field(default_factory=set)
    _tries: dict[ast.AST, int] = field(default_factory=dict)

    def settle(self) -> None:
        """Evaluate every call of the project, so that arguments reach callees; then once more with what was learnt."""
        for _ in range(ROUNDS):
            for module in self.project.modules.values():
                for scope in module.scopes:
                    for node in scope.nodes:
                        if isinstance(node, ast.Call):
                            self.value(node, scope)
            if self.passed == self.arguments:
                break
            self.arguments, self.passed = self.passed, {}
            self.memo.clear()
            self._tries.clear()
            self.bounds.clear()
            self._is_module.clear()

    def value(self, node: ast.AST, scope: Scope) -> Value:
        """What an expression may stand for; unknown where it is too deep to tell."""
        if (known := self.memo.get(node)) is not None:
            return known
        if self._depth > EVALUATION_DEPTH_MAX:
            return UNKNOWN
        if node in self._active:
            self._cuts += 1
            return NOTHING
        before = self._cuts
        self._active.add(node)
        self._depth += 1
        try:
            found = self._value(node, scope)
        finally:
            self._depth -= 1
            self._active.discard(node)
        # What was cut short by a circle is not the whole value, unless nothing around it is still being evaluated.
        tries = self._tries.get(node, 0) + 1
        if self._cuts == before or self._depth == 0 or tries >= TRIES_MAX:
            self.memo[node] = found
        else:
            self._tries[node] = tries
        return found

    def _value(self, node: ast.AST, scope: Scope) -> Value:
        match node:
            case ast.Constant():
                return constant(node.value) if isinstance(node.value, folding.PLAIN) else UNKNOWN
            case ast.Name():
                return self.name(node.id, scope)
            case ast.Attribute():
                return self.member(self.value(node.value, scope), node.attr, scope.module)
            case ast.Call():
                return self.called(node, scope)
            case ast.Subscript():
                return self._piece(node, scope)
            case ast.BinOp():
                return self._binary(node, scope)
            case ast.Tuple() | ast.List() | ast.Set():
                return self._display(node.elts, scope)
            case ast.Dict():
                return self._dictionary(node, scope)
            case ast.IfExp():
                return union([self.value(node.body, scope), self.value(node.orelse, scope)])
            case ast.BoolOp():
                return union(self.value(one, scope) for one in node.values)
            case ast.UnaryOp():
                inner = self.value(node.operand, scope)
                return self._folded(node, scope, Value(UNKNOWN.names, (), carried(inner.traits)))
            case ast.NamedExpr() | ast.Await() | ast.Starred() | ast.YieldFrom():
                return self.value(node.value, scope)
            case ast.Lambda() if node in scope.module.scope_of:
                return named(scope.module.scope_of[node].path)
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp():
                inner = self.value(node.elt, scope)
                return self._folded(node, scope, Value(UNKNOWN.names, (), inner.traits, (inner,)))
            case ast.DictComp():
                inner = self.value(node.value, scope)
                return Value(UNKNOWN.names, (), inner.traits, None, ((None, inner),))
            case ast.JoinedStr():
                return self._folded(node, scope, UNKNOWN)
        return UNKNOWN

    def _binary(self, node: ast.BinOp, scope: Scope) -> Value:
        left, right = self.value(node.left, scope), self.value(node.right, scope)
        if left.items is not None and right.items is not None and isinstance(node.op, ast.Add):
            return Value(UNKNOWN.names, (), left.traits | right.traits, (left.items + right.items)[:64])
        if left.keyed is not None and right.keyed is not None:
            return Value(UNKNOWN.names, (), left.traits | right.traits, None, left.keyed + right.keyed)
        computed = Value(UNKNOWN.names, (), carried(left.traits | right.traits))
        if left.constants or right.constants or left.items is not None:
            return self._folded(node, scope, computed)
        return computed

    def _folded(self, node: ast.AST, scope: Scope, otherwise: Value) -> Value:
        """The constant that an expression is, if it is one."""
        result = self.fold(node, scope, {})
        if result is UNFOLDABLE:
            return otherwise
        return as_value(result)

    def _display(self, elements: list[ast.expr], scope: Scope) -> Value:
        items: list[Value] = []
        for element in elements[:512]:
            value = self.value(element, scope)
            items += value.elements() or (value,) if isinstance(element, ast.Starred) else (value,)
        traits = Trait.NONE
        for item in items:
            traits |= item.traits
        return Value(frozenset(), (), traits, tuple(items))

    def _dictionary(self, node: ast.Dict, scope: Scope) -> Value:
        pairs: list[tuple[Constant, Value]] = []
        traits = Trait.NONE
        for key, item in zip(node.keys[:512], node.values[:512], strict=True):
            value = self.value(item, scope)
            traits |= value.traits
            if key is None:
                pairs += value.keyed or ()
                continue
            names = self.value(key, scope).constants
            pairs += [(name, value) for name in names] or [(None, value)]
        return Value(frozenset(), (), traits, None, tuple(pairs))

    def _piece(self, node: ast.Subscript, scope: Scope) -> Value:
        base = self.value(node.value, scope)
        key = UNKNOWN if isinstance(node.slice, ast.Slice) else self.value(node.slice, scope)
        found: list[Value] = []
        for name in base.names:
            if name.endswith(".__dict__") or name == "sys.modules":
                found += self._of_namespace(name, key, scope)
            elif name.startswith("typing.") or name in self.project.scopes:
                found.append(named(name))
            elif name == "os.environ":
                found.append(Value(frozenset({"os.environ()"}), (), Trait.READ))
        if isinstance(node.slice, ast.Slice):
            found.append(self._folded(node, scope, Value(base.names, (), base.traits, base.items, base.keyed)))
            return union(found)
        if base.keyed is not None:
            exact = [v for k, v in base.keyed if k is not None and k in key.constants]
            found += exact or [v for _, v in base.keyed]
        if base.items is not None:
            places = [c for c in key.constants if isinstance(c, int) and -len(base.items) <= c < len(base.items)]
            found += [base.items[p] for p in places] if places else base.items
        if any(isinstance(c, str | bytes) for c in base.constants):
            found.append(self._folded(node, scope, UNKNOWN))
        result = union(found) if found else UNKNOWN
        held = {k for k, _ in base.keyed or ()}
        if any(c in SETTINGS and c not in held for c in key.constants):
            return Value(UNKNOWN.names, (), base.traits & ~(ALIAS | TAKEN))
        traits = base.traits & ~Trait.MODULE if base.items is None and base.keyed is None else base.traits
        return result.with_traits(result.traits | traits | (base.traits & Trait.MODULE))

    def _of_namespace(self, name: str, key: Value, scope: Scope) -> list[Value]:
        texts = [c for c in key.constants if isinstance(c, str)]
        if name == "sys.modules":
            return [self.imported(text, scope.module) for text in texts]
        return [self.member(named(name.removesuffix(".__dict__")), text, scope.module) for text in texts]

    # --- constants ---------------------------------------------------------------------------------------------------

    def fold(self, node: ast.AST, scope: Scope, given: dict[str, Any], depth: int = 0) -> Any:
        """The constant that an expression is, with names of comprehensions in `given`; `UNFOLDABLE` if it is none."""
        if depth > 24:
            return UNFOLDABLE

        def again(inner: ast.AST) -> Any:
            return self.fold(inner, scope, given, depth + 1)

        match node:
            case ast.Constant():
                return folding.checked(node.value)
            case ast.Name() if node.id in given:
                return given[node.id]
            case ast.BinOp():
                return folding.binary(node.op, again(node.left), again(node.right))
            case ast.UnaryOp(op=ast.USub()):
                inner = again(node.operand)
                return -inner if isinstance(inner, int | float) else UNFOLDABLE
            case ast.List() | ast.Tuple():
                items = [again(item) for item in node.elts[:4096]]
                return UNFOLDABLE if any(i is UNFOLDABLE for i in items) else folding.checked(items)
            case ast.Subscript():
                return folding.piece(again(node.value), node.slice, again)
            case ast.JoinedStr():
                parts = [again(p.value) if isinstance(p, ast.FormattedValue) and p.format_spec is None else again(p)
                         for p in node.values]  # fmt: skip
                return UNFOLDABLE if any(p is UNFOLDABLE for p in parts) else folding.checked("".join(map(str, parts)))
            case ast.ListComp() | ast.GeneratorExp() if len(node.generators) == 1:
                return self._fold_each(node, scope, given, depth)
            case ast.Call():
                return self._fold_call(node, scope, given, depth)
        return plain(self.value(node, scope)) if isinstance(node, ast.Name | ast.Attribute) else UNFOLDABLE

    def _fold_each(self, node: ast.ListComp | ast.GeneratorExp, scope: Scope, given: dict[str, Any], depth: int) -> Any:
        source = node.generators[0]
        over = self.fold(source.iter, scope, given, depth + 1)
        if source.ifs or not isinstance(source.target, ast.Name) or not isinstance(over, str | bytes | list | tuple):
            return UNFOLDABLE
        found = []
        for one in over[:4096]:
            result = self.fold(node.elt, scope, {**given, source.target.id: one}, depth + 1)
            if result is UNFOLDABLE:
                return UNFOLDABLE
            found.append(result)
        return folding.checked(found)

    def _fold_call(self, node: ast.Call, scope: Scope, given: dict[str, Any], depth: int) -> Any:
        arguments = node.args
        if any(isinstance(a, ast.Starred) for a in arguments):
            return UNFOLDABLE
        if isinstance(node.func, ast.Attribute) and node.func.attr in folding.METHODS:
            base = self.fold(node.func.value, scope, given, depth + 1)
            if base is not UNFOLDABLE:
                folded = [self.fold(a, scope, given, depth + 1) for a in arguments]
                words = {k.arg: self.fold(k.value, scope, given, depth + 1) for k in node.keywords if k.arg}
                return folding.method(base, node.func.attr, folded, words)
        names = self.value(node.func, scope).names
        if len(names) != 1:
            return UNFOLDABLE
        name = next(iter(names))
        if name == "builtins.map" and len(arguments) == 2:
            return self._fold_map(arguments, scope, given, depth)
        if name not in folding.FUNCTIONS or node.keywords:
            return UNFOLDABLE
        return folding.call(name, [self.fold(a, scope, given, depth + 1) for a in arguments])

    def _fold_map(self, arguments: list[ast.expr], scope: Scope, given: dict[str, Any], depth: int) -> Any:
        over = self.fold(arguments[1], scope, given, depth + 1)
        if not isinstance(over, str | bytes | list | tuple):
            return UNFOLDABLE
        if isinstance(arguments[0], ast.Lambda) and len(arguments[0].args.args) == 1:
            word, body = arguments[0].args.args[0].arg, arguments[0].body
            found = [self.fold(body, scope, {**given, word: one}, depth + 1) for one in over[:4096]]
        else:
            names = self.value(arguments[0], scope).names
            found = [folding.call(next(iter(names)), [one]) if len(names) == 1 else UNFOLDABLE for one in over[:4096]]
        return UNFOLDABLE if any(f is UNFOLDABLE for f in found) else folding.checked(found)


def carried(traits: int) -> int:
    """What computation keeps of the traits of its operands."""
    return (traits & CARRIED) | (Trait.OF_WEIGHT if traits & SOURCE else Trait.NONE)


def as_value(result: Any) -> Value:
    """A folded constant as a value."""
    if isinstance(result, list | tuple):
        return Value(frozenset(), (), Trait.NONE, tuple(constant(item) for item in result))
    return constant(result)


def plain(value: Value) -> Any:
    """The constant that a value is, if it is one."""
    if value.keyed is None and value.items is not None and not value.names and not value.constants:
        items = [plain(item) for item in value.items]
        return UNFOLDABLE if any(item is UNFOLDABLE for item in items) else folding.checked(items)
    if len(value.constants) == 1 and not value.names and value.items is None:
        return folding.checked(value.constants[0])
    return UNFOLDABLE
