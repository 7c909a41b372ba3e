"""What operators and inspectors of a simulated site state of its work, where the agreement asks for it.

- Every pod keeps a transcript of its own, under a key of the operator. It serves one run through the whole period, in packets of
  a few seconds, and commits to it every `STRETCH_S`.
- An inspector promises, draws, and runs again what was drawn, each time by points of time; another one has approved the code as
  well. Both were at the site the day before, in a room.
- At the end the inspector accounts for the run by what was committed to and what was counted.
- A cheat (`inspection_cheats`) may change what is said of one pod.

Every statement says `simulated`. Every draw of chance has a purpose of its own, so that a site under an agreement without these
clauses is the same to the byte.
"""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime, timedelta

from inspectorate.agreement import AccountedFlop, Agreement, ClauseKind
from inspectorate.canonical import digest_of
from inspectorate.declaration import Declaration, Pod, Reporter, ReporterKind, WorkloadKind
from inspectorate.evidence import Decision, Statement, WorkKind
from inspectorate.keys import Holder, Role, TrustAnchor
from inspectorate.mechanisms.inspection.code.techniques import Seen
from inspectorate.mechanisms.inspection.flop.facts import Terms
from inspectorate.mechanisms.inspection.room.types import VERDICT, Form
from inspectorate.mechanisms.inspection.transcripts.types import InferenceContent, InferenceHeader, Packet, Request
from inspectorate.quantities import Period, to_ns
from inspectorate.worlds.inspection_papers import review_paper, room_paper
from inspectorate.worlds.inspection_script import (
    PROMISED_BEFORE_S,
    STACK,
    TOLERANCE_EVERY,
    InspectionCheat,
    Script,
    Stretch,
    secret_of,
    tell,
)
from inspectorate.worlds.seal import key_of
from inspectorate.worlds.site import SimSite
from inspectorate.worlds.telemetry import Measured
from inspectorate.worlds.telemetry_model import Draw, draws

ASKS = frozenset(
    {ClauseKind.REPLAYED_WORK, ClauseKind.ACCOUNTED_FLOP, ClauseKind.REVIEWED_CODE, ClauseKind.INSPECTION_ROOMS}
)
INSPECTORS = ("replay-inspector", "code-inspector")
STRETCH_S = 120
"""From one commitment to the next."""
PACKET_S = (5.0, 9.0)
LOAD = (0.25, 0.5)
"""Share of its peak rate that a pod states for its packets, drawn per pod."""
CODE = digest_of(b"simulated: the code of the server")
MODEL = digest_of(b"simulated: the weights that are served")
TECHNIQUES = tuple(
    Seen(technique=name, what="simulated", places=("serve.py:1",), count=1)
    for name in ("inference.batching", "inference.generation")
)
REVIEWED_BEFORE = timedelta(days=1)
_MARGIN = timedelta(days=3)


def asked(agreement: Agreement) -> bool:
    """Whether an agreement has a clause about inspection."""
    return any(clause.kind in ASKS for clause in agreement.clauses)


def transcripts_of(pod: str) -> str:
    return f"transcripts-{pod}"


def reporters(site: SimSite, agreement: Agreement) -> tuple[Reporter, ...]:
    """One record of work per pod, held by the operator; none where the agreement asks for none."""
    if not asked(agreement):
        return ()
    return tuple(
        Reporter(id=transcripts_of(pod), kind=ReporterKind.TRANSCRIPTS, holder=Holder.PROVER, pods=(pod,))
        for pod in site.names
    )


def declared(declaration: Declaration, agreement: Agreement) -> Declaration:
    """The declaration with the code that serves."""
    if not asked(agreement):
        return declaration
    claims = tuple(
        claim.model_copy(update={"code": CODE})
        if claim.kind is WorkloadKind.INFERENCE and claim.code is None
        else claim
        for claim in declaration.claims
    )
    return declaration.model_copy(update={"claims": claims})


def _kept(declaration: Declaration) -> tuple[Reporter, ...]:
    return tuple(one for one in declaration.reporters if one.kind is ReporterKind.TRANSCRIPTS)


def anchors(declaration: Declaration, seed: int) -> tuple[TrustAnchor, ...]:
    """The operator's keys for its transcripts, and those of the inspectors."""
    kept = _kept(declaration)
    if not kept:
        return ()
    period = declaration.period

    def anchor(name: str, holder: Holder, role: Role, speaks_for: tuple[str, ...]) -> TrustAnchor:
        return TrustAnchor(
            name=f"simulated-{name}",
            public_key=base64.b64encode(key_of(seed, name).public.raw).decode(),
            holder=holder,
            roles=(role,),
            sensors=speaks_for,
            valid_from=period.start - _MARGIN,
            valid_until=period.end + _MARGIN,
        )

    return (
        *(anchor(one.id, Holder.PROVER, Role.SENSOR, (one.id,)) for one in kept),
        *(anchor(name, Holder.VERIFIER, Role.INSPECTOR, ()) for name in INSPECTORS),
    )


def state(
    declaration: Declaration,
    agreement: Agreement,
    *,
    seed: int,
    attack: tuple[str, InspectionCheat] | None = None,
) -> Measured:
    """All that is stated. `attack` names the pod that it is about."""
    kept = _kept(declaration)
    if not kept:
        return Measured()
    draw = draws(seed)
    envelopes: list[bytes] = []
    payloads: dict[str, bytes] = {}
    for one in kept:
        pod = next(pod for pod in declaration.pods if pod.id == one.pods[0])
        script = script_of(declaration, agreement, one, pod, seed=seed, draw=draw)
        cheat = attack[1] if attack is not None and attack[0] == pod.id else InspectionCheat()
        cheat.amend(script)
        tell(script)
        cheat.after(script)
        envelopes += script.envelopes
        payloads |= script.payloads
        last = script
    common = Script(**{**vars(last), "envelopes": [], "payloads": {}})
    _reviews(common, declaration)
    _rooms(common, declaration)
    return Measured(envelopes=(*envelopes, *common.envelopes), payloads=payloads | common.payloads)


def script_of(
    declaration: Declaration, agreement: Agreement, reporter: Reporter, pod: Pod, *, seed: int, draw: Draw
) -> Script:
    """What an honest pod is going to say."""
    claim = next(one for one in declaration.claims if one.kind is WorkloadKind.INFERENCE and pod.id in one.pods)
    random = draw(f"inspection {pod.id}")
    load = float(random.uniform(*LOAD)) * pod.peak_flop_per_s(agreement.counted_formats)
    run = f"serving-{pod.id}"
    stretches: list[Stretch] = []
    number = 0
    for place, period in enumerate(declaration.period.intervals(STRETCH_S)):
        packets = _packets(seed, pod.id, period, number, load, draw)
        number += len(packets)
        stretches.append(
            Stretch(
                period=period,
                packets=packets,
                secret=secret_of(seed, pod.id, place),
                by=f"simulated-{INSPECTORS[0]}",
                exact=place % TOLERANCE_EVERY != TOLERANCE_EVERY - 1,
                promised_at=period.start - timedelta(seconds=PROMISED_BEFORE_S),
            )
        )
    stretches[-1].final = True
    terms = next((c.parameters for c in agreement.clauses if isinstance(c.parameters, AccountedFlop)), None)
    return Script(
        pod=pod.id,
        seed=seed,
        reporter=reporter.id,
        claim=claim.id,
        run=run,
        key=key_of(seed, reporter.id),
        inspectors={f"simulated-{name}": key_of(seed, name) for name in INSPECTORS},
        header=InferenceHeader(
            work=WorkKind.INFERENCE,
            run=run,
            code=claim.code or CODE,
            stack=STACK,
            model=MODEL,
            sampling={"temperature": 0.0},
        ),
        chips=pod.chips,
        stretches=stretches,
        terms=Terms.of(
            agreement,
            disagreement_share_max=terms.disagreement_share_max if terms else 0.1,
            sources_min=terms.sources_min if terms else 1,
        ),
        period=declaration.period,
    )


def _packets(seed: int, pod: str, period: Period, first: int, load: float, draw: Draw) -> list[Packet]:
    """Packets that follow one another through a stretch, one request in each."""
    random = draw(f"inspection packets {pod} {period.start:%H%M%S}")
    found: list[Packet] = []
    at, end = to_ns(period.start), to_ns(period.end)
    while True:
        length = round(float(random.uniform(*PACKET_S)) * 1e9) // 1000 * 1000
        if at + length > end:
            return found
        number = first + len(found)
        found.append(packet_of(seed, pod, number, at, at + length, load * length / 1e9))
        at += length


def packet_of(seed: int, pod: str, number: int, start_ns: int, end_ns: int, flop: float) -> Packet:
    """One packet with one request, whose digests stand for content that nobody has."""

    def digest(what: str) -> str:
        return digest_of(f"simulated {what} {seed} {pod} {number}".encode())

    return Packet(
        number=number,
        start_ns=start_ns,
        end_ns=end_ns,
        flop=flop,
        salt=hashlib.sha256(digest("salt").encode()).hexdigest(),
        content=InferenceContent(
            work=WorkKind.INFERENCE,
            requests=(
                Request(
                    prompt=digest("prompt"),
                    answer=digest("answer"),
                    prompt_tokens=256,
                    answer_tokens=512,
                    seed=number,
                    batch_sizes=((1, 512),),
                ),
            ),
        ),
    )


def review_of(
    script: Script, by: str, at: datetime, *, code: str = CODE, decision: Decision = Decision.APPROVED
) -> tuple[Statement, bytes]:
    """What an inspector decides about the code of the site."""
    return review_paper(
        (by, "verifier"), claim=script.claim, code=code, at=at, decision=decision, techniques=TECHNIQUES
    )


def room_of(script: Script, session: str, by: str, opened_at: datetime, forms: tuple[Form, ...]) -> None:
    """One session in a room of the operator."""
    host = ("operator", key_of(script.seed, "operator"))
    statement, log = room_paper(session, by, host, opened_at=opened_at, forms=forms)
    script.say(statement.predicate, script.inspectors[by], log=log)


def _reviews(script: Script, declaration: Declaration) -> None:
    """Both inspectors approve the code that every claim of serving names."""
    codes = {one.code for one in declaration.claims if one.kind is WorkloadKind.INFERENCE and one.code is not None}
    for by, key in script.inspectors.items():
        for code in sorted(codes):
            statement, document = review_of(script, by, declaration.period.start - REVIEWED_BEFORE, code=code)
            script.say(statement.predicate, key, review=document)


def _rooms(script: Script, declaration: Declaration) -> None:
    for by in script.inspectors:
        room_of(script, f"room-{by}", by, declaration.period.start - REVIEWED_BEFORE, (VERDICT, VERDICT))
