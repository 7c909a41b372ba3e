"""Error rates of custody over many simulated sites: `python -m bench custody_rates`.

Honest sites, each drawn anew (what is misplaced, all draws, all times), must raise no more alarms than agreed; how often a clause
is not consistent though all is well is printed beside it. Every attack of the catalogue must be found, by verdict and words, in
every site. Sites have no traffic here: whole reviews of whole worlds are `inspectorate worlds rates --kept N`.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from functools import cache

from rich.console import Console
from rich.table import Table

from inspectorate.account import take_account
from inspectorate.agreement import Agreement, load_agreement
from inspectorate.assessment import Assessment, Case, Verdict
from inspectorate.evidence import Evidence
from inspectorate.evidence.envelope import verify_envelope
from inspectorate.findings import Finding, fuse
from inspectorate.mechanisms.custody.appraise import CUSTODY
from inspectorate.statistics import clopper_pearson_lower, clopper_pearson_upper
from inspectorate.worlds import custody
from inspectorate.worlds.build import _random
from inspectorate.worlds.custody_catalogue import AGREEMENT, SITE
from inspectorate.worlds.custody_cheats import CUSTODY_CHEATS
from inspectorate.worlds.custody_script import CustodyCheat
from inspectorate.worlds.seal import make_anchors
from inspectorate.worlds.site import declare, draw_site

HONEST, OF_EACH = 200, 2
INTERVAL_MISS, SIGNIFICANCE = 0.05, 0.01


@cache
def terms() -> Agreement:
    whole = load_agreement(AGREEMENT)
    mine = tuple(one for one in whole.clauses if one.kind in CUSTODY.clause_kinds)
    return whole.model_copy(update={"clauses": mine})


def judged(seed: int, cheat: CustodyCheat | None = None) -> dict[str, tuple[Finding, Assessment]]:
    """What is found of every clause of custody at one site."""
    whole = load_agreement(AGREEMENT)
    site = draw_site(SITE, whole, _random(seed, "site"))
    declaration = custody.declared(declare(site, whole, site.period), whole, seed=seed)
    anchors = make_anchors(seed, ["flows"], declaration.period, custody.anchors(declaration, whole, seed))
    said = custody.state(declaration, whole, seed=seed, attack=cheat)
    evidence = Evidence(
        streams={},
        custody=(),
        reports=tuple(verify_envelope(one, anchors=anchors, where="statement") for one in said.envelopes),
        problems=(),
        payload=dict(said.payloads).__getitem__,
        simulated=True,
    )
    shared: dict[str, object] = {}
    found = [
        one
        for clause in terms().clauses
        for one in CUSTODY.appraise(
            Case(
                agreement=terms(),
                clause=clause,
                declaration=declaration,
                evidence=evidence,
                period=declaration.period,
                miss_probability=(1 - terms().assurance_confidence) / 12,
                shared=shared,
                landmarks=custody.marks(declaration),
            )
        )
    ]
    account = take_account(
        found,
        capacities={pod.id: pod.peak_flop_per_s(terms().counted_formats) for pod in declaration.pods},
        period=declaration.period,
        interval_s=60.0,
        confidence=terms().assurance_confidence,
    )
    findings = fuse(terms(), found, account, as_of=declaration.period.end)
    return {one.clause: (one, assessed) for one, assessed in zip(findings, found, strict=True)}


def honest(count: int) -> tuple[int, Counter[str]]:
    """Sites with any alarm, and how often each clause was not consistent."""
    alarms, other = 0, Counter[str]()
    for seed in range(count):
        found = judged(seed)
        alarms += any(one.verdict is Verdict.INCONSISTENT for one, _ in found.values())
        other.update(name for name, (one, _) in found.items() if one.verdict is not Verdict.CONSISTENT)
    return alarms, other


def main() -> int:
    """Print both tables, and whether they may be so."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--honest", type=int, default=HONEST)
    parser.add_argument("--of-each", type=int, default=OF_EACH)
    given = parser.parse_args()
    alarms, other = honest(given.honest)
    half = INTERVAL_MISS / 2
    low, high = (f(alarms, given.honest, half) for f in (clopper_pearson_lower, clopper_pearson_upper))
    print(f"honest sites: {given.honest}, with an alarm: {alarms} ({100 * low:.2f} to {100 * high:.2f} %)")
    print(f"not consistent though all is well: {', '.join(f'{name} {n}' for name, n in other.items()) or 'never'}")
    wrong = int(clopper_pearson_lower(alarms, max(1, given.honest), SIGNIFICANCE) > terms().false_accusation_rate)
    table = Table(show_edge=False)
    for column in ("attack", "clause", "verdict", "found"):
        table.add_column(column)
    for attack in CUSTODY_CHEATS.values():
        hits = 0
        for seed in range(given.of_each):
            finding, assessed = judged(seed, attack)[attack.clause]
            told = (*assessed.reasons, *assessed.not_checked)
            hits += finding.verdict is attack.verdict and any(attack.words in text for text in told)
        table.add_row(attack.name, attack.clause, attack.verdict.value, f"{hits} of {given.of_each}")
        wrong += hits < given.of_each
    Console(width=100).print(table)
    print("no more alarms than agreed, and every attack found" if not wrong else "MISSED")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
