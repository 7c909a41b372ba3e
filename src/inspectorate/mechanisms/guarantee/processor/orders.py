"""What can be asked of a running processor over its control socket, and how each order is carried out (`control`).

Orders are judged by the machine. A refusal is an answer and not an error; it is counted, and stands in the next report.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping

from inspectorate.errors import InputError
from inspectorate.mechanisms.guarantee.attestation.quote import bound_of, payload_of
from inspectorate.mechanisms.guarantee.attestation.reference import RULESET
from inspectorate.mechanisms.guarantee.attestation.start import raw
from inspectorate.mechanisms.guarantee.events import EventKind
from inspectorate.mechanisms.guarantee.licences import state as licences
from inspectorate.mechanisms.guarantee.licences.types import LICENCE_KIND
from inspectorate.mechanisms.guarantee.machine import transitions
from inspectorate.mechanisms.guarantee.machine.state import Halt
from inspectorate.mechanisms.guarantee.machine.transitions import Step
from inspectorate.mechanisms.guarantee.processor.control import Answer, document_of
from inspectorate.mechanisms.guarantee.processor.daemon import Processor
from inspectorate.mechanisms.guarantee.rulesets.orders import RESUME_KIND
from inspectorate.mechanisms.guarantee.rulesets.types import RULESET_KIND
from inspectorate.mechanisms.guarantee.signing import SignedDocument, parse_document

WHY_CHARACTERS_MAX = 500
_NONCE = re.compile(r"[0-9a-f]{64}\Z")
_ZEROS = "sha256:" + "0" * 64


class Desk:
    """Carries orders out on one processor."""

    def __init__(self, processor: Processor) -> None:
        self._processor = processor
        self._keeper = processor.parts.keeper

    async def carry_out(self, request: Mapping[str, object]) -> Answer:
        """One order. Raises `InputError` or `EvidenceError` on one that cannot be read."""
        keeper = self._keeper
        match request["do"]:
            case "status":
                return {"ok": True, "status": self.status()}
            case "install":
                document = _document(request, RULESET_KIND)
                step = transitions.install(keeper.state, keeper.me, document, keeper.moment())
                if step.in_force:
                    # Measured before it holds: a quote never shows less than what is in force.
                    self._processor.parts.device.measure(RULESET, raw(document.digest))
                return self._done("install", step)
            case "apply":
                document = _document(request, LICENCE_KIND)
                return self._done(
                    "apply", transitions.apply_licence(keeper.state, keeper.me, document, keeper.moment())
                )
            case "resume":
                document = _document(request, RESUME_KIND)
                return self._done("resume", transitions.resume(keeper.state, keeper.me, document, keeper.moment()))
            case "challenge":
                return self._done("challenge", transitions.challenge(keeper.state, _nonce(request), keeper.moment()))
            case "halt":
                why = str(request.get("why") or "halted by hand")[:WHY_CHARACTERS_MAX]
                self._processor.halt(EventKind.HALTED_BY_HAND, why)
                return {"ok": True, "status": self.status()}
            case "quote":
                return self._quote(_nonce(request))
            case other:
                raise InputError(f"{str(other)[:40]!r} is no order", where="order")

    def _done(self, what: str, step: Step) -> Answer:
        before = self._keeper.state
        self._keeper.take(what, step)
        refusals = [{"kind": one.kind.value, "why": one.why} for one in step.refusals]
        # A signer who signed twice is named beside a document that was accepted.
        ok = bool(step.in_force) or not refusals or (before.halt is not None and self._keeper.state.halt is None)
        return {"ok": ok, "refusals": refusals, "mode": self._keeper.state.mode.value}

    def _quote(self, nonce: str) -> Answer:
        """The device's word now, over the last checkpoint and a fresh nonce."""
        parts, state = self._processor.parts, self._keeper.state
        checkpoint = state.previous or _ZEROS
        bound = bound_of(checkpoint, parts.key.key_id, nonce)
        quote = payload_of(parts.device, bound).encode()
        return {
            "ok": True,
            "checkpoint": checkpoint,
            "statement_key": parts.key.key_id,
            "quote": base64.b64encode(quote).decode(),
        }

    def status(self) -> Answer:
        """All that an operator on the machine may see. It stays on the machine."""
        processor, keeper, parts = self._processor, self._keeper, self._processor.parts
        state = keeper.state
        ruleset = state.ruleset
        counts = processor.path.counts
        return {
            "reporter": parts.reporter,
            "mode": state.mode.value,
            "halt": _halt(state.halt),
            "distrusted": state.distrusted,
            "custody": parts.device.custody.value,
            "device": parts.device.device_id,
            "rollback_protected": parts.device.protects_counter and parts.anchored,
            "build": keeper.me.build,
            "ruleset": None
            if ruleset is None
            else {
                "id": ruleset.id,
                "version": ruleset.version,
                "digest": ruleset.digest,
                "expires": ruleset.valid.end.isoformat(),
            },
            "version_max": state.version_max,
            "model": state.model,
            "licence": state.licence,
            "remaining": {
                meter.value: amount for meter, amount in licences.remaining(state.licences, at=state.time).items()
            },
            "work_held": parts.work.held,
            "address": None if processor.address is None else f"{processor.address[0]}:{processor.address[1]}",
            "requests_open": counts.open,
            "requests_today": keeper.today.requests,
            "samples_waiting": len(parts.samples.waiting),
            "reports": processor.reports,
            "sequence": state.sequence,
            "starts": state.starts,
            "events": {kind.value: count for kind, count in state.events.items()},
            "bits_per_day": processor.outlet.plan.bits_per_day,
        }


def _halt(halt: Halt | None) -> Answer | None:
    if halt is None:
        return None
    return {"kind": halt.kind.value, "at": halt.at.isoformat(), "nonce": halt.nonce, "why": halt.why}


def _document(request: Mapping[str, object], kind: str) -> SignedDocument:
    return parse_document(document_of(request), kind=kind, where="document")


def _nonce(request: Mapping[str, object]) -> str:
    nonce = request.get("nonce")
    if not isinstance(nonce, str) or not _NONCE.match(nonce):
        raise InputError("a nonce has 64 hexadecimal digits", where="order")
    return nonce
