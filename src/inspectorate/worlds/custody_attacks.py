"""What is done with chips of a simulated site, or with what is said of them, one function each. What each must lead to stands in
`custody_cheats`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta

from inspectorate.evidence import AccessStep, SealDecision
from inspectorate.mechanisms.custody.register import Chip
from inspectorate.worlds.custody_plans import AcquiredPlan, Chips, RegisterPlan
from inspectorate.worlds.custody_script import Script

FORGER = "simulated-custody-forger"
"""The anchor of an inspector whose key the operator holds."""
ANNEX = "annex"
"""A site that nobody declared."""
VANISHING, TAKEN, IN_ANNEX = 4, 10, 20
"""Chips that are left out of a register, that are gone from their hosts, and that stand at the annex."""

Amend = Callable[[Script], None]


def _middle(script: Script) -> RegisterPlan:
    return script.registers[len(script.registers) // 2]


def _fixed(script: Script) -> list[Chip]:
    """Chips that are in every register, in the same place."""
    moving = {chip.serial for one in script.transfers for chip in one.chips}
    moving |= {serial for one in script.ended for serial in one.serials}
    return [chip for serial, chip in sorted(script.chips.items()) if serial not in moving]


# --- of the register ---------------------------------------------------------------------------------------------------


def vanished(script: Script) -> None:
    """From the middle register on, chips are left out."""
    gone = {chip.serial for chip in _fixed(script)[:VANISHING]}
    middle = _middle(script)
    for one in script.registers:
        if one.as_of >= middle.as_of:
            one.rows = lambda chips: [chip for serial, chip in chips.items() if serial not in gone]


def in_two_places(script: Script) -> None:
    """One serial stands in two hosts of the middle register."""
    twice = _fixed(script)[0]
    other = next(chip for chip in _fixed(script) if chip.pod != twice.pod)

    def rows(chips: Chips) -> Iterable[Chip]:
        return [*chips.values(), replace(other, serial=twice.serial)]

    _middle(script).rows = rows


def late(script: Script) -> None:
    """The keeper hands over no register between the first and the last two stretches."""
    del script.registers[1 : max(2, len(script.registers) - 1)]


def skipped(script: Script) -> None:
    """A register in the middle was handed over, and is not shown."""
    _middle(script).handed = False


def forked(script: Script) -> None:
    _middle(script).forked = True


def acquired_unsaid(script: Script) -> None:
    script.acquired[0].said = False


def overfull(script: Script) -> None:
    """Chips are bought and registered beyond what is declared of their pod."""
    layout, pod = script.layout, script.layout.pods[0]
    bought = [layout.chip(pod, layout.hosts(pod)[0], f"SIM-OVER-{number}") for number in range(4)]
    script.acquired.append(AcquiredPlan(chips=bought, at=script.acquired[0].at + timedelta(seconds=1)))


def own_certificate(script: Script) -> None:
    """The operator's own inspector certifies that chips were destroyed."""
    script.ended[0].by = FORGER


def on_transfer(**changes: object) -> Amend:
    def amend(script: Script) -> None:
        _set(script.transfers[0], changes)

    return amend


def one_approval(script: Script) -> None:
    script.transfers[0].approved_by = script.transfers[0].approved_by[:1]


def left_early(script: Script) -> None:
    """Chips leave half a minute before the time of their notice."""
    one = script.transfers[0]
    one.left_at = one.begins_at - timedelta(seconds=30)


def lost(script: Script) -> None:
    """What left never arrives."""
    script.transfers[0].arrived_at = script.period.end + timedelta(hours=1)
    script.transfers[0].arrived = False


# --- of clusters -------------------------------------------------------------------------------------------------------


def undeclared_cluster(script: Script) -> None:
    """More chips than a limb are bought for a site that nobody declared."""
    layout = script.layout
    like = layout.chip(layout.pods[0], layout.hosts(layout.pods[0])[0], "SIM-ANNEX")
    bought = [
        replace(
            like, serial=f"SIM-ANNEX-{number}", site=ANNEX, cluster=ANNEX, pod=ANNEX, rack="annex-r1",
            host=f"annex-h{number // 4}",
        )
        for number in range(IN_ANNEX)
    ]  # fmt: skip
    script.acquired.append(AcquiredPlan(chips=bought, at=script.acquired[0].at + timedelta(seconds=1)))


def dissolved(script: Script) -> None:
    """From the middle register on, the chips of the second site stand in two lots at sites that nobody declared."""
    middle = _middle(script)
    pod = script.layout.pods[-1]

    def rows(chips: Chips) -> Iterable[Chip]:
        found = []
        for number, chip in enumerate(chips.values()):
            lot = f"{ANNEX}-{number % 2}"
            there = replace(chip, site=lot, cluster=lot, pod=lot, rack=f"{lot}-r1", host=f"{lot}-{chip.host}")
            found.append(there if chip.pod == pod else chip)
        return found

    for one in script.registers:
        if one.as_of >= middle.as_of:
            one.rows = rows


# --- of counts ---------------------------------------------------------------------------------------------------------


def on_count(**changes: object) -> Amend:
    """Change the middle count."""

    def amend(script: Script) -> None:
        _set(_middle(script), changes)

    return amend


def not_counted(script: Script) -> None:
    """Nobody draws between the first count and the last."""
    for one in script.registers[1:-1]:
        one.drawn = False


def missing(script: Script) -> None:
    """Chips are gone from their hosts from the start."""
    script.elsewhere = {chip.serial: "" for chip in _fixed(script)[::7][:TAKEN]}


def lent(script: Script) -> None:
    """Chips are away between two counts; the seal on their racks breaks."""
    pod = script.layout.pods[0]
    sealed = [one for one in script.seals if one.places == script.layout.racks(pod)]
    at, _ = sealed[1].checks[0]
    sealed[1].checks = [(at, SealDecision.BROKEN)]


def counted_by_forger(script: Script) -> None:
    """An inspector whose key the operator holds counts."""
    script.counter = FORGER


# --- of seals ----------------------------------------------------------------------------------------------------------


def seal_broken(script: Script) -> None:
    at, _ = script.seals[1].checks[0]
    script.seals[1].checks = [(at, SealDecision.BROKEN)]


def seal_unclear(script: Script) -> None:
    at, _ = script.seals[1].checks[0]
    script.seals[1].checks = [(at, SealDecision.UNCLEAR)]


def seal_unchecked(script: Script) -> None:
    script.seals[1].checks = []


def seal_twice(script: Script) -> None:
    """Two seals have one name: either could be shown for the other."""
    script.seals[2].name = script.seals[1].name


def sealed_by_forger(script: Script) -> None:
    for one in script.seals:
        one.by = FORGER


# --- of cameras --------------------------------------------------------------------------------------------------------


def on_camera(**changes: object) -> Amend:
    """Change the first camera."""

    def amend(script: Script) -> None:
        _set(script.cameras[0], changes)

    return amend


def no_camera(script: Script) -> None:
    del script.cameras[-1]


# --- of location -------------------------------------------------------------------------------------------------------


def on_device(**changes: object) -> Amend:
    """Change every measuring of the first device."""

    def amend(script: Script) -> None:
        name = script.located[0].reporter
        for one in script.located:
            if one.reporter == name:
                _set(one, changes)

    return amend


def not_located(script: Script) -> None:
    script.located = script.located[:1]


# --- of access ---------------------------------------------------------------------------------------------------------


def access_refused(script: Script) -> None:
    script.challenges[0].steps = [(AccessStep.ARRIVED, 30.0), (AccessStep.REFUSED, 45.0)]


def access_late(script: Script) -> None:
    """Inspectors stood there in time, by a short clock, and waited."""
    script.challenges[0].steps = [(AccessStep.ARRIVED, 30.0)]


def exits_refused(script: Script) -> None:
    script.challenges[0].exits_refused = 3


def nothing_asked(script: Script) -> None:
    script.challenges.clear()


def _set(plan: object, changes: dict[str, object]) -> None:
    for name, value in changes.items():
        assert hasattr(plan, name), name
        setattr(plan, name, value)
