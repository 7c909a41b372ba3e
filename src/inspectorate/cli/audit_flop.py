"""`inspectorate audit flop`: what a run took, from several sources; contradictions, and what is left unexplained.

Exit codes: 0 the sources agree, 10 questions are open or sources too few, 20 sources contradict each other, 30 a trace is no
evidence, 2 wrong use.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from inspectorate.agreement import AccountedFlop, Agreement, load_agreement
from inspectorate.canonical import digest_of
from inspectorate.cli.options import EXISTING_FILE, NAME, json_option, now, parse_time, print_json
from inspectorate.cli.running import ledger_append
from inspectorate.declaration import ChipGroup, Declaration, WorkloadClaim, load_declaration
from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence import Origin, sign_statement
from inspectorate.evidence.spool import DiskSpool
from inspectorate.files import read_bounded
from inspectorate.keys import Holder, SigningKey, read_yaml
from inspectorate.mechanisms.inspection.flop.account import FlopAccount, make_account
from inspectorate.mechanisms.inspection.flop.facts import Facts, Terms, Traced
from inspectorate.mechanisms.inspection.flop.judge import account_statement, chips_of
from inspectorate.mechanisms.inspection.flop.reference import TRACE_BYTES_MAX
from inspectorate.mechanisms.inspection.flop.signs import CONTRADICTING
from inspectorate.mechanisms.inspection.flop.tracefile import Trace, parse_trace, totals_of
from inspectorate.quantities import Period

FACTS_BYTES_MAX = 1 << 20
DISAGREEMENT_DEFAULT = 0.1
_PARAMETER = {"as": "by", "ledger-key": "ledger_key_path"}


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """What the command was asked to account for."""

    declaration: Declaration
    claim: WorkloadClaim
    run: str
    period: Period


@click.command()
@click.option("--agreement", "agreement_name", required=True, help="A YAML file, or the name of a shipped agreement.")
@click.option("--clause", "clause_id", help="The clause on accounted FLOP, where there are several.")
@click.option("--declaration", "declaration_path", type=EXISTING_FILE, required=True, help="The declaration (YAML).")
@click.option("--claim", "claim_id", required=True, help="The claim that the run belongs to.")
@click.option("--run", type=NAME, required=True, help="The name of the run.")
@click.option("--facts", "facts_path", type=EXISTING_FILE, required=True,
              help="Described work, meters, energy, memory, replayed packets; each with its holder (YAML).")  # fmt: skip
@click.option("--trace", "traces", type=EXISTING_FILE, multiple=True, help="Of the prover's loop; may be given again.")
@click.option("--own-trace", "own_traces", type=EXISTING_FILE, multiple=True,
              help="That the verifier made, of the whole run; may be given again.")  # fmt: skip
@click.option("--from", "start", help="Start of the run; by default, of the claim.")
@click.option("--to", "end", help="End of the run; by default, of the claim.")
@click.option("--as", "by", type=NAME, help="The inspector's name as a trust anchor.")
@click.option("--key", "key_path", type=EXISTING_FILE, help="The inspector's key: sign a statement.")
@click.option("--out", "out", type=click.Path(file_okay=False, path_type=Path), help="Where to write it.")
@click.option("--ledger", type=click.Path(file_okay=False, path_type=Path), help="Append its digest to this log.")
@click.option("--ledger-key", "ledger_key_path", type=EXISTING_FILE, help="The log's key, if it is not that of --key.")
@click.option("--origin", type=click.Choice(Origin, case_sensitive=False), default=Origin.RECORDED, show_default=True)
@json_option
def flop(**options: Any) -> None:
    """Account for the FLOP of one run: every source as a range, joined; contradictions; what could have run beside it."""
    given = [name for name in ("as", "out", "ledger", "ledger-key") if options[_PARAMETER.get(name, name)] is not None]
    if given and options["key_path"] is None:
        raise InputError("nothing is signed without --key", where=", ".join(f"--{name}" for name in given))
    agreement = load_agreement(options["agreement_name"])
    clause = _clause(agreement, options["clause_id"])
    terms = Terms.of(
        agreement,
        disagreement_share_max=clause.disagreement_share_max if clause else DISAGREEMENT_DEFAULT,
        sources_min=clause.sources_min if clause else 1,
    )
    asked = _asked(options)
    account = make_account(asked.claim.id, asked.run, _facts(asked, options), terms)
    statement = None if options["key_path"] is None else _sign(account, options)
    code = _exit(account, terms)
    if options["as_json"]:
        print_json({
            "account": account.model_dump(mode="json"), "flop_min": account.flop_min, "flop_max": account.flop_max,
            "thresholds": _thresholds(agreement, account), "statement": statement, "exit": code,
        })  # fmt: skip
    else:
        _print(account, agreement, terms)
        if statement:
            click.echo(f"statement {statement}")
    raise click.exceptions.Exit(code)


def _clause(agreement: Agreement, name: str | None) -> AccountedFlop | None:
    found = [one for one in agreement.clauses if isinstance(one.parameters, AccountedFlop) and name in {None, one.id}]
    if name is not None and not found:
        raise InputError(f"the agreement has no clause {name!r} on accounted FLOP", where="--clause")
    if len(found) > 1:
        raise InputError("the agreement has several clauses on accounted FLOP", remedy="name one with --clause")
    parameters = found[0].parameters if found else None
    assert parameters is None or isinstance(parameters, AccountedFlop)
    return parameters


def _asked(options: dict[str, Any]) -> _Asked:
    declaration = load_declaration(options["declaration_path"])
    claim = next((one for one in declaration.claims if one.id == options["claim_id"]), None)
    if claim is None:
        raise InputError(f"has no claim {options['claim_id']!r}", where=str(options["declaration_path"]))
    start = claim.period.start if options["start"] is None else parse_time(options["start"])
    end = claim.period.end if options["end"] is None else parse_time(options["end"])
    period = Period.parse({"start": start, "end": end}, where="--from, --to", error=InputError)
    return _Asked(declaration=declaration, claim=claim, run=options["run"], period=period)


def _facts(asked: _Asked, options: dict[str, Any]) -> Facts:
    path = options["facts_path"]
    given = read_yaml(path, bytes_max=FACTS_BYTES_MAX)
    if not isinstance(given, dict) or {"period", "pods", "chips", "traces"} & set(given):
        raise InputError(
            "must be a mapping without period, pods, chips and traces", where=str(path),
            remedy="these come from the declaration and the options",
        )  # fmt: skip
    traces = [
        Traced(by=holder, totals=totals_of(_read_traces(options[name]), run=asked.run)).model_dump()
        for name, holder in (("traces", Holder.PROVER), ("own_traces", Holder.VERIFIER))
        if options[name]
    ]
    chips = [
        ChipGroup(model=model, count=count).model_dump()
        for model, count in sorted(chips_of(asked.declaration, asked.claim.pods).items())
    ]
    return Facts.parse(
        {**given, "period": asked.period.model_dump(), "pods": asked.claim.pods, "chips": chips, "traces": traces},
        where=str(path),
        error=InputError,
    )


def _read_traces(paths: tuple[Path, ...]) -> list[Trace]:
    return [parse_trace(read_bounded(path, TRACE_BYTES_MAX), where=str(path)) for path in paths]


def _sign(account: FlopAccount, options: dict[str, Any]) -> str:
    if options["by"] is None or options["out"] is None:
        raise InputError("a statement needs --as and --out", where="--key")
    if account.facts.period.end > now():
        raise EvidenceError("the run has not ended yet", where=account.run)
    key = SigningKey.read(options["key_path"])
    statement, payload = account_statement(account, by=options["by"], origin=options["origin"], accounted_at=now())
    envelope = sign_statement(statement, key)
    digest = digest_of(envelope)
    with contextlib.ExitStack() as stack:
        append = ledger_append(stack, options["ledger"], options["ledger_key_path"], key)
        spool = stack.enter_context(DiskSpool(options["out"]))
        spool.put(f"payloads/{digest_of(payload).removeprefix('sha256:')}", [payload])
        spool.put(f"statements/{digest.removeprefix('sha256:')}.json", [envelope])
        if append:
            append(bytes.fromhex(digest.removeprefix("sha256:")))
    return digest


def _exit(account: FlopAccount, terms: Terms) -> int:
    if account.contradicted:
        return 20
    if account.joined.differences or account.signs or account.joined.independent < terms.sources_min:
        return 10
    return 0


def _thresholds(agreement: Agreement, account: FlopAccount) -> dict[str, str]:
    """Each threshold: whether the run is above it, may be, or is not."""
    return {
        one.id: "above"
        if account.flop_min > one.flop_max
        else "may be above"
        if account.flop_max > one.flop_max
        else "below"
        for one in agreement.thresholds
    }


def _print(account: FlopAccount, agreement: Agreement, terms: Terms) -> None:
    table = Table("source", "speaks of", "held by", "least FLOP", "most FLOP", "rests on")
    for one in account.sources:
        table.add_row(
            one.id, one.scope.value, one.holder.value, f"{one.low:.4g}", "open" if one.high is None else f"{one.high:.4g}",
            ", ".join((*one.rests_on, *(f"if {text}" for text in one.assumes))),
        )  # fmt: skip
    Console().print(table)
    joined = account.joined
    for name, held in (("stated", joined.stated), ("verified", joined.verified)):
        most = "open" if held.high is None else f"{held.high:.4g}"
        click.echo(f"{name}: {held.low:.4g} to {most} FLOP")
    click.echo(f"for the agreement: {account.flop_min:.4g} to {account.flop_max:.4g} FLOP")
    for threshold, text in _thresholds(agreement, account).items():
        click.echo(f"  {threshold}: {text}")
    if account.counted is not None:
        click.echo(
            f"traced: {account.counted.operations:.4g} operations in the formats used, "
            f"{account.counted.fp16_equivalent:.4g} FP16-equivalent"
        )
    spare = "open" if joined.spare is None else f"{joined.spare:.4g} FLOP"
    share = "" if joined.spare_share is None else f", {joined.spare_share:.1%} of what time allows"
    click.echo(f"could have been done beside it: {spare}{share}")
    click.echo(f"independent sources: {joined.independent} of {terms.sources_min} agreed")
    for difference in joined.differences:
        word = "question" if difference.question else "contradiction"
        factor = "" if difference.factor is None else f" ({difference.factor:.3g} times)"
        reasons = ", ".join(reason.value for reason in difference.reasons)
        click.echo(f"{word}: {difference.more} is above {difference.less}{factor}: {reasons}")
    for sign in account.signs:
        click.echo(f"{'contradiction' if sign.kind in CONTRADICTING else 'question'}: {sign.text}")
