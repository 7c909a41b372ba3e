"""What is said of inspected pods: every attack of the catalogue, terms that are not met, and evidence that is not there."""

from __future__ import annotations

import pytest
from inspection_site_evidence import (
    ACCOUNTED,
    GUILTY,
    PODS,
    REPLAYED,
    REVIEWED,
    ROOMS,
    agreement,
    appraised,
    declaration,
    evidence,
    told,
    without,
)

from inspectorate.assessment import Verdict
from inspectorate.canonical import digest_of
from inspectorate.evidence import PacketsDrawn, PacketsOpened, PacketsReplayed, WorkCommitted
from inspectorate.worlds.inspection_cheats import INSPECTION_CHEATS, InspectionAttack, InspectionCheatKind
from inspectorate.worlds.inspection_script import TOLERANCE

ALARM = 11.0
"""exp(11) is above pods x clauses / rate of the shipped agreement: 6 x 6 / 0.001."""
BY_POD = (REPLAYED, ACCOUNTED, REVIEWED)
BESIDE = ("replay-swapped", "replay-forked", "replay-aimed", "code-refused", "account-changed")


def test_the_shipped_tolerance_is_that_of_simulated_sites() -> None:
    terms = next(one.parameters for one in agreement().clauses if one.id == REPLAYED)
    assert terms.tolerances == (digest_of(TOLERANCE.canonical_bytes()),)


@pytest.mark.parametrize("name", BY_POD)
def test_honest_pods_are_consistent_and_pods_without_transcripts_are_not_observed(name: str) -> None:
    found = appraised(name, evidence())
    assert set(found) == {pod.id for pod in declaration().pods}
    for pod, one in found.items():
        seen = pod in PODS
        assert one.verdict is (Verdict.CONSISTENT if seen else Verdict.NOT_OBSERVED), one.reasons
        assert (one.log_e or 0.0) <= 0.0


@pytest.mark.parametrize("attack", INSPECTION_CHEATS.values(), ids=lambda one: one.name)
def test_every_attack_is_named_and_weighed_as_it_is_catalogued(attack: InspectionAttack) -> None:
    # The other pod costs as much time again; what befalls it is looked at for some.
    pods = PODS if attack.name in BESIDE else (GUILTY,)
    found = appraised(attack.clause, evidence(attack, pods))
    about = found[GUILTY]
    assert any(attack.words in text for text in told(about)), told(about)
    if attack.kind is InspectionCheatKind.CAUGHT:
        assert about.verdict is not Verdict.CONSISTENT
        assert about.verdict is not Verdict.INCONSISTENT, "the alarm is for findings to raise"
        assert about.log_e > ALARM
    else:
        assert about.verdict is attack.verdict, about.reasons
        assert (about.log_e or 0.0) <= 0.0
    if about.verdict is Verdict.INVALID_EVIDENCE:
        assert not about.hidden
    for pod in pods[1:]:
        assert found[pod].verdict is Verdict.CONSISTENT, found[pod].reasons
        assert found[pod].log_e <= 0.0


@pytest.mark.parametrize(
    ("name", "changes", "words", "verdict"),
    [
        (REPLAYED, {"dirty_share_max": 0.001}, "may not be as committed", Verdict.INCONCLUSIVE),
        (REPLAYED, {"methods": ("exact",)}, "by nobody whose result counts", Verdict.INCONCLUSIVE),
        (REPLAYED, {"tolerances": ()}, "by nobody whose result counts", Verdict.INCONCLUSIVE),
        (REPLAYED, {"committed_every_s": 50.0}, "no usable commitment for longer than", Verdict.NOT_OBSERVED),
        (REPLAYED, {"covert_bits_per_token_max": 0.01}, "bits per token unseen", Verdict.INCONCLUSIVE),
        (REPLAYED, {"work": ("training",)}, "no training is claimed", Verdict.NOT_OBSERVED),
        (ACCOUNTED, {"sources_min": 4}, "independent sources", Verdict.INCONCLUSIVE),
        (REVIEWED, {"approvals_min": 3}, "was not approved by 3 inspectors", Verdict.NOT_OBSERVED),
        (
            REVIEWED,
            {"techniques": ("inference.generation",)},
            "techniques that were not agreed: inference.batching",
            Verdict.NOT_OBSERVED,
        ),
        (REVIEWED, {"valid_s_max": 60.0}, "was not approved by 2 inspectors", Verdict.NOT_OBSERVED),
        (ROOMS, {"bits_per_session_max": 4.0}, "for the verifier to answer", Verdict.INCONCLUSIVE),
        (ROOMS, {"bits_per_day_max": 5.0}, "within a day", Verdict.INCONCLUSIVE),
    ],
)
def test_terms_that_are_not_met_are_named(name: str, changes: dict[str, object], words: str, verdict: Verdict) -> None:
    one = appraised(name, evidence(), **changes)[GUILTY]
    assert one.verdict is verdict, one.reasons
    assert any(words in text for text in told(one)), told(one)
    assert (one.log_e or 0.0) <= 0.0, "no term that is not met accuses by itself"


@pytest.mark.parametrize("kind", [WorkCommitted, PacketsDrawn, PacketsOpened, PacketsReplayed])
def test_no_kind_of_statement_can_be_missing(kind: type) -> None:
    """Nothing is committed, drawn, opened or run again: none of it is a pass, and none of it accuses."""
    one = appraised(REPLAYED, without(evidence(), lambda s: isinstance(s.predicate, kind)))[GUILTY]
    assert one.verdict in (Verdict.NOT_OBSERVED, Verdict.INCONCLUSIVE)
    assert (one.log_e or 0.0) <= 0.0
    assert not one.hidden


def test_exhibits_show_draws_their_power_sources_and_decisions() -> None:
    replayed = {one.id: one for one in appraised(REPLAYED, evidence())[GUILTY].exhibits}
    draws, power = replayed[f"inspection-draws-{GUILTY}"], replayed[f"inspection-power-{GUILTY}"]
    assert all(row[4] == row[5] > 0 for row in draws.rows)
    assert [row[1] for row in power.rows] == sorted(row[1] for row in power.rows)
    assert power.rows[-1] == (1.0, 1.0)
    (sources,) = appraised(ACCOUNTED, evidence())[GUILTY].exhibits
    assert {row[1] for row in sources.rows} == {"time", "declared", "replayed"}
    (decisions,) = appraised(REVIEWED, evidence())[GUILTY].exhibits
    assert [row[6:] for row in decisions.rows] == [(1.0, 1.0), (1.0, 1.0)]
