"""Source text as a syntax tree, under limits, or the reason why there is none: no bytes make this raise.

What CPython itself would refuse or crash on is found before it is parsed: brackets within brackets, operators in a row, numbers of
thousands of digits. What the parser refuses after that is caught by the errors it documents. The tree is measured without
recursion.
"""

from __future__ import annotations

import ast
import codecs
import io
import re
import tokenize
import warnings
from dataclasses import dataclass

from inspectorate.mechanisms.inspection.code import reference

USUAL_ENCODINGS = ("utf-8", "utf-8-sig", "ascii", "iso8859-1", "cp1252")
CONTROL = re.compile("[\u202a-\u202e\u2066-\u2069\u200b-\u200f\u2060\ufeff]")
"""Characters that make text look other than it is: bidirectional controls and those of no width."""
OPERATORS = re.compile(r"(?:(?:[-+~*/%@&|^<>=.,:\[\](){}]|\bnot\b|\blambda\b|\band\b|\bor\b|\bif\b|\belse\b)\s*){2000}")
DIGITS = re.compile(rf"[0-9_]{{{reference.DIGITS_MAX},}}")
OPEN, CLOSE = frozenset("([{"), frozenset(")]}")


@dataclass(frozen=True, kw_only=True)
class Source:
    """Text and its tree."""

    text: str
    lines: tuple[str, ...]
    tree: ast.Module
    encoding: str
    odd: tuple[str, ...]
    """What about the text is not as it looks."""


@dataclass(frozen=True, kw_only=True)
class Unparsed:
    """Why there is no tree."""

    reason: str
    text: str = ""


def parse_source(data: bytes, *, encoding: str | None = None) -> Source | Unparsed:
    """The tree of one file. Never raises on what `data` holds."""
    if len(data) > reference.SOURCE_BYTES_MAX:
        return Unparsed(reason=f"has more than {reference.SOURCE_BYTES_MAX:,} bytes")
    try:
        named = encoding or tokenize.detect_encoding(io.BytesIO(data).readline)[0]
        named = codecs.lookup(named).name
        text: object = data.decode("utf-8-sig" if named == "utf-8" else named)
    except (SyntaxError, LookupError, UnicodeError, ValueError) as fault:
        return Unparsed(reason=f"is no text that Python reads: {str(fault)[:120]}")
    except MemoryError:
        return Unparsed(reason="takes more memory than a review has")
    if not isinstance(text, str):
        return Unparsed(reason=f"names the encoding {named!r}, which is none of text")
    odd = [] if named in USUAL_ENCODINGS else [f"is written in the encoding {named}"]
    if CONTROL.search(text.lstrip("\ufeff")):
        odd.append("has characters that change how text looks")
    if (reason := _too_deep(text)) is not None:
        return Unparsed(reason=reason, text=text)
    return _parsed(text, named, tuple(odd))


def _parsed(text: str, encoding: str, odd: tuple[str, ...]) -> Source | Unparsed:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
    except (SyntaxError, ValueError, OverflowError) as fault:
        return Unparsed(reason=f"is no Python of this version: {str(fault)[:120]}", text=text)
    except (RecursionError, MemoryError):
        return Unparsed(reason="nests deeper than Python reads", text=text)
    if (reason := _tree_too_large(tree)) is not None:
        return Unparsed(reason=reason, text=text)
    return Source(text=text, lines=tuple(re.split(r"\r\n|\r|\n", text)), tree=tree, encoding=encoding, odd=odd)


def _too_deep(text: str) -> str | None:
    """Whether brackets nest, operators follow or numbers run on as in no honest source; strings are not told apart here."""
    depth = deepest = 0
    for character in re.findall(r"[(\[{)\]}]", text):
        depth = depth + 1 if character in OPEN else max(0, depth - 1)
        deepest = max(deepest, depth)
    if deepest > 100 * reference.NESTING_MAX:
        return f"nests {deepest} brackets"
    if DIGITS.search(text):
        return "holds a number of thousands of digits"
    if OPERATORS.search(text):
        return "holds thousands of operators in a row"
    return None


def _tree_too_large(tree: ast.Module) -> str | None:
    level: list[ast.AST] = [tree]
    nodes = depth = 0
    while level:
        nodes, depth = nodes + len(level), depth + 1
        if nodes > reference.NODES_MAX:
            return f"has more than {reference.NODES_MAX:,} nodes"
        if depth > reference.TREE_DEPTH_MAX:
            return f"nests deeper than {reference.TREE_DEPTH_MAX}"
        level = [child for node in level for child in ast.iter_child_nodes(node)]
    return None


def excerpt_of(lines: tuple[str, ...], first: int, last: int) -> str:
    """The first lines of a span as one line of plain characters."""
    text = " ".join(line.strip() for line in lines[max(0, first - 1) : max(first, min(last, first + 3))])
    plain = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text[: reference.EXCERPT_CHARACTERS_MAX])
    return plain.encode("utf-8", "backslashreplace").decode()[: reference.EXCERPT_CHARACTERS_MAX]
