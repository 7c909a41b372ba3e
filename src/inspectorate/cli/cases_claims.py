"""`inspectorate cases claim, note, link, corroborate, other-word`: what a source says, and what is found beside it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import click

from inspectorate.agreement import Agreement
from inspectorate.assessment import Lead
from inspectorate.canonical import Record, digest_of
from inspectorate.cli.cases_desk import acted, on_case, open_desk, words_from, yaml_from
from inspectorate.cli.options import EXISTING_FILE, FiniteRange, now, parse_time, print_json, printable
from inspectorate.cli.reviews import read_review
from inspectorate.corroboration import TOUCHES, HeardLead, corroborate
from inspectorate.errors import InputError
from inspectorate.evidence import Activity, HumanSource, Step
from inspectorate.mechanisms.whistleblowing.cases.acts import Claim, Corroborated, Link, Noted, OtherWord
from inspectorate.mechanisms.whistleblowing.cases.link import tie
from inspectorate.mechanisms.whistleblowing.cases.state import CaseState
from inspectorate.quantities import Period
from inspectorate.review import Review

FROM_REPORT = (("saw", ("seen", "text", "more")), ("could_see", ("view",)), ("could_not_see", ("unseen",)))
"""Parts of a claim, and the fields that hold them: of the intake's forms, and of a report that was sealed by hand (`text`)."""
SENTENCE_CHARACTERS = 4000


class Words(Record):
    """What `--words` holds: sentences by part."""

    saw: tuple[str, ...] = ()
    could_see: tuple[str, ...] = ()
    could_not_see: tuple[str, ...] = ()
    told: tuple[str, ...] = ()
    quantity: str | None = None


@click.command()
@on_case
@click.option(
    "--id",
    "name",
    required=True,
    help="A short name of the claim, such as c1. The same name again revises it: link it anew.",
)
@click.option("--activity", type=click.Choice([one.value for one in Activity]), required=True)
@click.option("--site", help="As declared.")
@click.option("--cluster")
@click.option("--pod", "pods", multiple=True)
@click.option("--from", "start", help="When it began.")
@click.option("--until", "end", help="When it ended.")
@click.option(
    "--flop-min", type=FiniteRange(min=0, min_open=True), help="At least so much training is spoken of [FLOP]."
)
@click.option(
    "--words", metavar="FILE", help="YAML with saw, could_see, could_not_see, told (lists) and quantity; - is stdin."
)
@click.option("--from-report", is_flag=True, help="Take these parts as the source wrote them into the form.")
def claim(case: str, desk_folder: Path, as_json: bool, **options: Any) -> None:
    """Record one thing that the source says, and the boundary of what they can know. Nothing is weighed."""
    at_desk = open_desk(desk_folder)
    _, state = at_desk.desk.read(case)
    if (options["words"] is None) == (not options["from_report"]):
        raise InputError("give either --words or --from-report", where="--words, --from-report")
    words = _from_report(state) if options["from_report"] else _words(options["words"])
    period = None
    if options["start"] or options["end"]:
        if not (options["start"] and options["end"]):
            raise InputError("give both", where="--from, --until")
        given = {"start": parse_time(options["start"]), "end": parse_time(options["end"])}
        period = Period.parse(given, where="--from, --until", error=InputError)
    said = Claim.parse(
        {
            "id": options["name"], "activity": options["activity"], "site": options["site"], "cluster": options["cluster"],
            "pods": options["pods"], "period": period, "flop_min": options["flop_min"], **words.model_dump(),
        },
        where="the claim", error=InputError,
    )  # fmt: skip
    state = at_desk.desk.act(case, said, at=now())
    lines = [f"claim {said.id}: {said.activity.value}", *(f"  not asked yet: {one}" for one in said.not_asked)]
    acted(at_desk, state, said, as_json, lines=lines)


@click.command()
@on_case
@click.option("--text", default="-", show_default=True, metavar="FILE", help="The note; - is standard input.")
def note(case: str, desk_folder: Path, as_json: bool, text: str) -> None:
    """Leave a note for the handlers of all offices that hold the case."""
    at_desk = open_desk(desk_folder)
    act = Noted.parse({"text": words_from(text, "--text")}, where="--text", error=InputError)
    state = at_desk.desk.act(case, act, at=now())
    acted(at_desk, state, act, as_json, lines=[f"noted in {case}"])


@click.command()
@on_case
@click.option("--claim", "name", required=True)
@click.option("--clause", help="The clause that it would break.")
@click.option("--declared", help="The declared claim that it is about: what the prover said these pods did.")
@click.option(
    "--declaration", "declaration_path", type=EXISTING_FILE, help="The declaration (YAML), if not the desk's."
)
def link(
    case: str, desk_folder: Path, as_json: bool, name: str, clause: str | None, declared: str | None,
    declaration_path: Path | None,
) -> None:  # fmt: skip
    """Tie a claim to the agreement and the declaration. Every name is looked up there."""
    at, at_desk = now(), open_desk(desk_folder)
    _, state = at_desk.desk.read(case)
    said = _claim_of(state, name)
    agreement = at_desk.agreement
    if clause is None:
        raise InputError(
            "is needed",
            where="--clause",
            remedy=f"clauses that would show {said.activity.value}: {_near(agreement, said, at)}",
        )
    tied = tie(
        said,
        clause=clause,
        agreement=agreement,
        declaration=at_desk.declaration(declaration_path),
        at=at,
        declared=declared,
    )
    state = at_desk.desk.act(case, tied, at=at)
    where = ", ".join(tied.pods) if tied.pods else "pods not known"
    acted(
        at_desk,
        state,
        tied,
        as_json,
        lines=[f"claim {name}: {tied.clause}, {where}, {tied.period or 'time not known'}"],
    )


def _near(agreement: Agreement, said: Claim, at: datetime) -> str:
    found = [one.id for one in agreement.on(at).clauses if one.kind in TOUCHES[said.activity]]
    return ", ".join(found) or "none; `agreement show` lists them all"


@click.command("corroborate")
@on_case
@click.option("--review", "review_path", type=EXISTING_FILE, required=True, help="What `review --json` printed.")
@click.option("--claim", "name", help="Only this claim; all that are linked by default.")
def corroborate_(case: str, desk_folder: Path, as_json: bool, review_path: Path, name: str | None) -> None:
    """Hold claims against what machines show, as a review found it. A claim stays as it was said."""
    at, at_desk = now(), open_desk(desk_folder)
    _, state = at_desk.desk.read(case)
    names = [name] if name is not None else list(state.links)
    if not names:
        raise InputError("no claim is linked yet", where=f"case {case}", remedy="`cases link` comes first")
    data, review = read_review(review_path)
    found = []
    for one in names:
        said, tied = _claim_of(state, one), state.links.get(one)
        if tied is None:
            raise InputError(f"claim {one} is not linked yet", where=f"case {case}", remedy="`cases link` comes first")
        found.append((said, hold(said, tied, review, at_desk.agreement, review_digest=digest_of(data))))
    for _, act in found:
        at_desk.desk.act(case, act, at=at)
    if as_json:
        acts = [
            act.model_dump(mode="json", exclude_none=True) | {"sentence": sentence(said, state.links[said.id], act)}
            for said, act in found
        ]
        print_json({"case": case, "found": acts})
        return
    for said, act in found:
        click.echo("\n".join(_paragraph(said, state.links[said.id], act)))


def hold(said: Claim, tied: Link, review: Review, agreement: Agreement, *, review_digest: str) -> Corroborated:
    """A linked claim against a review of the same agreement and party. Raises `InputError` where they do not fit."""
    if (review.agreement, review.declaration_digest) != (tied.agreement, tied.declaration_digest):
        raise InputError(
            f"is of {review.agreement} and declaration {review.declaration}, and claim {said.id} is linked to {tied.agreement}"
            f" and declaration {tied.declaration}", where="--review", remedy="link the claim to the declaration that was reviewed",
        )  # fmt: skip
    terms = agreement.on(review.as_of, with_proposed=review.with_proposed)
    lead = Lead(
        id=said.id, source=HumanSource.WHISTLEBLOWER, bears_on=tied.clause, activity=said.activity, pods=tied.pods,
        period=tied.period, flop_min=said.flop_min, offices=("here",), step=Step.CLARIFY, evidence_ids=(review_digest,),
    )  # fmt: skip
    assessments = [one for finding in review.findings for one in finding.assessments]
    heard: HeardLead = corroborate(
        lead, assessments, review.account, kinds={clause.id: clause.kind for clause in terms.clauses}
    )
    assert heard.next_step is not None
    return Corroborated(
        claim=said.id, review=review_digest, as_of=review.as_of, simulated=review.simulated, standing=heard.standing.value,
        by=heard.by, gaps=heard.gaps, assumptions=heard.assumptions, next_step=heard.next_step,
    )  # fmt: skip


def sentence(said: Claim, tied: Link, act: Corroborated) -> str:
    """What came of it, in one sentence: the claim about 14 March at pod B3 is contradicted by ..."""
    when = f"{tied.period.start:%-d %B %Y}" if tied.period else "a time that is not known"
    if (
        tied.period
        and (tied.period.end - tied.period.start).days >= 1
        and tied.period.end.date() != tied.period.start.date()
    ):
        when = f"{tied.period.start:%-d %B %Y} to {tied.period.end:%-d %B %Y}"
    if not tied.pods:
        place = "pods that are not known"
    elif len(tied.pods) <= 6:
        place = ("pod " if len(tied.pods) == 1 else "pods ") + ", ".join(tied.pods)
    else:
        place = f"{len(tied.pods)} pods"
    head = f"The claim about {said.activity.value} on {when} at {place} is {act.standing}"
    if act.standing == "untouched":
        return f"{head} by what machines showed."
    return f"{head} by {'; '.join(act.by)}."


def _paragraph(said: Claim, tied: Link, act: Corroborated) -> list[str]:
    lines = [f"{said.id}: {sentence(said, tied, act)}"]
    lines += ["  The review rests on a simulated world."] if act.simulated else []
    lines += [f"  not seen: {gap}" for gap in act.gaps]
    lines += [f"  assumed: {one}" for one in act.assumptions]
    lines += [f"  the boundary, in the source's words: {printable(one)}" for one in said.could_not_see]
    return [*lines, f"  next step: {act.next_step.value}"]


@click.command("other-word")
@on_case
@click.option("--claim", "name", required=True)
@click.option("--other-case", required=True)
@click.option("--other-claim", required=True)
@click.option(
    "--why", default="-", show_default=True, metavar="FILE", help="Why they are two people; - is standard input."
)
def other_word(
    case: str, desk_folder: Path, as_json: bool, name: str, other_case: str, other_claim: str, why: str
) -> None:
    """Note that another source says the same, and why they are held to be somebody else."""
    at_desk = open_desk(desk_folder)
    _claim_of(at_desk.desk.read(other_case)[1], other_claim)
    given = {
        "claim": name,
        "other_case": other_case,
        "other_claim": other_claim,
        "why_independent": words_from(why, "--why"),
    }
    act = OtherWord.parse(given, where="the other word", error=InputError)
    state = at_desk.desk.act(case, act, at=now())
    acted(at_desk, state, act, as_json, lines=[f"claim {name}: claim {other_claim} of {other_case} says the same"])


def _claim_of(state: CaseState, name: str) -> Claim:
    if name not in state.claims:
        known = ", ".join(state.claims) or "none"
        raise InputError(f"no claim {name!r}", where=f"case {state.case}", remedy=f"claims: {known}")
    return state.claims[name]


def _words(given: str) -> Words:
    return Words.parse(yaml_from(given, "--words"), where="--words", error=InputError)


def _from_report(state: CaseState) -> Words:
    """The parts of a claim as the source filled in the form, over all of its reports."""
    taken: dict[str, tuple[str, ...]] = {}
    answers = [report.opened.answers for report in state.reports]
    for part, fields in FROM_REPORT:
        texts = [given[field] for given in answers for field in fields if given.get(field)]
        taken[part] = tuple(piece for text in texts for piece in _pieces(text))
    if not any(taken.values()):
        raise InputError("the reports fill in none of these fields", where=f"case {state.case}", remedy="give --words")
    return Words.model_validate(taken)


def _pieces(text: str) -> list[str]:
    """A text in pieces that a claim can hold."""
    return [text[at : at + SENTENCE_CHARACTERS] for at in range(0, len(text), SENTENCE_CHARACTERS)]
