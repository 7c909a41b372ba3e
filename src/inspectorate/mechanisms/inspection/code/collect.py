"""Gathering pointers: one for a rule at a place, with its excerpt and a key that survives moved lines."""

from __future__ import annotations

import ast
from collections import Counter
from dataclasses import dataclass, field

from inspectorate.mechanisms.inspection.code import reference
from inspectorate.mechanisms.inspection.code.project import Scope
from inspectorate.mechanisms.inspection.code.rules import rules
from inspectorate.mechanisms.inspection.code.source import excerpt_of
from inspectorate.mechanisms.inspection.code.types import Doubt, Pointer, Reach, pointer_key


@dataclass(eq=False)
class Collector:
    """Pointers so far, and the scopes they stand in."""

    found: list[tuple[Pointer, Scope | None]] = field(default_factory=list)
    dropped: int = 0
    unresolved: list[tuple[str, int, Scope]] = field(default_factory=list)
    """Places where a name or a module is looked up that could not be told."""
    _seen: set[tuple[str, str, int, str]] = field(default_factory=set)
    _ordinals: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)

    def at(self, rule_id: str, node: ast.AST, scope: Scope, *, resolved: str = "", doubt: Doubt | None = None) -> None:
        """Point to a node of a module."""
        first = getattr(node, "lineno", 1) + scope.module.line_offset
        last = min(getattr(node, "end_lineno", None) or first, first + 40)
        excerpt = excerpt_of(scope.module.lines, first, last)
        self.add(rule_id, (scope.module.file, first, last), excerpt, scope=scope, resolved=resolved, doubt=doubt)

    def add(
        self,
        rule_id: str,
        place: tuple[str, int, int],
        excerpt: str,
        *,
        scope: Scope | None = None,
        resolved: str = "",
        doubt: Doubt | None = None,
    ) -> None:
        """Point to a place: a file, its first line and its last."""
        file, *span = place
        rule = rules().by_id[rule_id]
        label = (scope.label if scope is not None else "<file>").encode("utf-8", "backslashreplace").decode()[:300]
        mark = (rule_id, file, span[0], label)
        if mark in self._seen:
            return
        self._seen.add(mark)
        if len(self.found) >= reference.POINTERS_MAX:
            self.dropped += 1
            return
        same = (rule_id, file, label, " ".join(excerpt.split()))
        self._ordinals[same] += 1
        pointer = Pointer(
            rule=rule_id,
            kind=rule.kind,
            doubt=doubt or rule.doubt,
            file=file,
            line=span[0],
            end_line=max(span),
            scope=label,
            excerpt=excerpt,
            resolved=resolved.encode("utf-8", "backslashreplace").decode()[:200],
            why=rule.why,
            reachable=Reach.UNKNOWN,
            key=pointer_key(rule_id, file, label, excerpt, self._ordinals[same]),
        )
        self.found.append((pointer, scope))
