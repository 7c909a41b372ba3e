"""What a prover committed to and an inspector drew, opened and ran again, put in order, and all that is wrong with it.

    1. who speaks: reporters of transcripts that are declared, for claims and pods that are; inspectors whose key no prover holds
    2. commitments: each with its list of packets; per run one for each number, each naming the one before, none before another
       ended, none with a packet that stands elsewhere
    3. each draw repeated: promise, secret, commitment, selection give exactly its packets (`challenge`); no secret served twice
    4. each opening held against the list, by itself
    5. each replay: by which draw and opening, results for exactly the drawn packets, no tolerance but the one that it names

Rules:

- A fault of a commitment makes it, and all that hangs on it, invalid evidence, with the reason. A commitment that is not there is a
  hole, never a fault. Of a fork both are faulty: nobody can say which is true.
- A draw with a fault assures of nothing and speaks against nobody: whoever could choose packets could choose what they show.
- Nothing of one reporter, run or pod stands in for another.
- Pure. Evidence comes in as verified statements; who holds a key comes from the reviewer's anchors.

What order in time rests on: a draw names its commitment by digest, so it came after it; that the promise came before, the
commitment says by digest, or else signed times of the verifier do (`Draw.order`). When an opening came, its own signed time says.

Not done here: whether methods, tolerances and times are the agreed ones (`appraise`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise

from inspectorate.declaration import Declaration, Reporter, ReporterKind
from inspectorate.evidence import (
    PacketsDrawn,
    PacketsReplayed,
    RandomnessPromised,
    VerifiedStatement,
    WorkCommitted,
)
from inspectorate.evidence.predicate import Inspection
from inspectorate.keys import Holder
from inspectorate.mechanisms.inspection import reference
from inspectorate.mechanisms.inspection.challenge.faults import Fault
from inspectorate.mechanisms.inspection.challenge.judge import Believed, Draw, check_list
from inspectorate.mechanisms.inspection.challenge.uses import check_uses
from inspectorate.mechanisms.inspection.linking import Answers, Opening, Replay, gather, link_draw
from inspectorate.mechanisms.inspection.transcripts.types import PacketList, RunHeader
from inspectorate.quantities import Period

Payload = Callable[[str], bytes]


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """One draw from a commitment, and all that answered it."""

    digest: str
    said: PacketsDrawn
    judged: Draw
    openings: tuple[Opening, ...]
    replays: tuple[Replay, ...]
    faults: tuple[str, ...]
    """Why it assures of nothing."""

    @property
    def usable(self) -> bool:
        return not self.faults and self.judged.asked is not None

    @property
    def evidence_ids(self) -> tuple[str, ...]:
        return (self.digest, *(one.digest for one in self.openings), *(one.digest for one in self.replays))


@dataclass(frozen=True, kw_only=True)
class Committed:
    """One commitment of a run."""

    digest: str
    said: WorkCommitted
    pods: tuple[str, ...]
    """The pods of which it speaks; none if that is not clear, which is a fault."""
    listed: PacketList | None
    faults: tuple[str, ...] = ()
    draws: tuple[Drawn, ...] = ()

    @property
    def name(self) -> str:
        return f"commitment {self.said.sequence} of run {self.said.run}"

    @property
    def usable(self) -> bool:
        return self.listed is not None and not self.faults

    @property
    def period(self) -> Period:
        return self.said.period

    @property
    def headers(self) -> tuple[RunHeader, ...]:
        """The header of its run, once for each opening of a draw that was fair."""
        return tuple(
            one.header for drawn in self.draws if drawn.usable for one in drawn.openings if one.header is not None
        )


@dataclass(frozen=True, kw_only=True)
class Run:
    """All commitments of one run, in order."""

    id: str
    reporter: str
    claim: str
    commitments: tuple[Committed, ...]
    holes: tuple[Period, ...]
    """The time between two commitments of which one between them is not there."""
    cut: bool
    """Whether its last commitment here does not say that it is the last: the run goes on."""
    headless: bool
    """Whether its first commitment here is not its first."""

    @property
    def pods(self) -> tuple[str, ...]:
        return tuple(sorted({pod for one in self.commitments for pod in one.pods}))

    @property
    def header(self) -> RunHeader | None:
        """As opened: of a run all of whose usable commitments name one header, what was opened of any."""
        found = [header for one in self.commitments if one.usable for header in one.headers]
        return found[0] if found else None

    @property
    def faults(self) -> tuple[str, ...]:
        return tuple(fault for one in self.commitments for fault in one.faults)


@dataclass(frozen=True, kw_only=True)
class WorkSeen:
    """All work of a review."""

    runs: tuple[Run, ...]
    passed_over: tuple[str, ...]
    """Statements that count for nothing, and why."""

    def of(self, pod: str) -> tuple[Run, ...]:
        return tuple(one for one in self.runs if pod in one.pods)


def unfit(statement: VerifiedStatement, declaration: Declaration) -> str | None:
    """Why the word of an inspector counts for nothing; none if it counts."""
    said = statement.predicate
    assert isinstance(said, Inspection)
    if any(anchor.holder is Holder.PROVER for anchor in statement.anchors):
        return f"{said.by}: its key is held by the prover"
    own = {one.id for one in declaration.reporters if one.kind is ReporterKind.TRANSCRIPTS}
    spoken = sorted({name for anchor in statement.anchors for name in anchor.sensors} & own)
    return f"{said.by}: its key also speaks for {', '.join(spoken)}, whose work it would judge" if spoken else None


def observe_work(
    statements: Iterable[VerifiedStatement],
    *,
    declaration: Declaration,
    payload: Payload,
    answer_within_s: float | None,
) -> WorkSeen:
    """Put in order what reporters of transcripts committed to, and what inspectors drew of it. Nothing in a payload raises."""
    once = list({one.digest: one for one in statements}.values())
    passed_over: list[str] = []
    # (1)
    believed = [one for one in once if not isinstance(one.predicate, Inspection)]
    for one in once:
        if isinstance(one.predicate, Inspection):
            why = unfit(one, declaration)
            if why is None:
                believed.append(one)
            elif isinstance(one.predicate, RandomnessPromised | PacketsDrawn | PacketsReplayed):
                passed_over.append(why)
    # (2)
    committed = [_committed(one, declaration, payload) for one in believed if isinstance(one.predicate, WorkCommitted)]
    runs = _runs(_copied(committed))
    # (3) to (5)
    answers = gather(believed)
    drawn, stray = _draws(believed, runs, answers, payload, answer_within_s)
    return WorkSeen(
        runs=tuple(_with_draws(run, drawn) for run in runs),
        passed_over=tuple(dict.fromkeys((*passed_over, *stray, *answers.stray))),
    )


def _committed(statement: VerifiedStatement, declaration: Declaration, payload: Payload) -> Committed:
    said = statement.predicate
    assert isinstance(said, WorkCommitted)
    listed, found = check_list(statement, payload=payload)
    faults = [one.detail for one in found if one.fault is not Fault.LIST_EMPTY]
    pods, why = _pods_of(said, declaration)
    made = Committed(digest=statement.digest, said=said, pods=pods, listed=listed)
    return _faulty(made, *faults, *why)


def _pods_of(said: WorkCommitted, declaration: Declaration) -> tuple[tuple[str, ...], list[str]]:
    """The pods of a commitment: those that it names, within its claim and its reporter's."""
    reporter = _reporter(said.reporter, declaration)
    claim = next((one for one in declaration.claims if one.id == said.claim), None)
    if reporter is None:
        return (), [f"comes from {said.reporter}, which is not declared to keep transcripts"]
    if claim is None:
        return tuple(sorted(reporter.pods)), [f"is of the claim {said.claim}, which is not declared"]
    both = set(claim.pods) & set(reporter.pods)
    pods = tuple(sorted(set(said.pods) & both if said.pods else both))
    found = []
    if set(said.pods) - both:
        found.append(f"names pods beside those of {said.claim} and {said.reporter}: {', '.join(said.pods)}")
    if not pods:
        return tuple(sorted(reporter.pods)), [*found, f"{said.claim} names no pod of which {said.reporter} may speak"]
    if claim.kind.value != said.work.value:
        found.append(f"is {said.work.value}, where {said.claim} claims {claim.kind.value}")
    return pods, found


def _reporter(name: str, declaration: Declaration) -> Reporter | None:
    return next((one for one in declaration.reporters if one.id == name and one.kind is ReporterKind.TRANSCRIPTS), None)


def _copied(committed: Sequence[Committed]) -> list[Committed]:
    """Packets that stand in two lists: both lists are faulty, since one piece of work is shown as two."""
    if len(committed) > reference.COMMITMENTS_MAX:
        return [_faulty(one, f"is one of more than {reference.COMMITMENTS_MAX}") for one in committed]
    found = Counter(leaf for one in committed if one.listed is not None for leaf in set(one.listed.leaves))
    twice = {leaf for leaf, times in found.items() if times > 1}
    return [
        _faulty(one, "commits to packets that stand in another commitment as well")
        if one.listed is not None and twice & set(one.listed.leaves)
        else one
        for one in committed
    ]


def _runs(committed: Sequence[Committed]) -> list[Run]:
    """Step 2, run by run."""
    by_run: dict[str, list[Committed]] = defaultdict(list)
    for one in sorted(committed, key=lambda one: (one.said.sequence, one.digest)):
        by_run[one.said.run].append(one)
    return [_run(name, by_run[name]) for name in sorted(by_run)]


def _run(name: str, members: list[Committed]) -> Run:
    reporters = {one.said.reporter for one in members}
    if len(reporters) > 1:
        members = [_faulty(one, f"is one of several reporters' ({', '.join(sorted(reporters))})") for one in members]
    times = Counter(one.said.sequence for one in members)
    forked = [
        _faulty(one, f"is one of {times[one.said.sequence]} different ones of its number: the chain is forked")
        if times[one.said.sequence] > 1
        else one
        for one in members
    ]
    first = forked[0]
    late = first.said.sequence == 0 and first.listed is not None and first.listed.first != 0
    found = [_faulty(first, "is the first of its run, and does not begin with packet 0") if late else first]
    for before, one in pairwise(forked):
        found.append(_faulty(one, *_against(before, one)))
    holes = [
        Period(start=a.period.end, end=b.period.start)
        for a, b in pairwise(found)
        if b.said.sequence > a.said.sequence + 1 and a.period.end < b.period.start
    ]
    return Run(
        id=name,
        reporter=first.said.reporter,
        claim=first.said.claim,
        commitments=tuple(found),
        holes=tuple(holes),
        cut=not found[-1].said.final,
        headless=first.said.sequence > 0,
    )


def _against(before: Committed, one: Committed) -> list[str]:
    """What is wrong with a commitment, by the one before it in its run."""
    last, now = before.said, one.said
    found = []
    if (now.claim, now.work, now.header, one.pods) != (last.claim, last.work, last.header, before.pods):
        found.append("changes claim, kind of work, header or pods within a run")
    if now.sequence == last.sequence + 1 and now.previous != before.digest:
        found.append("names another one before it: the chain is forged")
    if now.sequence > last.sequence and now.period.start < last.period.end:
        found.append("begins before the one before it ended")
    if now.sequence > last.sequence and last.final:
        found.append("comes after the last one")
    if now.sequence == last.sequence + 1 and one.listed is not None and before.listed is not None:
        due = before.listed.first + len(before.listed.leaves)
        if one.listed.first != due:
            found.append(f"begins with packet {one.listed.first}, where {due} is due")
        if before.listed.leaves and one.listed.before != before.listed.leaves[-1]:
            found.append("names another packet before it than the one that ended the commitment before")
    return found


def _draws(
    believed: Sequence[VerifiedStatement],
    runs: Sequence[Run],
    answers: Answers,
    payload: Payload,
    answer_within_s: float | None,
) -> tuple[dict[str, list[Drawn]], list[str]]:
    """Steps 3 to 5: draws by the commitment from which they are, and those that are from none here."""
    draws = [one for one in believed if isinstance(one.predicate, PacketsDrawn)]
    promises = [one for one in believed if isinstance(one.predicate, RandomnessPromised)]
    statements = {one.digest: one for one in believed if isinstance(one.predicate, WorkCommitted)}
    naming = {
        digest: said.promise
        for digest, one in statements.items()
        if isinstance(said := one.predicate, WorkCommitted) and said.promise is not None
    }
    used: dict[str, list[str]] = defaultdict(list)
    for fault in check_uses(draws, promises, naming=naming, payload=payload):
        used[fault.statement or ""].append(fault.detail)
    by_digest = {one.digest: one for one in promises}
    found: dict[str, list[Drawn]] = defaultdict(list)
    stray = []
    for one in sorted(draws, key=lambda one: (_drawn_at(one), one.digest)):
        said = one.predicate
        assert isinstance(said, PacketsDrawn)
        commitment = statements.get(said.commitment)
        if commitment is None:
            stray.append(f"{said.by}: a draw is from a commitment that is not in the evidence")
            continue
        linked = link_draw(
            commitment,
            one,
            by_digest.get(said.promise or ""),
            answers=answers,
            payload=payload,
            believed=Believed(answer_within_s=answer_within_s),
        )
        faults = (*(fault.detail for fault in linked.judged.faults), *used[one.digest])
        found[said.commitment].append(
            Drawn(
                digest=one.digest,
                said=said,
                judged=linked.judged,
                openings=linked.openings,
                replays=linked.replays,
                faults=faults,
            )
        )
    return found, stray


def _drawn_at(statement: VerifiedStatement) -> datetime:
    assert isinstance(statement.predicate, PacketsDrawn)
    return statement.predicate.drawn_at


def _with_draws(run: Run, drawn: Mapping[str, Sequence[Drawn]]) -> Run:
    return replace(
        run, commitments=tuple(replace(one, draws=tuple(drawn.get(one.digest, ()))) for one in run.commitments)
    )


def _faulty(one: Committed, *why: str) -> Committed:
    return replace(one, faults=(*one.faults, *(f"{one.name} {text}" for text in why))) if why else one
