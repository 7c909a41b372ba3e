"""What the guarantee processors of a simulated site state, where the agreement asks for them.

- One processor per pod, with a TPM of its own. It ran long before the period: the baseline and a licence were made known the
  day before.
- It reports on the ruleset's grid, from the slot in which the period begins to the one in which it ends: bytes out by the path,
  as the traffic of the pod says; FLOP by a meter beside the machine; time by its clock. Everything is served by the listed
  model.
- Within the period a second ruleset is put in force and a second licence applied; an inspector challenges every
  `CHALLENGE_EVERY_S`.
- A cheat (`guard_cheats`) may amend the script of one processor before it is sealed, and what was sealed afterwards.

Every statement says `simulated`. Every draw has a purpose of its own, so that a site under an agreement without these clauses
is the same to the byte. With them, the bytes of signed rulesets and licences differ each time (ML-DSA); what they say does not.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np

from inspectorate.agreement import Agreement, ClauseKind
from inspectorate.canonical import digest_of
from inspectorate.declaration import Declaration, Reporter, ReporterKind
from inspectorate.evidence import (
    ChallengeIssued,
    LicenceApplied,
    Origin,
    RulesetInForce,
    make_statement,
    sign_statement,
)
from inspectorate.keys import Holder, Role, TrustAnchor
from inspectorate.mechanisms.guarantee.events import Mode
from inspectorate.mechanisms.guarantee.interlock.sampling import Chain
from inspectorate.mechanisms.guarantee.metering.types import MeterKind, Source
from inspectorate.mechanisms.guarantee.outlet.checkpoint import Checkpoint
from inspectorate.quantities import Period, from_ns, to_ns
from inspectorate.worlds import guard_rules
from inspectorate.worlds.guard_script import (
    Document,
    GuardCheat,
    Script,
    Sealed,
    amount_of,
    report_envelope,
    said,
    seal,
)
from inspectorate.worlds.guard_tpm import tpm_of
from inspectorate.worlds.model import NS_PER_S
from inspectorate.worlds.packets import Flows, interval_totals
from inspectorate.worlds.seal import key_of
from inspectorate.worlds.site import SimSite
from inspectorate.worlds.telemetry import Measured
from inspectorate.worlds.telemetry_model import Draw, draws

ASKS = frozenset({ClauseKind.GUARDED_OPERATION, ClauseKind.LICENSED_WORK, ClauseKind.GUARD_OUTLET})
INSPECTOR = "guard-inspector"
CHALLENGE_EVERY_S, CHALLENGED_FIRST_S = 300, 10
FIRST_REPORT, STARTS = 10_000, 3
"""Numbers of a processor that ran for days before the period."""
LOAD, LOAD_SIGMA = (0.1, 0.5), 0.1
"""Share of its peak rate that a pod's meter shows, drawn per pod; and how it varies from report to report."""
KNOWN_SHARE = 0.9
"""What a meter beside the machine knows at least, of what it shows at most."""
LICENSED_SHARES = (0.8, 0.8)
"""Budgets of both licences, as shares of what the period takes: more in all than is used."""
SECOND_RULESET_AT, SECOND_LICENCE_AT = 0.3, 0.4
"""Within the period."""
_MARGIN = timedelta(days=2)


def asked(agreement: Agreement) -> bool:
    """Whether an agreement has a clause about guarantee processors."""
    return any(clause.kind in ASKS for clause in agreement.clauses)


def guard_of(pod: str) -> str:
    return f"guard-{pod}"


def reporters(site: SimSite, agreement: Agreement) -> tuple[Reporter, ...]:
    """One processor per pod, sealed by both sides; none where the agreement asks for none."""
    if not asked(agreement):
        return ()
    return tuple(
        Reporter(id=guard_of(pod), kind=ReporterKind.GUARD, holder=Holder.JOINT, pods=(pod,)) for pod in site.names
    )


def anchors(declaration: Declaration, seed: int) -> tuple[TrustAnchor, ...]:
    """The keys of the processors, and of the inspector who challenges them."""
    guards = _guards(declaration)
    if not guards:
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
        *(anchor(one.id, Holder.JOINT, Role.SENSOR, (one.id,)) for one in guards),
        anchor(INSPECTOR, Holder.VERIFIER, Role.INSPECTOR, ()),
    )


def state(
    declaration: Declaration,
    agreement: Agreement,
    site: SimSite,
    flows: Flows,
    *,
    seed: int,
    attack: tuple[str, GuardCheat] | None = None,
) -> Measured:
    """All that processors and the inspector state. `attack` names the pod whose processor it is about."""
    guards = _guards(declaration)
    draw = draws(seed)
    if not guards:
        return Measured()
    envelopes: list[bytes] = []
    payloads: dict[str, bytes] = {}

    def keep(envelope: bytes, *content: bytes) -> None:
        envelopes.append(envelope)
        payloads.update({digest_of(one): one for one in content})

    slots = slots_of(declaration.period)
    bytes_out = _bytes_out(site, flows, slots)
    for one in guards:
        pod = one.pods[0]
        challenges = _challenges(declaration.period, one.id, seed, keep)
        load = _loads(declaration, agreement, pod, slots, draw)
        guilty = attack[1] if attack is not None and attack[0] == pod else GuardCheat()
        script = _script(one.id, pod, slots, (load, bytes_out[site.names.index(pod)]), challenges, seed)
        guilty.prepare(script)
        _license(script, site)
        guilty.amend(script)
        sealed = seal(script)
        guilty.after(script, sealed)
        _state_one(script, sealed, keep)
    return Measured(envelopes=tuple(envelopes), payloads=payloads)


def slots_of(period: Period) -> tuple[Period, ...]:
    """The slots of the grid that cover a period."""
    every_ns = round(guard_rules.REPORT_EVERY_S * NS_PER_S)
    first = to_ns(period.start) // every_ns * every_ns
    count = -(-(to_ns(period.end) - first) // every_ns)
    return tuple(
        Period(start=from_ns(first + k * every_ns), end=from_ns(first + (k + 1) * every_ns)) for k in range(count)
    )


def _guards(declaration: Declaration) -> tuple[Reporter, ...]:
    return tuple(one for one in declaration.reporters if one.kind is ReporterKind.GUARD)


def _bytes_out(site: SimSite, flows: Flows, slots: Sequence[Period]) -> np.ndarray:
    """Bytes that left each pod in each slot, shape (pods, slots)."""
    origin_ns = to_ns(slots[0].start) - to_ns(site.start)
    step_ns = round(guard_rules.REPORT_EVERY_S * NS_PER_S)
    volume, _ = interval_totals(flows, pods=len(site.names), origin_ns=origin_ns, step_ns=step_ns, count=len(slots))
    return np.asarray(volume[:, 1])


def _loads(
    declaration: Declaration, agreement: Agreement, pod: str, slots: Sequence[Period], draw: Draw
) -> list[float]:
    """FLOP in each slot, as the meter beside the machine shows them."""
    random = draw(f"guard load {pod}")
    peak = next(one for one in declaration.pods if one.id == pod).peak_flop_per_s(agreement.counted_formats)
    level = float(random.uniform(*LOAD))
    # As many as the longest world has, so that a shorter one says the same.
    shares = level * np.exp(LOAD_SIGMA * random.standard_normal(4 * 60))
    return [float(share) * peak * slot.duration_s for share, slot in zip(shares, slots, strict=False)]


def _challenges(period: Period, guard: str, seed: int, keep: object) -> list[tuple[datetime, str]]:
    """The inspector's challenges: (when, nonce), each stated."""
    assert callable(keep)
    found = []
    at = period.start + timedelta(seconds=CHALLENGED_FIRST_S)
    while at < period.end:
        nonce = digest_of(f"simulated challenge {seed} of {guard} at {at:%H:%M:%S}".encode()).removeprefix("sha256:")
        request = json.dumps({"asked": guard, "nonce": nonce}).encode()
        predicate = ChallengeIssued(
            origin=Origin.SIMULATED, reporter=guard, by=f"simulated-{INSPECTOR}", nonce=nonce, issued_at=at
        )
        envelope = sign_statement(make_statement(predicate, {"request": digest_of(request)}), key_of(seed, INSPECTOR))
        keep(envelope, request)
        found.append((at, nonce))
        at += timedelta(seconds=CHALLENGE_EVERY_S)
    return found


def _script(
    guard: str,
    pod: str,
    slots: Sequence[Period],
    used: tuple[list[float], np.ndarray],
    challenges: list[tuple[datetime, str]],
    seed: int,
) -> Script:
    key, tpm = key_of(seed, guard), tpm_of(seed, guard)
    first, later = guard_rules.baseline(), guard_rules.second()
    changed = slots[0].start + (
        timedelta(seconds=0.9 * guard_rules.REPORT_EVERY_S) + SECOND_RULESET_AT * timedelta(minutes=10)
    )
    checkpoints = []
    draws_of_requests = Chain(key_of(seed, f"draw of {guard}").seed, periods=len(slots) + 1)
    for number, slot in enumerate(slots):
        ruleset = later if slot.end > changed else first
        asked_by_then = [nonce for at, nonce in challenges if at < slot.end]
        flop = used[0][number]
        checkpoints.append(
            Checkpoint(
                reporter=guard,
                sequence=FIRST_REPORT + number,
                starts=STARTS,
                period=slot,
                challenge=asked_by_then[-1] if asked_by_then else None,
                statement_key=key.key_id,
                device=tpm.device_id,
                rollback_protected=True,
                build=guard_rules.BUILD,
                ruleset=ruleset.digest,
                ruleset_id=ruleset.id,
                ruleset_version=ruleset.version,
                model=guard_rules.MODEL,
                opened=draws_of_requests.opened(number).hex(),
                mode=Mode.SERVING,
                held_s=0.0,
                meters=(
                    said(MeterKind.FLOP, flop, at_least=KNOWN_SHARE * flop, source=Source.OUTSIDE),
                    said(MeterKind.BYTES_OUT, float(used[1][number]), source=Source.PATH),
                    said(MeterKind.WALL_S, slot.duration_s, source=Source.CLOCK),
                ),
                flop_ledger=digest_of(f"simulated ledger {seed} {guard} {number}".encode()),
                events={},
                sampled=3,
                recomputed=3,
                differed=0,
            )
        )
    made_known = next(slot for slot in slots if slot.end > changed)
    documents = [
        Document(payload=guard_rules.signed_baseline(), period=_day_before(slots[0], 2), version=1),
        Document(payload=guard_rules.signed_second(), period=made_known, version=2),
    ]
    return Script(guard=guard, pod=pod, seed=seed, key=key, tpm=tpm, checkpoints=checkpoints, documents=documents)


def _license(script: Script, site: SimSite) -> None:
    """Two licences: one of the day before, one within the period. Together they allow more than the whole world takes."""
    whole = site.duration_s / (len(script.checkpoints) * guard_rules.REPORT_EVERY_S)
    totals = {
        kind: max(1e6, whole * sum(amount_of(one, kind) for one in script.checkpoints)) for kind in guard_rules.LICENSED
    }
    slots = [one.period for one in script.checkpoints]
    second_at = min(len(slots) - 1, int(SECOND_LICENCE_AT * len(slots)))
    for number, (slot, share) in enumerate(
        zip((_day_before(slots[0], 1), slots[second_at]), LICENSED_SHARES, strict=True)
    ):
        made, payload = guard_rules.licence(
            f"{script.guard}-licence-{number + 1}",
            device=script.checkpoints[0].device,
            sequence=7 + number,
            start=slot.start,
            budgets={kind: share * total for kind, total in totals.items()},
        )
        script.documents.append(Document(payload=payload, period=slot, licence=made.id))
        for place, checkpoint in enumerate(script.checkpoints):
            if checkpoint.period.end >= slot.end:
                update = {"licence": made.id, "licence_sequence": made.sequence}
                script.checkpoints[place] = checkpoint.model_copy(update=update)


def _day_before(slot: Period, slots_back: int) -> Period:
    """A slot some hours before the period."""
    back = timedelta(hours=6, seconds=slots_back * guard_rules.REPORT_EVERY_S)
    return Period(start=slot.start - back, end=slot.end - back)


def _state_one(script: Script, sealed: Sealed, keep: object) -> None:
    assert callable(keep)
    for one in script.documents:
        predicate: RulesetInForce | LicenceApplied
        if one.version:
            predicate = RulesetInForce(
                origin=Origin.SIMULATED, reporter=script.guard, period=one.period, version=one.version
            )
        else:
            predicate = LicenceApplied(
                origin=Origin.SIMULATED, reporter=script.guard, period=one.period, licence=one.licence
            )
        name = "ruleset" if one.version else "licence"
        keep(sign_statement(make_statement(predicate, {name: digest_of(one.payload)}), script.key), one.payload)
    for report in sealed.reports:
        keep(report_envelope(script, report), report.data, report.quote)
    for envelope, content in sealed.extra:
        keep(envelope, *content.values())
