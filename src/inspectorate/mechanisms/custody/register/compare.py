"""A register held against a declaration: chips by pod and model, both ways."""

from __future__ import annotations

from dataclasses import dataclass

from inspectorate.declaration import Declaration
from inspectorate.mechanisms.custody.register.table import Register


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Chips of one model in one pod, where the two do not agree."""

    site: str
    cluster: str
    pod: str
    model: str
    declared: int
    registered: int

    @property
    def more(self) -> int:
        """In the register than in the declaration; negative: fewer."""
        return self.registered - self.declared


@dataclass(frozen=True, kw_only=True)
class Compared:
    """What came of it."""

    declared: int
    """Chips in all."""
    registered: int
    differences: tuple[Difference, ...]
    """By place and model. A pod that stands elsewhere differs twice: where it is and where it is not."""


def compare(register: Register, declaration: Declaration) -> Compared:
    """Chips by site, cluster, pod and model in the register and in the declaration. Broken chips count."""
    declared: dict[tuple[str, ...], int] = {}
    for site in declaration.sites:
        for cluster in site.clusters:
            for pod in cluster.pods:
                for group in pod.chips:
                    key = (site.id, cluster.id, pod.id, group.model)
                    declared[key] = declared.get(key, 0) + group.count
    registered = register.counts("site", "cluster", "pod", "model") if len(register) else {}
    differences = [
        Difference(
            site=key[0], cluster=key[1], pod=key[2], model=key[3], declared=declared.get(key, 0),
            registered=registered.get(key, 0),
        )
        for key in sorted({*declared, *registered})
        if declared.get(key, 0) != registered.get(key, 0)
    ]  # fmt: skip
    return Compared(declared=sum(declared.values()), registered=len(register), differences=tuple(differences))
