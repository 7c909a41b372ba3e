"""`inspectorate cases hand-over, receive`: a case goes to another office, whole or as claims alone, once a quorum agrees."""

from __future__ import annotations

from pathlib import Path

import click

from inspectorate.canonical import digest_of
from inspectorate.cli.cases_desk import acted, done, on_case, on_desk, open_desk
from inspectorate.cli.options import EXISTING_FILE, NEW_PATH, now, write_text
from inspectorate.errors import EvidenceError, InputError
from inspectorate.files import read_bounded
from inspectorate.mechanisms.whistleblowing.cases.acts import HandedOver, HandOver, HandOverAgreed, Received
from inspectorate.mechanisms.whistleblowing.cases.handover import (
    PACKAGE_BYTES_MAX,
    agreed_terms,
    pack_claims,
    pack_whole,
    package_digest,
    sanitised,
    sign_document,
    unpack_claims,
    unpack_whole,
)
from inspectorate.mechanisms.whistleblowing.cases.store import seal, unseal

_to = click.option("--to", required=True, help="The office that receives.")
_form = click.option(
    "--claims-only", is_flag=True, help="Structured claims alone: not a word of the source goes along."
)


@click.group("hand-over")
def hand_over() -> None:
    """Hand a case to another office. `agree` is for every office of a quorum, `make` for any one of them then."""


@hand_over.command()
@on_case
@_to
@_form
def agree(case: str, desk_folder: Path, as_json: bool, to: str, claims_only: bool) -> None:
    """Agree that CASE goes to another office."""
    at_desk = open_desk(desk_folder)
    _, state = at_desk.desk.read(case)
    recipient = _recipient(at_desk.desk.known.recipients.get(to), to)
    if claims_only:
        document = sanitised(state, to)
        terms = HandOver(to=to, recipient=recipient, document=digest_of(document))
        act = HandOverAgreed(terms=terms, signature=sign_document(document, at_desk.desk.key))
    else:
        act = HandOverAgreed(terms=HandOver(to=to, recipient=recipient))
    state = at_desk.desk.act(case, act, at=now())
    agreeing = ", ".join(sorted(state.agreed[act.terms]))
    form = "its claims alone" if claims_only else "whole"
    acted(at_desk, state, act, as_json, lines=[f"{case} to {to}, {form}: {agreeing} agree"])


@hand_over.command()
@on_case
@_to
@_form
@click.option("--out", type=NEW_PATH, required=True, help="The package, sealed to the receiving office alone.")
def make(case: str, desk_folder: Path, as_json: bool, to: str, claims_only: bool, out: Path) -> None:
    """Make the package, once a quorum agreed. Fails otherwise, and writes nothing."""
    at, at_desk = now(), open_desk(desk_folder)
    desk = at_desk.desk
    file, state = desk.read(case)
    terms = agreed_terms(state, to, desk.known.offices, whole=not claims_only)
    if claims_only:
        document = sanitised(state, to)
        if digest_of(document) != terms.document:
            raise InputError("claims changed since a quorum agreed", where=f"case {case}", remedy="agree once more")
        package = pack_claims(document, {name: one.signature or "" for name, one in state.agreed[terms].items()})
        state = desk.act(case, HandedOver(terms=terms, package=digest_of(package)), at=at)
    else:
        files = {one.digest: desk.read_file(state, one) for one in state.files}
        state = desk.act(case, HandedOver(terms=terms, package=package_digest(file)), at=at)
        package = pack_whole(desk.read(case)[0], files)
    write_text(out, seal(package, [terms.recipient]))
    acted(at_desk, state, state.handed[-1], as_json, lines=[f"{out}: {case} for {to}, sealed to it alone"])


@click.command()
@click.argument("package", type=EXISTING_FILE)
@on_desk
def receive(desk_folder: Path, as_json: bool, package: Path) -> None:
    """Open what other offices handed over, and check that a quorum of them agreed. A whole case is kept at this desk."""
    at, at_desk = now(), open_desk(desk_folder)
    desk, where = at_desk.desk, str(package)
    sealed = read_bounded(package, PACKAGE_BYTES_MAX, too_large=EvidenceError)
    data = unseal(sealed, desk.store.reader.identity, where=where)
    if not data.startswith(b'{"entries":'):
        claims, signed = unpack_claims(data, desk.known.offices, where=where)
        if claims.to != desk.office:
            raise EvidenceError(f"is for {claims.to}", where=where)
        lines = [f"claims under {claims.agreement} and {claims.declaration}, signed by {', '.join(signed)}"]
        lines += [
            f"  {one.activity.value}: {one.clause}, {', '.join(one.pods) or 'pods not known'}, {one.period or 'time not known'}"
            for one in claims.claims
        ]
        done(as_json, {"claims": claims.model_dump(mode="json", exclude_none=True), "signed": list(signed)}, lines)
        return
    entries, files = unpack_whole(data, where=where)
    state = desk.receive(entries, files, at=at, where=where)
    acted(at_desk, state, Received(package=state.handed[-1].package), as_json, lines=[f"{state.case}: taken over"])


def _recipient(found: str | None, to: str) -> str:
    if found is None:
        raise InputError(
            f"{to!r} is no office that is known", where="--to", remedy="name it in the desk's list of others"
        )
    return found
