"""`challenge-access`: one assessment for all pods. Whether challenge inspections were granted, within the quota and in time.

1. Requests to the party and logs of access are held against quota and clock by the end of the period (`access.judge`).
2. A refusal, inspectors who stood there and were not let in within the clock, and people or vehicles that left unlooked at
   meanwhile leave the clause open, and are for the parties: only inspectors say so, and the party may say otherwise. There is no
   e-value.
3. Requests that contradict one another, and logs of requests that are not here, leave it open, too: what belongs to them may have
   been left out. Requests above the quota show nothing of the party. Nor do inspectors who came too late, or logged nothing.
4. Where nothing was requested, nothing is observed: that one would have been granted nobody knows.
5. *Consistent*: at least one inspection was granted, and none is open.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from inspectorate.agreement import ChallengeAccess
from inspectorate.assessment import Assessment, Case, Exhibit, ExhibitKind
from inspectorate.mechanisms.custody import reference
from inspectorate.mechanisms.custody.access import judge as access
from inspectorate.mechanisms.custody.appraise.common import Said, With, assess, spoken_of
from inspectorate.mechanisms.custody.observe import ACCESS

_WORDS = {
    access.Outcome.LATE: "inspectors stood there in time, and were let in only at",
    access.Outcome.REFUSED: "was refused, and nobody has been let in since",
    access.Outcome.NOT_ADMITTED: "inspectors stood there in time, and were not let in before the clock ran out",
    access.Outcome.PENDING: "nobody has been let in yet, and the clock runs until",
    access.Outcome.CAME_LATE: "inspectors came only after the clock had run out",
    access.Outcome.NO_LOG: "the clock ran out, and nobody logged anything",
    access.Outcome.OVER_QUOTA: "is above the quota, and need not be granted",
    access.Outcome.VOID: "offices say different things of it",
}


def appraise_access(case: Case, clause: ChallengeAccess) -> tuple[Assessment, ...]:
    spoken = spoken_of(case)
    requests, logs = access.read_access(spoken.of(*ACCESS), case.declaration.party)
    judged = access.judge_access(requests, logs, clause=clause, party=case.declaration.party, as_of=case.period.end)
    granted = [one for one in judged.cases if one.outcome is access.Outcome.GRANTED]
    seen = [one for one in judged.cases if one.outcome not in access.UNSEEN]
    said = Said(
        unseen=() if seen or judged.found else tuple(_unseen(judged.cases)),
        doubts=tuple(_doubts(judged)),
        kept=(f"challenge inspections granted in time: {len(granted)} of {len(judged.cases)}",),
    )
    return assess(
        case,
        said,
        With(
            assumptions=("inspectors tell truly when they came, and when they were let in",) if judged.cases else (),
            evidence_ids=[digest for one in judged.cases for digest in one.statements],
            exhibits=(_exhibit(judged.cases),) if judged.cases else (),
            not_checked=(
                "what had left the site before the inspection was requested",
                *(text for one in judged.cases if one.outcome in access.UNSEEN for text in _of_case(one)),
            ),
            unheard=spoken.unheard(*ACCESS),
        ),
    )


def _unseen(cases: Sequence[access.Case]) -> Iterator[str]:
    if not cases:
        yield "no challenge inspection was requested"
    for one in cases:
        yield from _of_case(one)


def _of_case(one: access.Case) -> Iterator[str]:
    if one.outcome is access.Outcome.GRANTED:
        return
    at = {access.Outcome.LATE: one.admitted_at, access.Outcome.PENDING: one.due}.get(one.outcome)
    text = f"{one.request} ({one.site}): {_WORDS[one.outcome]}"
    yield text + (f" {at:%Y-%m-%d %H:%M:%S} UTC" if at is not None else "")


def _doubts(judged: access.Access) -> Iterator[str]:
    for one in judged.cases:
        if one.outcome not in access.UNSEEN:
            yield from _of_case(one)
    for found in judged.found:
        if found.fault is access.AccessFault.OVER_QUOTA:
            continue
        yield str(found)


def _exhibit(cases: Sequence[access.Case]) -> Exhibit:
    rows: list[tuple[str | float | None, ...]] = [
        (
            one.request,
            one.site,
            one.outcome.value,
            f"{one.requested_at:%Y-%m-%d %H:%M:%S}",
            f"{one.due:%Y-%m-%d %H:%M:%S}",
            None if one.admitted_at is None else f"{one.admitted_at:%Y-%m-%d %H:%M:%S}",
            float(one.exits_refused),
        )
        for one in cases
    ]
    return Exhibit(
        id="challenge-access",
        title="Challenge inspections, and what became of them",
        kind=ExhibitKind.TABLE,
        columns=("request", "site", "outcome", "requested at", "due", "admitted at", "left unlooked at"),
        rows=tuple(rows[: reference.ROWS_MAX]),
    )
