"""What one ruleset changes of the one before, and which act that takes.

The act is worked out from the two rulesets, never taken from what the new one says of itself:

| what changes | takes |
|---|---|
| `builds`, from some to some | `security-patch` |
| `models` | `list-models` |
| a rule more; a sunset put off or taken away; a licensed meter more | `new-guarantee` |
| lower: a limit, the bits of the outlet, `lost_after_s`, the end of validity | `new-guarantee` |
| higher: `sampled_share`, `licence_sequence_min` | `new-guarantee` |
| anything else: signers, quorums, a rule changed or gone, a limit loosened, a rule more in the baseline | `change-rules` |
| another id; a rule of the baseline changed, moved or gone; `licence_sequence_min` lower; no build left | never |

A ruleset that changes several of these at once takes `change-rules`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from inspectorate.mechanisms.guarantee.rulesets.types import UPDATES, Act, Limits, Rule, Ruleset


@dataclass(frozen=True, kw_only=True)
class Change:
    """One thing that is said otherwise than before."""

    field: str
    says: str
    needs: Act | None
    """The least act that covers it; none if no signers may do it."""


def differences(before: Ruleset, after: Ruleset) -> tuple[Change, ...]:
    """All that `after` changes, apart from version, previous and act, which every update changes."""
    return tuple(
        change
        for part in (_identity, _validity, _signers, _baseline, _rules, _lists, _numbers, _meters)
        for change in part(before, after)
    )


def act_needed(changes: tuple[Change, ...]) -> Act | None:
    """The least act that covers all of these. None if one of them is never allowed, or if there are none."""
    needed = {change.needs for change in changes}
    if None in needed or not needed:
        return None
    return needed.pop() if len(needed) == 1 else Act.CHANGE_RULES


def covers(act: Act, needed: Act) -> bool:
    """Whether one act may do what takes the other. Only `change-rules` may do more than its own."""
    return act in UPDATES and (act is needed or act is Act.CHANGE_RULES)


def _identity(before: Ruleset, after: Ruleset) -> Iterator[Change]:
    if before.id != after.id:
        yield Change(field="id", says=f"{before.id} becomes {after.id}", needs=None)


def _validity(before: Ruleset, after: Ruleset) -> Iterator[Change]:
    old, new = before.valid, after.valid
    if old.start != new.start:
        yield Change(field="valid", says=f"starts {new.start:%Y-%m-%d %H:%M:%S} UTC", needs=Act.CHANGE_RULES)
    if old.end != new.end:
        needs = Act.NEW_GUARANTEE if new.end < old.end else Act.CHANGE_RULES
        yield Change(field="valid", says=f"ends {new.end:%Y-%m-%d %H:%M:%S} UTC", needs=needs)


def _signers(before: Ruleset, after: Ruleset) -> Iterator[Change]:
    old, new = ({signer.signer_id: signer.name for signer in one.signers} for one in (before, after))
    for signer_id in sorted(old.keys() | new.keys()):
        if signer_id not in new:
            says = f"{old[signer_id]} is gone"
        elif signer_id not in old:
            says = f"{new[signer_id]} is new"
        elif old[signer_id] != new[signer_id]:
            says = f"{old[signer_id]} is called {new[signer_id]}"
        else:
            continue
        yield Change(field="signers", says=says, needs=Act.CHANGE_RULES)
    if before.signers != after.signers and old == new:
        yield Change(field="signers", says="stand in another order", needs=Act.CHANGE_RULES)
    for act in Act:
        if before.quorums[act] != after.quorums[act]:
            one, other = before.quorums[act], after.quorums[act]
            says = f"{act.value}: {one.k} of {len(one.of)} becomes {other.k} of {len(other.of)}"
            if (one.of, one.from_each) != (other.of, other.from_each):
                says += ", by others or with other vetoes"
            yield Change(field="quorums", says=says, needs=Act.CHANGE_RULES)


def _baseline(before: Ruleset, after: Ruleset) -> Iterator[Change]:
    old, new = ({rule.id: rule for rule in one.baseline} for one in (before, after))
    for rule_id, rule in old.items():
        if new.get(rule_id) != rule:
            says = f"{rule_id} is {'changed' if rule_id in new else 'gone'}"
            yield Change(field="baseline", says=says, needs=None)
    for rule_id in new:
        if rule_id not in old:
            yield Change(field="baseline", says=f"{rule_id} is new, for good", needs=Act.CHANGE_RULES)
    if [one for one in new if one in old] != [one for one in old if one in new]:
        yield Change(field="baseline", says="stands in another order", needs=None)


def _rules(before: Ruleset, after: Ruleset) -> Iterator[Change]:
    old, new = ({rule.id: rule for rule in one.rules} for one in (before, after))
    for rule_id, rule in old.items():
        if rule_id not in new:
            yield Change(field="rules", says=f"{rule_id} is gone", needs=Act.CHANGE_RULES)
        elif new[rule_id] != rule:
            later = _holds_longer(rule, new[rule_id])
            says = f"{rule_id} {'holds longer' if later else 'is changed'}"
            yield Change(field="rules", says=says, needs=Act.NEW_GUARANTEE if later else Act.CHANGE_RULES)
    for rule_id in new:
        if rule_id not in old:
            yield Change(field="rules", says=f"{rule_id} is new", needs=Act.NEW_GUARANTEE)
    kept = [one for one in old if one in new]
    if [one for one in new if one in old] != kept:
        yield Change(field="rules", says="stand in another order", needs=Act.CHANGE_RULES)


def _holds_longer(old: Rule, new: Rule) -> bool:
    """Whether the sunset is later or gone, and nothing else is different."""
    if old.holds_until is None or old != new.model_copy(update={"holds_until": old.holds_until}):
        return False
    return new.holds_until is None or new.holds_until > old.holds_until


def _lists(before: Ruleset, after: Ruleset) -> Iterator[Change]:
    if before.builds != after.builds:
        gone, come = set(before.builds) - set(after.builds), set(after.builds) - set(before.builds)
        none_left = bool(before.builds) and not after.builds
        says = f"{len(gone)} gone, {len(come)} new{'; none is left' if none_left else ''}"
        # A list that is not there yet would be the first to bind the program: more than a patch.
        needs = None if none_left else Act.SECURITY_PATCH if before.builds else Act.CHANGE_RULES
        yield Change(field="builds", says=says, needs=needs)
    if before.models != after.models:
        old, new = ({model.name: model for model in one.models} for one in (before, after))
        gone, come = old.keys() - new.keys(), new.keys() - old.keys()
        other = {name for name in old.keys() & new.keys() if old[name] != new[name]}
        parts = [
            f"{', '.join(sorted(names))} {what}"
            for names, what in ((come, "listed"), (gone, "struck off"), (other, "changed"))
            if names
        ]
        yield Change(field="models", says="; ".join(parts) or "stand in another order", needs=Act.LIST_MODELS)


def _numbers(before: Ruleset, after: Ruleset) -> Iterator[Change]:
    lower_is_tighter = [(f"limits.{name}", *_pair(before.limits, after.limits, name)) for name in Limits.model_fields]
    lower_is_tighter += [
        ("outlet.bits_per_day_max", before.outlet.bits_per_day_max, after.outlet.bits_per_day_max),
        ("lost_after_s", before.lost_after_s, after.lost_after_s),
    ]
    for field, old, new in lower_is_tighter:
        if old != new:
            needs = Act.NEW_GUARANTEE if new < old else Act.CHANGE_RULES
            yield Change(field=field, says=f"{old:g} becomes {new:g}", needs=needs)
    if before.sampled_share != after.sampled_share:
        old, new = before.sampled_share, after.sampled_share
        needs = Act.NEW_GUARANTEE if new > old else Act.CHANGE_RULES
        yield Change(field="sampled_share", says=f"{old:g} becomes {new:g}", needs=needs)
    if before.licence_sequence_min != after.licence_sequence_min:
        old, new = before.licence_sequence_min, after.licence_sequence_min
        minimum = Act.NEW_GUARANTEE if new > old else None
        yield Change(field="licence_sequence_min", says=f"{old} becomes {new}", needs=minimum)
    # More reports say more, fewer keep the verifier waiting: neither is tighter.
    if before.outlet.report_every_s != after.outlet.report_every_s:
        says = f"{before.outlet.report_every_s:g} becomes {after.outlet.report_every_s:g}"
        yield Change(field="outlet.report_every_s", says=says, needs=Act.CHANGE_RULES)


def _pair(before: Limits, after: Limits, name: str) -> tuple[float, float]:
    return getattr(before, name), getattr(after, name)


def _meters(before: Ruleset, after: Ruleset) -> Iterator[Change]:
    old, new = set(before.licensed_meters), set(after.licensed_meters)
    for meter in sorted(new - old):
        yield Change(field="licensed_meters", says=f"{meter.value} is new", needs=Act.NEW_GUARANTEE)
    for meter in sorted(old - new):
        yield Change(field="licensed_meters", says=f"{meter.value} is gone", needs=Act.CHANGE_RULES)
    if old == new and before.licensed_meters != after.licensed_meters:
        yield Change(field="licensed_meters", says="stand otherwise", needs=Act.CHANGE_RULES)
