"""Named ways in which guarantee processors are attacked, and what a review has to say of each.

Three kinds:

- *refused*: the processor is intact and refuses. The clause is kept, and the attempt is named.
- *noticed*: evidence is missing, altered or replayed, or the processor reports what happened to it. Nothing is established, and
  it is named.
- *subverted*: the processor itself, or its quorum, breaks the rules, and its own authentic reports say so. The clause is found
  broken.

Each is about one pod of the site, drawn from the seed, from a third of the period on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from inspectorate.assessment import Verdict
from inspectorate.worlds import guard_attacks as does
from inspectorate.worlds.guard_script import GuardCheat, Script, Sealed


class GuardCheatKind(StrEnum):
    REFUSED = "refused"
    NOTICED = "noticed"
    SUBVERTED = "subverted"


@dataclass(frozen=True, kw_only=True)
class GuardAttack(GuardCheat):
    """One attack, and what a review must find of it."""

    name: str
    kind: GuardCheatKind
    description: str
    clause: str
    """The clause that it is about."""
    verdict: Verdict
    """What the finding of that clause must be."""
    words: str
    """What must stand in its reasons or under what is missing."""
    prepares: Callable[[Script], None] | None = None
    amends: Callable[[Script], None] | None = None
    alters: Callable[[Script, Sealed], None] | None = None

    def prepare(self, script: Script) -> None:
        if self.prepares is not None:
            self.prepares(script)

    def amend(self, script: Script) -> None:
        if self.amends is not None:
            self.amends(script)

    def after(self, script: Script, sealed: Sealed) -> None:
        if self.alters is not None:
            self.alters(script, sealed)


_ATTACKS = (
    GuardAttack(
        name="guard-model-refused",
        kind=GuardCheatKind.REFUSED,
        description="another model is offered, three times, and refused",
        clause="guarded-operation",
        verdict=Verdict.CONSISTENT,
        words="model-refused): up to 5 times",
        amends=does.refused(model_refused=3),
    ),
    GuardAttack(
        name="guard-upload-exceeded",
        kind=GuardCheatKind.REFUSED,
        description="the listed model with a megabyte more is offered, and refused",
        clause="guarded-operation",
        verdict=Verdict.CONSISTENT,
        words="upload-exceeded): once",
        amends=does.refused(upload_exceeded=1),
    ),
    GuardAttack(
        name="guard-licence-offered-again",
        kind=GuardCheatKind.REFUSED,
        description="a licence that was used is offered again, and refused",
        clause="guarded-operation",
        verdict=Verdict.CONSISTENT,
        words="licence-replayed): up to 2 times",
        amends=does.refused(licence_replayed=2),
    ),
    GuardAttack(
        name="guard-ruleset-offered-again",
        kind=GuardCheatKind.REFUSED,
        description="the first ruleset is offered after the second, and refused",
        clause="guarded-operation",
        verdict=Verdict.CONSISTENT,
        words="ruleset-rolled-back): once",
        amends=does.refused(ruleset_rolled_back=1),
    ),
    GuardAttack(
        name="guard-signer-repeated",
        kind=GuardCheatKind.REFUSED,
        description="a ruleset with one signer three times is offered, counted once, and refused",
        clause="guarded-operation",
        verdict=Verdict.CONSISTENT,
        words="signer-repeated): once",
        amends=does.refused(signer_repeated=1, quorum_short=1),
    ),
    GuardAttack(
        name="guard-exhausted",
        kind=GuardCheatKind.REFUSED,
        description="the licence is used up, and work is held",
        clause="licensed-work",
        verdict=Verdict.CONSISTENT,
        words="under 1 licence",
        amends=does.exhausted,
    ),
    GuardAttack(
        name="guard-lost",
        kind=GuardCheatKind.NOTICED,
        description="the processor is killed for two and a half minutes",
        clause="guarded-operation",
        verdict=Verdict.NOT_OBSERVED,
        words="guard-lost): once",
        amends=does.lost,
    ),
    GuardAttack(
        name="guard-state-restored",
        kind=GuardCheatKind.NOTICED,
        description="an older disk is put in place, and the processor notices by its TPM",
        clause="guarded-operation",
        verdict=Verdict.INCONCLUSIVE,
        words="state-rolled-back): once",
        amends=does.restored,
    ),
    GuardAttack(
        name="guard-report-skipped",
        kind=GuardCheatKind.NOTICED,
        description="one report is kept back",
        clause="guarded-operation",
        verdict=Verdict.NOT_OBSERVED,
        words="is not in the evidence",
        alters=does.skipped,
    ),
    GuardAttack(
        name="guard-quote-replayed",
        kind=GuardCheatKind.NOTICED,
        description="a report comes with the quote of the report before",
        clause="guarded-operation",
        verdict=Verdict.INVALID_EVIDENCE,
        words="its quote does not hold",
        alters=does.replayed_quote,
    ),
    GuardAttack(
        name="guard-quote-foreign",
        kind=GuardCheatKind.NOTICED,
        description="quotes of a TPM that the reviewer's platforms did not certify",
        clause="guarded-operation",
        verdict=Verdict.INVALID_EVIDENCE,
        words="lead to no root of the verifier",
        prepares=does.foreign_quote,
    ),
    GuardAttack(
        name="guard-chain-forged",
        kind=GuardCheatKind.NOTICED,
        description="one report is exchanged after the next was made",
        clause="guarded-operation",
        verdict=Verdict.INVALID_EVIDENCE,
        words="the chain is forged",
        alters=does.forged_chain,
    ),
    GuardAttack(
        name="guard-forked",
        kind=GuardCheatKind.NOTICED,
        description="two different reports of one number: the machine was copied",
        clause="guarded-operation",
        verdict=Verdict.INVALID_EVIDENCE,
        words="the chain is forked",
        alters=does.forked,
    ),
    GuardAttack(
        name="guard-in-software",
        kind=GuardCheatKind.NOTICED,
        description="the processor's key is held in software, and it says so",
        clause="guarded-operation",
        verdict=Verdict.INCONCLUSIVE,
        words="held in software, where a TPM was agreed",
        prepares=does.software,
    ),
    GuardAttack(
        name="guard-old-ruleset",
        kind=GuardCheatKind.SUBVERTED,
        description="the first ruleset is in force again after the second",
        clause="guarded-operation",
        verdict=Verdict.INCONSISTENT,
        words="the highest ruleset version fell from 2 to 1",
        amends=does.old_ruleset,
    ),
    GuardAttack(
        name="guard-other-build",
        kind=GuardCheatKind.SUBVERTED,
        description="another program runs, as its TPM measured it",
        clause="guarded-operation",
        verdict=Verdict.INCONSISTENT,
        words="is not one that was agreed",
        amends=does.other_build,
    ),
    GuardAttack(
        name="guard-short-quorum",
        kind=GuardCheatKind.SUBVERTED,
        description="a ruleset is in force that one signer signed three times",
        clause="guarded-operation",
        verdict=Verdict.INCONSISTENT,
        words="signer-repeated",
        amends=does.short_quorum,
    ),
    GuardAttack(
        name="guard-overdrawn",
        kind=GuardCheatKind.SUBVERTED,
        description="four times the work goes on when the licence is used up",
        clause="licensed-work",
        verdict=Verdict.INCONSISTENT,
        words="beyond what was licensed",
        amends=does.overdrawn,
    ),
    GuardAttack(
        name="guard-licence-twice",
        kind=GuardCheatKind.SUBVERTED,
        description="a licence is applied twice, and spent twice",
        clause="licensed-work",
        verdict=Verdict.INCONSISTENT,
        words="beyond what was licensed",
        amends=does.licence_twice,
    ),
    GuardAttack(
        name="guard-extra-statement",
        kind=GuardCheatKind.SUBVERTED,
        description="a statement that no outlet has leaves in every slot",
        clause="guard-outlet",
        verdict=Verdict.INCONSISTENT,
        words="that no outlet has",
        alters=does.extra,
    ),
)

GUARD_CHEATS: MappingProxyType[str, GuardAttack] = MappingProxyType({one.name: one for one in _ATTACKS})
"""Every attack by name."""
