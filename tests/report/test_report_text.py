"""The plain text: order, width, length, and what must be in it."""

from __future__ import annotations

import pytest
from report_sites import SITES, lab_site, site

from inspectorate.report import render_text

HEADINGS = ("── Findings", "── Why", "── What would help most", "── Problems with evidence", "── Not checked")


@pytest.mark.parametrize("name", SITES)
def test_lines_fit_and_parts_stand_in_order(name: str) -> None:
    text = render_text(site(name))
    assert max(len(line) for line in text.splitlines()) <= 100
    assert all(character.isprintable() for character in text.replace("\n", ""))
    places = [text.index(heading) for heading in ("The largest training run", "(exit code ", *HEADINGS)]
    assert places == sorted(places)


@pytest.mark.parametrize("name", SITES)
def test_verdict_and_exit_code_are_those_of_the_review(name: str) -> None:
    review = site(name)
    word = review.verdict.value.replace("-", " ").upper()
    assert f"] {word} (exit code {review.exit_code})" in render_text(review)


def test_the_recorded_site_is_told_in_about_sixty_lines() -> None:
    assert len(render_text(lab_site()).splitlines()) <= 62


def test_what_an_inspector_needs_of_the_recorded_site() -> None:
    text = " ".join(render_text(lab_site()).split())
    for needed in (
        "is 5.99e14 FLOP (about 0.605 H100-seconds at FP16 peak), at 99 % confidence; this is below every threshold",
        "✓ small-training 1.00e16 FLOP excluded",
        "✓ fine-tuning 1.00e15 FLOP excluded",
        "INCONSISTENT (exit code 20)",
        "pod-b, pod-c (10:05:00 – 10:10:00 UTC)",
        "pod-b with pod-c (10:05:00",
        "not observed: pod-f",
        "pod-f was not observed 10:08:20–10:10:20 UTC",
        "Explaining any one of pod-b, pod-c, pod-f for the 15 minutes in which nothing bounds it would lower",
        "missing: segment 9 of flow-f",
        "wrong key: 133a68604d76…",
        "not checked: whether the chips that are declared are all the chips there are",
        "inspectorate review BUNDLE --agreement AGREEMENT --anchors ANCHORS --as-of 2026-11-24T12:30:00Z --interval 60",
    ):
        assert needed in text, needed


def test_simulated_evidence_is_said_first() -> None:
    assert render_text(lab_site(simulated=True)).startswith("*** SIMULATED EVIDENCE")
    assert "SIMULATED" not in render_text(lab_site())


def test_clauses_at_which_nobody_looked_are_named_once() -> None:
    text = render_text(site("bare"))
    assert "no mechanism appraises: pod-limit, pod-isolation, no-coordinated-exchange" in text


def test_what_is_cut_short_is_counted() -> None:
    assert "… and 5 more" in render_text(site("invalid"))
