"""From signed approvals to one order: who may open a window, and that all of them said the same.

1. Every approval is a `WindowApproved` statement that verifies against the gateway's own trust anchors; the anchor's name is
   the approver's (`evidence.envelope`).
2. All name this gateway, and the same window, pod, content, bytes, seconds and validity. One that differs spoils the order:
   somebody was shown something else.
3. Approvers are counted by the names of anchors, each once. How many are needed is the agreement's business (`windows`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from inspectorate.errors import EvidenceError
from inspectorate.evidence import VerifiedStatement, WindowApproved, verify_envelope
from inspectorate.keys import TrustAnchors
from inspectorate.mechanisms.interconnect.enforce import reference
from inspectorate.mechanisms.interconnect.enforce.windows import Order

_TERMS = ("window", "reporter", "pod", "content", "bytes_max", "seconds_max", "valid", "origin")


def agreed_order(envelopes: Sequence[bytes], *, anchors: TrustAnchors, gateway: str) -> Order:
    """The order that these approvals make. Raises `EvidenceError` naming the approval that does not fit."""
    if not 1 <= len(envelopes) <= reference.APPROVALS_MAX:
        raise EvidenceError(f"an order needs 1 to {reference.APPROVALS_MAX} approvals, not {len(envelopes)}")
    # (1)
    verified = [
        verify_envelope(data, anchors=anchors, where=f"approval {place}")
        for place, data in enumerate(envelopes, start=1)
    ]
    approvals = [_approval(one, place) for place, one in enumerate(verified, start=1)]
    # (2)
    first = approvals[0]
    for place, approval in enumerate(approvals, start=1):
        differing = [name for name in _TERMS if terms_of(approval)[name] != terms_of(first)[name]]
        if differing:
            raise EvidenceError(f"differs from the first in {', '.join(differing)}", where=f"approval {place}")
    if first.reporter != gateway:
        raise EvidenceError(f"is for gateway {first.reporter}, not {gateway}", where="approvals")
    # (3)
    return Order(
        window=first.window,
        pod=first.pod,
        content=first.content,
        bytes_max=first.bytes_max,
        seconds_max=first.seconds_max,
        valid=first.valid,
        approvers=tuple(sorted({approval.by for approval in approvals})),
    )


def terms_of(approval: WindowApproved) -> dict[str, Any]:
    """What approvers of one window must agree on."""
    return {name: getattr(approval, name) for name in _TERMS}


def _approval(statement: VerifiedStatement, place: int) -> WindowApproved:
    predicate = statement.predicate
    if not isinstance(predicate, WindowApproved):
        raise EvidenceError("is no approval of a window", where=f"approval {place}")
    if [subject.digest_text for subject in statement.statement.subject] != [predicate.content]:
        raise EvidenceError("speaks of other content than it names", where=f"approval {place}")
    return predicate
