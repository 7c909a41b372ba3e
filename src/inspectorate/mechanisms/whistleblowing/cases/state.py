"""What follows from the entries of a case: who opened it, what is claimed, linked and found, what was raised, where it stands.

Rules, in the order of `follow`:

1. An office begins with `Opened`, if it is among those that opened the report, or with `Received`, of a package that a quorum
   handed to it. Offices that opened one report say the same of it, word for word. Where they differ, each wording stands by itself,
   for those that said it first: none of them keeps the others from going on.
2. A case *stands* when as many offices as its quorum have said the same of one report. Before that nothing is done with it but
   notes: one office alone cannot make a case. What a source wants, and what lies beside the case, follows from reports that stand.
3. Whatever names a claim, a lead or a hand-over comes after it, in what its own office had seen by then. Of a claim that was
   revised the last one stands, with what is said of it by offices that had seen that one: a link of another is none of it.
4. A hand-over takes as many offices as the quorum, who name the same office, key and form.
5. A case is *closed* when as many offices as the quorum agree, each after all reports and reopenings: one office alone cannot bury
   a case, and any one can reopen it. A later report of the same source reopens it by itself.

Who the offices are and how many it takes comes from the reader's agreed list (`Offices`, of which no party has a quorum), never
from the case. "Before" is by what an office had seen when it signed, never by clocks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TypeVar

from inspectorate.canonical import digest_of
from inspectorate.errors import EvidenceError
from inspectorate.evidence import Closing
from inspectorate.mechanisms.whistleblowing.cases.acts import (
    Claim,
    Cleaned,
    CloseAgreed,
    Corroborated,
    HandedOver,
    HandOver,
    HandOverAgreed,
    LeadEnded,
    Link,
    Noted,
    Opened,
    OtherWord,
    Raised,
    Received,
    Reopened,
    Replied,
    Requested,
    SealedFile,
)
from inspectorate.mechanisms.whistleblowing.cases.entries import CaseFile, Entry, Held
from inspectorate.mechanisms.whistleblowing.cases.naming import case_of
from inspectorate.mechanisms.whistleblowing.sealing.offices import Offices

_Said = TypeVar("_Said")


def enough(offices: Offices, names: Iterable[str]) -> bool:
    """Whether these are a quorum of the agreed list. An office that is not on it counts for nothing."""
    return len(set(names) & set(offices.names)) >= offices.quorum


class CaseStanding(StrEnum):
    """Where a case is."""

    PENDING = "pending"
    """Fewer offices than the quorum say that they opened it."""
    OPEN = "open"
    CLOSED = "closed"


@dataclass(frozen=True, kw_only=True)
class ReportHeard:
    """One report of the case's source in one wording, and which offices say that they read it so."""

    opened: Opened
    offices: tuple[str, ...]
    first_at: datetime
    stands: bool
    """Whether they are a quorum."""
    disputed: bool
    """Whether other offices give the same report in other words."""


@dataclass(frozen=True, kw_only=True)
class LeadStanding:
    """One lead: which offices raised it, and which of them follow it no further."""

    raised: Mapping[str, Raised]
    raised_at: datetime
    ended: Mapping[str, Closing]
    ended_at: datetime | None

    @property
    def open(self) -> bool:
        return bool(set(self.raised) - set(self.ended))


@dataclass(frozen=True, kw_only=True)
class CaseState:
    """What follows from the entries."""

    case: str
    standing: CaseStanding
    opened_at: datetime
    """When the first office read the first report."""
    reports: tuple[ReportHeard, ...]
    holders: tuple[str, ...]
    """Offices that read the case: those that opened it, and those it was handed to whole."""
    claims: Mapping[str, Claim]
    links: Mapping[str, Link]
    corroborations: Mapping[str, tuple[Corroborated, ...]]
    other_words: Mapping[str, tuple[OtherWord, ...]]
    leads: Mapping[str, LeadStanding]
    requests: tuple[Requested, ...]
    agreed: Mapping[HandOver, Mapping[str, HandOverAgreed]]
    """Hand-overs, and the offices that agree to each."""
    handed: tuple[HandedOver, ...]
    closing: tuple[str, ...]
    """Offices that agree to close it as it now is."""
    stirred_at: datetime
    """When it last got a report, or was opened again."""
    cleaned: Mapping[str, Cleaned]
    replies: Mapping[str, tuple[str, ...]]
    """What each office answered, in order."""

    @property
    def thread(self) -> str:
        """The source's, the same in all of its reports."""
        return self.reports[0].opened.thread

    @property
    def reply_to(self) -> str | None:
        """Where the source, in its last report, wants answers."""
        return self.agreed_reports[-1].opened.reply_to

    @property
    def agreed_reports(self) -> tuple[ReportHeard, ...]:
        """The reports that a quorum read in the same words; all of them, as long as there is none."""
        return tuple(one for one in self.reports if one.stands) or self.reports

    @property
    def files(self) -> tuple[SealedFile, ...]:
        """Every file that lies sealed beside the case, each once."""
        heard = [report for report in self.reports if report.stands or not report.disputed]
        given = [file for report in heard or self.reports for file in report.opened.files]
        given += [one.cleaned for one in self.cleaned.values() if one.cleaned is not None]
        return tuple({file.digest: file for file in given}.values())


@dataclass
class _Walk:
    """What was seen so far, each thing with the entry that said it."""

    offices: Offices
    knows: dict[str, dict[str, int]] = field(default_factory=dict)
    """Entry -> office -> the highest number of that office's that its own office had seen."""
    opened: dict[tuple[str, str], dict[str, tuple[Opened, Held]]] = field(default_factory=dict)
    """By report and wording: what each office says that it read, in the first words that it gave of the report."""
    claims: dict[str, list[tuple[Claim, Held]]] = field(default_factory=dict)
    """By name, every version of it."""
    links: dict[str, list[tuple[Link, Held]]] = field(default_factory=dict)
    corroborations: dict[str, list[tuple[Corroborated, Held]]] = field(default_factory=dict)
    other_words: dict[str, list[OtherWord]] = field(default_factory=dict)
    raised: dict[str, dict[str, tuple[Raised, Held]]] = field(default_factory=dict)
    ended: dict[str, dict[str, tuple[LeadEnded, Held]]] = field(default_factory=dict)
    requests: list[Requested] = field(default_factory=list)
    agreed: dict[HandOver, dict[str, tuple[HandOverAgreed, Held]]] = field(default_factory=dict)
    handed: list[tuple[HandedOver, Held]] = field(default_factory=list)
    received: list[str] = field(default_factory=list)
    closing: list[Held] = field(default_factory=list)
    stirred: list[Held] = field(default_factory=list)
    """Reports and reopenings: a closing must have seen them."""
    cleaned: dict[str, Cleaned] = field(default_factory=dict)
    replies: dict[str, list[str]] = field(default_factory=dict)

    def learn(self, one: Held, by_digest: Mapping[str, Held]) -> None:
        known: dict[str, int] = {}
        for digest in (*one.entry.seen, *([one.entry.previous] if one.entry.previous else [])):
            for office, number in (
                *self.knows[digest].items(),
                (by_digest[digest].entry.by, by_digest[digest].entry.number),
            ):
                known[office] = max(number, known.get(office, -1))
        self.knows[one.digest] = known

    def saw(self, one: Held, other: Held) -> bool:
        """Whether the office had seen `other` when it signed `one`."""
        return self.knows[one.digest].get(other.entry.by, -1) >= other.entry.number

    def of_last(self, claim: str, said: Iterable[tuple[_Said, Held]]) -> list[_Said]:
        """Of what was said of a claim, what its office said when it had seen the version that stands."""
        return [act for act, held in said if self.saw(held, self.claims[claim][-1][1])]

    def opened_before(self, one: Held) -> bool:
        """Whether the case stood, as far as its office had seen: some report was opened by a quorum."""
        return any(
            enough(self.offices, (office for office, (_, held) in offices.items() if self.saw(one, held)))
            for offices in self.opened.values()
        )


def follow(file: CaseFile, offices: Offices) -> CaseState:
    """What follows from a case file. Raises `EvidenceError` naming the entry that breaks a rule."""
    walk = _Walk(offices=offices)
    by_digest = {one.digest: one for one in file.held}
    for one in file.held:
        walk.learn(one, by_digest)
        where = f"case {file.case}, entry {one.entry.number} of {one.entry.by}"
        _check_place(walk, one, where)
        _take(walk, one, where)
    return _state(file, walk)


def _check_place(walk: _Walk, one: Held, where: str) -> None:
    """Rules 1 and 2."""
    act, entry = one.entry.act, one.entry
    if isinstance(act, Opened):
        _check_opened(walk, act, entry, where)
    elif isinstance(act, Received):
        if not any(
            handed.terms.to == entry.by and handed.package == act.package and handed.terms.whole and walk.saw(one, held)
            for handed, held in walk.handed
        ):
            raise EvidenceError("received what no quorum handed over", where=where)
    elif entry.number == 0:
        raise EvidenceError("an office begins with opening or receiving", where=where)
    elif not isinstance(act, Noted) and not walk.opened_before(one):
        raise EvidenceError("acts on a case that no quorum has opened", where=where)


def _check_opened(walk: _Walk, act: Opened, entry: Entry, where: str) -> None:
    if entry.by not in act.offices:
        raise EvidenceError(f"{entry.by} is none of the offices that opened the report", where=where)
    first = next((other for offices in walk.opened.values() for other, _ in offices.values()), act)
    if act.thread != first.thread or case_of(act.thread) != entry.case:
        raise EvidenceError("the report is of another source than the case", where=where)


def _take(walk: _Walk, one: Held, where: str) -> None:
    """Rules 3 and 4, and what the act adds."""
    by, act = one.entry.by, one.entry.act
    match act:
        case Opened():
            if not any(by in said for (report, _), said in walk.opened.items() if report == act.report):
                walk.opened.setdefault((act.report, _wording(act)), {})[by] = (act, one)
            walk.stirred.append(one)
        case Received():
            walk.received.append(by)
        case Claim():
            walk.claims.setdefault(act.id, []).append((act, one))
        case Link():
            _need_claim(walk, one, act.claim, where)
            walk.links.setdefault(act.claim, []).append((act, one))
        case Corroborated():
            _need_claim(walk, one, act.claim, where)
            walk.corroborations.setdefault(act.claim, []).append((act, one))
        case OtherWord():
            _need_claim(walk, one, act.claim, where)
            walk.other_words.setdefault(act.claim, []).append(act)
        case Raised():
            _need_claim(walk, one, act.claim, where)
            _need_same(walk, one, act, where)
            walk.raised.setdefault(act.lead, {})[by] = (act, one)
            # Who raises a lead again follows it again.
            walk.ended.get(act.lead, {}).pop(by, None)
        case LeadEnded():
            if by not in walk.raised.get(act.lead, {}):
                raise EvidenceError(f"{by} closes lead {act.lead}, which it never raised", where=where)
            walk.ended.setdefault(act.lead, {})[by] = (act, one)
        case Requested():
            walk.requests.append(act)
        case HandOverAgreed():
            walk.agreed.setdefault(act.terms, {})[by] = (act, one)
        case HandedOver():
            _need_agreement(walk, one, act, where)
            walk.handed.append((act, one))
        case CloseAgreed():
            walk.closing.append(one)
        case Reopened():
            walk.stirred.append(one)
        case Cleaned():
            walk.cleaned[act.original] = act
        case Replied():
            walk.replies.setdefault(by, []).append(act.text)
        case _:
            pass


def _wording(act: Opened) -> str:
    """What an office says of a report, but for who opened it."""
    return digest_of(act.model_copy(update={"offices": ()}).canonical_bytes())


def _need_claim(walk: _Walk, one: Held, claim: str, where: str) -> None:
    if not any(walk.saw(one, held) for _, held in walk.claims.get(claim, ())):
        known = ", ".join(walk.claims) or "none"
        raise EvidenceError(
            f"names claim {claim}, which its office had not seen", where=where, remedy=f"claims: {known}"
        )


def _need_agreement(walk: _Walk, one: Held, act: HandedOver, where: str) -> None:
    """Rule 4."""
    agreeing = [office for office, (_, held) in walk.agreed.get(act.terms, {}).items() if walk.saw(one, held)]
    if not enough(walk.offices, agreeing):
        raise EvidenceError(
            f"hands over to {act.terms.to}, to which fewer than {walk.offices.quorum} offices agreed", where=where
        )


def _need_same(walk: _Walk, one: Held, act: Raised, where: str) -> None:
    """A lead is one lead: an office that has seen it may differ in the step that it asks for, and in nothing else.

    Of what an office had not seen, nothing follows here: else any office could keep the copies of two others from joining. That
    offices differ over a lead shows in what they signed (`hearing`).
    """
    for other, held in walk.raised.get(act.lead, {}).values():
        if walk.saw(one, held) and _subject(other) != _subject(act):
            raise EvidenceError(f"raises lead {act.lead} with another subject than an office before", where=where)


def _subject(act: Raised) -> tuple[object, ...]:
    return act.claim, act.clause, act.activity, act.pods, act.period, act.flop_min


def _state(file: CaseFile, walk: _Walk) -> CaseState:
    """Rule 5, and everything as a record."""
    if not walk.opened:
        raise EvidenceError("nobody says that they opened it", where=f"case {file.case}")
    wordings = Counter(report for report, _ in walk.opened)
    reports = tuple(
        ReportHeard(
            opened=next(iter(offices.values()))[0], offices=tuple(sorted(offices)),
            first_at=min(held.entry.at for _, held in offices.values()), stands=enough(walk.offices, offices),
            disputed=wordings[report] > 1,
        )
        for (report, _), offices in walk.opened.items()
    )  # fmt: skip
    closing = {
        one.entry.by
        for one in walk.closing
        if all(walk.saw(one, other) or other.digest == one.digest for other in walk.stirred)
    }
    standing = CaseStanding.PENDING
    if any(report.stands for report in reports):
        standing = CaseStanding.CLOSED if enough(walk.offices, closing) else CaseStanding.OPEN
    holders = set(walk.received)
    for offices, report in zip(walk.opened.values(), reports, strict=True):
        holders |= offices.keys()
        if report.stands or not report.disputed:
            holders |= {office for act, _ in offices.values() for office in act.offices}
    return CaseState(
        case=file.case,
        standing=standing,
        opened_at=min(report.first_at for report in reports),
        reports=reports,
        holders=tuple(sorted(holders)),
        claims={name: versions[-1][0] for name, versions in walk.claims.items()},
        links={name: found[-1] for name, said in walk.links.items() if (found := walk.of_last(name, said))},
        corroborations={name: tuple(walk.of_last(name, said)) for name, said in walk.corroborations.items()},
        other_words={name: tuple(found) for name, found in walk.other_words.items()},
        leads={name: _lead(offices, walk.ended.get(name, {})) for name, offices in walk.raised.items()},
        requests=tuple(walk.requests),
        agreed={terms: {office: act for office, (act, _) in offices.items()} for terms, offices in walk.agreed.items()},
        handed=tuple(act for act, _ in walk.handed),
        closing=tuple(sorted(closing)),
        stirred_at=max(one.entry.at for one in walk.stirred),
        cleaned=walk.cleaned,
        replies={office: tuple(texts) for office, texts in walk.replies.items()},
    )


def _lead(raised: Mapping[str, tuple[Raised, Held]], ended: Mapping[str, tuple[LeadEnded, Held]]) -> LeadStanding:
    return LeadStanding(
        raised={office: act for office, (act, _) in raised.items()},
        raised_at=min(held.entry.at for _, held in raised.values()),
        ended={office: act.closing for office, (act, _) in ended.items()},
        ended_at=max((held.entry.at for _, held in ended.values()), default=None),
    )
