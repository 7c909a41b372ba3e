"""An inspected site: recorded anew in a few seconds, and the two that were recorded before."""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path

import pytest

from inspectorate.agreement import ClauseKind, load_agreement
from inspectorate.assessment import Case, Verdict
from inspectorate.declaration import load_declaration
from inspectorate.evidence import (
    Bundle,
    FlopAccounted,
    PacketsDrawn,
    PacketsOpened,
    PacketsReplayed,
    WorkCommitted,
    read_statements,
    receive,
)
from inspectorate.keys import TrustAnchors
from inspectorate.lab.inspected_bench import SERVING, TRAINING, WorkPlan
from inspectorate.lab.inspected_record import record
from inspectorate.lab.packing import reviewed
from inspectorate.mechanisms.inspection.appraise import INSPECTION
from inspectorate.review import Review

ASKED = ("replayed-work", "accounted-flop", "reviewed-code", "inspection-rooms")


@pytest.fixture(scope="module")
def honest(root: Path) -> Review:
    return reviewed(root / "examples" / "lab-site-inspected")


@pytest.fixture(scope="module")
def attacked(root: Path) -> Review:
    return reviewed(root / "examples" / "lab-site-inspected-attacked")


def verdicts(found: Review) -> dict[str, Verdict]:
    return {finding.clause: finding.verdict for finding in found.findings}


def words(found: Review) -> str:
    return "\n".join(reason for finding in found.findings for one in finding.assessments for reason in one.reasons)


def test_the_recorded_honest_site_keeps_every_clause_and_its_hidden_run_is_bounded(honest: Review) -> None:
    assert {clause: verdicts(honest)[clause] for clause in ASKED} == dict.fromkeys(ASKED, Verdict.CONSISTENT)
    assert not honest.simulated
    assert 0 < honest.account.hidden_flop_max < 0.7 * honest.account.capacity_flop


@pytest.mark.parametrize("kind", [PacketsReplayed, PacketsOpened, PacketsDrawn, WorkCommitted, FlopAccounted])
def test_nothing_that_rests_on_what_is_missing_is_consistent(root: Path, kind: type) -> None:
    """Without the statements of one kind: an account that counts a replay is not believed where no replay is shown."""
    site = root / "examples" / "lab-site-inspected"
    anchors = TrustAnchors.read(site / "anchors.yaml")
    bundle = Bundle.open(site / "site.tar", anchors=anchors)
    declaration = load_declaration(site / "declaration.yaml")
    agreement = load_agreement(str(site / "agreement.yaml"))
    statements, _ = read_statements(bundle, anchors=anchors)
    kept = [one for one in statements if not isinstance(one.predicate, kind)]
    evidence = receive(bundle, kept, not_logged={}, sensors=declaration.observers, period=declaration.period)
    clause = next(one for one in agreement.clauses if one.kind is ClauseKind.ACCOUNTED_FLOP)
    case = Case(
        agreement=agreement, clause=clause, declaration=declaration, evidence=evidence, period=declaration.period,
        miss_probability=0.001, shared={},
    )  # fmt: skip
    assert Verdict.CONSISTENT not in {one.verdict for one in INSPECTION.appraise(case)}


def test_the_recorded_attacked_site_is_found_out_and_both_pods_are_named(attacked: Review, root: Path) -> None:
    truth = json.loads((root / "examples" / "lab-site-inspected-attacked" / "truth.json").read_text())
    assert truth[SERVING]["false"] > 0
    assert truth[TRAINING]["skipped"] > 0
    assert verdicts(attacked)["replayed-work"] is Verdict.INCONSISTENT
    assert "pod-a" in words(attacked)
    assert "pod-b" in words(attacked)
    assert attacked.exit_code == 20


@pytest.mark.slow
@pytest.mark.skipif("INSPECTORATE_RECORD" not in os.environ, reason="records for a minute: set INSPECTORATE_RECORD=1")
@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="needs torch==2.13.0")
def test_a_site_that_is_recorded_now_matches_packet_by_packet(tmp_path: Path) -> None:
    # One stretch: every draw starts processes anew.
    plan = WorkPlan(seconds=2.0, stretch_s=8.0, answer_within_s=120.0, attacked=False, seed=1)
    told: list[str] = []
    found = record(tmp_path / "site", plan, tell=told.append)
    for run in (SERVING, TRAINING):
        assert set(found.outcomes[run]) == {"matched"}, found.outcomes
    assert found.verdicts["inspection-rooms"] is Verdict.CONSISTENT
    assert Verdict.INCONSISTENT not in found.verdicts.values()
    assert Verdict.INVALID_EVIDENCE not in found.verdicts.values()
    assert len(told) == 4
