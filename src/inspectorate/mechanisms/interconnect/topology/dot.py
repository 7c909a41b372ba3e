"""Cabling plans in Graphviz DOT, in the shape of the Prescriptive Topology Manager. A strict subset; the rest is refused.

    graph plan {
        node [kind=switch]
        gateway [kind=gateway]
        "pod-a" [kind=pod]
        subgraph racks { edge [speed="10G"]; "pod-a":"eth0" -- gateway:"to-pod-a" }
        "leaf1":"swp1" -- "spine1":"swp3" [speed="400G"]
    }

Read: one undirected graph, strict or not; statements of nodes, of edges between two ports, of defaults (`graph`, `node`,
`edge`), of one attribute (`a=b`), and subgraphs as statements, whose defaults end with them; identifiers that are bare,
numbers or quoted; comments (`//`, `/* */`, `#` to the end of a line).

Attributes that count: of nodes `kind`, `pod`, `chassis`; of edges `speed` (`100G`, `12.5GB/s`) or `bytes_per_s_max`, both for
each direction. All others are let pass unread, as PTM's `LLDP` and `BFD`: none of them can make a wire slower than it is, and a
wire whose rate is not stated counts as the fastest there is.

Refused, by line and column: directed graphs, attributes without a value, `100G` without quotes (which Graphviz reads as two
words), edges without ports, chains of edges, edges of subgraphs, compass points, HTML
strings, joined strings, and escapes other than `\\"` and `\\\\`.

Grammar: the DOT language of Graphviz. Tokens are found in one pass and statements without recursion: the time is linear, and
the depth of subgraphs bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from inspectorate.mechanisms.interconnect.topology.graph import (
    WIRES_MAX,
    End,
    Fault,
    Node,
    NodeKind,
    Topology,
    Wire,
    check_name,
    text_of,
    whole_rate,
)
from inspectorate.mechanisms.interconnect.topology.rates import rate_of_text

DEPTH_MAX = 32
TOKENS_MAX = 4_000_000
ATTRIBUTES_MAX = 64
_STATEMENTS_MAX = 2 * WIRES_MAX

_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n\f\v]+|//[^\n]*|\#[^\n]*|/\*(?s:.*?)\*/)
      | (?P<edge>--)
      | (?P<arrow>->)
      | (?P<quoted>"(?:[^"\\]|\\(?s:.))*")
      | (?P<bare>[A-Za-z_\u0080-\uffff][A-Za-z0-9_\u0080-\uffff]*)
      | (?P<number>-?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?![A-Za-z0-9_.\u0080-\uffff]))
      | (?P<mark>[{}\[\]=;,:])""",
    re.VERBOSE,
)
_KEYWORDS = frozenset({"graph", "digraph", "subgraph", "node", "edge", "strict"})
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    line: int
    column: int

    def fault(self, problem: str, remedy: str = "") -> Fault:
        return Fault(problem, line=self.line, column=self.column, remedy=remedy)

    @property
    def is_id(self) -> bool:
        return self.kind in ("quoted", "number", "bare")

    def is_word(self, *words: str) -> bool:
        return self.kind == "word" and self.text in words


def read_dot(data: bytes) -> Topology:
    """The plan in a DOT file. Raises `Fault` naming line and column."""
    return _Parser(_tokens(text_of(data))).parse()


def _tokens(text: str) -> Iterator[_Token]:
    """Tokens in order, ending with one of kind `end`. Raises `Fault`."""
    at = line = 0
    line_start, count = 0, 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        column = at - line_start + 1
        if found is None:
            hint = "HTML strings are not read" if text[at] == "<" else ""
            hint = "a quote or a comment is not closed" if text[at] in '"/' else hint
            hint = "put it in quotes" if text[at].isdigit() else hint
            raise Fault(f"cannot read {text[at]!r} here", line=line + 1, column=column, remedy=hint)
        kind = found.lastgroup or ""
        content = found.group()
        if kind != "space":
            count += 1
            if count > TOKENS_MAX:
                raise Fault(f"more than {TOKENS_MAX} tokens", line=line + 1, column=column)
            yield _token(kind, content, line + 1, column)
        breaks = content.count("\n")
        if breaks:
            line += breaks
            line_start = at + content.rindex("\n") + 1
        at = found.end()
    yield _Token("end", "the end of the file", line + 1, at - line_start + 1)


def _token(kind: str, content: str, line: int, column: int) -> _Token:
    if kind == "bare" and content.lower() in _KEYWORDS:
        return _Token("word", content.lower(), line, column)
    if kind != "quoted":
        return _Token(kind, content, line, column)
    for escape in _ESCAPE.finditer(content):
        if escape[1] not in '"\\':
            raise Fault(f"the escape {escape[0]!r} is not read", line=line, column=column)
    return _Token("quoted", _ESCAPE.sub(r"\1", content[1:-1]), line, column)


@dataclass(slots=True)
class _Scope:
    """Defaults that hold within one pair of braces."""

    node: dict[str, str]
    edge: dict[str, str]


class _Parser:
    """One pass over the tokens with one of look-ahead."""

    def __init__(self, tokens: Iterator[_Token]) -> None:
        self._rest = tokens
        self._next = next(tokens)
        self._scopes = [_Scope({}, {})]
        self._nodes: dict[str, tuple[dict[str, str], _Token]] = {}
        self._wires: list[Wire] = []
        self._ports: dict[End, _Token] = {}

    def parse(self) -> Topology:
        self._begin()
        statements = 0
        while self._scopes:
            statements += 1
            if statements > _STATEMENTS_MAX:
                raise self._next.fault(f"more than {_STATEMENTS_MAX} statements")
            self._statement()
        if self._next.kind != "end":
            raise self._next.fault("only one graph is read, and this comes after it")
        return Topology.build([_node(name, *described) for name, described in self._nodes.items()], self._wires)

    def _begin(self) -> None:
        if self._next.is_word("strict"):
            self._take()
        if self._next.is_word("digraph"):
            raise self._next.fault("directed graphs are not read", "a cable has two directions: write graph and --")
        if not self._next.is_word("graph"):
            raise self._next.fault("a plan begins with graph")
        self._take()
        if self._next.is_id:
            self._take()
        self._expect("{")

    def _statement(self) -> None:
        """One statement, or one brace: opening a subgraph or closing what is open."""
        token = self._next
        if token.is_word("graph", "node", "edge"):
            self._defaults(self._take().text)
        elif token.is_word("subgraph") or (token.text == "{" and token.kind == "mark"):
            self._open()
        elif self._is_mark("}"):
            self._close()
        elif self._is_mark(";"):
            self._take()
        elif token.is_id:
            self._node_or_edge()
        elif token.kind == "end":
            raise token.fault("the file ends in the middle of a graph")
        else:
            raise token.fault(f"a statement cannot begin with {token.text[:20]!r}")

    def _open(self) -> None:
        if self._next.is_word("subgraph"):
            self._take()
            if self._next.is_id:
                self._take()
        self._expect("{")
        if len(self._scopes) >= DEPTH_MAX:
            raise self._next.fault(f"subgraphs nest deeper than {DEPTH_MAX}")
        outer = self._scopes[-1]
        self._scopes.append(_Scope(dict(outer.node), dict(outer.edge)))

    def _close(self) -> None:
        self._take()
        self._scopes.pop()
        if self._next.kind == "edge":
            raise self._next.fault("edges of subgraphs are not read", "write one edge for each cable")

    def _defaults(self, what: str) -> None:
        found = self._attributes()
        if what != "graph":
            scope = self._scopes[-1]
            (scope.node if what == "node" else scope.edge).update(found)

    def _node_or_edge(self) -> None:
        first = self._take()
        if self._is_mark("="):
            self._take()
            self._identifier()
            return
        port = self._port()
        self._mention(first)
        if self._next.kind != "edge":
            if self._next.kind == "arrow":
                raise self._next.fault("directed edges are not read", "write --")
            if port is not None:
                raise port.fault("a port without an edge", "write node:port -- node:port")
            described = self._nodes[first.text][0]
            described.update(self._attributes())
            return
        self._edge(first, port)

    def _edge(self, first: _Token, port: _Token | None) -> None:
        dashes = self._take()
        if not self._next.is_id:
            raise self._next.fault("edges of subgraphs are not read", "write one edge for each cable")
        second = self._take()
        other_port = self._port()
        self._mention(second)
        if port is None or other_port is None:
            raise dashes.fault("a cable needs a port at each end", 'write "leaf1":"swp1" -- "spine1":"swp3"')
        if self._next.kind == "edge":
            raise self._next.fault("chains of edges are not read", "a cable has two ends: write one edge for each")
        attributes = {**self._scopes[-1].edge, **self._attributes()}
        ends = End(first.text, port.text), End(second.text, other_port.text)
        for end, token in zip(ends, (port, other_port), strict=True):
            if end in self._ports:
                raise token.fault(f"the port {end} has a second cable; its first is in line {self._ports[end].line}")
            self._ports[end] = token
        rate = _rate(attributes, dashes)
        if len(self._wires) >= WIRES_MAX:
            raise dashes.fault(f"more than {WIRES_MAX} cables")
        self._wires.append(Wire(one=ends[0], other=ends[1], there_bytes_per_s=rate, back_bytes_per_s=rate))

    def _mention(self, token: _Token) -> None:
        """A node gets the defaults that hold where it is first named."""
        if token.text not in self._nodes:
            _checked(token)
            self._nodes[token.text] = (dict(self._scopes[-1].node), token)

    def _port(self) -> _Token | None:
        if not self._is_mark(":"):
            return None
        self._take()
        port = self._identifier()
        _checked(port)
        if self._is_mark(":"):
            raise self._next.fault("compass points are not read", "quote a name that has a colon in it")
        return port

    def _attributes(self) -> dict[str, str]:
        """Lists `[a=b, c=d] [e=f]`."""
        found: dict[str, str] = {}
        while self._is_mark("["):
            self._take()
            while not self._is_mark("]"):
                name = self._identifier()
                self._expect("=")
                value = self._identifier().text
                if name.text in found:
                    raise name.fault(f"the attribute {name.text[:40]!r} is given twice")
                if len(found) >= ATTRIBUTES_MAX:
                    raise name.fault(f"more than {ATTRIBUTES_MAX} attributes")
                found[name.text] = value
                if self._is_mark(",") or self._is_mark(";"):
                    self._take()
            self._take()
        return found

    def _identifier(self) -> _Token:
        if not self._next.is_id:
            raise self._next.fault(f"needs a name here, not {self._next.text[:20]!r}")
        return self._take()

    def _expect(self, mark: str) -> None:
        if not self._is_mark(mark):
            raise self._next.fault(f"needs {mark!r} here, not {self._next.text[:20]!r}")
        self._take()

    def _is_mark(self, mark: str) -> bool:
        return self._next.kind == "mark" and self._next.text == mark

    def _take(self) -> _Token:
        taken = self._next
        if taken.kind == "end":
            raise taken.fault("the file ends in the middle of a graph")
        self._next = next(self._rest)
        return taken


def _checked(token: _Token) -> None:
    try:
        check_name(token.text)
    except Fault as fault:
        raise token.fault(fault.problem, fault.remedy) from None


def _node(name: str, attributes: dict[str, str], token: _Token) -> Node:
    kind = attributes.get("kind", "other")
    if kind not in {one.value for one in NodeKind}:
        raise token.fault(f"{kind[:40]!r} is no kind of node", f"one of {', '.join(NodeKind)}")
    pod, chassis = attributes.get("pod"), attributes.get("chassis")
    for text in (pod, chassis):
        if text is not None:
            _checked(_Token("quoted", text, token.line, token.column))
    return Node(name=name, kind=NodeKind(kind), pod=pod, chassis=chassis)


def _rate(attributes: dict[str, str], token: _Token) -> int | None:
    """The rate of an edge in bytes/s, from `speed` or `bytes_per_s_max`; None if it has neither."""
    speed, exact = attributes.get("speed"), attributes.get("bytes_per_s_max")
    try:
        if speed is not None and exact is not None:
            raise Fault("has both speed and bytes_per_s_max", remedy="give one")
        if speed is not None:
            return rate_of_text(speed)
        return None if exact is None else whole_rate(_number(exact))
    except Fault as fault:
        raise token.fault(fault.problem, fault.remedy) from None


def _number(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,16}(?:\.[0-9]{1,9})?(?:e[0-9]{1,2})?", text):
        raise Fault(f"{text[:40]!r} is no number of bytes/s")
    return float(text)
