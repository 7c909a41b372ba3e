"""Between torch and named tensors: models, optimisers, schedulers, random generators and batches; and back, exactly.

- Tensors of torch become `RawTensor` without a copy where they lie on the processor in row order.
- The state of an optimiser is flattened into tensors, named by the names of parameters, and scalars. Scalars stand as canonical
  JSON in a tensor of bytes named `scalars`, so that one digest covers all of it.
- Optimisers, schedulers and states that are not listed are refused: what is not restored exactly cannot be run again.
- Nothing is pickled, and `torch.load` is never called.

Needs torch, which the core does not install.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from inspectorate.canonical import canonical_bytes, parse_canonical
from inspectorate.errors import EvidenceError, InputError
from inspectorate.mechanisms.inspection.transcripts.hashing import RawTensor

DTYPE_OF: Mapping[torch.dtype, str] = {
    torch.bool: "BOOL", torch.uint8: "U8", torch.int8: "I8", torch.float8_e4m3fn: "F8_E4M3", torch.float8_e5m2: "F8_E5M2",
    torch.uint16: "U16", torch.int16: "I16", torch.float16: "F16", torch.bfloat16: "BF16", torch.uint32: "U32",
    torch.int32: "I32", torch.float32: "F32", torch.uint64: "U64", torch.int64: "I64", torch.float64: "F64",
    torch.complex64: "C64",
}  # fmt: skip
_TORCH_OF = {name: dtype for dtype, name in DTYPE_OF.items()}

OPTIMISERS = ("Adam", "AdamW", "SGD", "RMSprop", "Adagrad")
"""Of `torch.optim`, by class. Their state is tensors and numbers only."""
SCHEDULERS = (
    "LambdaLR",
    "StepLR",
    "MultiStepLR",
    "LinearLR",
    "CosineAnnealingLR",
    "ExponentialLR",
    "ConstantLR",
    "OneCycleLR",
)
"""Of `torch.optim.lr_scheduler`. What a `LambdaLR` computes is code, and belongs to the code's digest."""
SCALARS = "scalars"
DEPTH_MAX = 16

Tensors = dict[str, Tensor]
Scalar = str | int | float | bool | None


def raw_of(tensors: Mapping[str, Tensor]) -> dict[str, RawTensor]:
    """Tensors of torch as bytes. The result holds on to what it shows; it changes if the tensor changes."""
    return {name: _raw(name, tensor) for name, tensor in tensors.items()}


def _raw(name: str, tensor: Tensor) -> RawTensor:
    dtype = DTYPE_OF.get(tensor.dtype)
    if dtype is None or tensor.layout is not torch.strided or type(tensor) not in (Tensor, nn.Parameter):
        raise InputError(
            f"{name} is a {type(tensor).__name__} of {tensor.dtype}, {tensor.layout}, which is not kept",
            where="tensors",
        )
    plain = tensor.detach().to("cpu").contiguous()
    data = memoryview(_bytes_of(plain)) if plain.numel() else memoryview(b"")
    return RawTensor(dtype, tuple(tensor.shape), data)


def torch_of(raw: RawTensor) -> Tensor:
    """A tensor of its own, copied from bytes that were checked. Raises `EvidenceError` for what torch does not have."""
    dtype = _TORCH_OF.get(raw.dtype)
    if dtype is None:
        raise EvidenceError(f"torch has no format {raw.dtype}", where="tensors")
    made = torch.empty(raw.shape, dtype=dtype)
    if made.numel():
        _bytes_of(made)[:] = np.frombuffer(raw.data, dtype=np.uint8)
    return made


def _bytes_of(tensor: Tensor) -> Any:
    """The bytes of a contiguous tensor on the processor, in place, as a numpy array."""
    return tensor.reshape(-1).view(torch.uint8).numpy()


def scalars_tensor(values: object) -> Tensor:
    """Canonical JSON as a tensor of bytes. Raises `InputError` on what JSON cannot carry exactly."""
    try:
        data = canonical_bytes(values)
    except ValueError as fault:
        raise InputError(f"holds what cannot be written exactly: {fault}", where=SCALARS) from None
    return torch.frombuffer(bytearray(data), dtype=torch.uint8)


def scalars_of(tensor: Tensor) -> Any:
    """Back from `scalars_tensor`. Raises `EvidenceError`."""
    return parse_canonical(tensor.numpy().tobytes(), where=SCALARS)


# --- weights -----------------------------------------------------------------------------------------------------------


def weights_of(model: nn.Module) -> Tensors:
    """Parameters and buffers, as `state_dict` names them. Shared tensors stand under each of their names."""
    found = {}
    for name, value in model.state_dict().items():
        if not isinstance(value, Tensor):
            raise InputError(f"the state {name} of the model is no tensor", where="model")
        found[name] = value.detach()
    return found


def load_weights(model: nn.Module, tensors: Mapping[str, RawTensor]) -> None:
    """Put weights into a model of the same names, formats and shapes. Raises `EvidenceError`."""
    _load_into(weights_of(model), tensors, "weights")


def _load_into(places: Mapping[str, Tensor], tensors: Mapping[str, RawTensor], where: str) -> None:
    if places.keys() != tensors.keys():
        other = ", ".join(sorted(places.keys() ^ tensors.keys())[:4])
        raise EvidenceError(f"names differ from those expected: {other[:200]}", where=where)
    for name, place in places.items():
        raw = tensors[name]
        if tuple(place.shape) != raw.shape or DTYPE_OF.get(place.dtype) != raw.dtype:
            raise EvidenceError(f"{name} is {raw.dtype} {list(raw.shape)}, not as expected", where=where)
    with torch.no_grad():
        for name, place in places.items():
            place.copy_(torch_of(tensors[name]))


# --- optimiser and scheduler -------------------------------------------------------------------------------------------


def optimiser_of(
    model: nn.Module, optimizer: torch.optim.Optimizer, scheduler: Any = None
) -> tuple[Tensors, dict[str, Any]]:
    """The state of an optimiser, and of a scheduler of its rates, as tensors and scalars. Raises `InputError`."""
    kind = type(optimizer)
    if kind.__name__ not in OPTIMISERS or not kind.__module__.startswith("torch.optim"):
        raise InputError(
            f"the optimiser {kind.__module__}.{kind.__name__} is not one of {', '.join(OPTIMISERS)}", where="optimizer"
        )
    tensors: Tensors = {}
    numbers: dict[str, dict[str, Scalar]] = {}
    for name, parameter in _named(model, optimizer):
        own: dict[str, Scalar] = {}
        for key, value in optimizer.state.get(parameter, {}).items():
            if isinstance(value, Tensor):
                tensors[f"{name}/{key}"] = value.detach()
            else:
                own[key] = _scalar(value, f"{name}/{key}")
        numbers[name] = own
    groups = [
        {key: _group_value(value, key) for key, value in group.items() if key != "params"}
        for group in optimizer.param_groups
    ]
    return tensors, {"groups": groups, "kind": kind.__name__, "numbers": numbers, "scheduler": _scheduler(scheduler)}


def _named(model: nn.Module, optimizer: torch.optim.Optimizer) -> list[tuple[str, nn.Parameter]]:
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    found = []
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            if id(parameter) not in names:
                raise InputError("the optimiser changes a parameter that is not the model's", where="optimizer")
            found.append((names[id(parameter)], parameter))
    return found


def _scalar(value: object, where: str) -> Scalar:
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise InputError(f"the state {where} is a {type(value).__name__}, which is not kept", where="optimizer")


def _group_value(value: object, key: str) -> Any:
    if isinstance(value, Tensor) and value.numel() == 1:
        return {"tensor": value.item()}
    if isinstance(value, tuple | list):
        return [_scalar(one, key) for one in value]
    return _scalar(value, key)


def _scheduler(scheduler: Any) -> dict[str, Any] | None:
    if scheduler is None:
        return None
    kind = type(scheduler)
    if kind.__name__ not in SCHEDULERS or not kind.__module__.startswith("torch.optim.lr_scheduler"):
        raise InputError(f"the scheduler {kind.__name__} is not one of {', '.join(SCHEDULERS)}", where="scheduler")
    state = scheduler.state_dict()
    kept = {key: _plain(value, key) for key, value in state.items() if key != "lr_lambdas"}
    return {"kind": kind.__name__, "state": kept}


def _plain(value: Any, key: str, depth: int = 0) -> Any:
    if depth > DEPTH_MAX:
        raise InputError(f"the state {key} nests too deep", where="scheduler")
    if isinstance(value, tuple | list):
        return [_plain(one, key, depth + 1) for one in value]
    if isinstance(value, Mapping):
        if all(isinstance(one, int) for one in value):  # MultiStepLR counts its milestones
            return {"numbered": [[one, _plain(value[one], key, depth + 1)] for one in sorted(value)]}
        return {str(name): _plain(one, key, depth + 1) for name, one in value.items()}
    return _scalar(value, key)


def load_optimiser(
    model: nn.Module, optimizer: torch.optim.Optimizer, tensors: Mapping[str, RawTensor], scheduler: Any = None
) -> None:
    """Put state back into an optimiser that was built by the same code over the same model. Raises `EvidenceError`."""
    given = dict(tensors)
    if SCALARS not in given:
        raise EvidenceError("has no scalars", where="optimiser")
    said = scalars_of(torch_of(given.pop(SCALARS)))
    if not isinstance(said, dict) or said.keys() != {"groups", "kind", "numbers", "scheduler"}:
        raise EvidenceError("has scalars of another form", where="optimiser")
    if said["kind"] != type(optimizer).__name__:
        raise EvidenceError(
            f"is of {str(said['kind'])[:40]}, and {type(optimizer).__name__} was built", where="optimiser"
        )
    named = _named(model, optimizer)
    numbers = said["numbers"]
    if not isinstance(numbers, dict) or numbers.keys() != {name for name, _ in named}:
        raise EvidenceError("names other parameters than the optimiser has", where="optimiser")
    if not isinstance(said["groups"], list) or len(said["groups"]) != len(optimizer.param_groups):
        raise EvidenceError("has other groups of parameters", where="optimiser")
    _load_groups(optimizer, said["groups"])
    optimizer.state.clear()
    for name, parameter in named:
        state = dict(numbers[name]) if isinstance(numbers[name], dict) else {}
        for key in [key for key in given if key.rpartition("/")[0] == name]:
            state[key.rpartition("/")[2]] = _beside(torch_of(given.pop(key)), parameter, key, optimizer)
        if state:
            optimizer.state[parameter] = state
    if given:
        raise EvidenceError(f"holds {next(iter(given))[:100]!r}, which belongs to no parameter", where="optimiser")
    _load_scheduler(scheduler, said["scheduler"])


def _beside(value: Tensor, parameter: nn.Parameter, key: str, optimizer: torch.optim.Optimizer) -> Tensor:
    if value.dim() and value.shape != parameter.shape:
        raise EvidenceError(f"{key[:100]} has another shape than its parameter", where="optimiser")
    # Step counts stay on the processor unless the optimiser keeps them beside the parameters.
    on_device = value.dim() or any(group.get("capturable") or group.get("fused") for group in optimizer.param_groups)
    return value.to(parameter.device) if on_device else value


def _load_groups(optimizer: torch.optim.Optimizer, groups: list[Any]) -> None:
    for group, said in zip(optimizer.param_groups, groups, strict=True):
        if not isinstance(said, dict) or said.keys() != group.keys() - {"params"}:
            raise EvidenceError("has options that the optimiser has not", where="optimiser")
        for key, value in said.items():
            old = group[key]
            if isinstance(old, Tensor) and isinstance(value, dict):
                old.fill_(value["tensor"])
            else:
                group[key] = tuple(value) if isinstance(old, tuple) else _as_before(value, old)


def _as_before(value: Any, old: object) -> Any:
    """JSON writes 1.0 as 1."""
    return float(value) if isinstance(old, float) and isinstance(value, int) else value


def _load_scheduler(scheduler: Any, said: Any) -> None:
    if (scheduler is None) != (said is None):
        raise EvidenceError("has a scheduler where none was built, or none where one was", where="scheduler")
    if scheduler is None:
        return
    if not isinstance(said, dict) or said.get("kind") != type(scheduler).__name__:
        raise EvidenceError("is of another scheduler", where="scheduler")
    present = scheduler.state_dict()
    state = {key: _unplain(value) for key, value in said["state"].items()}
    if state.keys() != present.keys() - {"lr_lambdas"}:
        raise EvidenceError("has another state than this scheduler", where="scheduler")
    for key, value in state.items():
        old = present[key]
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            value = type(old)(value)  # type: ignore[call-arg]
        setattr(scheduler, key, value)


def _unplain(value: Any) -> Any:
    if isinstance(value, dict) and value.keys() == {"numbered"}:
        return {key: _unplain(one) for key, one in value["numbered"]}
    if isinstance(value, list):
        return [_unplain(one) for one in value]
    return value


# --- random generators -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Generators:
    """Sources of randomness of a loop: torch's own always; others by name; Python's and numpy's where they are used."""

    named: Mapping[str, torch.Generator] = field(default_factory=dict)
    python: bool = False
    numpy: bool = False


def generators_of(generators: Generators) -> Tensors:
    """The state of all generators as tensors."""
    found = {"torch": torch.get_rng_state()}
    if torch.cuda.is_available():
        found |= {f"cuda.{i}": state for i, state in enumerate(torch.cuda.get_rng_state_all())}
    found |= {f"named.{name}": generator.get_state() for name, generator in generators.named.items()}
    if generators.python:
        version, words, gauss = random.getstate()
        found["python"] = scalars_tensor({"gauss": gauss, "version": version, "words": list(words)})
    if generators.numpy:
        state = np.random.get_state(legacy=False)
        inner = {"key": state["state"]["key"].tolist(), "pos": int(state["state"]["pos"])}
        rest = {"gauss": float(state["gauss"]), "has_gauss": int(state["has_gauss"])}
        found["numpy"] = scalars_tensor({**rest, **inner})
    return found


def load_generators(generators: Generators, tensors: Mapping[str, RawTensor]) -> None:
    """Put the state of generators back. CUDA states are set where there are as many devices. Raises `EvidenceError`."""
    given = {name: torch_of(raw) for name, raw in tensors.items()}
    expected = {"torch"} | {f"named.{name}" for name in generators.named}
    expected |= {name for name, used in (("python", generators.python), ("numpy", generators.numpy)) if used}
    cuda = sorted(name for name in given if name.startswith("cuda."))
    if given.keys() - set(cuda) != expected:
        raise EvidenceError(f"holds the generators {sorted(given)[:8]}", where="generator")
    try:
        torch.set_rng_state(given["torch"])
        if cuda and torch.cuda.is_available() and len(cuda) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all([given[f"cuda.{i}"] for i in range(len(cuda))])
        for name, generator in generators.named.items():
            generator.set_state(given[f"named.{name}"])
        if generators.python:
            said = scalars_of(given["python"])
            random.setstate((said["version"], tuple(said["words"]), said["gauss"]))
        if generators.numpy:
            said = scalars_of(given["numpy"])
            state = {"key": np.array(said["key"], dtype=np.uint32), "pos": said["pos"]}
            np.random.set_state(
                {"bit_generator": "MT19937", "gauss": said["gauss"], "has_gauss": said["has_gauss"], "state": state}
            )
    except (RuntimeError, TypeError, ValueError, KeyError, OverflowError) as fault:
        raise EvidenceError(f"is no state of these generators: {str(fault)[:200]}", where="generator") from None


# --- batches -----------------------------------------------------------------------------------------------------------


def batch_of(batch: object) -> Tensors:
    """A batch as named tensors: mappings and sequences of tensors and numbers, nested; names are joined by points.

    Raises `InputError` for anything else: a batch that is not kept whole cannot be run again.
    """
    found: Tensors = {}
    _flatten(batch, "", found, 0)
    if not found:
        raise InputError("a batch without tensors", where="batch")
    return found


def _flatten(value: object, name: str, found: Tensors, depth: int) -> None:
    if depth > DEPTH_MAX:
        raise InputError("nests too deep", where="batch")
    if isinstance(value, Tensor):
        found[name or "batch"] = value
    elif isinstance(value, bool | int | float):
        found[name or "batch"] = torch.tensor(value, dtype=torch.float64 if isinstance(value, float) else torch.int64)
    elif isinstance(value, Mapping):
        for key in value:
            if "." in str(key):
                raise InputError(f"the name {str(key)[:100]!r} holds a point", where="batch")
            _flatten(value[key], f"{name}.{key}" if name else str(key), found, depth + 1)
    elif isinstance(value, tuple | list):
        for number, one in enumerate(value):
            _flatten(one, f"{name}.{number}" if name else str(number), found, depth + 1)
    elif value is not None:
        raise InputError(f"holds a {type(value).__name__} at {name!r}, which is not kept", where="batch")
