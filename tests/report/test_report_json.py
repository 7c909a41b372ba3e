"""The JSON form and the published schemas."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from report_sites import SITES, lab_site, site

from inspectorate.agreement import load_agreement
from inspectorate.report import published_schemas, render_json, write_schemas
from inspectorate.review import Review

FOLDER = Path(__file__).parents[2] / "docs" / "schemas"
REMEDY = "write them anew: see the docstring of inspectorate.report.schemas"


@pytest.mark.parametrize("name", SITES)
def test_json_is_the_whole_review_and_fits_its_schema(name: str) -> None:
    review = site(name)
    data = render_json(review)
    assert Review.model_validate_json(data) == review
    Draft202012Validator(json.loads(published_schemas()["review.json"])).validate(json.loads(data))


def test_the_schema_refuses_what_is_no_review() -> None:
    validator = Draft202012Validator(json.loads(published_schemas()["review.json"]))
    good = json.loads(render_json(lab_site()))
    for bad in ({}, {**good, "extra": 1}, {**good, "party": "../x"}, {**good, "findings": [{}]}):
        assert not validator.is_valid(bad)


def test_equal_reviews_give_equal_bytes() -> None:
    assert render_json(lab_site()) == render_json(lab_site())


def test_published_schemas_are_in_step_with_the_records() -> None:
    published = {path.name: path.read_bytes() for path in FOLDER.glob("*.json")}
    expected = published_schemas()
    assert sorted(set(published) ^ set(expected)) == [], REMEDY
    assert [name for name in expected if published[name] != expected[name]] == [], REMEDY


def test_every_kind_of_record_is_published() -> None:
    assert sorted(published_schemas()) == [
        "agreement.json",
        "declaration.json",
        "predicate-access-logged.json",
        "predicate-answers-checked.json",
        "predicate-bundle.json",
        "predicate-cabling-seen.json",
        "predicate-camera-watched.json",
        "predicate-challenge-issued.json",
        "predicate-chips-acquired.json",
        "predicate-chips-moved.json",
        "predicate-chips-reported.json",
        "predicate-code-reviewed.json",
        "predicate-count-drawn.json",
        "predicate-count-held.json",
        "predicate-custody-event.json",
        "predicate-declaration.json",
        "predicate-destruction-certified.json",
        "predicate-enrolment-opened.json",
        "predicate-flop-accounted.json",
        "predicate-flow-export.json",
        "predicate-guard-reported.json",
        "predicate-inspection-requested.json",
        "predicate-intake-collected.json",
        "predicate-interviewees-drawn.json",
        "predicate-interviews-held.json",
        "predicate-lead-closed.json",
        "predicate-lead-raised.json",
        "predicate-licence-applied.json",
        "predicate-limit-attested.json",
        "predicate-packets-drawn.json",
        "predicate-packets-opened.json",
        "predicate-packets-replayed.json",
        "predicate-randomness-promised.json",
        "predicate-register-handed.json",
        "predicate-room-closed.json",
        "predicate-roster-committed.json",
        "predicate-roster-opened.json",
        "predicate-round-trips-measured.json",
        "predicate-ruleset-in-force.json",
        "predicate-seal-applied.json",
        "predicate-seal-checked.json",
        "predicate-telemetry.json",
        "predicate-transfer-decided.json",
        "predicate-transfer-notified.json",
        "predicate-visits-held.json",
        "predicate-window-approved.json",
        "predicate-window-used.json",
        "predicate-work-committed.json",
        "predicate-workload-enrolled.json",
        "review.json",
        "trust-anchors.json",
    ]


@pytest.mark.parametrize("name", published_schemas())
def test_schemas_are_schemas(name: str) -> None:
    schema = json.loads(published_schemas()[name])
    Draft202012Validator.check_schema(schema)
    assert schema["$id"].endswith(name)
    assert schema["additionalProperties"] is False


def test_shipped_agreements_fit_their_schema() -> None:
    validator = Draft202012Validator(json.loads(published_schemas()["agreement.json"]))
    for name in ("asi-agreement", "inference-only"):
        validator.validate(load_agreement(name).model_dump(mode="json"))


def test_writing(tmp_path: Path) -> None:
    write_schemas(tmp_path / "schemas")
    assert {p.name: p.read_bytes() for p in (tmp_path / "schemas").iterdir()} == published_schemas()
