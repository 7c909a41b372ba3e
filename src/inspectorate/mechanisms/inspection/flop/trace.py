# mypy: allow-untyped-calls
"""`FlopTrace`: what a training loop or a server writes about its operations, in two lines. Needs torch.

    with FlopTrace("run-1") as trace:
        for number, batch in enumerate(batches):
            step(batch)
            trace.packet(number)
    path.write_bytes(trace.record().canonical_bytes())

Rules:

- Each call of an operator is counted once, from shapes, under its format and the phase in which it ran. Nothing is synchronised.
- Backward: inside the autograd engine. Recompute: inside it with gradients on, as checkpoints do. Optimiser: inside the `step` of
  any `torch.optim.Optimizer`, or of any function that `optimiser()` wraps.
- What may multiply and has no formula is listed by name. So are operators of other libraries.

It does not see: kernels that never pass the dispatcher (a captured graph that is replayed, a library called directly), what other
threads do, and what other processes do. A graph built for double backward counts as recomputation.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from types import TracebackType
from typing import Any, Self

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from torch.utils._python_dispatch import TorchDispatchMode

from inspectorate.mechanisms.inspection.flop.operators import FORMATS, Formula, elementwise, formula_of, is_suspect
from inspectorate.mechanisms.inspection.flop.tracefile import (
    OperatorCount,
    PacketTrace,
    Phase,
    Trace,
    TraceTotals,
    Uncounted,
    totals,
)

ARGUMENTS_SEARCHED = 4


@dataclass(frozen=True, slots=True)
class _Kind:
    """What is known of an operator, worked out once."""

    name: str
    formula: Formula | None
    sparse: bool
    per_element: int
    suspect: bool
    decomposes: bool


class FlopTrace(TorchDispatchMode):
    """Counts what runs while it is entered. Not reentrant."""

    supports_higher_order_operators = True

    def __init__(self, run: str) -> None:
        super().__init__()
        self._run = run
        self._packets: list[PacketTrace] = []
        self._counts: dict[tuple[str, str, Phase, bool], list[float]] = {}
        self._uncounted: dict[str, int] = {}
        self._optimising = 0
        self._hooks: list[Any] = []

    def __enter__(self) -> Self:
        self._hooks = [
            register_optimizer_step_pre_hook(lambda *_: self._enter_optimiser()),
            register_optimizer_step_post_hook(lambda *_: self._leave_optimiser()),
        ]
        super().__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, fault, trace)
        for hook in self._hooks:
            hook.remove()
        self._hooks = []
        self._optimising = 0

    @contextlib.contextmanager
    def optimiser(self) -> Iterator[None]:
        """What runs inside is an optimiser's step, though it is no `torch.optim.Optimizer`."""
        self._enter_optimiser()
        try:
            yield
        finally:
            self._leave_optimiser()

    def packet(self, number: int) -> PacketTrace:
        """Close a packet: all since the one before it. Raises `ValueError` on a number that is not above the last."""
        if self._packets and number <= self._packets[-1].number:
            raise ValueError("packets are numbered upward")
        made = PacketTrace(
            number=number,
            counts=tuple(
                OperatorCount(
                    operator=name,
                    format=form,
                    phase=phase,
                    sparse=sparse,
                    product=bool(product),
                    operations=operations,
                    calls=int(calls),
                )
                for (name, form, phase, sparse), (operations, calls, product) in sorted(self._counts.items())
            ),
            uncounted=tuple(Uncounted(operator=name, calls=self._uncounted[name]) for name in sorted(self._uncounted)),
        )
        self._packets.append(made)
        self._counts, self._uncounted = {}, {}
        return made

    def record(self) -> Trace:
        """All packets so far; an open one is closed first. Raises `ValueError` if nothing was counted at all."""
        if self._counts or self._uncounted:
            self.packet(self._packets[-1].number + 1 if self._packets else 0)
        if not self._packets:
            raise ValueError("nothing ran under the trace")
        return Trace(run=self._run, library=f"inspectorate, torch {torch.__version__}", packets=tuple(self._packets))

    def totals(self) -> TraceTotals:
        """`record`, summed."""
        return totals(self.record())

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = kwargs or {}
        kind = _kind_of(func)
        if kind.decomposes:
            with self._again():
                out = func.decompose(*args, **given)
            if out is not NotImplemented:
                return out
        out = func(*args, **given)
        if kind.formula is not None:
            self._add(kind, kind.formula(_positional(func, args, given), out), _format(args, out), product=True)
        elif kind.per_element:
            size = _elements(args, out)
            if size:
                self._add(kind, float(size * kind.per_element), _format(args, out), product=False)
        elif kind.suspect:
            self._uncounted[kind.name] = self._uncounted.get(kind.name, 0) + 1
        return out

    def _add(self, kind: _Kind, operations: float, form: str, *, product: bool) -> None:
        key = (kind.name, form, self._phase(), kind.sparse)
        held = self._counts.get(key)
        if held is None:
            self._counts[key] = [operations, 1.0, float(product)]
        else:
            held[0] += operations
            held[1] += 1.0

    def _phase(self) -> Phase:
        if torch._C._current_graph_task_id() != -1:
            return Phase.RECOMPUTE if torch.is_grad_enabled() else Phase.BACKWARD
        return Phase.OPTIMISER if self._optimising else Phase.FORWARD

    def _again(self) -> contextlib.AbstractContextManager[Any]:
        """The mode itself, for what an operator is made of, without registering hooks twice."""
        return _Entered(self)

    def _enter_optimiser(self) -> None:
        self._optimising += 1

    def _leave_optimiser(self) -> None:
        self._optimising = max(0, self._optimising - 1)


class _Entered:
    """Enters a mode as `TorchDispatchMode` does."""

    def __init__(self, mode: FlopTrace) -> None:
        self._mode = mode

    def __enter__(self) -> None:
        TorchDispatchMode.__enter__(self._mode)

    def __exit__(self, *fault: Any) -> None:
        TorchDispatchMode.__exit__(self._mode, *fault)


@cache
def _kind_of(func: Any) -> _Kind:
    packet = getattr(func, "_overloadpacket", func)
    namespace = str(getattr(func, "namespace", "higher_order"))
    name = str(getattr(packet, "__name__", packet)).split(".")[-1]
    found = formula_of(packet)
    pointwise = torch.Tag.pointwise in getattr(func, "tags", ())
    own = namespace == "aten"
    composite: Callable[..., bool] = torch._C._dispatch_has_kernel_for_dispatch_key
    decomposes = (
        found is None
        and own
        and isinstance(func, torch._ops.OpOverload)
        and composite(func.name(), "CompositeImplicitAutograd")
    )
    per_element = elementwise(name, pointwise) if own and found is None else 0
    return _Kind(
        name=f"{namespace}.{name}"[:120],
        formula=None if found is None else found[0],
        sparse=found is not None and found[1],
        per_element=per_element,
        suspect=is_suspect(namespace, name),
        decomposes=decomposes,
    )


def _positional(func: Any, args: tuple[Any, ...], given: dict[str, Any]) -> tuple[Any, ...]:
    """All arguments in the order of the operator's schema: a formula knows places, not names."""
    schema = getattr(func, "_schema", None)
    if not given or schema is None:
        return args
    rest = [one for one in schema.arguments[len(args) :] if not one.kwarg_only]
    named = [one.name for one in rest if one.name in given]
    return (*args, *(given[name] for name in named)) if named == [one.name for one in rest[: len(named)]] else args


def _tensors(values: Sequence[Any]) -> Iterator[torch.Tensor]:
    for value in values[:ARGUMENTS_SEARCHED]:
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, list | tuple) and value and isinstance(value[0], torch.Tensor):
            yield value[0]


def _format(args: tuple[Any, ...], out: Any) -> str:
    for one in _tensors(args):
        return FORMATS.get(one.dtype, "other")
    for one in _tensors(out if isinstance(out, list | tuple) else (out,)):
        return FORMATS.get(one.dtype, "other")
    return "other"


def _elements(args: tuple[Any, ...], out: Any) -> int:
    """Numbers of the largest tensor among first arguments and result; of all tensors of the longest list, for a list."""
    most = 0
    for value in (*args[:ARGUMENTS_SEARCHED], out):
        if isinstance(value, torch.Tensor):
            if value.is_floating_point() or value.is_complex():
                most = max(most, value.numel())
        elif isinstance(value, list | tuple) and value and isinstance(value[0], torch.Tensor):
            most = max(most, sum(one.numel() for one in value if isinstance(one, torch.Tensor)))
    return most
