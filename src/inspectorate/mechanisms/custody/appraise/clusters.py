"""`covered-cluster`: one assessment for all pods. Whether chips above a limb stand anywhere but in a declared site.

1. Every register of the period is judged over its own wiring: which hosts are joined, by place, bandwidth or declared purpose; what
   they weigh together; what is strictly above a limb (`clusters.judge`). A register or a wiring that cannot be read is invalid
   evidence; one that leaves out a declared pod does not show where that pod's chips are, and the pod is not observed.
2. A covered cluster with a host in a place that no site of the declaration has is against the clause, by the party's own signed
   word. A register is one such word, with however many clusters: the e-value is of registers (`common.contrary_log_e`).
3. Memory that is not known and would decide, and clusters whose cuts were not told apart within the budget of the search, leave the
   clause open.
4. *Consistent*: every register of the period was judged, and all that is covered stands in declared sites. What the register leaves
   out, this does not see; that the declared sites are facilities of the agreement is for people.

Why an undeclared place accuses: the declaration and the register are both the party's, of one time, under its signature, and the
chips are too many for a slip of one line. That a new site was registered before it was declared is possible, and the first thing
to ask; it breaks the clause all the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from inspectorate.agreement import CoveredCluster
from inspectorate.assessment import Assessment, Case, Exhibit, ExhibitKind
from inspectorate.errors import EvidenceError
from inspectorate.mechanisms.custody import reference
from inspectorate.mechanisms.custody.appraise.common import (
    NEVER_REGISTERED,
    Kept,
    Said,
    With,
    assess,
    contrary_assumption,
    contrary_log_e,
    registers_of,
    spoken_of,
)
from inspectorate.mechanisms.custody.clusters.judge import Judged, Outcome, judge_clusters
from inspectorate.mechanisms.custody.observe import OF_REGISTERS


@dataclass(frozen=True, kw_only=True)
class _Of:
    """What one register comes to."""

    kept: Kept
    judged: Judged | None
    faults: tuple[str, ...]
    outside: tuple[int, ...] = ()
    """Covered clusters with a host outside of declared sites."""


def appraise_clusters(case: Case, clause: CoveredCluster) -> tuple[Assessment, ...]:
    sites = frozenset(site.id for site in case.declaration.sites)
    found = [_judge(one, clause, sites) for one in registers_of(case)]
    judged = [one for one in found if one.judged is not None]
    against = [text for one in judged for text in _against(one, sites)]
    said = Said(
        invalid=tuple(text for one in found for text in one.faults),
        unseen=tuple(_unseen(case, found)),
        doubts=(*against, *(text for one in judged for text in _doubts(one))),
        kept=_reasons(judged),
    )
    return assess(
        case,
        said,
        With(
            log_e=contrary_log_e([bool(one.outside) for one in judged]) if judged else None,
            assumptions=(contrary_assumption("chips above a limb stand outside of its declared sites"),)
            if judged
            else (),
            evidence_ids=[one.kept.digest for one in found],
            exhibits=(_exhibit(judged[-1]),) if judged else (),
            not_checked=(
                NEVER_REGISTERED,
                "whether hosts work together in ways that neither wiring nor declaration says",
            ),
            unheard=spoken_of(case).unheard(*OF_REGISTERS),
        ),
    )


def _judge(kept: Kept, clause: CoveredCluster, sites: frozenset[str]) -> _Of:
    if kept.register is None or kept.wiring is None or kept.faults:
        return _Of(kept=kept, judged=None, faults=kept.faults or (f"{kept.name} cannot be read",))
    try:
        judged = judge_clusters(kept.register, kept.wiring, clause)
    except EvidenceError as fault:
        return _Of(kept=kept, judged=None, faults=(f"{kept.name}: {fault.problem}",))
    return _Of(kept=kept, judged=judged, faults=(), outside=tuple(_outside(judged, sites)))


def _outside(judged: Judged, sites: frozenset[str]) -> Iterator[int]:
    """Covered clusters of which a host stands where no site is declared."""
    undeclared = [place for place, name in enumerate(judged.hosts.place_names) if name not in sites]
    touched = {
        int(cluster) for place in undeclared for cluster in judged.of_host[judged.hosts.places == place].tolist()
    }
    yield from sorted(touched & set(judged.covered))


def _places(judged: Judged, cluster: int) -> list[str]:
    places = sorted(set(judged.hosts.places[judged.of_host == cluster].tolist()))
    return [judged.hosts.place_names[place] for place in places]


def _against(one: _Of, sites: frozenset[str]) -> Iterator[str]:
    judged = one.judged
    assert judged is not None
    for cluster in one.outside[: reference.PLACES_SHOWN]:
        named = [place for place in _places(judged, cluster) if place not in sites]
        yield (
            f"{one.kept.name}: a covered cluster of {judged.h100_equivalents[cluster]:.4g} H100-equivalents"
            f" ({int(judged.chips[cluster])} chips) stands at {', '.join(named[:4])}, which is not declared"
        )


def _doubts(one: _Of) -> Iterator[str]:
    judged = one.judged
    assert judged is not None
    unknown = sum(outcome is Outcome.UNKNOWN for outcome in judged.outcomes)
    if unknown:
        yield f"{one.kept.name}: {unknown} clusters hold chips whose memory is not known, and would decide"
    if not judged.exact:
        yield f"{one.kept.name}: not all cuts of its wiring were told apart within the budget: clusters may be smaller"


def _unseen(case: Case, found: Sequence[_Of]) -> Iterator[str]:
    if not found:
        yield "no register was handed over"
        return
    pods = {pod.id for pod in case.declaration.pods}
    for one in found:
        if one.judged is None:
            continue
        gone = sorted(pods - set(one.judged.hosts.pods))
        if gone:
            yield f"{one.kept.name} has no chip of {', '.join(gone[:8])}"


def _reasons(judged: Sequence[_Of]) -> tuple[str, ...]:
    if not judged:
        return ()
    last = judged[-1].judged
    assert last is not None
    text = (
        f"registers judged: {len(judged)}; in the last one {len(last.covered)} of {len(last)} clusters are covered, all in declared"
        f" sites, the largest of {max(last.h100_equivalents):.4g} H100-equivalents"
    )
    return (text,)


def _exhibit(one: _Of) -> Exhibit:
    judged = one.judged
    assert judged is not None
    rows: list[tuple[str | float | None, ...]] = [
        (
            ", ".join(_places(judged, cluster)[: reference.PLACES_SHOWN]),
            judged.outcomes[cluster].value,
            float(judged.chips[cluster]),
            judged.h100_equivalents[cluster],
        )
        for cluster in range(min(len(judged), reference.ROWS_MAX))
    ]
    return Exhibit(
        id="covered-clusters",
        title="Clusters of the last register, the largest first",
        kind=ExhibitKind.TABLE,
        columns=("places", "outcome", "chips", "h100_equivalents"),
        rows=tuple(rows),
    )
