"""First weights of a model from the seed of its run, the same bits on every machine (rule 4 of `seeds`).

`initial_weights(builder, seed)` calls the builder, and every fill with random numbers below it takes its numbers from the seed's
streams instead of torch's generator. The builder stays as it is: `torch.nn` layers, `torch.nn.init`, `torch.randn` and the models
of other libraries all end in the same few operations. A builder that draws in another way (permutations, Bernoulli) is refused.

What follows a fill is torch's arithmetic. Scaling and adding are exactly rounded; `orthogonal_` (a decomposition) and
`trunc_normal_` (`erfinv`) are not, and give equal bits on equal stacks only.

Needs torch, which the core does not install.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from inspectorate.errors import InputError
from inspectorate.mechanisms.inspection.transcripts.hashing import digest_of_tensors
from inspectorate.mechanisms.inspection.transcripts.seeds import normal, stream, uniform
from inspectorate.mechanisms.inspection.transcripts.torch_state import raw_of, weights_of

Model = TypeVar("Model", bound=nn.Module)

_aten: Any = torch.ops.aten


class _FromSeed(TorchDispatchMode):  # type: ignore[no-untyped-call, unused-ignore]
    """Answers operations that would draw from a generator of torch."""

    def __init__(self, seed: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call, unused-ignore]
        self._seed = seed
        self._calls = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = dict(kwargs or {})
        if func is _aten.normal_.default:
            return self._fill(args[0], _bound(args, given, mean=0.0, std=1.0), gaussian=True)
        if func is _aten.uniform_.default:
            low, high = _bound(args, given, **{"from": 0.0, "to": 1.0})
            return self._fill(args[0], (low, high - low), gaussian=False)
        if func in (_aten.randn.default, _aten.rand.default):
            made = torch.empty(*args, **given)
            return self._fill(made, (0.0, 1.0), gaussian=func is _aten.randn.default)
        if func in (_aten.randn_like.default, _aten.rand_like.default):
            made = torch.empty_like(*args, **given)
            return self._fill(made, (0.0, 1.0), gaussian=func is _aten.randn_like.default)
        if torch.Tag.nondeterministic_seeded in func.tags:
            raise InputError(f"the builder draws by {func}, which no seed of a run gives", where="first weights")
        return func(*args, **given)

    def _fill(self, place: Tensor, shift_scale: tuple[float, float], *, gaussian: bool) -> Tensor:
        words = stream(self._seed, f"weights/{self._calls}")
        self._calls += 1
        shift, scale = shift_scale
        numbers = (normal if gaussian else uniform)(words, place.numel()) * scale + shift
        place.copy_(torch.from_numpy(np.ascontiguousarray(numbers)).view(place.shape))
        return place


def _bound(args: tuple[Any, ...], kwargs: dict[str, Any], **defaults: float) -> tuple[float, float]:
    found = [
        float(args[place]) if len(args) > place else float(kwargs.get(name, default))
        for place, (name, default) in enumerate(defaults.items(), 1)
    ]
    return found[0], found[1]


def initial_weights(builder: Callable[[], Model], seed: str) -> Model:
    """The model that `builder` makes, with the first weights that the seed gives. Torch's own generators are left as they were.

    Raises `InputError` where the builder draws in a way that is not covered.
    """
    with torch.random.fork_rng(devices=[]), _FromSeed(seed):
        return builder()


def weights_are_of(builder: Callable[[], nn.Module], seed: str, weights_first: str) -> bool:
    """Whether `weights_first` is the digest of the weights that the seed gives: by building them again."""
    found = digest_of_tensors(raw_of(weights_of(initial_weights(builder, seed))))
    return hmac.compare_digest(found, weights_first)
