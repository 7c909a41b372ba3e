"""A claim tied to an agreement and a declaration: every name is looked up, and what does not fit is refused with its reason.

1. The clause stands in the agreement on the given day.
2. Site, cluster and pods stand in the declaration, each within the one before. Where the source named no pods but a cluster or a
   site, the pods of it are those among which it is said to have happened; where they named none of it, none are known.
3. The time overlaps that of the declaration.
4. The declared claim is about some of these pods and some of this time.

A link changes nothing of the claim: what the source said stays as it was said.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from inspectorate.agreement import Agreement, Clause
from inspectorate.canonical import digest_of
from inspectorate.declaration import Declaration
from inspectorate.errors import InputError
from inspectorate.mechanisms.whistleblowing.cases.acts import Claim, Link
from inspectorate.quantities import Period

NAMES_SHOWN = 12


def tie(
    claim: Claim, *, clause: str, agreement: Agreement, declaration: Declaration, at: datetime, declared: str | None
) -> Link:
    """The link of a claim (steps in the module's docstring). Raises `InputError`."""
    where = f"claim {claim.id}"
    # (1)
    held = clause_of(agreement, clause, at)
    if declaration.party not in agreement.parties:
        raise InputError(f"{declaration.party} is no party to {agreement.id}", where=where)
    # (2)
    pods = _pods(claim, declaration, where)
    # (3)
    period = claim.period
    if period is not None and not period.overlaps(declaration.period):
        raise InputError(
            f"is about {period}, and the declaration {declaration.id} about {declaration.period}", where=where,
            remedy="take the declaration of that time",
        )  # fmt: skip
    # (4)
    if declared is not None:
        _check_declared(declared, declaration, pods, period)
    return Link(
        claim=claim.id,
        agreement=agreement.id,
        agreement_digest=digest_of(agreement.canonical_bytes()),
        declaration=declaration.id,
        declaration_digest=digest_of(declaration.canonical_bytes()),
        clause=held.id,
        site=claim.site or _site_of(pods, declaration),
        cluster=claim.cluster or _cluster_of(pods, declaration),
        pods=pods,
        period=period,
        declared_claim=declared,
    )


def clause_of(agreement: Agreement, name: str, at: datetime) -> Clause:
    """The clause of this name as it stands on that day. Raises `InputError`."""
    try:
        clauses = agreement.on(at).clauses
    except ValueError as fault:
        raise InputError(str(fault), where=f"agreement {agreement.id}") from None
    found = next((clause for clause in clauses if clause.id == name), None)
    if found is None:
        raise _unknown("clause", name, (clause.id for clause in clauses), f"agreement {agreement.id}")
    return found


def _pods(claim: Claim, declaration: Declaration, where: str) -> tuple[str, ...]:
    """Step 2."""
    sites = {site.id: site for site in declaration.sites}
    place = f"declaration {declaration.id}"
    if claim.site is not None and claim.site not in sites:
        raise _unknown("site", claim.site, sites, place)
    among = [sites[claim.site]] if claim.site is not None else list(declaration.sites)
    clusters = {cluster.id: cluster for site in among for cluster in site.clusters}
    if claim.cluster is not None and claim.cluster not in clusters:
        raise _unknown("cluster", claim.cluster, clusters, f"site {claim.site}" if claim.site else place)
    within = [clusters[claim.cluster]] if claim.cluster is not None else list(clusters.values())
    pods = sorted(pod.id for cluster in within for pod in cluster.pods)
    outside = sorted(set(claim.pods) - set(pods))
    if outside:
        near = f"cluster {claim.cluster}" if claim.cluster else f"site {claim.site}" if claim.site else place
        raise _unknown("pod", outside[0], pods, near)
    if claim.pods:
        return tuple(sorted(claim.pods))
    return tuple(pods) if claim.site is not None or claim.cluster is not None else ()


def _site_of(pods: tuple[str, ...], declaration: Declaration) -> str | None:
    """The site of all these pods, if it is one."""
    found = {
        site.id for site in declaration.sites for cluster in site.clusters for pod in cluster.pods if pod.id in pods
    }
    return found.pop() if len(found) == 1 else None


def _cluster_of(pods: tuple[str, ...], declaration: Declaration) -> str | None:
    found = {
        cluster.id for site in declaration.sites for cluster in site.clusters for pod in cluster.pods if pod.id in pods
    }
    return found.pop() if len(found) == 1 else None


def _check_declared(name: str, declaration: Declaration, pods: tuple[str, ...], period: Period | None) -> None:
    """Step 4."""
    where = f"declaration {declaration.id}"
    found = next((one for one in declaration.claims if one.id == name), None)
    if found is None:
        raise _unknown("declared claim", name, (one.id for one in declaration.claims), where)
    if pods and not set(pods) & set(found.pods):
        raise InputError(
            f"declared claim {name} is about {', '.join(found.pods[:NAMES_SHOWN])}, none of these pods", where=where
        )
    if period is not None and not period.overlaps(found.period):
        raise InputError(f"declared claim {name} is about {found.period}, another time", where=where)


def _unknown(what: str, name: str, known: Iterable[str], where: str) -> InputError:
    names = sorted(known)
    shown = ", ".join(names[:NAMES_SHOWN]) + (
        f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    )
    return InputError(f"no {what} {name!r}", where=where, remedy=f"there are: {shown or 'none'}")
