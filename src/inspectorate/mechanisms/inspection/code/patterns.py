"""Forms of arithmetic that learning has and inference has not: steps along something, growth by outer products, keeping the better.

These look at the form of expressions and at their words, so they can be wrong in both directions; each says so in its rule.
"""

from __future__ import annotations

import ast
import re

from inspectorate.mechanisms.inspection.code.evaluate import Evaluator
from inspectorate.mechanisms.inspection.code.project import LOOPS, Scope, ancestors
from inspectorate.mechanisms.inspection.code.values import PUT, Trait, Value

RATE = re.compile(
    r"^(lr|eta|learning_?rate|step_?size|lrate|l_r|alpha_lr|lr_t|lr_\w+|\w+_lr|rate|epsilon_lr|eta_\w+)$", re.IGNORECASE
)
SLOPE = re.compile(
    r"(^|_)(d[A-Z]\w?\d?|dw\d?|db\d?|dtheta|grads?|gradients?|g_?w|gw|gb|nabla|delta_?w\w*|d_?weights?|d_?bias)(_|\d|$)|grad"
)
OUTER = frozenset({"outer", "ger", "kron", "addr", "multiply_outer"})
TRANSPOSES = frozenset({"T", "mT", "H"})
TRANSPOSING = frozenset({"t", "transpose", "swapaxes", "permute", "adjoint"})
SELECTS = frozenset({"min", "max", "argmin", "argmax", "sorted", "topk", "where", "argsort", "nlargest", "nsmallest"})


def words(node: ast.AST) -> set[str]:
    """Names and attributes within an expression."""
    found = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
    return found | {n.attr for n in ast.walk(node) if isinstance(n, ast.Attribute)}


def refers(node: ast.AST, text: str) -> bool:
    """Whether an expression contains another, by its text."""
    return any(isinstance(n, ast.expr) and ast.unparse(n) == text for n in ast.walk(node)) if len(text) < 200 else False


def is_step(increment: ast.expr, target: ast.expr, *, strict: bool, constant: bool = False) -> bool:
    """Whether an increment is a rate times something like a gradient; without `strict` the rate is enough.

    With `constant` a number below 1 may be the rate.
    """
    if not isinstance(increment, ast.BinOp) or not isinstance(increment.op, ast.Mult | ast.Div):
        return False
    if isinstance(target, ast.Constant):
        return False
    found = words(increment)
    rated = any(RATE.match(word) for word in found)
    if constant and not rated:
        rated = any(
            isinstance(n, ast.Constant) and isinstance(n.value, float) and 0 < abs(n.value) < 1
            for n in ast.walk(increment)
        )
    sloped = any(SLOPE.search(word) for word in found)
    return rated and (sloped or not strict)


def _grown(node: ast.AST, *, either: bool) -> bool:
    """An outer product, or a product of a transpose; with `either`, a product with a transpose on the right too.

    `x @ w.T` alone is how every linear layer is written, so a transpose on the right counts only where something is taken off.
    """
    if isinstance(node, ast.Call):
        last = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        return last in OUTER
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
        return _transposed(node.left) or (either and _transposed(node.right))
    return False


def is_gram(given: list[ast.expr]) -> bool:
    """Whether two factors are one matrix and its own transpose: a statistic of inputs, as calibration gathers."""
    if len(given) < 2 or not _transposed(given[0]):
        return False
    first = (
        given[0].value
        if isinstance(given[0], ast.Attribute)
        else getattr(getattr(given[0], "func", None), "value", None)
    )
    return isinstance(first, ast.expr) and ast.unparse(first) == ast.unparse(given[1])


def _transposed(node: ast.expr) -> bool:
    if isinstance(node, ast.Attribute):
        return node.attr in TRANSPOSES
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in TRANSPOSING


def grows(expressions: list[ast.expr], *, either: bool = False) -> bool:
    """Whether any of the expressions is such a product, perhaps scaled."""
    return any(_grown(part, either=either) for one in expressions for part in _factors(one))


def _factors(node: ast.expr) -> list[ast.expr]:
    """The factors and summands of an expression, without going into calls."""
    found, waiting = [], [node]
    while waiting:
        one = waiting.pop()
        found.append(one)
        if isinstance(one, ast.BinOp):
            waiting += [one.left, one.right]
        elif isinstance(one, ast.UnaryOp):
            waiting.append(one.operand)
    return found


def scaled_growth(node: ast.BinOp) -> bool:
    """`w + rate * outer(a, b)`: growth that is scaled."""
    either = isinstance(node.op, ast.Sub)
    for part in _factors(node):
        if (
            isinstance(part, ast.BinOp)
            and isinstance(part.op, ast.Mult)
            and grows([part.left, part.right], either=either)
        ):
            return True
    return False


def in_loop_or_function(node: ast.AST, scope: Scope) -> bool:
    """Whether something may run again and again."""
    return scope.kind == "function" or any(isinstance(one, LOOPS) for one in ancestors(node, scope.module))


def is_table(base: Value, target: ast.Subscript, evaluator: Evaluator, scope: Scope) -> bool:
    """Whether an item is written into a dictionary of tensors rather than into a tensor."""
    if any(key != PUT for key, _ in base.keyed or ()) or any("state_dict" in n or "named_" in n for n in base.names):
        return True
    if isinstance(target.slice, ast.Slice | ast.Tuple):
        return False
    key = evaluator.value(target.slice, scope)
    return any(isinstance(c, str) for c in key.constants) or isinstance(target.slice, ast.JoinedStr)


def keeps_the_better(loop: ast.For | ast.While, scope: Scope, evaluator: Evaluator) -> bool:
    """A loop in which a disturbed copy of something takes its place if a comparison says so."""
    for node in ast.walk(loop):
        if isinstance(node, ast.If) and any(isinstance(n, ast.Compare) for n in ast.walk(node.test)):
            for inner in node.body:
                if isinstance(inner, ast.Assign) and _keeps(inner, scope, evaluator):
                    return True
        elif isinstance(node, ast.Assign) and words(node.value) & SELECTS and len(node.targets) == 1:
            target = node.targets[0]
            if isinstance(target, ast.Name) and _disturbed(node.value, target.id, scope, evaluator, 0):
                return True
    return False


def _keeps(node: ast.Assign, scope: Scope, evaluator: Evaluator) -> bool:
    pairs: list[tuple[ast.expr, ast.expr]] = []
    for target in node.targets:
        if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
            pairs += list(zip(target.elts, node.value.elts, strict=False))
        else:
            pairs.append((target, node.value))
    for target, value in pairs:
        if (
            isinstance(value, ast.Call)
            and isinstance(value.func, ast.Attribute)
            and value.func.attr in {"copy", "clone"}
        ):
            value = value.func.value
        plain = isinstance(target, ast.Name) and isinstance(value, ast.Name) and target.id != value.id
        if plain and isinstance(target, ast.Name) and _disturbed(value, target.id, scope, evaluator, 0):
            return True
    return False


def _disturbed(node: ast.expr, name: str, scope: Scope, evaluator: Evaluator, depth: int) -> bool:
    """Whether an expression adds noise to something that has this name, through a few names in between."""
    for part in ast.walk(node):
        if isinstance(part, ast.BinOp) and isinstance(part.op, ast.Add | ast.Sub | ast.Mult):
            for one, other in ((part.left, part.right), (part.right, part.left)):
                if evaluator.value(other, scope).traits & Trait.RANDOM and _mentions(one, name, scope, 0):
                    return True
    if depth < 3:
        for part in ast.walk(node):
            if isinstance(part, ast.Name) and part.id != name:
                bound = [b.node for b in scope.bindings.get(part.id, ())[:6] if b.form != "parameter"]
                if any(isinstance(b, ast.expr) and _disturbed(b, name, scope, evaluator, depth + 1) for b in bound):
                    return True
    return False


def _mentions(node: ast.expr, name: str, scope: Scope, depth: int) -> bool:
    for part in ast.walk(node):
        if isinstance(part, ast.Name):
            if part.id == name:
                return True
            if depth < 2:
                bound = [b.node for b in scope.bindings.get(part.id, ())[:4] if isinstance(b.node, ast.expr)]
                if any(_mentions(b, name, scope, depth + 1) for b in bound):
                    return True
    return False
