"""`inspectorate custody access`: challenge inspections: ask, log, and judge by quota and clock.

`cases request` asks on a case that an office has open; `request` here asks without one: by whoever may, on grounds of their own.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click

from inspectorate.agreement import Agreement, ChallengeAccess, load_agreement
from inspectorate.cli.options import EXISTING_FILE, NEW_PATH, anchors_option, json_option, now, parse_time
from inspectorate.cli.register_files import BREACH, FOLDER, PENDING, UNUSABLE, at_option, inspector_option
from inspectorate.cli.replay_files import Signing, keep_secret, own, print_result, sign, signing
from inspectorate.declaration import load_declaration
from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence import InspectionRequested
from inspectorate.evidence.act import Act, Who
from inspectorate.evidence.custody import AccessStep
from inspectorate.evidence.exchange import Exchange, read_plain
from inspectorate.keys import TrustAnchors
from inspectorate.mechanisms.custody.access import Access, Case, judge_access, read_access
from inspectorate.mechanisms.custody.access.acts import Details, Exits, make_log
from inspectorate.mechanisms.whistleblowing.cases.leads import (
    GROUNDS,
    Asked,
    check_asked,
    fresh_name,
    quota_of,
    request_of,
)

TEXT_BYTES_MAX = 4000
_agreement = click.option(
    "--agreement", "agreement_name", required=True, help="The name of a shipped agreement, or a file (YAML)."
)
_text = click.option("--text", "text_path", type=EXISTING_FILE, required=True, help="What stays with you.")
_keep = click.option("--keep", "keep_path", type=NEW_PATH, required=True, help="A new file for it, sealed by digest.")


@click.group()
def access() -> None:
    """Challenge inspections: the quota of a calendar year, the clock from request to admission, and what left meanwhile."""


@access.command()
@click.option("--declaration", "declaration_path", type=EXISTING_FILE, required=True, help="Of the party (YAML).")
@_agreement
@click.option("--site", required=True, help="The site that is to be inspected, as declared.")
@click.option("--pod", "pods", multiple=True, help="Only these pods; the whole site by default.")
@click.option(
    "--known", "folders", type=FOLDER, multiple=True, help="Folders of other offices: their requests count, too."
)
@click.option("--join", help="State the same request as another office, by its name.")
@click.option("--over-quota", is_flag=True, help="Ask although the quota is used up.")
@_text
@_keep
@inspector_option
@signing
def request(**options: Any) -> None:
    """Ask for a challenge inspection: it is numbered within its calendar year, and the clock begins."""
    at, anchors = now(), TrustAnchors.read(options["anchors_path"])
    agreement, declaration = load_agreement(options["agreement_name"]), load_declaration(options["declaration_path"])
    clause = _clause(agreement, at)
    mine = own(options["out"], anchors)
    folders = [*([mine] if mine else []), *(Exchange(path, anchors=anchors) for path in options["folders"])]
    known = [said for folder in folders for _, said in folder.of(InspectionRequested)]
    details = _details(options["text_path"])
    who = Who(name=options["by"], at=at, origin=options["origin"])
    due = at + timedelta(seconds=clause.access_within_s)
    if options["join"] is not None:
        said = _joined(options["join"], known, who, due)
    else:
        asked = Asked(
            request=fresh_name("request", secrets.token_bytes), site=options["site"], pods=tuple(sorted(options["pods"])),
            leads=(),
        )  # fmt: skip
        check_asked(asked, declaration, ())
        quota = quota_of(agreement, declaration.party, known, at)
        said = request_of(asked, quota, due, who, over_quota=options["over_quota"])
    digest = sign(
        Act(predicate=said, subjects={GROUNDS: details.digest}),
        Signing.of(options),
        before=lambda _: keep_secret(options["keep_path"], details.canonical_bytes()),
    )
    most = clause.per_party_per_year_max
    print_result(
        options["as_json"],
        {
            "statement": digest, "request": said.request, "party": said.party, "site": said.site, "number": said.number,
            "of": most, "year": said.requested_at.year, "access_by": said.access_by.isoformat(),
        },
        [
            f"{said.request}: inspection {said.number} of {most} of {said.party} in {said.requested_at.year}",
            f"access by {said.access_by:%Y-%m-%d %H:%M:%S} UTC", f"statement {digest}",
        ],
    )  # fmt: skip


@access.command()
@click.argument("wanted", metavar="REQUEST")
@click.option("--step", type=click.Choice([one.value for one in AccessStep]), required=True)
@click.option("--exits-inspected", type=click.IntRange(0, 10**6), default=0, show_default=True,
              help="People and vehicles that left since the last entry, and were looked at.")  # fmt: skip
@click.option("--exits-refused", type=click.IntRange(0, 10**6), default=0, show_default=True,
              help="That left since the last entry, and could not be looked at.")  # fmt: skip
@click.option("--from", "theirs", type=FOLDER, help="The folder of the office that asked, if it is not yours.")
@_text
@_keep
@inspector_option
@at_option
@signing
def log(**options: Any) -> None:
    """Log a step at the gate: arrived, admitted, refused, left. REQUEST is its name, or the digest of its statement."""
    anchors = TrustAnchors.read(options["anchors_path"])
    there = Exchange(options["theirs"], anchors=anchors) if options["theirs"] else own(options["out"], anchors)
    wanted: str = options["wanted"]
    requests = there.of(InspectionRequested) if there else []
    asked = [one.digest for one, said in requests if said.request == wanted or one.digest.startswith(wanted)]
    if len(asked) != 1:
        where = str(options["theirs"] or options["out"])
        raise EvidenceError(f"holds {len(asked)} requests {wanted[:30]!r}", where=where, remedy="name its statement")
    details, step = _details(options["text_path"]), AccessStep(options["step"])
    exits = Exits(inspected=options["exits_inspected"], refused=options["exits_refused"])
    who = Who(name=options["by"], at=parse_time(options["at"]), origin=options["origin"])
    act = make_log(asked[0], step, details, exits, who)
    digest = sign(
        act, Signing.of(options), before=lambda _: keep_secret(options["keep_path"], details.canonical_bytes())
    )
    facts = {"statement": digest, "request": asked[0], "step": step.value, "logged_at": who.at.isoformat()}
    print_result(options["as_json"], facts, [f"logged: {step.value}", f"statement {digest}"])


@access.command()
@click.argument("paths", nargs=-1, required=True, metavar="FOLDER...", type=FOLDER)
@_agreement
@click.option("--party", required=True, help="Whose sites were to be inspected.")
@click.option("--as-of", help="Judge as of this time; the present by default.")
@anchors_option
@json_option
def show(**options: Any) -> None:
    """Every request to a party in the FOLDERs of offices and inspectors, and what became of it.

    Exits 20 where access was late, refused or not given, or something left unlooked at; 30 where requests or logs do not fit
    together or show nothing of the party; 10 where a clock runs.
    """
    anchors, as_of = TrustAnchors.read(options["anchors_path"]), parse_time(options["as_of"])
    clause = _clause(load_agreement(options["agreement_name"]), as_of)
    folders = [Exchange(path, anchors=anchors) for path in options["paths"]]
    statements = list({one.digest: one for folder in folders for one in folder.statements}.values())
    requests, logs = read_access(statements, options["party"])
    judged = judge_access(requests, logs, clause=clause, party=options["party"], as_of=as_of)
    aside = [text for folder in folders for text in folder.set_aside]
    facts = {
        "party": judged.party, "as_of": as_of.isoformat(), "quota": clause.per_party_per_year_max,
        "cases": [_facts(case) for case in judged.cases],
        "faults": [
            {"fault": one.fault.value, "detail": one.detail, "against_party": one.against_party,
             "requests": list(one.requests), "statements": list(one.statements)}
            for one in judged.found
        ],
        "set_aside": aside,
    }  # fmt: skip
    lines = [line for case in judged.cases for line in _lines(case, clause)] or [f"no requests to {judged.party}"]
    lines += [f"fault  {one}" for one in judged.found] + [f"set aside: {text}" for text in aside]
    print_result(options["as_json"], facts, lines)
    raise click.exceptions.Exit(_code(judged, aside))


def _code(judged: Access, aside: Sequence[str]) -> int:
    if any(case.against_party for case in judged.cases):
        return BREACH
    seen = all(case.shows_granted or case in judged.pending for case in judged.cases)
    if aside or judged.found or not judged.cases or not seen:
        return UNUSABLE
    return PENDING if judged.pending else 0


def _clause(agreement: Agreement, at: datetime) -> ChallengeAccess:
    """The clause on access as it stood then. Raises `InputError`."""
    try:
        clauses = agreement.on(at).clauses
    except ValueError as fault:
        raise InputError(str(fault), where=f"agreement {agreement.id}") from None
    found = [one.parameters for one in clauses if isinstance(one.parameters, ChallengeAccess)]
    if not found:
        remedy = "one of kind challenge-access"
        raise InputError("has no clause on challenge inspections", where=f"agreement {agreement.id}", remedy=remedy)
    return found[0]


def _joined(name: str, known: Sequence[InspectionRequested], who: Who, due: datetime) -> InspectionRequested:
    """The same request in another office's name. Raises `InputError`."""
    one = next((said for said in known if said.request == name), None)
    if one is None:
        raise InputError(
            f"no request {name!r} is known", where="--join", remedy="name the other office's folder: --known"
        )
    changed: Mapping[str, object] = {
        "by": who.name, "origin": who.origin, "requested_at": who.at, "access_by": due, "leads": (),
    }  # fmt: skip
    return InspectionRequested.parse({**one.model_dump(), **changed}, where="--join", error=InputError)


def _details(path: Path) -> Details:
    try:
        text = read_plain(path, TEXT_BYTES_MAX).decode().strip()
    except (EvidenceError, UnicodeDecodeError):
        raise InputError(f"is no text of at most {TEXT_BYTES_MAX} bytes", where=str(path)) from None
    return Details.parse({"salt": secrets.token_hex(32), "text": text}, where=str(path), error=InputError)


def _facts(case: Case) -> dict[str, object]:
    times = {
        name: getattr(case, name)
        for name in ("requested_at", "due", "arrived_at", "admitted_at", "refused_at", "left_at")
    }
    return {
        "request": case.request, "site": case.site, "pods": list(case.pods), "year": case.year, "number": case.number,
        "outcome": case.outcome.value, "against_party": case.against_party,
        **{name: time.isoformat() if time else None for name, time in times.items()},
        "waited_s": case.waited.total_seconds() if case.waited is not None else None,
        "exits_inspected": case.exits_inspected, "exits_refused": case.exits_refused,
    }  # fmt: skip


def _lines(case: Case, clause: ChallengeAccess) -> list[str]:
    lines = [
        f"{case.year} number {case.number} of {clause.per_party_per_year_max}  {case.request}  {case.site}: {case.outcome.value}"
    ]
    steps = (("asked", case.requested_at), ("due", case.due), ("arrived", case.arrived_at), ("refused", case.refused_at),
             ("admitted", case.admitted_at), ("left", case.left_at))  # fmt: skip
    lines += [f"    {name:<9}{time:%Y-%m-%d %H:%M:%S} UTC" for name, time in steps if time is not None]
    if case.exits_inspected or case.exits_refused:
        lines.append(f"    exits    {case.exits_inspected} looked at, {case.exits_refused} not")
    return lines
