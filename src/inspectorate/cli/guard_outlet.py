"""`inspectorate guard outlet`: what leaves a guarantee processor under a ruleset, field by field, and how many bits a day it is."""

from __future__ import annotations

from pathlib import Path

import click

from inspectorate.canonical import canonical_bytes
from inspectorate.cli.options import EXISTING_FILE, FiniteRange, json_option, print_json
from inspectorate.errors import InputError
from inspectorate.keys import read_yaml
from inspectorate.mechanisms.guarantee.outlet.budget import PUBLIC, WITHOUT_RULESET, Plan, plan_for
from inspectorate.mechanisms.guarantee.outlet.codec import CHECKPOINT_BYTES
from inspectorate.mechanisms.guarantee.outlet.precision import levels
from inspectorate.mechanisms.guarantee.rulesets.types import RULESET_KIND, Ruleset
from inspectorate.mechanisms.guarantee.rulesets.types import Outlet as OutletRule
from inspectorate.mechanisms.guarantee.rulesets.update import parse_ruleset
from inspectorate.mechanisms.guarantee.signing import DOCUMENT_BYTES_MAX, parse_document


@click.command()
@click.argument("ruleset_path", metavar="[RULESET]", type=EXISTING_FILE, required=False)
@click.option("--every", "every_s", type=FiniteRange(0), help="Ask for another period of reports, in seconds.")
@click.option("--bits", "bits_per_day_max", type=FiniteRange(0), help="Ask for another budget, in bits a day.")
@click.option("--levels", "all_levels", is_flag=True, help="Print what each level of precision costs.")
@json_option
def outlet(
    ruleset_path: Path | None, every_s: float | None, bits_per_day_max: float | None, all_levels: bool, as_json: bool
) -> None:
    """Print what leaves a guarantee processor under RULESET, signed or not; without one, what leaves while none is in force."""
    ruleset = None if ruleset_path is None else _read(ruleset_path)
    plan = _asked(ruleset, every_s, bits_per_day_max)
    if all_levels:
        _print_levels(plan, ruleset, as_json)
    elif as_json:
        print_json(_as_json(plan))
    else:
        _print(plan)


def _read(path: Path) -> Ruleset:
    value = read_yaml(path, bytes_max=DOCUMENT_BYTES_MAX)
    if isinstance(value, dict) and value.get("payloadType") == RULESET_KIND:
        document = parse_document(canonical_bytes(value), kind=RULESET_KIND, where=str(path))
        return parse_ruleset(document, where=str(path))
    return Ruleset.parse(value, where=str(path), error=InputError)


def _asked(ruleset: Ruleset | None, every_s: float | None, bits_per_day_max: float | None) -> Plan:
    """The plan that another period or budget would give. Raises `InputError`."""
    rule = WITHOUT_RULESET if ruleset is None else ruleset.outlet
    given = {
        "report_every_s": rule.report_every_s if every_s is None else every_s,
        "bits_per_day_max": rule.bits_per_day_max if bits_per_day_max is None else bits_per_day_max,
    }
    asked = OutletRule.parse(given, where="--every, --bits", error=InputError)
    return plan_for(asked, ruleset.licensed_meters if ruleset else ())


def _as_json(plan: Plan) -> dict[str, object]:
    return {
        "every_s": plan.every_s,
        "checkpoint_bytes": CHECKPOINT_BYTES,
        "level": plan.precision.level,
        "fields": [
            {"name": field.name, "values": field.values, "bits": field.bits, "how": field.how} for field in plan.fields
        ],
        "public": PUBLIC,
        "bits_per_report": plan.bits_per_report,
        "reports_per_day": plan.reports_per_day,
        "bits_per_day": plan.bits_per_day,
        "bits_per_day_max": plan.bits_per_day_max,
    }


def _print(plan: Plan) -> None:
    click.echo(
        f"a report of {CHECKPOINT_BYTES} bytes every {plan.every_s:g} s, precision level {plan.precision.level}\n"
    )
    width = max(len(name) for name in (*(field.name for field in plan.fields), *PUBLIC))
    for field in plan.fields:
        click.echo(f"{field.name:<{width}}  {field.bits:7.2f} bits  {field.how}")
    for name, why in PUBLIC.items():
        click.echo(f"{name:<{width}}  {'public':>12}  {why}")
    click.echo(
        f"\nat most {plan.bits_per_report:.1f} bits a report, {plan.reports_per_day} reports a day: "
        f"at most {plan.bits_per_day:.0f} bits a day about what the chips do (the ruleset allows {plan.bits_per_day_max:.0f})"
    )
    click.echo(
        "not counted: what a malicious program could hide in signatures, salts, quotes and timing (docs/outlet.md)"
    )


def _print_levels(plan: Plan, ruleset: Ruleset | None, as_json: bool) -> None:
    plans = [
        Plan(every_s=plan.every_s, precision=precision, bits_per_day_max=plan.bits_per_day_max)
        for precision in levels(ruleset.licensed_meters if ruleset else ())
    ]
    if as_json:
        print_json([_as_json(one) for one in plans])
        return
    for one in plans:
        chosen = "  <- chosen" if one.precision.level == plan.precision.level else ""
        click.echo(
            f"level {one.precision.level}  {one.bits_per_report:6.1f} bits a report  {one.bits_per_day:8.0f} bits a day{chosen}"
        )
