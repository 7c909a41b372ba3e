"""Orders to resume: for one device, one halt, a while, and signed by enough."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError
from ruleset_making import AT, DEVICE, HALT, VALID, first, order, signed, signed_order, signed_payload

from inspectorate.mechanisms.guarantee.events import EventKind
from inspectorate.mechanisms.guarantee.rulesets.orders import RESUME_KIND, JudgedOrder, judge_resume

FIRST = first()


def judged(*names: str, at: Any = AT, **given: Any) -> JudgedOrder:
    return judge_resume(FIRST, signed_order(order(**given), *names), device=DEVICE, halt=HALT, at=at)


def kinds(found: JudgedOrder) -> list[EventKind]:
    return [one.kind for one in found.refusals]


def test_an_order_by_two_of_five_is_followed() -> None:
    found = judged("ana", "bo")
    assert (found.order, found.refusals, found.signers) == (order(), (), {"ana", "bo"})


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("ana",), [EventKind.QUORUM_SHORT]),
        (("ana", "ana"), [EventKind.SIGNER_REPEATED, EventKind.QUORUM_SHORT]),
        (("ana", "ana", "bo"), [EventKind.SIGNER_REPEATED]),
        (("fay", "gus"), [EventKind.QUORUM_SHORT]),
        (("ana", "stranger"), [EventKind.QUORUM_SHORT]),
    ],
)
def test_a_quorum_that_is_short_resumes_nothing(names: tuple[str, ...], expected: list[EventKind]) -> None:
    found = judged(*names)
    assert kinds(found) == expected
    assert (found.order is None) == (EventKind.QUORUM_SHORT in expected)


@pytest.mark.parametrize("changed", [{"device": "sha256:" + "e" * 64}, {"halt": "b" * 64}])
def test_an_order_is_for_one_device_and_one_halt(changed: dict[str, Any]) -> None:
    found = judged("ana", "bo", **changed)
    assert (found.order, kinds(found)) == (None, [EventKind.RESUME_REFUSED])


@pytest.mark.parametrize("at", [VALID.start - timedelta(microseconds=1), VALID.end])
def test_an_order_is_good_for_a_while(at: Any) -> None:
    found = judged("ana", "bo", at=at)
    assert (found.order, kinds(found)) == (None, [EventKind.RESUME_REFUSED])


def test_what_is_no_order_is_refused() -> None:
    spaced = signed_payload(RESUME_KIND, order().canonical_bytes() + b" ", "ana", "bo")
    for document in (signed(FIRST, "ana", "bo"), spaced, signed_payload(RESUME_KIND, b"{}", "ana", "bo")):
        found = judge_resume(FIRST, document, device=DEVICE, halt=HALT, at=AT)
        assert (found.order, kinds(found)) == (None, [EventKind.RESUME_REFUSED])


def test_an_order_needs_a_reason_and_a_halt() -> None:
    for changed in ({"reason": ""}, {"halt": "any"}, {"halt": "A" * 64}):
        with pytest.raises(ValidationError):
            order(**changed)
