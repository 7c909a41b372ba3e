"""Which promise, roster or draw a command of `interview` is about, how strata are given, and the check before a draw is signed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from inspectorate.agreement import InterviewedStaff, RosterStratum, load_agreement
from inspectorate.cli.beacon_round import given_round
from inspectorate.cli.replay_files import either
from inspectorate.drawing.sources import PAYLOAD_BYTES_MAX, Randomness
from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence import (
    IntervieweesDrawn,
    InterviewsHeld,
    RandomnessPromised,
    RosterCommitted,
    RosterOpened,
    VerifiedStatement,
    verify_envelope,
)
from inspectorate.evidence.act import Act
from inspectorate.evidence.exchange import Exchange, read_plain
from inspectorate.evidence.subjects import subject_digest
from inspectorate.keys import TrustAnchors
from inspectorate.mechanisms.interviews.roster.acts import refusal, revealed
from inspectorate.mechanisms.interviews.roster.faults import Found
from inspectorate.mechanisms.interviews.roster.judge import Statements, check_draw
from inspectorate.mechanisms.interviews.roster.opening import Asked
from inspectorate.mechanisms.interviews.roster.selection import Number, Selection, parse_promise
from inspectorate.mechanisms.interviews.roster.uses import check_rosters, check_uses
from inspectorate.quantities import Period


def selecting(command: Callable[..., None]) -> Callable[..., None]:
    """The options that say how many of each stratum are drawn."""
    command = click.option(
        "--replacements", type=click.IntRange(min=0), default=0, show_default=True,
        help="How many of each stratum may be replaced, if they are not heard, by the next in the same order.",
    )(command)  # fmt: skip
    command = click.option(
        "--agreement", "agreement_name", help="Draw by the rule of its clause on interviews, in each of its strata."
    )(command)
    command = click.option(
        "--number", "numbers", multiple=True, metavar="STRATUM=N", help="Draw N of a stratum; once for each stratum."
    )(command)
    return click.option(
        "--reach", "reaches", multiple=True, metavar="STRATUM=KNOWING:CHANCE[:UNHEARD]",
        help="Draw as many of a stratum as reach one of KNOWING people with this CHANCE, even if a share UNHEARD of the drawn are "
        "not heard, and those know.",
    )(command)  # fmt: skip


def selection(options: Mapping[str, Any]) -> Selection:
    """What the options select. Raises `InputError` on none, or on a stratum that is named twice."""
    more = options["replacements"]
    given: list[tuple[str, dict[str, object]]] = []
    if options["agreement_name"] is not None:
        for stratum, unheard in agreed_strata(options["agreement_name"]):
            rule = {"knowing_min": stratum.knowing_min, "reach_min": stratum.reach_min, "unheard_share_max": unheard}
            given.append((stratum.id, {"kind": "reach", "replacements_max": more, **rule}))
    for text in options["numbers"]:
        name, _, value = text.partition("=")
        given.append((name, {"kind": "number", "replacements_max": more, "count": value}))
    for text in options["reaches"]:
        name, _, value = text.partition("=")
        knowing, _, rest = value.partition(":")
        reach, _, unheard_text = rest.partition(":")
        rule = {"knowing_min": knowing, "reach_min": reach, "unheard_share_max": unheard_text or 0.0}
        given.append((name, {"kind": "reach", "replacements_max": more, **rule}))
    strata = dict(given)
    if not strata or len(strata) != len(given):
        raise InputError("give every stratum once", where="--number, --reach, --agreement")
    return Selection.parse({"strata": strata}, where="--number, --reach", error=InputError)


def agreed_clause(name: str) -> InterviewedStaff:
    """The terms of an agreement's one clause on interviews. Raises `InputError`."""
    clauses = [
        clause.parameters for clause in load_agreement(name).clauses if isinstance(clause.parameters, InterviewedStaff)
    ]
    if len(clauses) != 1:
        raise InputError(f"has {len(clauses)} clauses on interviews, not one", where=name)
    return clauses[0]


def agreed_strata(name: str) -> list[tuple[RosterStratum, float]]:
    """The strata of an agreement's clause on interviews, with the share that may stay unheard. Raises `InputError`."""
    clause = agreed_clause(name)
    return [(stratum, clause.unheard_share_max) for stratum in clause.strata]


def in_words(of: Selection) -> list[str]:
    """A line for each stratum."""
    lines = []
    for name, rule in sorted(of.strata.items()):
        what = (
            f"{rule.count} people" if isinstance(rule, Number)
            else f"as many as reach one of {rule.knowing_min} with a chance of {rule.reach_min:g}"
            + (f", if {rule.unheard_share_max:.0%} are not heard" if rule.unheard_share_max else "")
        )  # fmt: skip
        lines.append(
            f"promised of {name}: {what}" + (f"; {rule.replacements_max} replaced" if rule.replacements_max else "")
        )
    return lines


def next_promise(
    folder: Path | None, anchors: TrustAnchors, reporter: str, earlier: Sequence[VerifiedStatement]
) -> VerifiedStatement | None:
    """The oldest promise for a reporter that its rosters have not named yet. Raises `EvidenceError` where none is left."""
    if folder is None:
        return None
    used = {said.promise for one in earlier if isinstance(said := one.predicate, RosterCommitted)}
    left = [
        (said.promised_at, one.digest, one)
        for one, said in Exchange(folder, anchors=anchors).of(RandomnessPromised)
        if said.reporter == reporter and one.digest not in used
    ]
    if not left:
        remedy = "ask the verifier for another promise, or leave --promises out to be drawn from by a beacon"
        raise EvidenceError(f"holds no promise for {reporter} that is not used yet", where=str(folder), remedy=remedy)
    return min(left)[2]


def refuse_repeated(earlier: Sequence[VerifiedStatement], period: Period, name: str) -> None:
    """Raises `InputError` where one's own earlier roster is for the same time, or has the same name: both would be void."""
    for one in earlier:
        said = one.predicate
        assert isinstance(said, RosterCommitted)
        if said.period.overlaps(period) or said.roster == name:
            raise InputError(
                f"{said.roster} is committed to for {said.period}", where=name, remedy="start where it ends"
            )


def source(options: Mapping[str, Any], mine: Exchange | None) -> tuple[Randomness[Selection], VerifiedStatement | None]:
    """By what to draw: the promise that was kept, with its statement; or a round of the beacon."""
    if options["round_path"] is not None:
        return _beacon(options), None
    if options["numbers"] or options["reaches"] or options["agreement_name"]:
        raise InputError("the promise has fixed how many are drawn", where="--number, --reach, --agreement")
    kept = parse_promise(read_plain(options["keep"], PAYLOAD_BYTES_MAX), where=str(options["keep"]))
    for one, said in mine.of(RandomnessPromised) if mine else []:
        if said.by == options["by"] and subject_digest(one, "secret") == kept.digest:
            return revealed(kept), one
    raise InputError(
        "is not the secret of any promise here", where=str(options["keep"]), remedy="name its --out folder"
    )


def _beacon(options: Mapping[str, Any]) -> Randomness[Selection]:
    if options["received"] is None:
        raise InputError("needs --received", where="--round")
    given = given_round(options) | {"selection": selection(options).model_dump(mode="json")}
    return Randomness[Selection].parse({"source": given}, where=str(options["round_path"]), error=InputError)


def drawn_from(theirs: Exchange, promised: VerifiedStatement | None, wanted: str | None) -> VerifiedStatement:
    """The roster to draw from: the one that was asked for, or the one that names the promise."""
    found = [
        one
        for one, said in theirs.of(RosterCommitted)
        if (one.digest == wanted if wanted else promised is not None and said.promise == promised.digest)
    ]
    if len(found) == 1:
        return found[0]
    what = f"{len(found)} rosters name the promise" if wanted is None else f"there is no roster {wanted[:80]!r}"
    aside = f"; {len(theirs.set_aside)} statements were set aside: {theirs.set_aside[0]}" if theirs.set_aside else ""
    raise EvidenceError(what + aside, where=str(theirs.path), remedy="name one by --roster")


def refuse_void(theirs: Exchange, roster: VerifiedStatement) -> None:
    """Raises `EvidenceError` where the prover has another roster for the same time."""
    void = [
        one for one in check_rosters([one for one, _ in theirs.of(RosterCommitted)]) if one.statement == roster.digest
    ]
    if void:
        raise refusal("the roster cannot be drawn from", void, where=roster.digest)


def unanswered(mine: Exchange, theirs: Exchange, wanted: str | None) -> tuple[VerifiedStatement, VerifiedStatement]:
    """A draw from one of one's own rosters, and that roster."""
    own = {one.digest: one for one, _ in mine.of(RosterCommitted)}
    answered = {said.drawn for _, said in mine.of(RosterOpened)}
    found = [
        (one, own[said.roster])
        for one, said in theirs.of(IntervieweesDrawn)
        if said.roster in own and (one.digest == wanted if wanted else one.digest not in answered)
    ]
    if len(found) == 1:
        return found[0]
    raise EvidenceError(f"{len(found)} draws are to be answered", where=str(theirs.path), remedy="name one by --drawn")


def fair(drawn: VerifiedStatement, roster: VerifiedStatement, theirs: Exchange, mine: Exchange) -> Asked:
    """A draw of the verifier's, judged with all that both folders hold. Raises `EvidenceError` where it is not fair."""
    said = drawn.predicate
    assert isinstance(said, IntervieweesDrawn)
    statements = Statements(
        roster=roster, drawn=drawn, promise=theirs.by_digest(said.promise) if said.promise else None,
        before=[one for kind in (IntervieweesDrawn, InterviewsHeld) for one, _ in theirs.of(kind)],
    )  # fmt: skip
    payload = either(mine, theirs)
    judged = check_draw(statements, payload=payload)
    draws = [one for one, _ in theirs.of(IntervieweesDrawn)]
    again = [one for one in _uses(draws, theirs, mine, payload) if one.statement == drawn.digest]
    if judged.asked is None or again:
        raise refusal("the draw is not fair", [*judged.faults, *again], where=drawn.digest)
    return judged.asked


def _uses(
    draws: Sequence[VerifiedStatement], verifier: Exchange, prover: Exchange, payload: Callable[[str], bytes]
) -> tuple[Found, ...]:
    naming = {one.digest: said.promise for one, said in prover.of(RosterCommitted) if said.promise is not None}
    promises = [one for one, _ in verifier.of(RandomnessPromised)]
    return check_uses(draws, promises, naming=naming, payload=payload)


@dataclass(frozen=True, kw_only=True)
class Made:
    """A draw that is about to be signed."""

    act: Act
    roster: VerifiedStatement
    promised: VerifiedStatement | None
    before: Sequence[VerifiedStatement]


def judge(envelope: bytes, made: Made, theirs: Exchange, mine: Exchange | None, anchors: TrustAnchors) -> None:
    """The verifier judges its own draw as anybody will, before it goes out. Raises `EvidenceError` naming each fault."""
    drawn = verify_envelope(envelope, anchors=anchors, where="the draw")
    known = either(theirs, mine)
    fresh = dict(zip(made.act.subjects.values(), made.act.payloads, strict=True))

    def payload(digest: str) -> bytes:
        return fresh[digest] if digest in fresh else known(digest)

    statements = Statements(roster=made.roster, drawn=drawn, promise=made.promised, before=made.before)
    found = list(check_draw(statements, payload=payload).faults)
    draws = [one for one, _ in mine.of(IntervieweesDrawn)] if mine else []
    again = _uses([*draws, drawn], mine or theirs, theirs, payload)
    found += [one for one in again if one.statement == drawn.digest]
    if found:
        raise refusal("would not be a fair draw", found, where="interview draw")
