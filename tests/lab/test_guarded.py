"""The recorded guarded pods: one that was left alone, and one that was attacked in nine ways."""

from __future__ import annotations

import json
from pathlib import Path

from inspectorate.assessment import Verdict
from inspectorate.lab.packing import reviewed

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def test_the_recorded_honest_site_is_consistent() -> None:
    found = {finding.clause: finding.verdict for finding in reviewed(EXAMPLES / "lab-site-guarded").findings}
    assert set(found.values()) == {Verdict.CONSISTENT}, found


def test_the_recorded_attacked_site_is_not_and_says_why() -> None:
    site = EXAMPLES / "lab-site-guarded-attacked"
    review = reviewed(site)
    found = {finding.clause: finding.verdict for finding in review.findings}
    assert found["guarded-operation"] is Verdict.INVALID_EVIDENCE
    words = "\n".join(reason for finding in review.findings for one in finding.assessments for reason in one.reasons)
    for attack in json.loads((site / "attacks.json").read_text()):
        assert attack["expected"] in words, attack["attack"]
    assert not [one for finding in review.findings for one in finding.named], "nobody is accused of what was refused"
