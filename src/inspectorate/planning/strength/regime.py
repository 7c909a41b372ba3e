"""How strong a regime is: layers by subgoals, what fails together, and the weakest subgoal.

1. A part of a layer *looked* if a finding of one of its kinds of clause is consistent or an alarm: machines that see a breach have
   looked. It is *short* if its findings are inconclusive, and *blind* if nothing was observed or the evidence was invalid. It is
   *absent* if no clause asks for it. Without a review, a part looks if the regime is said to have it, and is absent otherwise.
2. A subgoal is as strong as the fewest trust roots whose failure leaves no part that looked. Persons, organisations and suppliers
   count alike: whatever is shared by two parts fails in both.
3. A regime is as strong as its weakest subgoal (arXiv 2507.15916).
4. People's layers count as present or absent, by their roots. They carry no figure, and a subgoal that nothing but people see to is
   said to be so.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum

from pydantic import Field

from inspectorate.agreement import Agreement, ClauseKind
from inspectorate.assessment import Exhibit, ExhibitKind, Verdict
from inspectorate.canonical import Identifier, Record, Text
from inspectorate.errors import InputError
from inspectorate.findings import Finding
from inspectorate.planning.portfolio.catalogue import SUBGOAL_TITLES, Catalogue, RootKind, Subgoal
from inspectorate.planning.portfolio.model import smallest_cut
from inspectorate.planning.strength.layers import Layer, Part


class State(StrEnum):
    """Whether a layer looked."""

    LOOKED = "looked"
    SHORT = "inconclusive"
    BLIND = "not observed"
    ABSENT = "absent"


_OF_VERDICT = {
    Verdict.CONSISTENT: State.LOOKED,
    Verdict.INCONSISTENT: State.LOOKED,
    Verdict.INCONCLUSIVE: State.SHORT,
    Verdict.NOT_OBSERVED: State.BLIND,
    Verdict.INVALID_EVIDENCE: State.BLIND,
}
_BEST = (State.LOOKED, State.SHORT, State.BLIND, State.ABSENT)


class Cell(Record):
    """One layer at one subgoal."""

    layer: Identifier
    subgoal: Subgoal
    words: str
    state: State
    mechanisms: tuple[Identifier, ...] = Field(description="by which it looked")
    roots: tuple[Identifier, ...]


class Shared(Record):
    """Something that several layers stand and fall with at one subgoal."""

    root: Identifier
    title: Text
    kind: RootKind
    subgoal: Subgoal
    layers: tuple[Identifier, ...] = Field(min_length=2)


class SubgoalStrength(Record):
    """How strong one subgoal is."""

    subgoal: Subgoal
    title: Text
    strength: int = Field(description="trust roots that must fail before nothing looks at it")
    layers: tuple[Identifier, ...]
    people_only: bool


class Regime(Record):
    """Layers by subgoals, and what they are worth together."""

    cells: tuple[Cell, ...]
    subgoals: tuple[SubgoalStrength, ...]
    shared: tuple[Shared, ...]
    weakest: tuple[Subgoal, ...]
    strength: int
    standing: tuple[Identifier, ...] = Field(description="mechanisms of the catalogue that looked")
    from_review: bool


def regime_of(
    layers: Sequence[Layer], catalogue: Catalogue, states: Mapping[str, State], *, from_review: bool
) -> Regime:
    """The regime in which mechanisms have these states; those that are not named are absent."""
    known = set(catalogue.names)
    cells = []
    for layer in layers:
        for subgoal in Subgoal:
            parts = [part for part in layer.parts if part.mechanism in known]
            parts = [part for part in parts if subgoal in catalogue.mechanism(part.mechanism).subgoals]
            found = {part.mechanism: states.get(part.mechanism, State.ABSENT) for part in parts}
            looked = tuple(sorted(name for name, state in found.items() if state is State.LOOKED))
            cells.append(
                Cell(
                    layer=layer.id,
                    subgoal=subgoal,
                    words=layer.words.get(subgoal, ""),
                    state=min(found.values(), key=_BEST.index, default=State.ABSENT),
                    mechanisms=looked,
                    roots=tuple(sorted(set().union(*(roots_of(catalogue, name) for name in looked)))),
                )
            )
    subgoals = tuple(_strength(subgoal, layers, cells, catalogue) for subgoal in Subgoal)
    least = min(one.strength for one in subgoals)
    return Regime(
        cells=tuple(cells),
        subgoals=subgoals,
        shared=_shared(cells, catalogue),
        weakest=tuple(one.subgoal for one in subgoals if one.strength == least),
        strength=least,
        standing=tuple(sorted({name for cell in cells for name in cell.mechanisms})),
        from_review=from_review,
    )


def states_of(layers: Sequence[Layer], findings: Collection[Finding], agreement: Agreement) -> dict[str, State]:
    """Whether each part looked, out of the findings of a review under this agreement.

    Raises `InputError` if the findings are of another agreement.
    """
    kinds: dict[str, ClauseKind] = {clause.id: clause.kind for clause in agreement.clauses}
    if unknown := {finding.clause for finding in findings} - set(kinds):
        raise InputError(f"the review has findings of clauses that {agreement.id} has not: {', '.join(sorted(unknown))[:300]}",
                         where="--agreement", remedy="give the agreement that was reviewed")  # fmt: skip
    by_kind: dict[ClauseKind, list[State]] = {}
    for finding in findings:
        by_kind.setdefault(kinds[finding.clause], []).append(_OF_VERDICT[finding.verdict])
    return {part.mechanism: _state(part, by_kind) for layer in layers for part in layer.parts}


def _state(part: Part, by_kind: Mapping[ClauseKind, Sequence[State]]) -> State:
    """The best of its kinds of clause; of two clauses of one kind the worse."""
    found = [max(by_kind[kind], key=_BEST.index) for kind in part.clauses if kind in by_kind]
    return min(found, key=_BEST.index, default=State.ABSENT)


def states_named(layers: Sequence[Layer], names: Sequence[str]) -> dict[str, State]:
    """All parts of the named layers, or single mechanisms of them, look. Raises `InputError`."""
    by_layer = {layer.id: [part.mechanism for part in layer.parts] for layer in layers}
    mechanisms = {name for some in by_layer.values() for name in some}
    found: dict[str, State] = {}
    for name in names:
        if name not in by_layer and name not in mechanisms:
            raise InputError(f"no layer {name[:60]!r}", where="--layers", remedy=f"one of: {', '.join(by_layer)}")
        for mechanism in by_layer.get(name, [name]):
            found[mechanism] = State.LOOKED
    return found


def roots_of(catalogue: Catalogue, name: str) -> frozenset[str]:
    """What a mechanism stands and falls with, and what it needs does."""
    mechanism = catalogue.mechanism(name)
    return frozenset(mechanism.roots).union(*(catalogue.mechanism(other).roots for other in mechanism.needs))


def _strength(
    subgoal: Subgoal, layers: Sequence[Layer], cells: Sequence[Cell], catalogue: Catalogue
) -> SubgoalStrength:
    mine = [cell for cell in cells if cell.subgoal is subgoal and cell.mechanisms]
    people = {layer.id for layer in layers if layer.people}
    sets = [roots_of(catalogue, name) for cell in mine for name in cell.mechanisms]
    return SubgoalStrength(
        subgoal=subgoal,
        title=SUBGOAL_TITLES[subgoal],
        strength=smallest_cut(sets),
        layers=tuple(cell.layer for cell in mine),
        people_only=bool(mine) and all(cell.layer in people for cell in mine),
    )


def _shared(cells: Sequence[Cell], catalogue: Catalogue) -> tuple[Shared, ...]:
    found = []
    for root in catalogue.roots:
        for subgoal in Subgoal:
            layers = tuple(cell.layer for cell in cells if cell.subgoal is subgoal and root.id in cell.roots)
            if len(layers) > 1:
                found.append(Shared(root=root.id, title=root.title, kind=root.kind, subgoal=subgoal, layers=layers))
    return tuple(found)


def regime_exhibits(regime: Regime, layers: Sequence[Layer]) -> tuple[Exhibit, ...]:
    """The matrix, the strengths, and what fails together, as tables."""
    by_place = {(cell.layer, cell.subgoal): cell for cell in regime.cells}
    matrix = tuple(
        (layer.id, "people" if layer.people else "machines and inspectors",
         *(_cell(by_place[layer.id, subgoal]) for subgoal in Subgoal))
        for layer in layers
    )  # fmt: skip
    return (
        Exhibit(id="strength-matrix", title="Layers by subgoals", kind=ExhibitKind.TABLE,
                columns=("layer", "rests_on", *(goal.value for goal in Subgoal)), rows=matrix),
        Exhibit(id="strength-subgoals", title="Trust roots that must fail before nothing looks at a subgoal",
                kind=ExhibitKind.TABLE,
                columns=("subgoal", "title", "strength", "layers", "people_only"),
                rows=tuple((one.subgoal.value, one.title, float(one.strength), ", ".join(one.layers),
                            "yes" if one.people_only else "no") for one in regime.subgoals)),
        Exhibit(id="strength-shared", title="What layers share, and fail together with", kind=ExhibitKind.TABLE,
                columns=("subgoal", "shared", "kind", "layers"),
                rows=tuple((one.subgoal.value, one.title, one.kind.value, ", ".join(one.layers)) for one in regime.shared)),
    )  # fmt: skip


def _cell(cell: Cell) -> str:
    return cell.state.value + (f" ({', '.join(cell.mechanisms)})" if cell.mechanisms else "")
