"""Whether C = A B, from observed values, at the price of a few products with vectors (Freivalds 1977).

The verifier draws vectors r of +1 and -1, or of small integers, **after** A, B and C were committed, and compares C r
with A (B r): O(n^2) for each vector, against O(n^3) for doing it again.

Integers (`check_integers`) are exact: a wrong row of C passes one round with a chance of 1/s, for s values of an entry of
r; where sums wrap around, of 1/2.

Floats (`check_floats`) were rounded when they were added up. Entry j of row i may be off by

    b_ij = g (|A||B|)_ij + u/(1-u) |C_ij| + underflow,   g = k u_a / (1 - k u_a)    (Higham 2002, (3.13): any order)

at most, with k the inner dimension, u_a the roundoff of the sums (factors that are rounded first add theirs), and u that
of the result. These errors were there before r was drawn. So their signed sum is below the sum of b_ij for certain, and
below z times its Euclidean norm but for a chance of 2 exp(-z^2/2) (Hoeffding), over the verifier's own draw and nothing
else. Whichever is smaller is the row's bound, with z set so that an honest product fails with a chance of 10^-12; the norm
of (|A||B|)_i is at most |A_i| |B| (Cauchy-Schwarz, Frobenius norm). The verifier's own rounding is bounded too.

What is still caught, by `Product`:

- one wrong entry in a row, in every round, if it is off by more than twice the row's bound;
- errors spread over a row, of Euclidean norm E, with a chance of (1 - t^2)^2 / 3 at least per round, if t E exceeds twice
  the bound (Paley-Zygmund).

Two claims about the kernel make the bound smaller, and are only as good as whoever makes them: `chain`, the longest chain
of additions (blocked sums have shorter ones than k), and `confidence_z`, the probable bound of Higham & Mary 2019 (theorem
3.1: z sqrt(k) u in place of k u), which takes roundings for independent and of zero mean.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspectorate.canonical import canonical_bytes, digest_of
from inspectorate.errors import EvidenceError
from inspectorate.mechanisms.guarantee.graph.reference import (
    LARGEST,
    ROUNDS_DEFAULT,
    SMALLEST_STEP,
    UNIT_ROUNDOFF,
    Format,
)
from inspectorate.mechanisms.guarantee.graph.types import Outcome

Array = NDArray[Any]
Numbers = NDArray[np.float64]

SEED_BYTES = 32
ROUNDS_MAX = 64
_NUMBERS_AT_ONCE = 1 << 17
"""Converted to float64 at a time: 1 MiB, which stays in the cache."""
HONEST_FAILURE = 1e-12
"""Chance per product, over the verifier's draw, that an honest one is said to differ."""
_SPREAD = 0.5
"""t of the docstring: an error seen with at least half its norm, in one round of five at least."""
_EXACT = 2.0**53


@dataclass(frozen=True, kw_only=True)
class Arithmetic:
    """How the product was made: in what the factors were multiplied, the sums kept, and the result given."""

    factors: Format | None = None
    """Rounded to this first; none: multiplied as they are."""
    sums: Format = Format.FLOAT32
    result: Format = Format.FLOAT32
    chain: int | None = None
    """Roundings on the longest way through a sum; none: as many as there are summands."""
    confidence_z: float | None = None
    """Take the probable bound with this z; none: the one that holds for certain."""


@dataclass(frozen=True, kw_only=True)
class Product:
    """What the check of one product found."""

    outcome: Outcome
    reason: str
    row: int | None = None
    """The row that is furthest beyond its bound."""
    excess: float = 0.0
    """Largest difference of a row, in bounds of that row: up to 1 is honest."""
    rounds: int = 0
    entry_caught_above: float | None = None
    """One wrong entry is caught for certain if it is off by more than this share of its row's Euclidean norm."""
    caught_above: float | None = None
    """A row whose errors have more than this share of the row's Euclidean norm is caught with `caught_chance` at least."""
    caught_chance: float = 0.0


def commitment_of(*arrays: Array) -> str:
    """Digest over the shapes, formats and bytes of arrays: what is given before the verifier draws."""
    parts = [[array.dtype.str, list(array.shape), digest_of(np.ascontiguousarray(array).tobytes())] for array in arrays]
    return digest_of(canonical_bytes(parts))


def check_floats(
    factors: tuple[Array, Array],
    result: Array,
    *,
    arithmetic: Arithmetic,
    commitment: str,
    seed: bytes,
    rounds: int = ROUNDS_DEFAULT,
) -> Product:
    """Whether `result` is the product of `factors`, up to the roundings of `arithmetic`.

    1. Shapes fit, and the values are those of the commitment. 2. Vectors are drawn from `seed`, which came after it. 3. Bounds.
    Raises `EvidenceError` where 1 fails, `ValueError` on a seed or a number of rounds that cannot be used.
    """
    left, right = factors
    _check_shapes(left, right, result)
    _check_committed(commitment, left, right, result)
    signs = _signs(seed, commitment, right.shape[1], rounds)
    return compare_floats(factors, result, arithmetic=arithmetic, signs=signs)


def compare_floats(factors: tuple[Array, Array], result: Array, *, arithmetic: Arithmetic, signs: Numbers) -> Product:
    """As `check_floats`, with vectors of signs (columns, rounds) that the caller drew, and without the commitment."""
    left, right = factors
    _check_shapes(left, right, result)
    with np.errstate(over="ignore", invalid="ignore"):
        across, right_sizes = _times(right, signs)
        expected, left_sizes = _times(left, across)
        actual, result_sizes = _times(result, signs)
        size = left_sizes * math.sqrt(float((right_sizes**2).sum()))
        bounds = _bounds(arithmetic, (right.shape, signs.shape[1]), size, result_sizes)
        excess = np.abs(actual - expected).max(axis=1) / bounds
    if (problem := _not_finite(excess, result_sizes, size, arithmetic)) is not None:
        return problem
    return _product(excess, bounds, result_sizes, signs.shape[1])


def check_integers(
    factors: tuple[Array, Array],
    result: Array,
    *,
    commitment: str,
    seed: bytes,
    rounds: int = ROUNDS_DEFAULT,
    wraps: bool = False,
) -> Product:
    """Whether `result` is the product of whole numbers, exactly; with `wraps`, modulo 2^32, as int32 sums that overflow are.

    Raises as `check_floats` does, and `ValueError` where numbers are too large to be exact.
    """
    left, right = factors
    _check_shapes(left, right, result)
    if any(array.dtype.kind not in "iu" for array in (left, right, result)):
        raise EvidenceError("not whole numbers", where="product")
    _check_committed(commitment, left, right, result)
    drawn = _drawn(seed, commitment, right.shape[1], rounds)
    if wraps:
        vectors = (drawn & np.uint64(0xFFFFFFFF)).astype(np.int64)
        with np.errstate(over="ignore"):
            apart = result.astype(np.int64) @ vectors - left.astype(np.int64) @ (right.astype(np.int64) @ vectors)
        wrong, chance = (apart & np.int64(0xFFFFFFFF)).any(axis=1), 0.5**rounds
    else:
        values = _values_of_entries(left, right, result)
        exact = (drawn % np.uint64(values)).astype(np.float64)
        across, _ = _times(right, exact)
        wrong = (_times(left, across)[0] != _times(result, exact)[0]).any(axis=1)
        chance = float(values) ** -rounds
    row = int(np.argmax(wrong)) if wrong.any() else None
    return Product(
        outcome=Outcome.CONSISTENT if row is None else Outcome.DIFFERS,
        reason="equal" if row is None else "a row is not the product",
        row=row,
        rounds=rounds,
        entry_caught_above=0.0,
        caught_above=0.0,
        caught_chance=1.0 - chance,
    )


def _check_shapes(left: Array, right: Array, result: Array) -> None:
    if any(array.ndim != 2 or not array.size for array in (left, right, result)):
        raise EvidenceError("a factor or the result is no matrix, or empty", where="product")
    if left.shape[1] != right.shape[0] or result.shape != (left.shape[0], right.shape[1]):
        raise EvidenceError("the shapes of the factors and of the result do not fit", where="product")


def _check_committed(commitment: str, *arrays: Array) -> None:
    if commitment_of(*arrays) != commitment:
        raise EvidenceError("the values are not those that were committed", where="product")


def _drawn(seed: bytes, commitment: str, columns: int, rounds: int) -> NDArray[np.uint64]:
    """Numbers of 64 bits, shape (columns, rounds), that neither side could have known before the commitment."""
    if len(seed) != SEED_BYTES or not 1 <= rounds <= ROUNDS_MAX:
        raise ValueError(f"needs a seed of {SEED_BYTES} bytes and 1 to {ROUNDS_MAX} rounds")
    stream = hashlib.shake_256(seed + commitment.encode()).digest(8 * columns * rounds)
    return np.frombuffer(stream, dtype="<u8").reshape(columns, rounds)


def _signs(seed: bytes, commitment: str, columns: int, rounds: int) -> Numbers:
    drawn = _drawn(seed, commitment, columns, rounds)
    return 1.0 - 2.0 * (drawn & np.uint64(1)).astype(np.float64)


def _times(matrix: Array, vectors: Numbers) -> tuple[Numbers, Numbers]:
    """`matrix @ vectors`, and the Euclidean norm of each row, in float64 and piece by piece."""
    rows, columns = matrix.shape
    product, norms = np.empty((rows, vectors.shape[1])), np.empty(rows)
    step = max(1, _NUMBERS_AT_ONCE // columns)
    for start in range(0, rows, step):
        piece = matrix[start : start + step].astype(np.float64)
        product[start : start + step] = piece @ vectors
        norms[start : start + step] = np.sqrt(np.einsum("ij,ij->i", piece, piece))
    return product, norms


def _bounds(
    arithmetic: Arithmetic, dimensions: tuple[tuple[int, ...], int], size: Numbers, result_size: Numbers
) -> Numbers:
    """The most by which each row may honestly differ; sizes are Euclidean norms over a row."""
    (inner, columns), rounds = dimensions
    z = math.sqrt(2.0 * math.log(2.0 * len(size) * rounds / HONEST_FAILURE))
    certain = math.sqrt(columns)  # the sum of a row is at most this times its norm
    u = UNIT_ROUNDOFF[arithmetic.result]
    vanishing = math.sqrt(columns) * (inner * SMALLEST_STEP[arithmetic.sums] + SMALLEST_STEP[arithmetic.result])
    honest = _share_of_sums(arithmetic, inner) * size + u / (1.0 - u) * result_size + vanishing
    own = 2.0 * (inner + columns + 2) * UNIT_ROUNDOFF[Format.FLOAT64] * certain * (size + result_size)
    bounds: Numbers = min(z, certain) * honest + own
    return bounds


def _share_of_sums(arithmetic: Arithmetic, inner: int) -> float:
    """Relative to |A||B|. Raises `ValueError` where so many roundings have no bound."""
    u, chain = UNIT_ROUNDOFF[arithmetic.sums], arithmetic.chain or inner
    if arithmetic.confidence_z is None:
        if chain * u >= 0.5:
            raise ValueError(f"{chain} roundings to {arithmetic.sums} have no useful bound")
        sums = chain * u / (1.0 - chain * u)
    else:
        sums = math.expm1(arithmetic.confidence_z * math.sqrt(chain) * u + chain * u**2 / (1.0 - u))
    rounded = UNIT_ROUNDOFF[arithmetic.factors] if arithmetic.factors is not None else 0.0
    return (1.0 + rounded) ** 2 * (1.0 + sums) - 1.0


def _not_finite(excess: Numbers, norms: Numbers, size: Numbers, arithmetic: Arithmetic) -> Product | None:
    """What infinite or undefined values say: nothing, unless nothing could overflow."""
    if np.isfinite(excess).all():
        return None
    if np.isfinite(size).all() and size.max() < min(LARGEST[arithmetic.sums], LARGEST[arithmetic.result]) / 2:
        row = int(np.argmin(np.isfinite(norms)))
        return Product(outcome=Outcome.DIFFERS, reason="not finite, where nothing can overflow", row=row)
    return Product(outcome=Outcome.CANNOT_TELL, reason="a factor is not finite, or sums may overflow")


def _product(excess: Numbers, bounds: Numbers, norms: Numbers, rounds: int) -> Product:
    row = int(np.argmax(excess))
    differs = bool(excess[row] > 1.0)
    some = norms > 0.0
    share = float((2.0 * bounds[some] / norms[some]).max()) if some.any() else None
    return Product(
        outcome=Outcome.DIFFERS if differs else Outcome.CONSISTENT,
        reason="a row differs by more than rounding can" if differs else "within rounding",
        row=row if differs else None,
        excess=float(excess[row]),
        rounds=rounds,
        entry_caught_above=share,
        caught_above=None if share is None else share / _SPREAD,
        caught_chance=1.0 - (1.0 - (1.0 - _SPREAD**2) ** 2 / 3.0) ** rounds,
    )


def _values_of_entries(left: Array, right: Array, result: Array) -> int:
    """How many values an entry of a vector may have while every sum stays exact in float64. Raises `ValueError`."""
    inner, columns = right.shape
    largest = [max(1, abs(int(array.min())), abs(int(array.max()))) for array in (left, right, result)]
    values = int(_EXACT // max(columns * inner * largest[0] * largest[1], columns * largest[2]))
    if values < 2:
        raise ValueError("numbers too large to be exact: split the product")
    return values
