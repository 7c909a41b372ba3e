"""First weights and order of data from one seed, so that neither could be chosen (arXiv 2307.00682).

1. Each data item has a digest. `s = H(H(d1) .. H(da) s_rand)`: SHA-256 over the digests in order, then 32 random bytes.
2. Streams of random words come of `s` by Philox-4x64-10, a counter-based generator (numpy's, whose raw words are the same in every
   version): the key of a stream is the first half of `SHA-256(s, purpose)`, the counter starts at 0.
3. The order of data in one pass: items are sorted by the 64-bit words of the stream `order`, one word an item; equal words keep the
   order of items. The next pass takes the next words.
4. First weights: the model is built as its code says, and every call that would fill a tensor with random numbers takes them from
   the stream `weights/N`, where N counts these calls. Uniform numbers are odd multiples of 2^-53; normal ones come of them by
   Wichura's AS 241, in double precision, in operations that IEEE 754 rounds exactly. So first weights are the same bits on every
   machine, which generators of frameworks do not give: theirs differ between processors, and between devices.

A prover that picks `s_rand` after trying many can still pick among first weights at random, and gains nothing that was shown to
matter. It cannot start from weights that were trained before, and cannot put data in an order of its own.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from inspectorate.canonical import canonical_bytes, digest_of

Numbers = NDArray[np.float64]

ITEMS_MAX = 1 << 32


def seed_of(items: Sequence[str], seed_random: str) -> str:
    """The seed, in hex, of digests of data items (`sha256:...`) in their order and 32 random bytes in hex."""
    hasher = hashlib.sha256()
    for digest in items:
        hasher.update(_bytes_of(digest.removeprefix("sha256:")))
    hasher.update(_bytes_of(seed_random))
    return hasher.hexdigest()


def data_digest(items: Sequence[str]) -> str:
    """The digest of the list of digests of data items, as `TrainingHeader.data` holds it."""
    return digest_of(canonical_bytes(list(items)))


def seed_is_of(seed: str, items: Sequence[str], seed_random: str) -> bool:
    """Whether a seed is the one that these data and this random part give."""
    return hmac.compare_digest(seed_of(items, seed_random), seed)


def stream(seed: str, purpose: str) -> np.random.Philox:
    """A stream of random words for one purpose (rule 2)."""
    key = hashlib.sha256(_bytes_of(seed) + purpose.encode()).digest()[:16]
    return np.random.Philox(key=np.frombuffer(key, dtype="<u8").astype(np.uint64))


def data_order(count: int, seed: str, *, draws: int | None = None) -> NDArray[np.int64]:
    """The first `draws` numbers of items (default: one pass) of the order of `count` items (rule 3)."""
    if not 0 < count <= ITEMS_MAX:
        raise ValueError(f"there is no order of {count} items")
    draws = count if draws is None else draws
    words = stream(seed, "order")
    passes = [np.argsort(words.random_raw(count), kind="stable") for _ in range(-(-draws // count))]
    return np.concatenate([np.zeros(0, np.int64), *passes])[:draws].astype(np.int64)


def order_is_of(order: Sequence[int], count: int, seed: str, *, start: int = 0) -> bool:
    """Whether items were taken in the order that the seed gives, from place `start` on. No items are no order."""
    expected = data_order(count, seed, draws=start + len(order))[start:]
    return len(order) > 0 and bool(np.array_equal(np.asarray(order, dtype=np.int64), expected))


def uniform(words: np.random.Philox, count: int) -> Numbers:
    """Numbers strictly between 0 and 1: of each word the upper 52 bits, and a half."""
    upper: Numbers = (words.random_raw(count) >> np.uint64(12)).astype(np.float64)
    return (upper + 0.5) * 2.0**-52


def normal(words: np.random.Philox, count: int) -> Numbers:
    """Standard normal numbers by inversion, in exactly rounded operations only."""
    return inverse_normal(uniform(words, count))


def _bytes_of(text: str) -> bytes:
    data = bytes.fromhex(text)
    if len(data) != 32:
        raise ValueError("a seed, and a digest, has 32 bytes in hex")
    return data


# --- the inverse of the normal distribution (Wichura 1988, AS 241, PPND16) ---------------------------------------------

_CENTRAL = (
    (2.50908_09287_30122_6727e3, 3.34305_75583_58812_8105e4, 6.72657_70927_00870_0853e4, 4.59219_53931_54987_1457e4,
     1.37316_93765_50946_1125e4, 1.97159_09503_06551_4427e3, 1.33141_66789_17843_7745e2, 3.38713_28727_96366_6080e0),
    (5.22649_52788_52854_5610e3, 2.87290_85735_72194_2674e4, 3.93078_95800_09271_0610e4, 2.12137_94301_58659_5867e4,
     5.39419_60214_24751_1077e3, 6.87187_00749_20579_0830e2, 4.23133_30701_60091_1252e1, 1.0),
)  # fmt: skip
_MIDDLE = (
    (7.74545_01427_83414_07640e-4, 2.27238_44989_26918_45833e-2, 2.41780_72517_74506_11770e-1, 1.27045_82524_52368_38258e0,
     3.64784_83247_63204_60504e0, 5.76949_72214_60691_40550e0, 4.63033_78461_56545_29590e0, 1.42343_71107_49683_57734e0),
    (1.05075_00716_44416_84324e-9, 5.47593_80849_95344_94600e-4, 1.51986_66563_61645_71966e-2, 1.48103_97642_74800_74590e-1,
     6.89767_33498_51000_04550e-1, 1.67638_48301_83803_84940e0, 2.05319_16266_37758_82187e0, 1.0),
)  # fmt: skip
_OUTER = (
    (2.01033_43992_92288_13265e-7, 2.71155_55687_43487_57815e-5, 1.24266_09473_88078_43860e-3, 2.65321_89526_57612_30930e-2,
     2.96560_57182_85048_91230e-1, 1.78482_65399_17291_33580e0, 5.46378_49111_64114_36990e0, 6.65790_46435_01103_77720e0),
    (2.04426_31033_89939_78564e-15, 1.42151_17583_16445_88870e-7, 1.84631_83175_10054_68180e-5, 7.86869_13114_56132_59100e-4,
     1.48753_61290_85061_48525e-2, 1.36929_88092_27358_05310e-1, 5.99832_20655_58879_37690e-1, 1.0),
)  # fmt: skip
"""Numerator and denominator, highest power first."""
_CENTRAL_HALF = 0.425
_TAIL_SPLIT = 5.0
_PIECE = 1 << 16


def inverse_normal(share: Numbers) -> Numbers:
    """The normal quantile of shares strictly between 0 and 1. In pieces, so that each stays in the cache."""
    found = np.empty_like(share)
    for start in range(0, share.size, _PIECE):
        piece = slice(start, start + _PIECE)
        found[piece] = _inverse(share[piece])
    return found


def _inverse(share: Numbers) -> Numbers:
    centred = share - 0.5
    found = centred * _ratio(_CENTRAL, _CENTRAL_HALF**2 - centred * centred)
    outside = np.flatnonzero(np.abs(centred) > _CENTRAL_HALF)
    if outside.size:
        tail = np.minimum(share[outside], 1.0 - share[outside])
        depth = np.sqrt(-exact_log(tail))
        near, far = _ratio(_MIDDLE, depth - 1.6), _ratio(_OUTER, depth - _TAIL_SPLIT)
        found[outside] = np.copysign(np.where(depth <= _TAIL_SPLIT, near, far), centred[outside])
    return found


def _ratio(coefficients: tuple[tuple[float, ...], tuple[float, ...]], at: Numbers) -> Numbers:
    above, below = (_polynomial(row, at) for row in coefficients)
    return above / below


def _polynomial(row: tuple[float, ...], at: Numbers) -> Numbers:
    total = np.full_like(at, row[0])
    for one in row[1:]:
        total *= at
        total += one
    return total


_LOG_2 = 0.693147180559945309417
_LOG_TERMS = 12


def exact_log(value: Numbers) -> Numbers:
    """The natural logarithm in exactly rounded operations only: libraries of mathematics differ in the last bit.

    value = m 2^e with m in [sqrt(1/2), sqrt 2); log m = 2 artanh((m - 1) / (m + 1)) as a series of odd powers.
    """
    mantissa, exponent = np.frexp(value)
    low = mantissa < 0.7071067811865476
    mantissa = np.where(low, mantissa * 2.0, mantissa)
    exponent = exponent - low
    ratio = (mantissa - 1.0) / (mantissa + 1.0)
    square = ratio * ratio
    total = np.full_like(square, 1.0 / (2 * _LOG_TERMS + 1))
    for k in range(_LOG_TERMS - 1, -1, -1):
        total = total * square + 1.0 / (2 * k + 1)
    result: Numbers = 2.0 * ratio * total + exponent * _LOG_2
    return result
