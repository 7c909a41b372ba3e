"""A fleet as the planner sees it: clusters with their chips, what they say they do, and what is there already.

Two ways in: a declaration, in which every declared cluster is one, and a short YAML for people who plan an agreement and have
no declaration. Capacities are counted as the agreement counts them: peak rate over its formats, times its utilisation, times the
length of a run. What a fleet file gives in H100-equivalents counts as so many H100 SXM.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from inspectorate.agreement import Agreement
from inspectorate.canonical import Identifier, Record, Text
from inspectorate.declaration import ChipGroup, Declaration, Pod, WorkloadKind
from inspectorate.declaration.catalogue import chip_catalogue
from inspectorate.errors import InputError
from inspectorate.keys import parse_yaml, read_yaml
from inspectorate.planning.portfolio.catalogue import Mark, Use
from inspectorate.quantities import Share

FLEET_BYTES_MAX = 4 << 20
CLUSTERS_MAX = 2_000
H100 = "h100-sxm"
Count = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]


class Undeclared(Record):
    """Chips that nobody declared and that a plan must reckon with, in H100-equivalents: few, middling, many."""

    h100_equivalents: tuple[Count, Count, Count]
    mark: Mark
    source: Text

    @model_validator(mode="after")
    def _rises(self) -> Self:
        if list(self.h100_equivalents) != sorted(self.h100_equivalents):
            raise ValueError("a range must not fall: few, middling, many")
        return self


class FleetCluster(Record):
    """One cluster: a decision is made for each."""

    id: Identifier
    chips: tuple[ChipGroup, ...] = Field(default=(), max_length=64)
    h100_equivalents: Annotated[float, Field(gt=0, le=1e8, allow_inf_nan=False)] | None = None
    use: Use
    pods: Annotated[int, Field(ge=1, le=20_000)] = Field(default=1, description="between which a link could be limited")
    largest_pod_share: Annotated[float, Field(gt=0, le=1)] | None = Field(
        default=None, description="of the cluster's capacity; none: pods are equal"
    )
    existing: tuple[Identifier, ...] = Field(
        default=(), max_length=40, description="mechanisms that are there and stay"
    )
    refused: tuple[Identifier, ...] = Field(
        default=(), max_length=16, description="kinds of access that are refused here"
    )
    hidden_share_now: Share | None = Field(
        default=None, description="as an account of a review bounds it; none: not known"
    )

    @model_validator(mode="after")
    def _sized(self) -> Self:
        if bool(self.chips) == (self.h100_equivalents is not None):
            raise ValueError("give chips or h100_equivalents, and not both")
        if self.largest_pod_share is not None and self.largest_pod_share * self.pods < 1 - 1e-9:
            raise ValueError("the largest pod has at least the mean share")
        return self

    @property
    def chip_count(self) -> float:
        """Chips that cost is counted by."""
        return float(sum(group.count for group in self.chips)) if self.chips else float(self.h100_equivalents or 0)

    @property
    def lead_share(self) -> float:
        """The largest pod's share of the cluster."""
        return self.largest_pod_share if self.largest_pod_share is not None else 1 / self.pods

    def flop_per_s(self, agreement: Agreement) -> float:
        """With the utilisation that a cheater is credited with."""
        groups = self.chips
        peak = sum(group.count * group.chip.peak_flop_per_s(agreement.counted_formats) for group in groups)
        if self.h100_equivalents is not None:
            peak = self.h100_equivalents * h100_flop_per_s(agreement)
        return peak * agreement.utilisation.max


class Fleet(Record):
    """The clusters of one party, and what nobody declared."""

    id: Identifier
    title: Text = "a fleet"
    clusters: tuple[FleetCluster, ...] = Field(min_length=1, max_length=CLUSTERS_MAX)
    existing: tuple[Identifier, ...] = Field(default=(), description="mechanisms for the whole fleet that are there")
    undeclared: Undeclared | None = None
    figure: dict[Identifier, tuple[Identifier, ...]] = Field(
        default_factory=dict, description="an assignment that somebody drew, cluster by cluster, to be compared with"
    )
    notes: tuple[Text, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [cluster.id for cluster in self.clusters]
        if len(set(names)) != len(names):
            raise ValueError("a cluster stands twice")
        if unknown := set(self.figure) - set(names):
            raise ValueError(f"the figure names unknown clusters: {', '.join(sorted(unknown))}")
        if self.figure and len(self.figure) < len(names):
            raise ValueError("the figure must give every cluster its mechanisms")
        return self


def h100_flop_per_s(agreement: Agreement) -> float:
    """The peak of one H100 SXM, as the agreement counts it."""
    return chip_catalogue()[H100].peak_flop_per_s(agreement.counted_formats)


def load_fleet(path: Path) -> Fleet:
    """The fleet in a YAML file. Raises `InputError`."""
    return Fleet.parse(read_yaml(path, bytes_max=FLEET_BYTES_MAX), where=str(path), error=InputError)


def fleet_examples() -> tuple[str, ...]:
    """The names of the fleets that are shipped."""
    folder = resources.files("inspectorate.planning.portfolio") / "examples"
    return tuple(sorted(item.name.removesuffix(".yaml") for item in folder.iterdir() if item.name.endswith(".yaml")))


def example_fleet(name: str) -> Fleet:
    """A shipped fleet. Raises `InputError`."""
    if name not in fleet_examples():
        raise InputError(f"no example {name[:40]!r}", where="example", remedy=f"one of: {', '.join(fleet_examples())}")
    data = (resources.files("inspectorate.planning.portfolio") / "examples" / f"{name}.yaml").read_bytes()
    where = f"{name}.yaml (shipped)"
    return Fleet.parse(parse_yaml(data, where=where, bytes_max=FLEET_BYTES_MAX), where=where, error=InputError)


def fleet_of(declaration: Declaration, agreement: Agreement) -> Fleet:
    """The fleet of a declaration: its clusters, with the gravest use that is claimed of any of their pods."""
    claimed: dict[str, set[WorkloadKind]] = {}
    for claim in declaration.claims:
        for pod in claim.pods:
            claimed.setdefault(pod, set()).add(claim.kind)
    found = []
    for site in declaration.sites:
        for cluster in site.clusters:
            peaks = [pod.peak_flop_per_s(agreement.counted_formats) for pod in cluster.pods]
            kinds = set().union(*(claimed.get(pod.id, set()) for pod in cluster.pods))
            found.append(
                FleetCluster(
                    id=f"{site.id}.{cluster.id}" if len(declaration.sites) > 1 else cluster.id,
                    chips=_merged(cluster.pods),
                    use=_use(kinds),
                    pods=len(cluster.pods),
                    largest_pod_share=min(1.0, max(peaks) / sum(peaks)),
                )
            )
    if len(found) > CLUSTERS_MAX:
        raise InputError(f"{len(found)} clusters are more than {CLUSTERS_MAX}", where=declaration.id)
    return Fleet(id=declaration.id, title=f"the fleet that {declaration.party} declared", clusters=tuple(found))


def _merged(pods: Iterable[Pod]) -> tuple[ChipGroup, ...]:
    """The chips of some pods, model by model."""
    count: Counter[str] = Counter()
    for pod in pods:
        for group in pod.chips:
            count[group.model] += group.count
    return tuple(ChipGroup(model=model, count=number) for model, number in sorted(count.items()))


def _use(kinds: set[WorkloadKind]) -> Use:
    """One pod that trains makes a cluster that trains; nothing claimed is some other use."""
    if WorkloadKind.TRAINING in kinds:
        return Use.TRAINING
    return Use.INFERENCE if WorkloadKind.INFERENCE in kinds else Use.OTHER
