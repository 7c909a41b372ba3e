"""What inspectors of simulated sites decide about code, and the logs of their sessions: in the forms of the real programs."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import datetime, timedelta

from inspectorate.canonical import digest_of
from inspectorate.evidence import Decision, Origin
from inspectorate.evidence.statement import Statement
from inspectorate.keys import SigningKey
from inspectorate.mechanisms.inspection.code.decision import Answer, Deciding, decide, reviewed_statement
from inspectorate.mechanisms.inspection.code.techniques import Seen
from inspectorate.mechanisms.inspection.code.types import (
    BlindSpot,
    Doubt,
    Kind,
    Pointer,
    Reach,
    Review,
    Unseen,
    pointer_key,
)
from inspectorate.mechanisms.inspection.room.check import answer_bytes, check_room_log
from inspectorate.mechanisms.inspection.room.session import closed_statement
from inspectorate.mechanisms.inspection.room.types import (
    Body,
    Closed,
    CountRange,
    Entry,
    Form,
    HostAgreed,
    InputRead,
    JobStarted,
    Offered,
    Opened,
    Output,
    Released,
    offered_bits,
)

VALID_FOR = timedelta(days=90)
SLOT_S = 60.0
WIDE = Form(
    id="wide",
    words=("scores", "failed"),
    counts=tuple(CountRange(name=f"score-{n}", least=0, most=1_000_000, score=True) for n in range(4)),
)
"""Some eighty bits in one output."""
_RULE, _FILE, _SCOPE, _LINE = "load-state", "serve.py", "load", "model.load_state_dict(state)"
"""The one place of the simulated server that a person has to answer for."""


def review_paper(
    who: tuple[str, str],
    *,
    claim: str,
    code: str,
    at: datetime,
    decision: Decision = Decision.APPROVED,
    techniques: Sequence[Seen] = (),
) -> tuple[Statement, bytes]:
    """What an inspector (name of the anchor, party) decides about a snapshot: the statement and its document."""
    key = pointer_key(_RULE, _FILE, _SCOPE, _LINE, 0)
    pointer = Pointer(
        rule=_RULE,
        kind=Kind.WEIGHT_WRITE,
        doubt=Doubt.MUST_ANSWER,
        file=_FILE,
        line=40,
        end_line=40,
        scope=_SCOPE,
        excerpt=_LINE,
        why="weights are written",
        reachable=Reach.YES,
        key=key,
    )
    review = Review(
        snapshot=digest_of(f"simulated snapshot {code}".encode()),
        code=code,
        entry="serve:main",
        files=12,
        python_files=9,
        lines=2400,
        pointers=(pointer,),
        cannot_see=(Unseen(reason=BlindSpot.METHOD, what="what code does that builds its names as it runs", count=1),),
    )
    document = decide(
        review,
        Deciding(
            party=who[1],
            claim=claim,
            by=who[0],
            decision=decision,
            words="simulated: read in full",
            reviewed_at=at,
            answers=(Answer(pointer=key, parameters_change=False, words="simulated: once, before serving begins"),),
            cannot_see_acknowledged=True,
            parameters_changed=0,
        ),
        tuple(techniques),
    )
    statement = reviewed_statement(document, origin=Origin.SIMULATED, valid_until=at + VALID_FOR)
    return statement, document.canonical_bytes()


def room_paper(
    session: str, by: str, host: tuple[str, SigningKey], *, opened_at: datetime, forms: Sequence[Form]
) -> tuple[Statement, bytes]:
    """A session with one job for each form, as `Room` would have logged it: the statement and its log."""
    log = _Log(opened_at)
    bits_max = 2.0 + sum(offered_bits(form, 0) for form in forms)
    kinds = tuple({form.id: form for form in forms}.values())
    log.write(
        0,
        Opened(
            session=session, by=by, host=host[0], origin=Origin.SIMULATED, bits_max=bits_max, slot_s=SLOT_S, forms=kinds
        ),
    )
    log.write(0, InputRead(name="code", digest=digest_of(b"simulated: the code of the server")))
    slot = 0
    for job, form in enumerate(forms):
        log.write(slot, JobStarted(job=job, name="replay", form=form.id, inputs=("code",)))
        output = Output(word=form.words[0], counts=tuple(one.least for one in form.counts))
        line = log.write(slot + 2, Offered(job=job, output=output, late_slots=0, bits=offered_bits(form, 0)))
        signature = _base64(host[1].sign(answer_bytes(digest_of(line))))
        log.write(slot + 2, HostAgreed(job=job, signature=signature))
        log.write(slot + 3, Released(job=job, slot=slot + 3))
        slot += 3
    bits_out = check_room_log(log.data).bits_out
    log.write(slot, Closed(bits_out=bits_out, inputs=1))
    return closed_statement(log.data)


class _Log:
    """Lines of a log, chained."""

    def __init__(self, opened_at: datetime) -> None:
        self.opened_at = opened_at
        self.data = b""
        self.count = 0
        self.previous: str | None = None

    def write(self, slot: int, body: Body) -> bytes:
        """One entry at the edge of a slot; its line."""
        entry = Entry(
            number=self.count, previous=self.previous, at=self.opened_at + timedelta(seconds=SLOT_S * slot), body=body
        )
        line = entry.canonical_bytes()
        self.data += line + b"\n"
        self.count += 1
        self.previous = digest_of(line)
        return line


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
