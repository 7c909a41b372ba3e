"""The statements that leave: what a report and a document are sealed as. The outlet calls it within a slot, and nobody else."""

from __future__ import annotations

from dataclasses import dataclass

from inspectorate.canonical import digest_of
from inspectorate.evidence import (
    GuardReported,
    LicenceApplied,
    Origin,
    RulesetInForce,
    make_statement,
    sign_statement,
)
from inspectorate.keys import SigningKey
from inspectorate.mechanisms.guarantee.attestation.device import Device
from inspectorate.mechanisms.guarantee.attestation.quote import bound_of, payload_of
from inspectorate.mechanisms.guarantee.licences.judge import licence_of
from inspectorate.mechanisms.guarantee.licences.types import LICENCE_KIND
from inspectorate.mechanisms.guarantee.outlet.checkpoint import Checkpoint
from inspectorate.mechanisms.guarantee.outlet.opening import CHECKPOINT_NAME, QUOTE_NAME, OutputKind, Sealed
from inspectorate.mechanisms.guarantee.rulesets.types import RULESET_KIND
from inspectorate.mechanisms.guarantee.rulesets.update import parse_ruleset
from inspectorate.mechanisms.guarantee.signing import parse_document
from inspectorate.quantities import Period


@dataclass(frozen=True, kw_only=True)
class StatementSealer:
    """Seals with the statement key; a report also with the device's quote over it."""

    reporter: str
    key: SigningKey
    device: Device
    origin: Origin

    def report(self, checkpoint: Checkpoint, data: bytes) -> Sealed:
        quote = payload_of(self.device, bound_of(digest_of(data), self.key.key_id, checkpoint.challenge)).encode()
        predicate = GuardReported(
            origin=self.origin,
            reporter=self.reporter,
            period=checkpoint.period,
            sequence=checkpoint.sequence,
            custody=self.device.custody,
        )
        payloads = ((CHECKPOINT_NAME, data), (QUOTE_NAME, quote))
        return self._sealed(OutputKind.REPORT, predicate, payloads)

    def document(self, kind: OutputKind, document: bytes, period: Period) -> Sealed:
        common = {"origin": self.origin, "reporter": self.reporter, "period": period}
        predicate: RulesetInForce | LicenceApplied
        if kind is OutputKind.RULESET:
            ruleset = parse_ruleset(parse_document(document, kind=RULESET_KIND, where="outlet"), where="outlet")
            predicate = RulesetInForce.model_validate({**common, "version": ruleset.version})
        else:
            licence = licence_of(parse_document(document, kind=LICENCE_KIND, where="outlet"))
            predicate = LicenceApplied.model_validate({**common, "licence": licence.id})
        return self._sealed(kind, predicate, ((kind.value, document),))

    def _sealed(
        self,
        kind: OutputKind,
        predicate: GuardReported | RulesetInForce | LicenceApplied,
        payloads: tuple[tuple[str, bytes], ...],
    ) -> Sealed:
        statement = make_statement(predicate, {name: digest_of(payload) for name, payload in payloads})
        return Sealed(kind=kind, envelope=sign_statement(statement, self.key), payloads=payloads)
