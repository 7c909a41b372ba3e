"""How a ruleset looks on the terminal, and what a reader should be warned of."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from inspectorate.mechanisms.guarantee.rulesets.difference import Change, act_needed, differences
from inspectorate.mechanisms.guarantee.rulesets.quorum import Counted
from inspectorate.mechanisms.guarantee.rulesets.types import Act, Point, Rule, Ruleset


def warnings(ruleset: Ruleset) -> tuple[str, ...]:
    """What is allowed and weak."""
    found = [f"one signer alone may {act.value}" for act in Act if ruleset.quorums[act].k == 1]
    change = ruleset.quorums[Act.CHANGE_RULES]
    found += [
        f"{act.value} takes {ruleset.quorums[act].k} signers, and change-rules, which covers it, only {change.k}"
        for act in (Act.SECURITY_PATCH, Act.LIST_MODELS, Act.NEW_GUARANTEE)
        if change.k < ruleset.quorums[act].k
    ]
    if not any(rule.at is Point.UPDATE and rule.holds_until is None for rule in ruleset.baseline):
        found.append("no rule of the baseline stands at update: quorums, limits and the outlet can all be loosened")
    if not ruleset.baseline:
        found.append("the baseline is empty")
    if not ruleset.builds:
        found.append("no build is named")
    return tuple(found)


def changes_of(ruleset: Ruleset, before: Ruleset | None) -> dict[str, object] | None:
    """What is changed of the one before, and which act that takes."""
    if before is None:
        return None
    changes = differences(before, ruleset)
    needed = act_needed(changes)
    return {
        "from_version": before.version,
        "changes": [
            {"field": one.field, "says": one.says, "needs": one.needs.value if one.needs else "never"}
            for one in changes
        ],
        "needs": needed.value if needed else None,
        "allowed": bool(changes) and all(one.needs is not None for one in changes),
    }


def print_ruleset(ruleset: Ruleset, counted: Counted | None, before: Ruleset | None) -> None:
    console = Console(highlight=False)
    act = f", by {ruleset.act.value}" if ruleset.act else ", the first"
    console.print(f"[bold]{ruleset.id}[/] version {ruleset.version}{act}")
    console.print(f"{ruleset.digest}\nvalid {ruleset.valid}")
    if ruleset.previous:
        console.print(f"follows {ruleset.previous}")
    tables = [_signers(ruleset), _quorums(ruleset), _rules(ruleset), _limits(ruleset)]
    if ruleset.models:
        tables.append(_models(ruleset))
    for table in tables:
        console.print()
        console.print(table)
    if before is not None:
        print_changes(console, before, differences(before, ruleset))
    if counted is not None:
        console.print(f"\nsigned by {', '.join(sorted(counted.signers)) or 'nobody who counts'}")
        for note in (*(one.why for one in counted.refusals), *counted.notes):
            console.print(f"  {escape(note)}")
    for warning in warnings(ruleset):
        console.print(f"[yellow]note[/]: {escape(warning)}")


def print_changes(console: Console, before: Ruleset, changes: tuple[Change, ...]) -> None:
    table = _table(f"Changes of version {before.version}", "field", "change", "takes")
    for one in changes:
        table.add_row(one.field, escape(one.says), one.needs.value if one.needs else "[red]never[/]")
    console.print()
    console.print(table if changes else f"changes nothing of version {before.version}")
    needed = act_needed(changes)
    if needed is not None:
        console.print(f"taken together: {needed.value}")


def _table(title: str, *columns: str) -> Table:
    table = Table(box=None, title=title, title_justify="left")
    for column in columns:
        # Whoever signs compares digests: they are folded, never cut.
        table.add_column(column, overflow="fold")
    return table


def _signers(ruleset: Ruleset) -> Table:
    table = _table("Signers", "name", "keys")
    for signer in ruleset.signers:
        table.add_row(signer.name, signer.signer_id)
    return table


def _quorums(ruleset: Ruleset) -> Table:
    table = _table("Quorums", "act", "takes", "of", "with a veto")
    for act in Act:
        quorum = ruleset.quorums[act]
        vetoes = "; ".join(f"one of {', '.join(group)}" for group in quorum.from_each)
        table.add_row(act.value, f"{quorum.k} of {len(quorum.of)}", ", ".join(quorum.of), vetoes)
    return table


def _rules(ruleset: Ruleset) -> Table:
    table = _table("Rules", "id", "at", "must be true", "otherwise", "holds")
    for rule in (*ruleset.baseline, *ruleset.rules):
        table.add_row(*_row(rule, "for good" if rule in ruleset.baseline else "until changed"))
    return table


def _row(rule: Rule, standing: str) -> Iterable[str]:
    until = f"until {rule.holds_until:%Y-%m-%d %H:%M}" if rule.holds_until else standing
    return rule.id, rule.at.value, escape(rule.must), rule.otherwise.value, until


def _limits(ruleset: Ruleset) -> Table:
    table = _table("Limits", "what", "at most")
    for name, value in ruleset.limits.model_dump().items():
        table.add_row(name, f"{value:,.10g}")
    table.add_row("outlet.bits_per_day_max", f"{ruleset.outlet.bits_per_day_max:,.10g}")
    table.add_row("outlet.report_every_s", f"{ruleset.outlet.report_every_s:,.10g}")
    table.add_row("lost_after_s", f"{ruleset.lost_after_s:g}")
    table.add_row("sampled_share (exactly)", f"{ruleset.sampled_share:g}")
    table.add_row("licence_sequence_min (at least)", f"{ruleset.licence_sequence_min}")
    table.add_row("licensed meters", ", ".join(ruleset.licensed_meters) or "none")
    table.add_row("builds", f"{len(ruleset.builds)}")
    return table


def _models(ruleset: Ruleset) -> Table:
    table = _table("Models", "name", "bytes", "FLOP per token", "content")
    for model in ruleset.models:
        table.add_row(model.name, f"{model.size_bytes:,}", f"{model.flop_per_token:.3g}", model.content)
    return table
