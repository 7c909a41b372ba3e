"""Pointers from data flow: writes to memory that belongs to parameters, and updates that are written by hand.

What is written decides, not the name of the function around it: a value that was computed from the weights themselves, from
gradients or from noise is learning; a value from a file is loading; a value of unknown origin must be answered.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

from inspectorate.mechanisms.inspection.code import patterns
from inspectorate.mechanisms.inspection.code.collect import Collector
from inspectorate.mechanisms.inspection.code.evaluate import Evaluator
from inspectorate.mechanisms.inspection.code.project import Scope
from inspectorate.mechanisms.inspection.code.types import Doubt
from inspectorate.mechanisms.inspection.code.values import HELD, Trait, Value

IN_PLACE = re.compile(r"^[a-z][a-z0-9_]*[a-z0-9]_$")
HARMLESS = frozenset(
    [
        "requires_grad_",
        "share_memory_",
        "detach_",
        "pin_memory_",
        "record_stream_",
        "resize_",
        "rename_",
        "squeeze_",
        "unsqueeze_",
        "t_",
        "transpose_",
        "swapaxes_",
        "swapdims_",
        "as_strided_",
        "to_",
        "half_",
        "float_",
        "eval_",
        "coalesced_",
        "zero_grad_",
        "id_",
        "type_",
        "class_",
        "input_",
        "min_",
        "max_",
        "sum_",
        "len_",
        "str_",
    ]
)
FILLS = frozenset(
    [
        "zero_",
        "fill_",
        "normal_",
        "uniform_",
        "xavier_uniform_",
        "xavier_normal_",
        "kaiming_uniform_",
        "kaiming_normal_",
        "trunc_normal_",
        "orthogonal_",
        "constant_",
        "ones_",
        "zeros_",
        "eye_",
        "dirac_",
        "sparse_",
        "exponential_",
        "log_normal_",
        "cauchy_",
        "geometric_",
        "random_",
        "bernoulli_",
        "fill_diagonal_",
    ]
)
COPIES = frozenset(
    [
        "copy_",
        "set_",
        "index_copy_",
        "scatter_",
        "index_put_",
        "masked_scatter_",
        "put_",
        "swap_",
        "set_data_",
        "_set_data_",
        "slice_scatter_",
        "select_scatter_",
        "masked_fill_",
        "index_fill_",
        "data_",
    ]
)
LEARNT = Trait.OF_WEIGHT | Trait.GRADIENT | Trait.RANDOM
OPERATORS = frozenset(
    f"operator.{name}" for name in ["iadd", "isub", "imul", "itruediv", "imatmul", "ipow", "iand", "ior", "setitem"]
)
METHODS_OF_OPERATORS = frozenset(
    ["__iadd__", "__isub__", "__imul__", "__itruediv__", "__imatmul__", "__setitem__", "__ipow__"]
)
WRITERS = frozenset(
    f"numpy.{name}"
    for name in [
        "copyto",
        "put",
        "place",
        "putmask",
        "add.at",
        "subtract.at",
        "multiply.at",
        "put_along_axis",
        "fill_diagonal",
    ]
)
LOADING_SCOPE = re.compile(r"load|convert|import|from_pretrained|remap|tie_weights", re.IGNORECASE)
STARTING_SCOPE = re.compile(r"__init__|init|reset_parameters|build|create|setup|prepare", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Writing:
    """Finds pointers in one scope by data flow."""

    evaluator: Evaluator
    collector: Collector

    def scan(self, scope: Scope) -> None:
        """Every node of a scope that writes."""
        for node in scope.nodes:
            match node:
                case ast.Call():
                    self._call(node, scope)
                case ast.AugAssign():
                    self._augmented(node, scope)
                case ast.Assign():
                    for target in node.targets:
                        self._assigned(target, node.value, node, scope)
                case ast.AnnAssign(value=ast.expr()):
                    assert node.value is not None
                    self._assigned(node.target, node.value, node, scope)
                case ast.BinOp(op=ast.Sub() | ast.Add()):
                    self._moved(node, scope)
                case ast.Attribute(attr="grad", ctx=ast.Load()):
                    self._gradient(node, scope)
                case ast.For() | ast.While():
                    if patterns.keeps_the_better(node, scope, self.evaluator):
                        self.collector.at("weight.search", node, scope)

    # --- calls -------------------------------------------------------------------------------------------------------

    def _call(self, node: ast.Call, scope: Scope) -> None:
        function = self.evaluator.value(node.func, scope)
        for word in node.keywords:
            if word.arg == "out" and self._is_weight(self.evaluator.value(word.value, scope)):
                self.collector.at("weight.in-place", node, scope)
        for name in sorted(function.names):
            last = name.rpartition(".")[2]
            if (
                name in OPERATORS | WRITERS and node.args and self._is_weight(self.evaluator.value(node.args[0], scope))
            ) or (
                name.startswith("numpy.")
                and len(node.args) == 3
                and self._is_weight(self.evaluator.value(node.args[2], scope))
            ):
                self.collector.at("weight.in-place", node, scope, resolved=name)
            elif name.startswith("torch.nn.init."):
                continue
            elif not name.startswith("?") and "()" not in name and IN_PLACE.match(last) and node.args:
                if name not in self.evaluator.project.scopes and name.startswith(("torch.", "builtins.")):
                    self._in_place(last, self.evaluator.value(node.args[0], scope), node.args[1:], node, scope)
            elif last in METHODS_OF_OPERATORS and node.args:
                base = self._object(node, scope)
                unbound = self.evaluator.value(node.args[0], scope)
                if self._is_weight(base) or (len(node.args) > 1 and self._is_weight(unbound)):
                    self.collector.at("weight.in-place", node, scope, resolved=name)
        if isinstance(node.func, ast.Attribute):
            self._method(node, node.func, scope)
        elif any(n.startswith("?.") and IN_PLACE.match(n[2:]) for n in function.names):
            self._bound_elsewhere(node, function, scope)
        self._set_attribute(node, function, scope)

    def _bound_elsewhere(self, node: ast.Call, function: Value, scope: Scope) -> None:
        """A method of a tensor that travelled under another name, or was looked up by its name."""
        for name in sorted(function.names):
            if name.startswith("?.") and IN_PLACE.match(name[2:]) and name[2:] not in HARMLESS:
                base = function
                if isinstance(node.func, ast.Call) and node.func.args:
                    base = self.evaluator.value(node.func.args[0], scope)
                if not self._is_weight(base) and node.args:
                    base = self.evaluator.value(node.args[0], scope)
                self._in_place(name[2:], base, node.args, node, scope)

    def _object(self, node: ast.Call, scope: Scope) -> Value:
        if isinstance(node.func, ast.Attribute):
            return self.evaluator.value(node.func.value, scope)
        return Value()

    def _method(self, node: ast.Call, function: ast.Attribute, scope: Scope) -> None:
        base = self.evaluator.value(function.value, scope)
        if IN_PLACE.match(function.attr) and function.attr not in HARMLESS:
            if any(n in self.evaluator.project.scopes for n in self.evaluator.value(function, scope).names):
                return
            self._in_place(function.attr, base, node.args, node, scope)
        elif function.attr == "load_state_dict" and node.args:
            given = self.evaluator.value(node.args[0], scope)
            traits = given.traits
            for element in given.elements()[:32]:
                traits |= element.traits
            if traits & LEARNT and not traits & Trait.LOADED:
                self.collector.at("weight.state-made", node, scope)

    def _in_place(self, method: str, base: Value, given: list[ast.expr], node: ast.Call, scope: Scope) -> None:
        """A method that changes its tensor."""
        traits = Trait.NONE
        for argument in [*given, *(k.value for k in node.keywords)]:
            traits |= self.evaluator.value(argument, scope).traits
        if method in FILLS:
            if self._is_weight(base):
                self.collector.at("weight.filled", node, scope)
            return
        if base.traits & Trait.GRADIENT and not base.traits & HELD:
            self.collector.at("weight.gradient-used", node, scope)
            return
        if base.traits & Trait.MIXED and not base.traits & (HELD | Trait.GRADIENT) and method not in COPIES:
            self.collector.at("weight.in-place", node, scope, doubt=Doubt.LOOK)
        elif self._is_weight(base):
            if self._while_loading(base, traits, scope):
                self.collector.at("weight.copied", node, scope)
            elif method in COPIES:
                self._copied(traits, node, scope)
            else:
                self.collector.at("weight.in-place", node, scope)
        elif traits & Trait.GRADIENT and not base.traits & Trait.INPUT:
            self.collector.at("weight.update-by-hand", node, scope)
        elif (method in {"addr_", "addbmm_", "baddbmm_", "addmm_"} and not patterns.is_gram(given)) or patterns.grows(
            given
        ):
            self.collector.at("weight.hebbian", node, scope)

    def _copied(self, traits: int, node: ast.AST, scope: Scope) -> None:
        """A parameter that is given a value: learning, loading, or nobody knows."""
        if traits & LEARNT and not traits & Trait.LOADED:
            starts = traits & LEARNT == Trait.RANDOM and STARTING_SCOPE.search(scope.name)
            self.collector.at("weight.filled" if starts else "weight.assigned", node, scope)
        elif (
            traits & (Trait.LOADED | Trait.COPY | HELD)
            or LOADING_SCOPE.search(scope.label)
            or STARTING_SCOPE.search(scope.name)
        ):
            self.collector.at("weight.copied", node, scope)
        else:
            self.collector.at("weight.copied", node, scope, doubt=Doubt.MUST_ANSWER)

    def _set_attribute(self, node: ast.Call, function: Value, scope: Scope) -> None:
        """`setattr` and what does the same."""
        names, args = function.names, node.args
        if (
            names & {"builtins.setattr", "builtins.object.__setattr__", "torch.nn.Module.__setattr__"}
            and len(args) == 3
        ):
            target, name, value = args
        elif (
            any(n.endswith("__setattr__") for n in names) and len(args) == 2 and isinstance(node.func, ast.Attribute)
        ) or (
            any(n.endswith(".register_parameter") for n in names)
            and len(args) == 2
            and isinstance(node.func, ast.Attribute)
        ):
            target, (name, value) = node.func.value, args
        else:
            if any(n.endswith(("data.__set__", "data.fset")) for n in names):
                self._copied(self.evaluator.value(args[-1], scope).traits if args else Trait.NONE, node, scope)
            return
        texts = [c for c in self.evaluator.value(name, scope).constants if isinstance(c, str)]
        given = self.evaluator.value(value, scope)
        base = self.evaluator.value(target, scope)
        if texts == ["data"] and (self._is_weight(base) or given.traits & LEARNT):
            self._copied(given.traits, node, scope)
        elif given.traits & (Trait.OF_WEIGHT | Trait.GRADIENT) and self._may_hold(given):
            self.collector.at("weight.assigned", node, scope)

    # --- assignments -------------------------------------------------------------------------------------------------

    def _augmented(self, node: ast.AugAssign, scope: Scope) -> None:
        if isinstance(node.value, ast.Tuple | ast.List | ast.JoinedStr):
            return  # a list or a text grows; a tensor does not take these
        target = node.target
        value = self.evaluator.value(node.value, scope)
        place = target.value if isinstance(target, ast.Subscript) else target
        base = self.evaluator.value(place, scope)
        if self._is_weight(base):
            loading = self._while_loading(base, value.traits, scope)
            self.collector.at("weight.copied" if loading else "weight.in-place", node, scope)
        elif base.traits & Trait.MIXED:
            self.collector.at("weight.in-place", node, scope, doubt=Doubt.LOOK)
        elif value.traits & Trait.GRADIENT and isinstance(node.op, ast.Add | ast.Sub) and not base.traits & Trait.INPUT:
            self.collector.at("weight.update-by-hand", node, scope)
        elif isinstance(node.op, ast.Add | ast.Sub):
            if patterns.is_step(node.value, target, strict=True):
                self.collector.at("weight.update-by-hand", node, scope)
            elif patterns.grows([node.value], either=isinstance(node.op, ast.Sub)) and patterns.in_loop_or_function(
                node, scope
            ):
                self.collector.at("weight.hebbian", node, scope)

    def _assigned(self, target: ast.expr, value: ast.expr, node: ast.AST, scope: Scope) -> None:
        if isinstance(target, ast.Tuple | ast.List):
            if isinstance(value, ast.Tuple | ast.List) and len(value.elts) == len(target.elts):
                for one, part in zip(target.elts, value.elts, strict=True):
                    self._assigned(one, part, node, scope)
            return
        given = self.evaluator.value(value, scope)
        if isinstance(target, ast.Attribute):
            self._attribute(target, given, node, scope)
        elif isinstance(target, ast.Subscript):
            self._item(target, given, node, scope)
        refers = isinstance(value, ast.BinOp) and patterns.refers(value, ast.unparse(target))
        if refers and isinstance(value, ast.BinOp) and patterns.scaled_growth(value):
            self.collector.at("weight.hebbian", node, scope)

    def _attribute(self, target: ast.Attribute, given: Value, node: ast.AST, scope: Scope) -> None:
        base = self.evaluator.value(target.value, scope)
        if target.attr == "grad":
            if None not in given.constants:
                self.collector.at("weight.gradient-used", node, scope)
        elif target.attr == "data":
            if self._is_weight(base) or (given.traits & LEARNT and not given.traits & Trait.LOADED):
                self._copied(given.traits, node, scope)
        elif given.traits & (Trait.OF_WEIGHT | Trait.GRADIENT) and not given.traits & Trait.LOADED:
            slot = self.evaluator.value(target, scope)
            if self._is_weight(slot) and self._may_hold(given) and not STARTING_SCOPE.search(scope.name):
                self.collector.at("weight.assigned", node, scope)
        elif (
            given.traits & (HELD | Trait.COPY)
            and self._is_weight(self.evaluator.value(target, scope))
            and STARTING_SCOPE.search(scope.name) is None
        ):
            self.collector.at("weight.copied", node, scope)

    def _item(self, target: ast.Subscript, given: Value, node: ast.AST, scope: Scope) -> None:
        base = self.evaluator.value(target.value, scope)
        table = any(n.endswith(".__dict__") for n in base.names)
        held = isinstance(target.value, ast.Attribute) and target.value.attr in {"_parameters", "_buffers"}
        if table or held or patterns.is_table(base, target, self.evaluator, scope):
            if (table or held) and given.traits & LEARNT and not given.traits & Trait.LOADED:
                self.collector.at("weight.assigned", node, scope)
            return
        if self._is_weight(base):
            self._copied(given.traits, node, scope)

    def _moved(self, node: ast.BinOp, scope: Scope) -> None:
        """`x - rate * gradient`, wherever it stands."""
        left, right = self.evaluator.value(node.left, scope), self.evaluator.value(node.right, scope)
        learnt = bool(right.traits & Trait.GRADIENT)
        if (learnt and left.traits & (HELD | Trait.OF_WEIGHT)) or (
            patterns.is_step(node.right, node.left, strict=not learnt, constant=learnt)
            and not left.traits & Trait.INPUT
        ):
            self.collector.at("weight.update-by-hand", node, scope)

    def _gradient(self, node: ast.Attribute, scope: Scope) -> None:
        base = self.evaluator.value(node.value, scope)
        if any(not n.startswith("?") and "()" not in n for n in base.names):
            return
        if any(n in self.evaluator.project.scopes for n in self.evaluator.value(node, scope).names):
            return
        parent = scope.module.parents.get(node)
        checked = isinstance(parent, ast.Compare | ast.If)
        self.collector.at("weight.gradient-used", node, scope, doubt=Doubt.LOOK if checked else None)

    # --- judging values ----------------------------------------------------------------------------------------------

    @staticmethod
    def _while_loading(base: Value, given: int, scope: Scope) -> bool:
        """Whether what came from a file is scaled or shifted where it is loaded, by nothing that was learnt here."""
        return bool(base.traits & Trait.LOADED and not given & LEARNT and LOADING_SCOPE.search(scope.label))

    @staticmethod
    def _is_weight(value: Value) -> bool:
        return bool(value.traits & HELD) and not value.traits & Trait.GRADIENT

    @staticmethod
    def _may_hold(value: Value) -> bool:
        """Whether a value may be a tensor: no plain constant."""
        return not value.constants
