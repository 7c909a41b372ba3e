"""Offices, desks and reports for the tests of case handling: everything real, only the people are invented."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pyrage

from inspectorate.agreement import Agreement, load_agreement
from inspectorate.canonical import digest_of
from inspectorate.declaration import Declaration
from inspectorate.evidence import Activity
from inspectorate.keys import SigningKey
from inspectorate.mechanisms.whistleblowing.cases.acts import Claim, Opened, SealedFile
from inspectorate.mechanisms.whistleblowing.cases.desk import Desk, Known
from inspectorate.mechanisms.whistleblowing.cases.naming import case_of
from inspectorate.mechanisms.whistleblowing.sealing.offices import Office, Offices
from inspectorate.mechanisms.whistleblowing.sealing.phrases import Phrase
from inspectorate.quantities import Period

START = datetime(2026, 3, 14, 9, 0, tzinfo=UTC)
NAMES = ("office-a", "office-b", "office-c")
OUTSIDE = "office-x"
ANSWERS = {
    "kind": "training",
    "place": "hall 3, pod b3",
    "when": "14 March, from nine in the morning",
    "seen": "The racks of pod b3 ran a job that nobody had scheduled. I saw the queue on the operator's screen.",
    "view": "I stand in the control room of hall 3 and see its screens.",
    "unseen": "I could not see what the job computed, and nothing of hall 4.",
}
ATTACHED = b"queue.txt: job 4711, pod b3, 512 chips\n" * 40


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


@cache
def key(name: str) -> SigningKey:
    return SigningKey(bytes.fromhex(digest_of(name.encode())[7:]))


@cache
def identity(name: str) -> pyrage.x25519.Identity:
    return pyrage.x25519.Identity.generate()


@cache
def office(name: str) -> Office:
    return Office(
        name=name, party=f"party-{name[-1]}", recipient=str(identity(name).to_public()),
        key=base64.b64encode(key(name).public.raw).decode(),
    )  # fmt: skip


@cache
def known() -> Known:
    return Known(offices=Offices(quorum=2, offices=tuple(map(office, NAMES))), others=(office(OUTSIDE),))


def desk(folder: Path, name: str) -> Desk:
    return Desk(folder / name, office=name, key=key(name), identity=identity(name), known=known())


def sealed_file(data: bytes = ATTACHED, name: str = "queue.txt") -> SealedFile:
    return SealedFile(name=name, media_type="text/plain", size=len(data), digest=digest_of(data))


def opened(
    seed: int = 1, *, answers: dict[str, str] | None = None, files: Sequence[SealedFile] = (), report: int = 0
) -> Opened:
    """What an office says of a report by the source of this seed."""
    mailbox = Phrase(seed.to_bytes(16)).mailbox("main")
    return Opened(
        report=digest_of(f"report {seed} {report}".encode()), intake="main", sealed_in=("batch 3",), thread=mailbox.key,
        reply_to=mailbox.recipient, language="en", answers=answers or ANSWERS, files=tuple(files), complete=True,
        offices=NAMES[:2],
    )  # fmt: skip


def case(seed: int = 1) -> str:
    return case_of(opened(seed).thread)


def two_desks(folder: Path, *, seed: int = 1, files: Sequence[bytes] = ()) -> tuple[Desk, Desk]:
    """A case that offices a and b opened, each for itself, and told each other."""
    first, second = desk(folder, NAMES[0]), desk(folder, NAMES[1])
    act = opened(seed, files=[sealed_file(data, f"file {n}.txt") for n, data in enumerate(files)])
    for minutes, one in enumerate((first, second)):
        one.open(act, {digest_of(data): (lambda data=data: data) for data in files}, at=at(minutes))
    exchange(case(seed), first, second)
    return first, second


def exchange(name: str, *desks: Desk) -> None:
    """All desks take over what the others did."""
    for one in desks:
        for other in desks:
            if other is not one:
                one.merge(other.store.folder / name)


def claim(name: str = "c1", activity: Activity = Activity.TRAINING, **fields: object) -> Claim:
    given: dict[str, object] = {
        "pods": ("b3",),
        "period": Period(start=START, end=at(60)),
        "saw": (ANSWERS["seen"],),
        "could_not_see": (ANSWERS["unseen"],),
    }
    return Claim.model_validate({"id": name, "activity": activity} | given | fields)


@cache
def agreement() -> Agreement:
    return load_agreement("inference-only-heard")


@cache
def declaration() -> Declaration:
    def pod(name: str, number: int) -> dict[str, object]:
        return {"id": name, "chips": [{"model": "h100-sxm", "count": 8}], "networks": [f"10.0.{number}.0/24"]}

    return Declaration.model_validate(
        {
            "id": "fleet-1",
            "party": "operator",
            "period": Period(start=at(-60), end=at(180)),
            "sites": [
                {
                    "id": "north", "location": "hall 3 and 4",
                    "clusters": [
                        {"id": "hall-3", "pods": [pod("b3", 1), pod("b4", 2)]},
                        {"id": "hall-4", "pods": [pod("d1", 3)]},
                    ],
                },
                {"id": "south", "location": "elsewhere", "clusters": [{"id": "barn", "pods": [pod("s1", 4)]}]},
            ],
            "claims": [
                {
                    "id": "serve-b3", "kind": "inference", "pods": ["b3"], "period": Period(start=START, end=at(60)),
                    "description": "serving",
                }
            ],
        }
    )  # fmt: skip
