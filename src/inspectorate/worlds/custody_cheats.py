"""Named ways in which chips go astray, or what is said of them is wrong; and what a review has to say of each."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from inspectorate.assessment import Verdict
from inspectorate.worlds import custody_attacks as does
from inspectorate.worlds.custody_attacks import Amend
from inspectorate.worlds.custody_script import CustodyCheat, Script

REGISTER, CLUSTER, SPLITTING = "chip-register", "covered-cluster", "no-splitting"
COUNTED, SEALED, WATCHED, LOCATED, ACCESS = (
    "counted-chips", "sealed-places", "watched-places", "located-chips", "challenge-inspections",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class CustodyAttack(CustodyCheat):
    """One attack, or one thing that goes wrong, and what a review must find of it."""

    name: str
    description: str
    clause: str
    """The clause that it is about."""
    verdict: Verdict = Verdict.INCONCLUSIVE
    """What the finding of that clause must be."""
    words: str
    """What must stand in its reasons or under what is missing."""
    by_party: bool = True
    """Whether the party does it; else an alarm is false."""
    amends: Amend

    def amend(self, script: Script) -> None:
        self.amends(script)


_REGISTER = (
    CustodyAttack(
        name="chips-vanished",
        clause=REGISTER,
        description="chips are in one register and not in the next, and nothing says where they went",
        words="vanished",
        amends=does.vanished,
    ),
    CustodyAttack(
        name="chip-in-two-places",
        clause=REGISTER,
        description="one serial stands in two hosts of one register",
        words="twice",
        amends=does.in_two_places,
    ),
    CustodyAttack(
        name="chips-appeared",
        clause=REGISTER,
        description="chips stand in the register of which nobody said that they were acquired",
        words="appeared",
        amends=does.acquired_unsaid,
    ),
    CustodyAttack(
        name="chips-overfull",
        clause=REGISTER,
        description="a pod has more chips in the register than are declared of it",
        words="are declared",
        amends=does.overfull,
    ),
    CustodyAttack(
        name="register-late",
        clause=REGISTER,
        description="the register is brought up to date later than is agreed",
        verdict=Verdict.NOT_OBSERVED,
        words="update-late",
        amends=does.late,
    ),
    CustodyAttack(
        name="register-skipped",
        clause=REGISTER,
        description="a register of the chain is not shown",
        verdict=Verdict.NOT_OBSERVED,
        words="chain-gap",
        amends=does.skipped,
    ),
    CustodyAttack(
        name="register-forked",
        clause=REGISTER,
        description="two registers of one number are handed over, one with a chip fewer",
        verdict=Verdict.INVALID_EVIDENCE,
        words="chain-forked",
        amends=does.forked,
    ),
    CustodyAttack(
        name="destroyed-by-own-word",
        clause=REGISTER,
        description="the operator's own inspector certifies that chips were destroyed",
        words="vanished",
        amends=does.own_certificate,
    ),
    CustodyAttack(
        name="transfer-unannounced",
        clause=REGISTER,
        description="chips move without a notice",
        words="transfer-unknown",
        amends=does.on_transfer(notified=False),
    ),
    CustodyAttack(
        name="transfer-unapproved",
        clause=REGISTER,
        description="chips leave when one of two inspectors has approved",
        words="left-unapproved",
        amends=does.one_approval,
    ),
    CustodyAttack(
        name="transfer-refused",
        clause=REGISTER,
        description="chips leave although inspectors refused",
        verdict=Verdict.INCONSISTENT,
        words="left-refused",
        amends=does.on_transfer(approved=False),
    ),
    CustodyAttack(
        name="transfer-early",
        clause=REGISTER,
        description="chips leave before the time of their notice",
        verdict=Verdict.INCONSISTENT,
        words="left-early",
        amends=does.left_early,
    ),
    CustodyAttack(
        name="transfer-lost",
        clause=REGISTER,
        description="chips leave and do not arrive in time",
        words="overdue",
        amends=does.lost,
    ),
)

_CLUSTERS = (
    CustodyAttack(
        name="cluster-undeclared",
        clause=CLUSTER,
        description="a second cluster above a limb stands at a site that is not declared, by the party's own register",
        verdict=Verdict.INCONSISTENT,
        words="which is not declared",
        amends=does.undeclared_cluster,
    ),
    CustodyAttack(
        name="cluster-dissolved",
        clause=SPLITTING,
        description="a covered cluster is taken apart into two lots below the limb",
        words="dissolved",
        amends=does.dissolved,
    ),
)

_COUNTS = (
    CustodyAttack(
        name="chips-missing",
        clause=COUNTED,
        description="a tenth of the chips is not where the register has them",
        verdict=Verdict.INCONSISTENT,
        words="were not where the register has them",
        amends=does.missing,
    ),
    CustodyAttack(
        name="count-refused",
        clause=COUNTED,
        description="ten of the drawn hosts are not opened",
        words="10 refused",
        amends=does.on_count(refused=10),
    ),
    CustodyAttack(
        name="count-late",
        clause=COUNTED,
        description="inspectors are let to the drawn hosts only after there was time to fill them",
        words="late",
        amends=does.on_count(answered_after_s=25.0),
    ),
    CustodyAttack(
        name="count-none",
        clause=COUNTED,
        description="after the first count nobody counts until the last",
        verdict=Verdict.NOT_OBSERVED,
        words="not between two counts",
        by_party=False,
        amends=does.not_counted,
    ),
    CustodyAttack(
        name="count-unsaid",
        clause=COUNTED,
        description="a count was drawn, and nobody says what was found",
        verdict=Verdict.NOT_OBSERVED,
        words="nobody says what was found",
        by_party=False,
        amends=does.on_count(held=False),
    ),
    CustodyAttack(
        name="count-aimed",
        clause=COUNTED,
        description="a host is opened that the randomness does not give",
        verdict=Verdict.INVALID_EVIDENCE,
        words="not-as-drawn",
        by_party=False,
        amends=does.on_count(aimed=True),
    ),
    CustodyAttack(
        name="count-ground",
        clause=COUNTED,
        description="the secret of a draw is fixed only after the register was seen",
        verdict=Verdict.INVALID_EVIDENCE,
        words="promise-after",
        by_party=False,
        amends=does.on_count(promised_late=True),
    ),
    CustodyAttack(
        name="count-forged",
        clause=COUNTED,
        description="an inspector whose key the operator holds says that all was counted",
        verdict=Verdict.NOT_OBSERVED,
        words="its key is held by the prover",
        amends=does.counted_by_forger,
    ),
)

_SEALS = (
    CustodyAttack(
        name="seal-broken",
        clause=SEALED,
        description="a seal is found broken",
        words="was found broken",
        amends=does.seal_broken,
    ),
    CustodyAttack(
        name="chips-lent",
        clause=SEALED,
        description="chips are away between two counts, and back for the second: no count shows it, a broken seal does",
        words="count what is behind it",
        amends=does.lent,
    ),
    CustodyAttack(
        name="seal-unclear",
        clause=SEALED,
        description="nobody can say whether a seal is the one that was put on",
        words="without a clear result",
        by_party=False,
        amends=does.seal_unclear,
    ),
    CustodyAttack(
        name="seal-unchecked",
        clause=SEALED,
        description="a seal is never looked at again",
        verdict=Verdict.NOT_OBSERVED,
        words="were not under seal all the time",
        by_party=False,
        amends=does.seal_unchecked,
    ),
    CustodyAttack(
        name="seal-twice",
        clause=SEALED,
        description="two seals have one name, so that either can be shown for the other",
        verdict=Verdict.INVALID_EVIDENCE,
        words="name-twice",
        by_party=False,
        amends=does.seal_twice,
    ),
    CustodyAttack(
        name="seal-forged",
        clause=SEALED,
        description="an inspector whose key the operator holds puts on and checks all seals",
        verdict=Verdict.NOT_OBSERVED,
        words="its key is held by the prover",
        amends=does.sealed_by_forger,
    ),
)

_CAMERAS = (
    CustodyAttack(
        name="camera-covered",
        clause=WATCHED,
        description="a camera is covered for half a minute",
        words="covered",
        amends=does.on_camera(covered_s=30.0),
    ),
    CustodyAttack(
        name="camera-replayed",
        clause=WATCHED,
        description="a camera shows what it showed before, and does not answer what it is asked",
        words="replayed",
        amends=does.on_camera(replayed=True),
    ),
    CustodyAttack(
        name="camera-gap",
        clause=WATCHED,
        description="a segment of a camera is not handed over",
        verdict=Verdict.NOT_OBSERVED,
        words="not in sight",
        amends=does.on_camera(dropped=True),
    ),
    CustodyAttack(
        name="camera-none",
        clause=WATCHED,
        description="nothing sees the racks of one site",
        verdict=Verdict.NOT_OBSERVED,
        words="not in sight",
        amends=does.no_camera,
    ),
)

_DEVICES = (
    CustodyAttack(
        name="device-elsewhere",
        clause=LOCATED,
        description="a device stands two thousand kilometres from where it is declared",
        words="device-simulated",
        amends=does.on_device(away_m=2.0e6),
    ),
    CustodyAttack(
        name="device-forged",
        clause=LOCATED,
        description="another key than the device's signs the answers",
        words="device-simulated",
        amends=does.on_device(forged=True),
    ),
    CustodyAttack(
        name="device-silent",
        clause=LOCATED,
        description="a device is timed once, and never again",
        verdict=Verdict.NOT_OBSERVED,
        words="device-simulated",
        amends=does.not_located,
    ),
)

_ACCESS = (
    CustodyAttack(
        name="access-refused",
        clause=ACCESS,
        description="a challenge inspection is refused",
        words="was refused",
        amends=does.access_refused,
    ),
    CustodyAttack(
        name="access-waiting",
        clause=ACCESS,
        description="inspectors stand at the gate at the end of the period",
        words="nobody has been let in yet",
        by_party=False,
        amends=does.access_late,
    ),
    CustodyAttack(
        name="exits-refused",
        clause=ACCESS,
        description="vehicles leave unlooked at while inspectors wait",
        words="exit-refused",
        amends=does.exits_refused,
    ),
    CustodyAttack(
        name="access-none",
        clause=ACCESS,
        description="no challenge inspection is requested",
        verdict=Verdict.NOT_OBSERVED,
        words="no challenge inspection was requested",
        by_party=False,
        amends=does.nothing_asked,
    ),
)

CUSTODY_CHEATS: MappingProxyType[str, CustodyAttack] = MappingProxyType(
    {attack.name: attack for attack in (*_REGISTER, *_CLUSTERS, *_COUNTS, *_SEALS, *_CAMERAS, *_DEVICES, *_ACCESS)}
)
"""Every attack by name."""
