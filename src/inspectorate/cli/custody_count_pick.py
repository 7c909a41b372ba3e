"""Which promise, register or draw a command of `custody count` is about, and the check before a draw is signed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click

from inspectorate.cli.beacon_round import given_round
from inspectorate.cli.replay_files import either
from inspectorate.drawing.sources import PAYLOAD_BYTES_MAX, Randomness
from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence import VerifiedStatement, verify_envelope
from inspectorate.evidence.act import Act
from inspectorate.evidence.custody import CountDrawn, CountHeld, CountUnit, RegisterHanded
from inspectorate.evidence.exchange import Exchange, read_plain
from inspectorate.evidence.inspected import RandomnessPromised
from inspectorate.evidence.subjects import subject_digest
from inspectorate.keys import TrustAnchors
from inspectorate.mechanisms.custody.counting.acts import refusal, revealed
from inspectorate.mechanisms.custody.counting.faults import Found
from inspectorate.mechanisms.custody.counting.judge import Asked, Statements, check_draw
from inspectorate.mechanisms.custody.counting.selection import OfChips, OfSites, Selection, parse_promise
from inspectorate.mechanisms.custody.counting.uses import check_uses


def selecting(command: Callable[..., None]) -> Callable[..., None]:
    """The options that say how many places are opened."""
    command = click.option("--unit", type=click.Choice([one.value for one in CountUnit]), default=CountUnit.RACK.value,
                           show_default=True, help="What one draw opens.")(command)  # fmt: skip
    command = click.option(
        "--site", "sites", multiple=True, metavar="SITE=N", help="Open N places of a site; once for each site."
    )(command)
    command = click.option("--chips", type=click.IntRange(min=1), help="Open the places in which N drawn chips stand.")(
        command
    )
    return click.option(
        "--reach", metavar="SHARE:CHANCE",
        help="As --chips, with as many as find a diversion of this SHARE of all chips with this CHANCE.",
    )(command)  # fmt: skip


def selection(options: Mapping[str, Any]) -> Selection:
    """What the options select. Raises `InputError` where they give no rule, or two."""
    given: list[dict[str, object]] = []
    if options["sites"]:
        parts = [text.partition("=") for text in options["sites"]]
        if len({name for name, _, _ in parts}) != len(parts):
            raise InputError("give every site once", where="--site")
        given.append({"kind": "sites", "units": {name: number for name, _, number in parts}})
    if options["chips"] is not None:
        given.append({"kind": "chips", "chips": options["chips"]})
    if options["reach"] is not None:
        share, _, chance = options["reach"].partition(":")
        given.append({"kind": "reach", "missing_share": share, "detection_probability_min": chance})
    if len(given) != 1:
        raise InputError("give exactly one rule", where="--site, --chips, --reach")
    return Selection.parse(
        {"unit": options["unit"], "rule": given[0]}, where="--site, --chips, --reach", error=InputError
    )


def in_words(of: Selection) -> str:
    """One line."""
    unit, rule = of.unit.value, of.rule
    if isinstance(rule, OfSites):
        return f"promised: {', '.join(f'{number} {unit}s of {name}' for name, number in sorted(rule.units.items()))}"
    if isinstance(rule, OfChips):
        return f"promised: the {unit}s in which {rule.chips} drawn chips stand"
    chance, share = rule.detection_probability_min, rule.missing_share
    return f"promised: {unit}s of as many drawn chips as find a diversion of {share:.4%} with a chance of {chance:g}"


def source(options: Mapping[str, Any], mine: Exchange | None) -> tuple[Randomness[Selection], VerifiedStatement | None]:
    """By what to draw: the promise that was kept, with its statement; or a round of the beacon."""
    if options["round_path"] is not None:
        if options["received"] is None:
            raise InputError("needs --received", where="--round")
        given = given_round(options) | {"selection": selection(options).model_dump(mode="json")}
        where = str(options["round_path"])
        return Randomness[Selection].parse({"source": given}, where=where, error=InputError), None
    if options["sites"] or options["chips"] or options["reach"]:
        raise InputError("the promise has fixed how many are drawn", where="--site, --chips, --reach")
    kept = parse_promise(read_plain(options["keep"], PAYLOAD_BYTES_MAX), where=str(options["keep"]))
    for one, said in mine.of(RandomnessPromised) if mine else []:
        if said.by == options["by"] and subject_digest(one, "secret") == kept.digest:
            return revealed(kept), one
    raise InputError(
        "is not the secret of any promise here", where=str(options["keep"]), remedy="name its --out folder"
    )


def drawn_from(theirs: Exchange, promised: VerifiedStatement | None, wanted: str | None) -> VerifiedStatement:
    """The register to draw from: the one that was asked for, or the one that names the promise. Raises `EvidenceError`."""
    found = [
        one
        for one, said in theirs.of(RegisterHanded)
        if (one.digest == wanted if wanted else promised is not None and said.promise == promised.digest)
    ]
    if len(found) == 1:
        return found[0]
    what = f"{len(found)} registers name the promise" if wanted is None else f"there is no register {wanted[:80]!r}"
    aside = f"; {len(theirs.set_aside)} statements were set aside: {theirs.set_aside[0]}" if theirs.set_aside else ""
    raise EvidenceError(what + aside, where=str(theirs.path), remedy="name one by --register")


def not_held(mine: Exchange, wanted: str | None) -> VerifiedStatement:
    """The draw that is to be counted. Raises `EvidenceError` where that is not one."""
    done = {said.drawn for _, said in mine.of(CountHeld)}
    found = [
        one
        for one, _ in mine.of(CountDrawn)
        if (one.digest == wanted if wanted is not None else one.digest not in done)
    ]
    if len(found) != 1:
        raise EvidenceError(
            f"{len(found)} draws are not counted yet", where=str(mine.path), remedy="name one by --drawn"
        )
    return found[0]


def fair(drawn: VerifiedStatement, mine: Exchange, theirs: Exchange) -> Asked:
    """A draw, judged with all that both folders hold. Raises `EvidenceError` where it is not fair."""
    said = drawn.predicate
    assert isinstance(said, CountDrawn)
    register = theirs.by_digest(said.handed)
    if register is None or not isinstance(register.predicate, RegisterHanded):
        raise EvidenceError("the register that was drawn from is not there", where=str(theirs.path))
    promise = mine.by_digest(said.promise) if said.promise else None
    payload = either(mine, theirs)
    judged = check_draw(Statements(register=register, drawn=drawn, promise=promise), payload=payload)
    draws = [one for one, _ in mine.of(CountDrawn)]
    again = [one for one in uses(draws, mine, theirs, payload) if one.statement == drawn.digest]
    if judged.asked is None or again:
        raise refusal("the draw is not fair", [*judged.faults, *again], where=drawn.digest)
    return judged.asked


def uses(
    draws: Sequence[VerifiedStatement], verifier: Exchange, prover: Exchange, payload: Callable[[str], bytes]
) -> tuple[Found, ...]:
    """What one draw alone does not show."""
    naming = {one.digest: said.promise for one, said in prover.of(RegisterHanded) if said.promise is not None}
    return check_uses(draws, [one for one, _ in verifier.of(RandomnessPromised)], naming=naming, payload=payload)


@dataclass(frozen=True, kw_only=True)
class Made:
    """A draw that is about to be signed."""

    act: Act
    register: VerifiedStatement
    promised: VerifiedStatement | None


def judge(envelope: bytes, made: Made, theirs: Exchange, mine: Exchange | None, anchors: TrustAnchors) -> None:
    """The verifier judges its own draw as anybody will, before it goes out. Raises `EvidenceError` naming each fault."""
    drawn = verify_envelope(envelope, anchors=anchors, where="the draw")
    known = either(theirs, mine)
    fresh = dict(zip(made.act.subjects.values(), made.act.payloads, strict=True))

    def payload(digest: str) -> bytes:
        return fresh[digest] if digest in fresh else known(digest)

    statements = Statements(register=made.register, drawn=drawn, promise=made.promised)
    found = list(check_draw(statements, payload=payload).faults)
    draws = [one for one, _ in mine.of(CountDrawn)] if mine else []
    found += [one for one in uses([*draws, drawn], mine or theirs, theirs, payload) if one.statement == drawn.digest]
    if found:
        raise refusal("would not be a fair draw", found, where="custody count draw")
