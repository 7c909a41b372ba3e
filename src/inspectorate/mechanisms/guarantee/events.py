"""The closed list of what a guarantee processor refuses, halts on and reports; and the modes that it can be in.

A refusal is a value, not an exception: refusing is what the processor is for. Its `kind` reaches the review as a count in the next
report; its words stay on the machine, in the processor's own log.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Mode(StrEnum):
    """What the processor lets through."""

    LOCKED = "locked"
    """Nothing: no valid ruleset is in force."""
    READY = "ready"
    """A listed model may be uploaded; nothing is served."""
    UPLOADING = "uploading"
    """Exactly the bytes of one listed model, in one direction."""
    SERVING = "serving"
    """Requests, within limits, to the model that was uploaded."""
    HALTED = "halted"
    """Nothing, until a quorum resumes."""


class EventKind(StrEnum):
    """What is counted and reported. The order is that of the report, and entries are only ever added at its end."""

    MODEL_REFUSED = "model-refused"
    """The uploaded bytes are not those of a listed model."""
    UPLOAD_EXCEEDED = "upload-exceeded"
    """More bytes were offered than the listed model has."""
    LIMIT_REACHED = "limit-reached"
    """A limit of a direction or of a rate held a request back."""
    RULE_FAILED = "rule-failed"
    """A rule of the ruleset said no."""
    RECOMPUTATION_DIFFERED = "recomputation-differed"
    """A sampled request, recomputed, gave something else."""
    LICENCE_REFUSED = "licence-refused"
    """A licence of another device, with too few signatures, below the minimum version, or too old."""
    LICENCE_REPLAYED = "licence-replayed"
    LICENCE_EXHAUSTED = "licence-exhausted"
    LICENCE_EXPIRED = "licence-expired"
    RULESET_REFUSED = "ruleset-refused"
    """An update that may not follow the ruleset in force, other than by version or quorum."""
    RULESET_ROLLED_BACK = "ruleset-rolled-back"
    """A version that is not above the highest one ever in force."""
    RULESET_EXPIRED = "ruleset-expired"
    QUORUM_SHORT = "quorum-short"
    """Too few of those who may sign did."""
    SIGNER_REPEATED = "signer-repeated"
    """One signer signed more than once: counted once, and named."""
    STATE_ROLLED_BACK = "state-rolled-back"
    """The state on disk is older than the TPM's counter says: a snapshot was restored."""
    TAMPERED = "tampered"
    """The processor's own files, configuration or path are not what was measured."""
    GUARD_LOST = "guard-lost"
    """The processor ended without being told to."""
    HALTED_BY_HAND = "halted-by-hand"
    RESUME_REFUSED = "resume-refused"
    RESUMED = "resumed"
    REQUEST_DROPPED = "request-dropped"
    """An accepted request that could not be answered: its client was told so."""


PROVOKED_BY_CLIENTS = frozenset({EventKind.LIMIT_REACHED, EventKind.RULE_FAILED, EventKind.REQUEST_DROPPED})
"""What any client can bring about at will. The first of every other kind in a period is saved at once, so that killing the
processor does not undo it; of these, counts that were not saved are lost with the process."""


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Why something was not done."""

    kind: EventKind
    why: str
