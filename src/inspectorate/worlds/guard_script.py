"""What one simulated processor is going to say, and how that is sealed: rounded, linked, quoted, signed.

A `GuardCheat` changes the script before it is sealed, or what was sealed afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from inspectorate.canonical import digest_of
from inspectorate.evidence import GuardReported, KeyCustody, Origin, make_statement, sign_statement
from inspectorate.keys import SigningKey
from inspectorate.mechanisms.guarantee.attestation.measured import Measured as Measurement
from inspectorate.mechanisms.guarantee.attestation.measured import adds, replay
from inspectorate.mechanisms.guarantee.attestation.quote import QuotePayload, bound_of, software_message
from inspectorate.mechanisms.guarantee.attestation.reference import BUILD, CONFIGURATION, RULESET
from inspectorate.mechanisms.guarantee.metering.types import MeterKind, Source
from inspectorate.mechanisms.guarantee.outlet.budget import plan_of
from inspectorate.mechanisms.guarantee.outlet.checkpoint import Checkpoint, MeterSaid
from inspectorate.mechanisms.guarantee.outlet.codec import encode, quantise
from inspectorate.quantities import Period
from inspectorate.worlds import guard_rules
from inspectorate.worlds.guard_tpm import SimTpm
from inspectorate.worlds.seal import key_of

CLOCK_MS = 30_000
"""What the clock of a TPM moves on from report to report."""
RESETS = 40
"""How often the machine of a processor had started."""


@dataclass(frozen=True, kw_only=True)
class Document:
    """A signed ruleset or licence, made known in the slot of `period`."""

    payload: bytes
    period: Period
    version: int = 0
    """Of a ruleset."""
    licence: str = ""
    """Id of a licence."""


@dataclass(kw_only=True)
class Script:
    """What one processor is going to say. Checkpoints are not linked yet."""

    guard: str
    pod: str
    seed: int
    key: SigningKey
    tpm: SimTpm
    checkpoints: list[Checkpoint]
    documents: list[Document]
    build: str = guard_rules.BUILD
    custody: KeyCustody = KeyCustody.TPM
    resets: int = RESETS


@dataclass(kw_only=True)
class SealedReport:
    """A report ready to be stated."""

    checkpoint: Checkpoint
    data: bytes
    quote: bytes


@dataclass(kw_only=True)
class Sealed:
    """All reports of one processor, and envelopes besides."""

    reports: list[SealedReport]
    extra: list[tuple[bytes, dict[str, bytes]]] = field(default_factory=list)
    """(envelope, payloads by digest) of statements that no processor makes."""


class GuardCheat:
    """What a cheat does: amends the script, or what was sealed. The honest site is one that does neither."""

    def prepare(self, script: Script) -> None:
        """Change what one processor is, before it is licensed."""

    def amend(self, script: Script) -> None:
        """Change what one processor is going to say."""

    def after(self, script: Script, sealed: Sealed) -> None:
        """Change what it said."""


def seal(script: Script) -> Sealed:
    """Round, link and quote the checkpoints of a script."""
    previous = digest_of(f"simulated checkpoint {script.checkpoints[0].sequence - 1} of {script.guard}".encode())
    reports = []
    for number, checkpoint in enumerate(script.checkpoints):
        linked = checkpoint.model_copy(update={"previous": previous})
        reports.append(sealed_report(script, linked, number, clock_ms=CLOCK_MS * (number + 1)))
        previous = digest_of(reports[-1].data)
    return Sealed(reports=reports)


def sealed_report(script: Script, checkpoint: Checkpoint, place: int, *, clock_ms: int) -> SealedReport:
    """The checkpoint of one place in the script, rounded, in its byte form and quoted."""
    rounded = quantise(checkpoint, plan_of(guard_rules.baseline()).precision)
    data = encode(rounded, plan_of(guard_rules.baseline()).precision)
    log = [
        Measurement(name=BUILD, digest=_raw(script.build)),
        Measurement(name=CONFIGURATION, digest=_raw(guard_rules.CONFIGURATION)),
    ]
    for one in script.checkpoints[: place + 1]:
        entry = Measurement(name=RULESET, digest=_raw(one.ruleset or guard_rules.baseline().digest))
        if adds(log, entry):
            log.append(entry)
    bound = bound_of(digest_of(data), rounded.statement_key, rounded.challenge)
    return SealedReport(checkpoint=rounded, data=data, quote=quote_of(script, bound, tuple(log), clock_ms=clock_ms))


def _raw(digest: str) -> bytes:
    return bytes.fromhex(digest.removeprefix("sha256:"))


def quote_of(script: Script, bound: bytes, log: tuple[Measurement, ...], *, clock_ms: int) -> bytes:
    """The word of the device of a script."""
    if script.custody is KeyCustody.TPM:
        return script.tpm.quote(bound, log, clock_ms=clock_ms, resets=script.resets)
    key = software_key(script)
    return QuotePayload(
        custody=KeyCustody.SOFTWARE,
        attested=b"",
        signature=key.sign(software_message(bound, replay(log))),
        public=key.public.raw,
        certificates=(),
        platform=(),
        log=log,
    ).encode()


def software_key(script: Script) -> SigningKey:
    """The key of a processor without a TPM."""
    return key_of(script.seed, f"software device of {script.guard}")


def report_envelope(script: Script, report: SealedReport) -> bytes:
    """The signed statement of one report."""
    predicate = GuardReported(
        origin=Origin.SIMULATED,
        reporter=script.guard,
        period=report.checkpoint.period,
        sequence=report.checkpoint.sequence,
        custody=script.custody,
    )
    subjects = {"checkpoint": digest_of(report.data), "quote": digest_of(report.quote)}
    return sign_statement(make_statement(predicate, subjects), script.key)


def said(kind: MeterKind, used: float, *, at_least: float | None = None, source: Source) -> MeterSaid:
    """What a report says of one meter."""
    return MeterSaid(meter=kind, used=used, at_least=used if at_least is None else at_least, source=source)


def amount_of(checkpoint: Checkpoint, kind: MeterKind) -> float:
    """What a checkpoint says was used at most."""
    return next(one.used for one in checkpoint.meters if one.meter is kind)


def rewritten(checkpoint: Checkpoint, kind: MeterKind, factor: float) -> Checkpoint:
    """A checkpoint in which one meter shows `factor` times as much."""
    meters = tuple(
        one.model_copy(update={"used": one.used * factor, "at_least": one.at_least * factor})
        if one.meter is kind
        else one
        for one in checkpoint.meters
    )
    return checkpoint.model_copy(update={"meters": meters})
