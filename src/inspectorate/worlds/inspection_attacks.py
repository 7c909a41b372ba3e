"""How transcripts and inspections of simulated sites are attacked, one function each. What each must lead to stands in
`inspection_cheats`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from inspectorate.canonical import digest_of
from inspectorate.evidence import Decision
from inspectorate.worlds import inspection
from inspectorate.worlds.inspection_papers import WIDE, room_paper
from inspectorate.worlds.inspection_script import TOLERANCE, Script, Stretch, secret_of, tell
from inspectorate.worlds.seal import key_of

Amend = Callable[[Script], None]
OTHER_CODE = digest_of(b"simulated: other code of the server")


def _third(script: Script) -> Stretch:
    """The stretch that is attacked: a third of the way into the period, and checked exactly."""
    return script.stretches[max(1, len(script.stretches) // 3)]


# --- of the work ------------------------------------------------------------------------------------------------------


def swapped(share: float) -> Amend:
    """From a third of the period on, every so many packets are answered by another model."""

    def amend(script: Script) -> None:
        every = max(1, round(1 / share))
        for stretch in script.stretches[max(1, len(script.stretches) // 3) :]:
            stretch.dirty = {one.number for one in stretch.packets if one.number % every == 0}

    return amend


def shortened(script: Script) -> None:
    """The last third of the transcript is never committed to."""
    for stretch in script.stretches[-max(1, len(script.stretches) // 3) :]:
        stretch.committed = False


def kept_back(script: Script) -> None:
    """A commitment is made, and not in the bundle."""
    _third(script).bundled = False


def forked(script: Script) -> None:
    _third(script).fork = True


def forged(script: Script) -> None:
    _third(script).previous = digest_of(b"simulated: another commitment")


def doubled(script: Script) -> None:
    """A second run on the same pod at the same time, with three times the work that its chips can do."""
    other = _twin(script, "twin", flop_factor=20.0)
    tell(other)
    _take(script, other)


def copied(script: Script) -> None:
    """The list of one stretch stands in a second run as well, leaf by leaf."""
    other = _twin(script, "copy", flop_factor=1.0)
    tell(other)
    _take(script, other)


def copied_salted(script: Script) -> None:
    """The same work is committed to twice, under other salts, as if it had been done twice."""
    other = _twin(script, "echo", flop_factor=0.999)
    tell(other)
    _take(script, other)


def _twin(script: Script, name: str, *, flop_factor: float) -> Script:
    stretches = []
    for place, one in enumerate(script.stretches):
        packets = [
            packet.model_copy(
                update={
                    "flop": flop_factor * packet.flop,
                    "salt": packet.salt if flop_factor == 1.0 else packet.salt[::-1],
                }
            )
            for packet in one.packets
        ]
        secret = secret_of(script.seed, f"{script.pod} {name}", place)
        stretches.append(Stretch(**{**vars(one), "packets": packets, "secret": secret}))
    run = f"{script.run}-{name}"
    header = script.header.model_copy(update={"run": run})
    return Script(
        **{**vars(script), "run": run, "header": header, "stretches": stretches, "envelopes": [], "payloads": {}}
    )


def _take(script: Script, other: Script) -> None:
    script.envelopes += other.envelopes
    script.payloads |= other.payloads


# --- of draws and openings --------------------------------------------------------------------------------------------


def not_repeatable(script: Script) -> None:
    _third(script).other_draw = True


def secret_reused(script: Script) -> None:
    stretch = _third(script)
    place = script.stretches.index(stretch)
    stretch.secret = script.stretches[place - 1].secret


def promised_late(script: Script) -> None:
    """The secret is promised after the work was done, and no commitment names it: it may aim."""
    stretch = _third(script)
    stretch.named = False
    stretch.promised_at = stretch.period.end + timedelta(seconds=1)


def refused(script: Script) -> None:
    for stretch in script.stretches[-2:]:
        stretch.answered = False


def late(script: Script) -> None:
    for stretch in script.stretches[-2:]:
        stretch.opened_after_s = 3600.0


def other_packets(script: Script) -> None:
    for stretch in script.stretches[-2:]:
        stretch.other_opening = True


# --- of replays -------------------------------------------------------------------------------------------------------


def left_out(script: Script) -> None:
    _third(script).leave_out = 1


def other_run(script: Script) -> None:
    _third(script).results_of = "serving-elsewhere"


def other_tolerance(script: Script) -> None:
    for stretch in script.stretches[-2:]:
        stretch.exact = False
        stretch.tolerance = TOLERANCE.model_copy(update={"threshold": 1e6})


# --- of code, accounts and rooms --------------------------------------------------------------------------------------


def other_code(script: Script) -> None:
    """Other code runs than the claim names, by the header of the run itself."""
    script.header = script.header.model_copy(update={"code": OTHER_CODE})


def refused_code(script: Script) -> None:
    """Inspectors had refused the code that runs."""
    other_code(script)
    for by, key in script.inspectors.items():
        at = script.period.start - timedelta(hours=2)
        statement, document = inspection.review_of(script, by, at, code=OTHER_CODE, decision=Decision.REFUSED)
        script.say(statement.predicate, key, review=document)


def withdrawn(script: Script) -> None:
    """One of two inspectors takes the approval back in the middle of the period."""
    by, key = next(iter(script.inspectors.items()))
    at = script.period.start + (script.period.end - script.period.start) / 2
    statement, document = inspection.review_of(script, by, at, decision=Decision.REFUSED)
    script.say(statement.predicate, key, review=document)


def misquoted(script: Script) -> None:
    """A statement approves where its document refuses."""
    for by, key in script.inspectors.items():
        at = script.period.start - timedelta(hours=2)
        statement, document = inspection.review_of(script, by, at, decision=Decision.REFUSED)
        script.say(statement.predicate.model_copy(update={"decision": Decision.APPROVED}), key, review=document)


def account_of_other(script: Script) -> None:
    script.accounted_run = "serving-elsewhere"


def account_contradicted(script: Script) -> None:
    """The operator declares half of what was committed to."""
    script.declared_factor = 0.5


def account_changed(script: Script) -> None:
    script.stated_factor = 0.5


def room_over(script: Script) -> None:
    by = next(iter(script.inspectors))
    inspection.room_of(script, "room-with-a-view", by, script.period.start - timedelta(hours=30), (WIDE,))


def room_understated(script: Script) -> None:
    """A statement gives one bit where the log of the session has eighty."""
    by, key = next(iter(script.inspectors.items()))
    host = ("operator", key_of(script.seed, "operator"))
    opened_at = script.period.start - timedelta(hours=30)
    statement, log = room_paper("room-with-a-view", by, host, opened_at=opened_at, forms=(WIDE,))
    script.say(statement.predicate.model_copy(update={"bits_out": 1.0}), key, log=log)
