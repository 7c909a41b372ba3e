"""Constants computed from constants: strings taken apart and put together again, as disguises do.

Only what is listed here is computed, on values that are short, so that folding ends and holds little memory. What is not listed is
`UNFOLDABLE`, which is not an error: the value stays unknown.
"""

from __future__ import annotations

import ast
import base64
import binascii
import codecs
import html
import urllib.parse
import zlib
from collections.abc import Callable
from typing import Any

from inspectorate.mechanisms.inspection.code.reference import FOLDED_BYTES_MAX


class _Unfoldable:
    """The one value that says: not computed."""


UNFOLDABLE = _Unfoldable()
PLAIN = (str, bytes, int, float, bool, type(None))
WHOLE_MAX = 1 << 64

METHODS = frozenset(
    [
        "join",
        "format",
        "replace",
        "lower",
        "upper",
        "strip",
        "lstrip",
        "rstrip",
        "decode",
        "encode",
        "hex",
        "split",
        "rsplit",
        "title",
        "capitalize",
        "swapcase",
        "casefold",
        "removeprefix",
        "removesuffix",
        "partition",
        "rpartition",
        "translate",
        "zfill",
        "splitlines",
        "index",
        "find",
        "count",
    ]
)
"""Methods of text and bytes that are computed."""


def _inflate(data: bytes) -> bytes:
    return zlib.decompressobj().decompress(data, FOLDED_BYTES_MAX)


def _inflate_any(data: bytes) -> bytes:
    return zlib.decompressobj(wbits=47).decompress(data, FOLDED_BYTES_MAX)


def _recode(data: Any, name: str = "utf-8") -> Any:
    word = name.lower().replace("-", "_")
    if word in {"zip", "zlib", "zlib_codec"}:
        return _inflate(data)
    if word in {"bz2", "bz2_codec"}:
        raise ValueError(name)
    return codecs.decode(data, name)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "builtins.chr": chr,
    "builtins.ord": ord,
    "builtins.str": lambda value="", encoding=None: value.decode(encoding) if encoding else str(value),
    "builtins.bytes": lambda value=b"", encoding="utf-8": (
        value.encode(encoding) if isinstance(value, str) else _bytes(value)
    ),
    "builtins.bytearray": lambda value=b"": _bytes(value),
    "builtins.int": int,
    "builtins.hex": hex,
    "builtins.len": len,
    "builtins.reversed": lambda value: list(value)[::-1],
    "builtins.sorted": sorted,
    "builtins.list": list,
    "builtins.tuple": tuple,
    "builtins.bytes.fromhex": bytes.fromhex,
    "builtins.bytearray.fromhex": bytes.fromhex,
    "builtins.str.join": lambda glue, parts: glue.join(parts),
    "builtins.range": lambda *ends: list(range(*ends)) if all(abs(e) <= FOLDED_BYTES_MAX for e in ends) else UNFOLDABLE,
    "builtins.repr": repr,
    "operator.add": lambda a, b: a + b,
    "operator.concat": lambda a, b: a + b,
    "base64.b64decode": base64.b64decode,
    "base64.standard_b64decode": base64.b64decode,
    "base64.urlsafe_b64decode": base64.urlsafe_b64decode,
    "base64.b32decode": base64.b32decode,
    "base64.b16decode": base64.b16decode,
    "base64.b85decode": base64.b85decode,
    "base64.a85decode": base64.a85decode,
    "base64.decodebytes": base64.decodebytes,
    "binascii.unhexlify": binascii.unhexlify,
    "binascii.a2b_hex": binascii.unhexlify,
    "binascii.a2b_base64": binascii.a2b_base64,
    "codecs.decode": _recode,
    "codecs.encode": lambda data, name="utf-8": codecs.encode(data, name) if "rot" in name else UNFOLDABLE,
    "zlib.decompress": _inflate,
    "gzip.decompress": _inflate_any,
    "urllib.parse.unquote": urllib.parse.unquote,
    "html.unescape": html.unescape,
    "textwrap.dedent": lambda text: text,
}
FAULTS = (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, zlib.error, OverflowError)


def _bytes(value: Any) -> bytes:
    if isinstance(value, int):
        raise TypeError("a length")
    return bytes(value)


def small(value: Any) -> bool:
    """Whether a value is plain and short enough to go on with."""
    if isinstance(value, bool) or value is None or isinstance(value, float):
        return True
    if isinstance(value, int):
        return abs(value) < WHOLE_MAX
    if isinstance(value, str | bytes):
        return len(value) <= FOLDED_BYTES_MAX
    if isinstance(value, list | tuple):
        return len(value) <= 4096 and all(isinstance(item, PLAIN) and small(item) for item in value)
    return False


def checked(value: Any) -> Any:
    return value if small(value) else UNFOLDABLE


def call(name: str, arguments: list[Any]) -> Any:
    """A listed function on folded arguments."""
    function = FUNCTIONS.get(name)
    if function is None or any(a is UNFOLDABLE for a in arguments):
        return UNFOLDABLE
    try:
        return checked(function(*arguments))
    except FAULTS:
        return UNFOLDABLE


def method(base: Any, name: str, arguments: list[Any], keywords: dict[str, Any]) -> Any:
    """A listed method of text or bytes."""
    given = [*arguments, *keywords.values()]
    if name not in METHODS or not isinstance(base, str | bytes) or any(a is UNFOLDABLE for a in given):
        return UNFOLDABLE
    if name == "zfill" or (name == "format" and ("{" in str(base) and ("!" in str(base) or ":" in str(base)))):
        return UNFOLDABLE
    if name == "decode" and arguments and not str(arguments[0]).isascii():
        return UNFOLDABLE
    if name == "replace" and len(given) > 1 and len(base) * (1 + len(given[1])) > FOLDED_BYTES_MAX:
        return UNFOLDABLE
    try:
        return checked(getattr(base, name)(*arguments, **keywords))
    except FAULTS:
        return UNFOLDABLE


def binary(operator: ast.operator, left: Any, right: Any) -> Any:
    """An operator on constants."""
    if left is UNFOLDABLE or right is UNFOLDABLE:
        return UNFOLDABLE
    try:
        match operator:
            case ast.Add():
                return checked(left + right)
            case ast.Sub():
                return checked(left - right)
            case ast.BitXor():
                return checked(left ^ right)
            case ast.Mod() if isinstance(left, str):
                return checked(left % right) if "*" not in left and len(left) < 4096 and not _wide(left) else UNFOLDABLE
            case ast.Mod():
                return checked(left % right)
            case ast.Mult() if isinstance(left, int | float) and isinstance(right, int | float):
                return checked(left * right)
            case ast.Mult():
                count, text = (left, right) if isinstance(left, int) else (right, left)
                return checked(text * count) if count * max(1, len(text)) <= FOLDED_BYTES_MAX else UNFOLDABLE
            case ast.FloorDiv():
                return checked(left // right)
            case ast.BitOr() | ast.BitAnd():
                return checked(left | right if isinstance(operator, ast.BitOr) else left & right)
    except FAULTS:
        return UNFOLDABLE
    return UNFOLDABLE


def _wide(text: str) -> bool:
    """Whether a format asks for padding: `'%999999999d'` is a bomb."""
    return any(character.isdigit() for character in text)


def piece(base: Any, index: ast.expr, fold: Callable[[ast.expr], Any]) -> Any:
    """An element or a slice of text, bytes or a list."""
    if not isinstance(base, str | bytes | list | tuple):
        return UNFOLDABLE
    try:
        if isinstance(index, ast.Slice):
            ends = [None if e is None else fold(e) for e in (index.lower, index.upper, index.step)]
            if any(e is UNFOLDABLE for e in ends):
                return UNFOLDABLE
            return checked(base[slice(*ends)])
        place = fold(index)
        return UNFOLDABLE if place is UNFOLDABLE else checked(base[place])
    except FAULTS:
        return UNFOLDABLE
