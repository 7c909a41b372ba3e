"""Formulas for operators of torch: how many operations one call does. Needs torch.

Torch's own registry (`torch.utils.flop_counter.flop_registry`) is used where it is right. It lacks, or has wrong, in torch 2.13:

- the fused layers that `nn.TransformerEncoder` and `nn.MultiheadAttention` use for inference: counted as nothing;
- attention on a CPU, forward and backward: counted as nothing (pytorch issue 195460);
- `_flash_attention_forward` and its backward without nested lengths: heads and positions are taken for each other (issue 178064);
- the weight gradient of a grouped convolution: counted `groups` times too often;
- products with vectors, 8- and 4-bit weights, integers, groups of matrices; recurrent layers; 2:4 sparse products;
  Fourier transforms;
- everything that is no product: norms, softmax, activations, optimisers.

A function of one element (an exponential, a root, a division) counts as one operation.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.utils import flop_counter

aten = torch.ops.aten
Formula = Callable[[Sequence[Any], Any], float]
"""Arguments and result of a call to its operations."""


def _pair(a: torch.Tensor, b: torch.Tensor) -> float:
    """(..., k) x (k, n), or (..., k) x (k)."""
    return 2.0 * a.numel() * (b.shape[-1] if b.dim() > 1 else 1)


def _transposed_pair(a: torch.Tensor, b: torch.Tensor) -> float:
    """(..., k) x (n, k) transposed."""
    return 2.0 * a.numel() * b.shape[0]


def attention(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *, heads_second: bool = True) -> float:
    """Two products, nothing skipped. Layout (batch, heads, positions, width), or heads third."""
    batch, heads, positions = query.shape[0], query.shape[1], query.shape[2]
    keys = key.shape[2]
    if not heads_second:
        heads, positions, keys = positions, heads, key.shape[1]
    return 2.0 * batch * heads * positions * keys * (query.shape[-1] + value.shape[-1])


def attention_backward(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *, heads_second: bool = True
) -> float:
    """Five products: the scores again, and two gradients of each product."""
    forward = attention(query, key, value, heads_second=heads_second)
    wide = query.shape[-1] / (query.shape[-1] + value.shape[-1])
    return forward * (3.0 * wide + 2.0 * (1.0 - wide))


def _flash_forward(args: Sequence[Any], out: Any) -> float:
    if args[3] is not None:
        return float(flop_counter._flash_attention_forward_flop(*args, out_val=out))
    return attention(*args[:3], heads_second=False)


def _flash_backward(args: Sequence[Any], out: Any) -> float:
    if args[6] is not None:
        return float(flop_counter._flash_attention_backward_flop(*args, out_val=out))
    return attention_backward(*args[1:4], heads_second=False)


def _self_attention(source: torch.Tensor, width: int) -> float:
    """Projections and products of full self-attention over `source`, nested or not."""
    nested = source.is_nested
    lengths = [int(row[0]) for row in source._nested_tensor_size()] if nested else [source.shape[1]] * source.shape[0]
    return sum(length * (8.0 * width * width + 4.0 * length * width) for length in lengths)


def _encoder_layer(args: Sequence[Any], out: Any) -> float:
    """Arguments: source, width, heads, weights of attention (4), four flags, norms (4), feed-forward weights (4)."""
    source, width = args[0], args[1]
    first = next(place for place in range(10, len(args)) if getattr(args[place], "ndim", 0) == 2)
    tokens = source.numel() / width
    return _self_attention(source, width) + float(2.0 * tokens * (args[first].numel() + args[first + 2].numel()))


def _native_attention(args: Sequence[Any], out: Any) -> float:
    query, key, _, width = args[:4]
    if query.is_nested or query.shape == key.shape:
        return _self_attention(query, width)
    batch, asked, kept = query.shape[0], query.shape[1], key.shape[1]
    return float(batch * (4.0 * width * width * (asked + kept) + 4.0 * asked * kept * width))


def _convolution_backward(args: Sequence[Any], out: Any) -> float:
    """Gradient for the inputs and for the weights: as many operations each as the forward pass."""
    grad, _, weight, mask = args[0], args[1], args[2], args[-1]
    positions = args[1] if args[7] else grad
    forward = 2.0 * weight.numel() * positions.shape[0] * math.prod(positions.shape[2:])
    return float(forward * (bool(mask[0]) + bool(mask[1])))


def _recurrent(args: Sequence[Any], out: Any) -> float:
    """`mkldnn_rnn_layer`: input (time, batch, ...), then the two matrices."""
    steps = args[0].shape[0] * args[0].shape[1]
    return float(2.0 * steps * (args[1].numel() + args[2].numel()))


def _recurrent_cudnn(args: Sequence[Any], out: Any) -> float:
    steps = args[0].shape[0] * args[0].shape[1]
    return float(2.0 * steps * sum(weight.numel() for weight in args[1] if weight.dim() > 1))


def _fourier(args: Sequence[Any], out: Any) -> float:
    length = math.prod(args[0].shape[axis] for axis in args[1])
    return float(5.0 * max(args[0].numel(), out.numel()) * math.log2(max(2, length)))


def _grouped(args: Sequence[Any], out: Any) -> float:
    """(tokens, k) x (groups, k, n), or (groups, m, k) x (groups, k, n)."""
    return float(2.0 * args[0].numel() * args[1].shape[-1])


def _by_output(inner: int) -> Formula:
    return lambda args, out: 2.0 * out.numel() * args[inner].shape[-1]


PRODUCTS: dict[Any, Formula] = {
    aten._scaled_dot_product_flash_attention_for_cpu: lambda args, out: attention(*args[:3]),
    aten._scaled_dot_product_flash_attention_for_cpu_backward: lambda args, out: attention_backward(*args[1:4]),
    aten._scaled_dot_product_fused_attention_overrideable: lambda args, out: attention(*args[:3]),
    aten._scaled_dot_product_fused_attention_overrideable_backward: lambda args, out: attention_backward(*args[1:4]),
    aten._flash_attention_forward: _flash_forward,
    aten._flash_attention_backward: _flash_backward,
    aten._transformer_encoder_layer_fwd: _encoder_layer,
    aten._native_multi_head_attention: _native_attention,
    aten.convolution_backward: _convolution_backward,
    aten.mkldnn_rnn_layer: _recurrent,
    aten.mkldnn_rnn_layer_backward: lambda args, out: 2 * _recurrent(args, out),
    aten._cudnn_rnn: _recurrent_cudnn,
    aten._cudnn_rnn_backward: lambda args, out: 2 * _recurrent_cudnn(args, out),
    aten.mv: lambda args, out: 2.0 * args[0].numel(),
    aten.addmv: lambda args, out: 2.0 * args[1].numel(),
    aten.dot: lambda args, out: 2.0 * args[0].numel(),
    aten.vdot: lambda args, out: 2.0 * args[0].numel(),
    aten.addr: lambda args, out: 2.0 * out.numel(),
    aten.addbmm: lambda args, out: 2.0 * args[1].numel() * args[2].shape[-1],
    aten._addmm_activation: lambda args, out: _pair(args[1], args[2]),
    aten.mkldnn_linear: lambda args, out: _transposed_pair(args[0], args[1]),
    aten._int_mm: lambda args, out: _pair(args[0], args[1]),
    aten._weight_int8pack_mm: _by_output(0),
    aten._weight_int4pack_mm: _by_output(0),
    aten._weight_int4pack_mm_for_cpu: _by_output(0),
    aten._dyn_quant_matmul_4bit: _by_output(0),
    aten._mixed_dtypes_linear: _by_output(0),
    aten._grouped_mm: _grouped,
    aten._scaled_grouped_mm: _grouped,
    aten._fft_c2c: _fourier,
    aten._fft_r2c: _fourier,
    aten._fft_c2r: _fourier,
}
"""What torch's registry lacks or has wrong."""

SPARSE: dict[Any, Formula] = {
    aten._sparse_semi_structured_linear: lambda args, out: 2.0 * out.numel() * args[0].shape[-1],
    aten._sparse_semi_structured_mm: lambda args, out: 2.0 * out.numel() * args[2].shape[0],
    aten._sparse_semi_structured_addmm: lambda args, out: 2.0 * out.numel() * args[3].shape[0],
    aten._cslt_sparse_mm: lambda args, out: 2.0 * out.numel() * args[1].shape[0],
}
"""2:4 sparse products, at their dense shape."""

PER_ELEMENT = {
    "addcmul": 3, "addcdiv": 3, "lerp": 3, "_softmax": 5, "_log_softmax": 5, "_softmax_backward_data": 4,
    "_log_softmax_backward_data": 4, "native_layer_norm": 8, "native_layer_norm_backward": 14, "_fused_rms_norm": 5,
    "_fused_rms_norm_backward": 10, "native_group_norm": 8, "native_group_norm_backward": 14, "native_batch_norm": 8,
    "_native_batch_norm_legit": 8, "native_batch_norm_backward": 14, "cudnn_batch_norm": 8, "cudnn_batch_norm_backward": 14,
    "sum": 1, "mean": 1, "var": 3, "var_mean": 4, "norm": 2, "linalg_vector_norm": 2, "cumsum": 1, "cumprod": 1, "prod": 1,
    "logsumexp": 4, "max_pool2d_with_indices": 1, "avg_pool2d": 1, "_adaptive_avg_pool2d": 1, "avg_pool2d_backward": 1,
    "embedding_dense_backward": 1, "nll_loss_forward": 1, "index_add": 1, "scatter_add": 1, "native_dropout": 2,
    "_fused_adam_": 14, "_fused_adamw_": 15, "_fused_adam": 14, "_fused_adamw": 15, "_fused_sgd_": 4, "_fused_adagrad_": 6,
}  # fmt: skip
"""Operations per element of the largest tensor among the first arguments and the result. Element-wise operators that do not stand
here count one."""

MOVES = re.compile(
    r"^(_to_copy|clone|copy|detach|alias|lift|where|fill|zero|contiguous|view|bernoulli|normal|uniform|random|masked_fill|isnan|eq|ne|lt|le|gt|ge|logical|bitwise)"
)
"""Operators that the library calls element-wise and that do no arithmetic that counts."""

SUSPECT = re.compile(
    r"mm(_|$)|matmul|attention|linear|convolution|conv\d|conv_|rnn|lstm|gru|dot(_|$)|einsum|transformer|addr|fft|svd|"
    r"cholesky|solve|(^|_)qr(_|$)|eig|inverse|cdist|trilinear|^bilinear|orm?qr|matrix_exp"
)
"""Names that may stand for products. One without a formula is listed as uncounted."""
HARMLESS = re.compile(
    r"upsample|interpolate|embedding|size|prepack|reorder|flatten_weight|convert|nested_get|choice|_plan"
)
OURS = frozenset(
    {"aten", "prims", "prim", "profiler", "c10d", "_c10d_functional", "c10d_functional", "debugprims", "inductor"}
)
"""Namespaces whose operators do no products that are not named as such. Of any other, each operator is uncounted."""

FORMATS = {
    torch.float64: "fp64", torch.float32: "fp32", torch.float16: "fp16", torch.bfloat16: "bf16", torch.int8: "int8",
    torch.uint8: "int8", torch.int16: "int16", torch.int32: "int32", torch.int64: "int64", torch.bool: "int8",
    torch.float8_e4m3fn: "fp8", torch.float8_e5m2: "fp8", torch.float8_e4m3fnuz: "fp8", torch.float8_e5m2fnuz: "fp8",
}  # fmt: skip
"""Names of the chip catalogue. A single-precision product that the chip does as TF32 stands as `fp32`: both count as 32 bits."""


def formula_of(packet: Any) -> tuple[Formula, bool] | None:
    """The formula of an operator that makes products, and whether it is 2:4 sparse; none: there is none."""
    if packet in SPARSE:
        return SPARSE[packet], True
    if packet in PRODUCTS:
        return PRODUCTS[packet], False
    known = flop_counter.flop_registry.get(packet)
    if known is None:
        return None
    return lambda args, out: float(known(*args, out_val=out)), False


def is_suspect(namespace: str, name: str) -> bool:
    """Whether an operator without a formula may make products."""
    return namespace not in OURS or (SUSPECT.search(name) is not None and HARMLESS.search(name) is None)


def elementwise(name: str, pointwise: bool) -> int:
    """Operations per element; 0: none that count."""
    bare = name.removeprefix("_foreach_").rstrip("_") if not name.startswith("_fused_") else name
    if bare in PER_ELEMENT:
        return PER_ELEMENT[bare]
    if MOVES.match(bare):
        return 0
    return int(pointwise or name.startswith("_foreach_"))
