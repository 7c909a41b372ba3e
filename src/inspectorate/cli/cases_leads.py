"""`inspectorate cases raise, close, reopen, request`: what an office signs for all parties to see, and the end of a case."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import click

from inspectorate.cli.cases_desk import AtDesk, acted, on_case, open_desk, when, words_from
from inspectorate.cli.options import EXISTING, EXISTING_FILE, HOURS_MAX, FiniteRange, now
from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence import Closing, InspectionRequested, Step
from inspectorate.evidence.envelope import verify_envelope
from inspectorate.files import read_bounded
from inspectorate.keys import TrustAnchors
from inspectorate.mechanisms.whistleblowing.cases.acts import CloseAgreed, LeadEnded, Reopened, Requested
from inspectorate.mechanisms.whistleblowing.cases.leads import (
    Asked,
    access_by,
    check_asked,
    fresh_name,
    quota_of,
    sign_closed,
    sign_raised,
    sign_request,
    subject_of,
)
from inspectorate.mechanisms.whistleblowing.cases.state import CaseStanding, enough

STATEMENTS_MAX = 100_000
STATEMENT_BYTES_MAX = 1 << 20


@click.command("raise")
@on_case
@click.option("--claim", "name", required=True, help="The claim that calls for it; it must be linked.")
@click.option(
    "--step", type=click.Choice([one.value for one in Step]), required=True, help="What this office asks for."
)
@click.option("--lead", help="Join a lead that another office raised; a fresh name by default.")
def raise_(case: str, desk_folder: Path, as_json: bool, name: str, step: str, lead: str | None) -> None:
    """Sign a `LeadRaised` of a claim. Each office that agrees says so itself, with the same --lead.

    The statement lies in the desk's folder `out`, ready for a bundle. It names no case, and holds no word of anybody.
    """
    at, at_desk = now(), open_desk(desk_folder)
    signing, state = at_desk.signing(case, at)
    if lead is not None and lead not in state.leads:
        known = ", ".join(state.leads) or "none"
        raise InputError(
            f"no lead {lead!r} in this case", where="--lead", remedy=f"leads: {known}; `cases merge` takes over others"
        )
    raised = subject_of(state, name, lead=lead or fresh_name("lead", secrets.token_bytes), step=Step(step))
    envelope = sign_raised(raised, signing)
    raised = raised.model_copy(update={"statement": at_desk.keep_statement(envelope)})
    state = at_desk.desk.act(case, raised, at=at)
    offices = state.leads[raised.lead].raised
    missing = at_desk.desk.known.offices.quorum - len(offices)
    lines = [f"lead {raised.lead}: raised by {', '.join(sorted(offices))}; this office asks for: {step}"]
    lines += [f"  it is shown once {missing} more office(s) raise it"] if missing > 0 else []
    acted(at_desk, state, raised, as_json, lines=lines)


@click.command()
@on_case
@click.option("--lead", help="Close this lead; the case itself by default.")
@click.option("--because", type=click.Choice([one.value for one in Closing]), required=True)
def close(case: str, desk_folder: Path, as_json: bool, lead: str | None, because: str) -> None:
    """Close a lead that this office raised (signs a `LeadClosed`), or agree to close the case: that takes a quorum."""
    at, at_desk, closing = now(), open_desk(desk_folder), Closing(because)
    signing, state = at_desk.signing(case, at)
    if lead is not None:
        envelope = sign_closed(state, lead, closing, signing)
        ended = LeadEnded(lead=lead, closing=closing, statement=at_desk.keep_statement(envelope))
        state = at_desk.desk.act(case, ended, at=at)
        acted(at_desk, state, ended, as_json, lines=[f"lead {lead}: {at_desk.desk.office} closes it: {closing.value}"])
        return
    still = [name for name, one in state.leads.items() if at_desk.desk.office in set(one.raised) - set(one.ended)]
    if still:
        raise InputError(
            f"this office still follows {', '.join(still)}", where=f"case {case}", remedy="close its leads first"
        )
    agreed = CloseAgreed(closing=closing)
    state = at_desk.desk.act(case, agreed, at=at)
    offices = at_desk.desk.known.offices
    text = "closed" if state.standing is CaseStanding.CLOSED else f"open until {offices.quorum} offices agree"
    assert (state.standing is CaseStanding.CLOSED) == enough(offices, state.closing)
    acted(at_desk, state, agreed, as_json, lines=[f"{case}: {', '.join(state.closing)} would close it; it is {text}"])


@click.command()
@on_case
@click.option("--text", default="-", show_default=True, metavar="FILE", help="Why; - is standard input.")
def reopen(case: str, desk_folder: Path, as_json: bool, text: str) -> None:
    """Follow a case again. One office is enough."""
    at_desk = open_desk(desk_folder)
    act = Reopened.parse({"text": words_from(text, "--text")}, where="--text", error=InputError)
    state = at_desk.desk.act(case, act, at=now())
    acted(at_desk, state, act, as_json, lines=[f"{case} is {state.standing.value}"])


@click.command()
@on_case
@click.option("--site", required=True, help="The site that is to be inspected, as declared.")
@click.option("--pod", "pods", multiple=True, help="Only these pods; the whole site by default.")
@click.option("--lead", "leads", multiple=True, required=True, help="A lead on which it rests.")
@click.option("--known", "known_folders", type=EXISTING, multiple=True,
              help="Statements of other offices (a folder with `statements/`): their requests count, too.")  # fmt: skip
@click.option(
    "--anchors", "anchors_path", type=EXISTING_FILE, help="With --known: the reviewer's trust anchors (YAML)."
)
@click.option(
    "--declaration", "declaration_path", type=EXISTING_FILE, help="The declaration (YAML), if not the desk's."
)
@click.option(
    "--access-hours", type=FiniteRange(0, HOURS_MAX, min_open=True), help="Where the agreement has no clock for it."
)
@click.option("--over-quota", is_flag=True, help="Ask although the quota is used up. The act says so.")
def request(
    case: str, desk_folder: Path, as_json: bool, site: str, pods: tuple[str, ...], leads: tuple[str, ...],
    known_folders: tuple[Path, ...], anchors_path: Path | None, declaration_path: Path | None, access_hours: float | None,
    over_quota: bool,
) -> None:  # fmt: skip
    """Sign an `InspectionRequested`: a challenge inspection of the party whose declaration it is, within its quota."""
    at, at_desk = now(), open_desk(desk_folder)
    signing, state = at_desk.signing(case, at)
    agreement, declaration = at_desk.agreement, at_desk.declaration(declaration_path)
    asked = Asked(request=fresh_name("request", secrets.token_bytes), site=site, pods=tuple(sorted(pods)), leads=leads)
    check_asked(asked, declaration, set(state.leads))
    quota = quota_of(agreement, declaration.party, _known(at_desk, known_folders, anchors_path), at)
    by_when = access_by(agreement, at) if access_hours is None else at + timedelta(hours=access_hours)
    envelope = sign_request(asked, quota, by_when, signing, over_quota=over_quota)
    act = Requested(
        request=asked.request, party=quota.party, leads=leads, number=quota.number, quota=quota.most,
        over_quota=quota.over, requested_at=at, access_by=by_when, statement=at_desk.keep_statement(envelope),
    )  # fmt: skip
    state = at_desk.desk.act(case, act, at=at)
    lines = [
        f"{act.request}: inspection {act.number} of {quota.most} of {act.party} in {quota.year}, access by {when(by_when)}"
    ]
    lines += ["  OVER QUOTA: the agreement does not grant it"] if act.over_quota else []
    lines += [] if known_folders else ["  counted: requests of this office alone (--known adds those of others)"]
    acted(at_desk, state, act, as_json, lines=lines)


def _known(
    at_desk: AtDesk, folders: Sequence[Path], anchors_path: Path | None
) -> list[InspectionRequested | Requested]:
    """All requests that are known: those in the cases of this desk, and those in the given folders.

    Raises `InputError`, `EvidenceError`: a request that cannot be read is not left out of the count.
    """
    found: list[InspectionRequested | Requested] = [one for state in at_desk.desk.all() for one in state.requests]
    if not folders:
        return found
    if anchors_path is None:
        raise InputError("is needed with --known", where="--anchors")
    anchors = TrustAnchors.read(anchors_path)
    for path in (path for folder in folders for path in _files(folder)):
        data = read_bounded(path, STATEMENT_BYTES_MAX, too_large=EvidenceError)
        said = verify_envelope(data, anchors=anchors, where=str(path)).predicate
        if isinstance(said, InspectionRequested):
            found.append(said)
    return found


def _files(folder: Path) -> list[Path]:
    place = folder / "statements"
    if not place.is_dir():
        return []
    paths = sorted(place.glob("*.json"))
    if len(paths) > STATEMENTS_MAX:
        raise InputError(f"holds more than {STATEMENTS_MAX} statements", where=str(place))
    return paths
