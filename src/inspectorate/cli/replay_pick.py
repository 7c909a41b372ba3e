"""Which promise, commitment or draw a command of `replay` is about, and the verifier's own check before it signs a
draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inspectorate.cli.beacon_round import given_round
from inspectorate.cli.replay_files import either
from inspectorate.drawing.sources import PAYLOAD_BYTES_MAX
from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence import (
    PacketsDrawn,
    PacketsOpened,
    RandomnessPromised,
    VerifiedStatement,
    WorkCommitted,
    verify_envelope,
)
from inspectorate.evidence.act import Act
from inspectorate.evidence.exchange import Exchange
from inspectorate.evidence.subjects import subject_digest
from inspectorate.files import read_bounded
from inspectorate.keys import TrustAnchors
from inspectorate.mechanisms.inspection.challenge.acts import refusal, revealed
from inspectorate.mechanisms.inspection.challenge.faults import Found
from inspectorate.mechanisms.inspection.challenge.judge import Statements, check_draw
from inspectorate.mechanisms.inspection.challenge.promise import (
    Method,
    Randomness,
    parse_promise,
)
from inspectorate.mechanisms.inspection.challenge.uses import check_uses


def next_promise(
    folder: Path | None, anchors: TrustAnchors, reporter: str, earlier: Sequence[VerifiedStatement]
) -> VerifiedStatement | None:
    """The oldest promise for a reporter that its commitments have not named yet. Raises `EvidenceError` where none is
    left."""
    if folder is None:
        return None
    used = {said.promise for one in earlier if isinstance(said := one.predicate, WorkCommitted)}
    theirs = Exchange(folder, anchors=anchors)
    left = [
        (said.promised_at, one.digest, one)
        for one, said in theirs.of(RandomnessPromised)
        if said.reporter == reporter and one.digest not in used
    ]
    if not left:
        remedy = "ask the verifier for another promise, or leave --promises out to be drawn from by a beacon"
        what = f"holds no promise for {reporter} that is not used yet{set_aside(theirs)}"
        raise EvidenceError(what, where=str(folder), remedy=remedy)
    return min(left)[2]


def source(options: Mapping[str, Any], mine: Exchange | None) -> tuple[Randomness, VerifiedStatement | None]:
    """By what to draw: the promise that was kept, with its statement; or a round of the beacon."""
    if options["round_path"] is not None:
        return _beacon(options), None
    kept = parse_promise(read_bounded(options["keep"], PAYLOAD_BYTES_MAX), where=str(options["keep"]))
    for one, said in mine.of(RandomnessPromised) if mine else []:
        if said.by == options["by"] and subject_digest(one, "secret") == kept.digest:
            return revealed(kept), one
    raise InputError(
        "is not the secret of any promise here", where=str(options["keep"]), remedy="name its --out folder"
    )


def _beacon(options: Mapping[str, Any]) -> Randomness:
    if options["received"] is None or options["count"] is None:
        raise InputError("needs --received and --count", where="--round")
    given = given_round(options) | {"selection": {"method": Method.TIME, "count": options["count"]}}
    return Randomness.parse({"source": given}, where=str(options["round_path"]), error=InputError)


def set_aside(folder: Exchange) -> str:
    """What to add to an error that something is not there: it may be among what was set aside."""
    if not folder.set_aside:
        return ""
    return f"; {len(folder.set_aside)} statements were set aside: {folder.set_aside[0]}"


def drawn_from(theirs: Exchange, promised: VerifiedStatement | None, wanted: str | None) -> VerifiedStatement:
    """The commitment to draw from: the one that was asked for, or the one that names the promise."""
    found = [
        one
        for one, said in theirs.of(WorkCommitted)
        if (one.digest == wanted if wanted else promised is not None and said.promise == promised.digest)
    ]
    if len(found) == 1:
        return found[0]
    what = f"{len(found)} commitments name the promise" if wanted is None else f"there is no commitment {wanted[:80]!r}"
    raise EvidenceError(what + set_aside(theirs), where=str(theirs.path), remedy="name one by --commitment")


def unanswered(mine: Exchange, theirs: Exchange, wanted: str | None) -> tuple[VerifiedStatement, VerifiedStatement]:
    """A draw from one of one's own commitments, and that commitment."""
    own = {one.digest: one for one, _ in mine.of(WorkCommitted)}
    answered = {said.drawn for _, said in mine.of(PacketsOpened)}
    found = [
        (one, own[said.commitment])
        for one, said in theirs.of(PacketsDrawn)
        if said.commitment in own and (one.digest == wanted if wanted else one.digest not in answered)
    ]
    if len(found) == 1:
        return found[0]
    remedy = "name one by --drawn" if found or answered else "name the --out folder of `replay challenge`"
    raise EvidenceError(
        f"{len(found)} draws are to be answered{set_aside(theirs)}", where=str(theirs.path), remedy=remedy
    )


def used(theirs: Exchange, mine: Exchange) -> tuple[Found, ...]:
    """What is wrong with the verifier's draws taken together."""
    naming = {one.digest: said.promise for one, said in mine.of(WorkCommitted) if said.promise is not None}
    draws = [one for one, _ in theirs.of(PacketsDrawn)]
    promises = [one for one, _ in theirs.of(RandomnessPromised)]
    return check_uses(draws, promises, naming=naming, payload=either(theirs, mine))


@dataclass(frozen=True, kw_only=True)
class Made:
    """A draw that is about to be signed."""

    act: Act
    commitment: VerifiedStatement
    promised: VerifiedStatement | None


def judge(envelope: bytes, made: Made, theirs: Exchange, mine: Exchange | None, anchors: TrustAnchors) -> None:
    """The verifier judges its own draw as anybody will, before it goes out. Raises `EvidenceError` naming each
    fault."""
    drawn = verify_envelope(envelope, anchors=anchors, where="the draw")
    known = either(theirs, mine)
    fresh = dict(zip(made.act.subjects.values(), made.act.payloads, strict=True))

    def payload(digest: str) -> bytes:
        return fresh[digest] if digest in fresh else known(digest)

    statements = Statements(commitment=made.commitment, drawn=drawn, promise=made.promised)
    found = list(check_draw(statements, payload=payload).faults)
    draws = [one for one, _ in mine.of(PacketsDrawn)] if mine else []
    promises = [one for one, _ in mine.of(RandomnessPromised)] if mine else []
    naming = {one.digest: said.promise for one, said in theirs.of(WorkCommitted) if said.promise is not None}
    again = check_uses([*draws, drawn], promises, naming=naming, payload=payload)
    found += [one for one in again if one.statement == drawn.digest]
    if found:
        raise refusal("would not be a fair draw", found, where="replay challenge")
