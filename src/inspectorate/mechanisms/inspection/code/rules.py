"""The catalogue of rules (`rules.yaml`), and finding the rule of a name.

An exact name beats a prefix, a long prefix beats a short one, and both beat the name of an attribute of something unknown.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib import resources

import yaml
from pydantic import Field

from inspectorate.canonical import Identifier, Record, Text, digest_of
from inspectorate.errors import InputError
from inspectorate.mechanisms.inspection.code.types import Doubt, Kind

FILE = "rules.yaml"
LASTING = frozenset({Kind.OPTIMISER, Kind.TRAINER})
"""Kinds whose objects are pointed to wherever they act."""
CONSTANT = re.compile(r"^(_*[A-Z][A-Z0-9]*_[A-Z0-9_]+|__name__|__qualname__|__doc__|__version__|__module__|__file__)$")
ACTS = frozenset(
    {"step", "train", "fit", "update", "minimize", "apply_gradients", "backward", "training_step", "ask", "tell"}
)


class Rule(Record):
    """One reason to point at something."""

    id: Identifier
    kind: Kind
    doubt: Doubt
    why: Text
    names: tuple[str, ...]
    but: tuple[str, ...] = Field(default=(), alias="except")


class _File(Record):
    rules: tuple[Rule, ...] = Field(min_length=1)


@dataclass(frozen=True)
class Rules:
    """All rules, by id and by what they name."""

    by_id: dict[str, Rule]
    exact: dict[str, Rule]
    prefix: dict[str, Rule]
    attribute: dict[str, Rule]
    digest: str

    def of(self, name: str) -> Rule | None:
        """The rule of a dotted name; names of constants and of types themselves do nothing."""
        last = name.rpartition(".")[2]
        if CONSTANT.match(last) and name not in self.exact:
            return None
        if (rule := self.exact.get(name)) is not None:
            return rule
        plain = name.replace("()", "")
        head = plain
        while "." in head and not name.startswith("?") and "()" not in name:
            head = head.rpartition(".")[0]
            rule = self.prefix.get(head)
            if rule is not None and not _excepted(plain, rule):
                return rule
        if "()" in name and not name.startswith("?"):
            rule = self.of(name.partition("()")[0])
            if rule is not None and rule.kind in LASTING and name.rpartition(".")[2] in ACTS:
                return rule
        if name.startswith("?") or "()" in name:
            rule = self.attribute.get(name.rpartition(".")[2])
            if rule is not None:
                return rule
        return None


def _excepted(name: str, rule: Rule) -> bool:
    return any(name == but or (but.endswith(".*") and name.startswith(but[:-1])) for but in rule.but)


@cache
def rules() -> Rules:
    """The catalogue that is shipped. Raises `InputError`."""
    data = resources.files(__package__).joinpath(FILE).read_bytes()
    found = _File.parse(yaml.safe_load(data), where=FILE, error=InputError)
    exact: dict[str, Rule] = {}
    prefix: dict[str, Rule] = {}
    attribute: dict[str, Rule] = {}
    for rule in found.rules:
        for name in rule.names:
            if name in rule.but:
                continue
            if name.startswith("."):
                attribute[name[1:]] = rule
            elif name.endswith(".*"):
                prefix.setdefault(name[:-2], rule)
            else:
                exact.setdefault(name, rule)
    return Rules({rule.id: rule for rule in found.rules}, exact, prefix, attribute, digest_of(data))
