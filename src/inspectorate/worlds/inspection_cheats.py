"""Named ways in which transcripts and inspections are attacked, and what a review has to say of each.

Two kinds:

- *noticed*: evidence is missing, altered, late or refused, or does not fit together. Nothing is established, and it is named.
- *caught*: other work was done than was committed to, or code ran that was refused. The sample, or the party's own word, shows
  it, and the clause is found broken.

Each is about one pod of the site, drawn from the seed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from inspectorate.assessment import Verdict
from inspectorate.worlds import inspection_attacks as does
from inspectorate.worlds.inspection_script import InspectionCheat, Script

REPLAYED, ACCOUNTED, REVIEWED, ROOMS = "replayed-work", "accounted-flop", "reviewed-code", "inspection-rooms"


class InspectionCheatKind(StrEnum):
    NOTICED = "noticed"
    CAUGHT = "caught"


@dataclass(frozen=True, kw_only=True)
class InspectionAttack(InspectionCheat):
    """One attack, and what a review must find of it."""

    name: str
    kind: InspectionCheatKind = InspectionCheatKind.NOTICED
    description: str
    clause: str = REPLAYED
    """The clause that it is about."""
    verdict: Verdict
    """What the finding of that clause must be."""
    words: str
    """What must stand in its reasons or under what is missing."""
    amends: Callable[[Script], None] | None = None
    adds: Callable[[Script], None] | None = None

    def amend(self, script: Script) -> None:
        if self.amends is not None:
            self.amends(script)

    def after(self, script: Script) -> None:
        if self.adds is not None:
            self.adds(script)


_ATTACKS = (
    InspectionAttack(
        name="replay-swapped",
        kind=InspectionCheatKind.CAUGHT,
        description="another model answers every fifth packet from a third of the period on",
        verdict=Verdict.INCONSISTENT,
        words="differed when they were run again",
        amends=does.swapped(0.2),
    ),
    InspectionAttack(
        name="replay-shortened",
        description="the last third of the transcript is never committed to",
        verdict=Verdict.NOT_OBSERVED,
        words="no usable commitment for longer than",
        amends=does.shortened,
    ),
    InspectionAttack(
        name="replay-kept-back",
        description="one commitment, with all that was drawn from it, is kept back",
        verdict=Verdict.NOT_OBSERVED,
        words="or one kept back",
        amends=does.kept_back,
    ),
    InspectionAttack(
        name="replay-forked",
        description="two different commitments have one number",
        verdict=Verdict.INVALID_EVIDENCE,
        words="the chain is forked",
        amends=does.forked,
    ),
    InspectionAttack(
        name="replay-forged",
        description="a commitment names another one before it",
        verdict=Verdict.INVALID_EVIDENCE,
        words="the chain is forged",
        amends=does.forged,
    ),
    InspectionAttack(
        name="replay-doubled",
        description="a second run on the same chips, beyond what they can do",
        verdict=Verdict.INVALID_EVIDENCE,
        words="at their best",
        adds=does.doubled,
    ),
    InspectionAttack(
        name="replay-copied",
        description="the packets of a run stand in a second run as well",
        verdict=Verdict.INVALID_EVIDENCE,
        words="stand in another commitment as well",
        adds=does.copied,
    ),
    InspectionAttack(
        name="replay-echoed",
        description="the same work is committed to by a second run, under other salts",
        verdict=Verdict.INCONCLUSIVE,
        words="shows the same work as",
        adds=does.copied_salted,
    ),
    InspectionAttack(
        name="replay-aimed",
        description="a draw names other packets than its randomness gives",
        verdict=Verdict.INVALID_EVIDENCE,
        words="that the randomness gives are missing",
        amends=does.not_repeatable,
    ),
    InspectionAttack(
        name="replay-secret-reused",
        description="the secret of one draw serves the next one, too",
        verdict=Verdict.INVALID_EVIDENCE,
        words="a second time",
        amends=does.secret_reused,
    ),
    InspectionAttack(
        name="replay-promised-late",
        description="a secret is promised after the work was done",
        verdict=Verdict.INVALID_EVIDENCE,
        words="not shown to come before the commitment",
        amends=does.promised_late,
    ),
    InspectionAttack(
        name="replay-refused",
        description="the last two draws are not answered",
        verdict=Verdict.INCONCLUSIVE,
        words="were refused",
        amends=does.refused,
    ),
    InspectionAttack(
        name="replay-late",
        description="the last two draws are answered an hour late",
        verdict=Verdict.INCONCLUSIVE,
        words="came late",
        amends=does.late,
    ),
    InspectionAttack(
        name="replay-other-packets",
        description="others are opened in place of half of the drawn packets",
        verdict=Verdict.INCONCLUSIVE,
        words="was not opened",
        amends=does.other_packets,
    ),
    InspectionAttack(
        name="replay-left-out",
        description="the results leave out a packet that was drawn",
        verdict=Verdict.INVALID_EVIDENCE,
        words="leave out 1 packets that were drawn",
        amends=does.left_out,
    ),
    InspectionAttack(
        name="replay-of-other-run",
        description="the results are of another run",
        verdict=Verdict.INVALID_EVIDENCE,
        words="the results are of another run",
        amends=does.other_run,
    ),
    InspectionAttack(
        name="replay-tolerance",
        description="the last two draws are judged within a tolerance that nobody agreed to",
        verdict=Verdict.INCONCLUSIVE,
        words="by nobody whose result counts",
        amends=does.other_tolerance,
    ),
    InspectionAttack(
        name="code-other",
        description="the header of a run names other code than the claim",
        clause=REVIEWED,
        verdict=Verdict.NOT_OBSERVED,
        words="ran sha256:",
        amends=does.other_code,
    ),
    InspectionAttack(
        name="code-refused",
        kind=InspectionCheatKind.CAUGHT,
        description="code runs that inspectors had refused",
        clause=REVIEWED,
        verdict=Verdict.INCONSISTENT,
        words="had refused",
        amends=does.refused_code,
    ),
    InspectionAttack(
        name="code-withdrawn",
        description="an inspector takes the approval back in the middle of the period",
        clause=REVIEWED,
        verdict=Verdict.NOT_OBSERVED,
        words="refused sha256:",
        adds=does.withdrawn,
    ),
    InspectionAttack(
        name="code-misquoted",
        description="statements approve where the documents that inspectors wrote refuse",
        clause=REVIEWED,
        verdict=Verdict.NOT_OBSERVED,
        words="its document says otherwise",
        adds=does.misquoted,
    ),
    InspectionAttack(
        name="account-of-other",
        description="the account is of a run that was never committed to",
        clause=ACCOUNTED,
        verdict=Verdict.NOT_OBSERVED,
        words="never committed to",
        amends=does.account_of_other,
    ),
    InspectionAttack(
        name="account-contradicted",
        description="half of what was committed to is declared",
        clause=ACCOUNTED,
        verdict=Verdict.INCONCLUSIVE,
        words="is above",
        amends=does.account_contradicted,
    ),
    InspectionAttack(
        name="account-changed",
        description="the account's statement gives half of what its payload holds",
        clause=ACCOUNTED,
        verdict=Verdict.INVALID_EVIDENCE,
        words="the payload has another",
        amends=does.account_changed,
    ),
    InspectionAttack(
        name="room-over",
        description="an inspector carries eighty bits out of a session",
        clause=ROOMS,
        verdict=Verdict.INCONCLUSIVE,
        words="for the verifier to answer",
        adds=does.room_over,
    ),
    InspectionAttack(
        name="room-understated",
        description="a statement gives one bit where the log of the session has eighty",
        clause=ROOMS,
        verdict=Verdict.INVALID_EVIDENCE,
        words="1 bits are stated, and the log has",
        adds=does.room_understated,
    ),
)

INSPECTION_CHEATS: MappingProxyType[str, InspectionAttack] = MappingProxyType({one.name: one for one in _ATTACKS})
"""Every attack by name."""
