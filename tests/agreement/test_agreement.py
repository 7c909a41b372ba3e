"""Agreements: the shipped ones term by term, dates and amendments, and every kind of bad input."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from inspectorate.agreement import (
    Agreement,
    ChallengeAccess,
    ChipRegister,
    ClauseKind,
    CoveredCluster,
    HiddenTraining,
    Procedure,
    ThresholdKind,
    load_agreement,
    parse_agreement,
    shipped_agreements,
)
from inspectorate.errors import InputError
from inspectorate.quantities import H100_EQUIVALENT_FLOP_PER_S, H100_EQUIVALENT_TPP

DAY_S = 86_400.0
AFTER = datetime(2026, 7, 1, tzinfo=UTC)

GOOD = """
id: small
version: 1
title: A small agreement
parties: [p]
false_accusation_rate: 0.001
assurance_confidence: 0.99
counted_formats: [fp16]
utilisation: {max: 0.5, source: {document: d}}
thresholds:
  - {id: t, kind: training, flop_max: 1.0e+20, consequence: banned, source: {document: d}, holds_from: 2026-01-01T00:00:00Z}
clauses:
  - id: c
    title: A clause
    source: {document: d, article: "1"}
    holds_from: 2026-01-01T00:00:00Z
    parameters: {kind: interconnect-limit, bytes_per_s_max: 1000.0, averaging_s: 10.0, tolerance: 0.02}
"""


def test_the_shipped_agreements_are_these() -> None:
    assert shipped_agreements() == (
        "asi-agreement",
        "inference-only",
        "inference-only-approved",
        "inference-only-enforced",
        "inference-only-guarded",
        "inference-only-heard",
        "inference-only-inspected",
        "inference-only-kept",
    )


@pytest.mark.parametrize("name", shipped_agreements())
def test_every_shipped_term_has_a_source_and_a_date(name: str) -> None:
    agreement = load_agreement(name)
    terms = (*agreement.thresholds, *agreement.clauses, *agreement.clocks)
    assert terms
    assert all(term.source.document and term.source.article for term in terms)
    assert all(term.holds_from.tzinfo is UTC for term in terms)
    assert agreement.on(AFTER).clauses


@pytest.mark.parametrize("name", shipped_agreements())
def test_a_shipped_agreement_is_the_same_in_its_canonical_form(name: str) -> None:
    agreement = load_agreement(name)
    again = Agreement.model_validate_json(agreement.canonical_bytes())
    assert again == agreement
    assert again.canonical_bytes() == agreement.canonical_bytes()


# --- the illustrative agreement, against arXiv 2511.10783 --------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kind", "flop", "paragraph"),
    [
        ("strict-training", ThresholdKind.TRAINING, 1e24, "8"),
        ("strict-post-training", ThresholdKind.POST_TRAINING, 1e23, "9"),
        ("monitored", ThresholdKind.MONITORED, 1e22, "10"),
    ],
)
def test_thresholds_of_article_ii(name: str, kind: ThresholdKind, flop: float, paragraph: str) -> None:
    threshold = load_agreement("asi-agreement").threshold(name)
    assert threshold is not None
    assert (threshold.kind, threshold.flop_max) == (kind, flop)
    assert (threshold.source.article, threshold.source.paragraph) == ("II", paragraph)


def test_all_thresholds_are_answered_by_the_clause_on_hidden_training() -> None:
    agreement = load_agreement("asi-agreement")
    terms = next(c.parameters for c in agreement.clauses if c.kind is ClauseKind.HIDDEN_TRAINING)
    assert isinstance(terms, HiddenTraining)
    assert set(terms.thresholds) == {threshold.id for threshold in agreement.thresholds}


@pytest.mark.parametrize(
    ("clock", "seconds", "article"),
    [
        ("consolidation", 120 * DAY_S, "V"),
        ("first-register", 120 * DAY_S, "V"),
        ("register-update", 90 * DAY_S, "V"),
        ("transfer-notice", 14 * DAY_S, "V"),
        ("airport-access", 12 * 3600.0, "V"),
        ("challenge-access", 24 * 3600.0, "X"),
        ("withdrawal", 365 * DAY_S, "XV"),
        ("round-up-1", 1 * DAY_S, "Appendix D"),
        ("round-up-2", 10 * DAY_S, "Appendix D"),
        ("round-up-3", 100 * DAY_S, "Appendix D"),
        ("round-up-4", 730 * DAY_S, "Appendix D"),
    ],
)
def test_clocks_in_seconds(clock: str, seconds: float, article: str) -> None:
    found = {c.id: c for c in load_agreement("asi-agreement").clocks}[clock]
    assert (found.within_s, found.source.article) == (seconds, article)


@pytest.mark.parametrize(
    ("clause", "article"),
    [
        ("no-hidden-training", "IV"),
        ("monitored-runs", "IV"),
        ("declared-facilities", "V"),
        ("chip-register", "V"),
        ("no-disaggregation", "V"),
        ("chip-sales", "V"),
        ("continuous-verification", "VII"),
        ("challenge-inspections", "X"),
    ],
)
def test_articles_of_the_clauses(clause: str, article: str) -> None:
    found = {c.id: c for c in load_agreement("asi-agreement").clauses}[clause]
    assert found.source.article == article


def test_twenty_challenge_inspections_per_party_and_year_each_within_a_day() -> None:
    terms = {c.id: c.parameters for c in load_agreement("asi-agreement").clauses}["challenge-inspections"]
    assert isinstance(terms, ChallengeAccess)
    assert (terms.per_party_per_year_max, terms.access_within_s) == (20, DAY_S)


def test_the_register_of_article_v_has_the_times_of_its_clocks() -> None:
    agreement = load_agreement("asi-agreement")
    terms = {c.id: c.parameters for c in agreement.clauses}["chip-register"]
    clocks = {c.id: c.within_s for c in agreement.clocks}
    assert isinstance(terms, ChipRegister)
    assert terms.first_within_s == clocks["first-register"]
    assert terms.updated_every_s == clocks["register-update"]
    assert terms.transfer_notice_s == clocks["transfer-notice"]


def test_monitored_runs_need_both_approvals() -> None:
    terms = {c.id: c.parameters for c in load_agreement("asi-agreement").clauses}["monitored-runs"]
    assert isinstance(terms, Procedure)
    assert len(set(terms.approvals)) == 2


def covered(agreement: Agreement) -> CoveredCluster:
    terms = [c.parameters for c in agreement.clauses if c.kind is ClauseKind.COVERED_CLUSTER]
    assert len(terms) == 1
    assert isinstance(terms[0], CoveredCluster)
    return terms[0]


def test_limbs_of_a_covered_cluster() -> None:
    terms = covered(load_agreement("asi-agreement").on(AFTER))
    assert terms.h100_equivalents_max == 16
    assert terms.h100_equivalents_max * H100_EQUIVALENT_FLOP_PER_S == 15_840e12
    assert terms.h100_equivalents_max * H100_EQUIVALENT_TPP == 253_440
    assert (terms.joined_by_co_location, terms.joined_by_purpose) == (True, True)
    assert terms.joined_by_bits_per_s == 25e9
    assert terms.memory_bytes_max is None


@pytest.mark.parametrize(
    ("as_of", "with_proposed", "memory"),
    [
        (datetime(2026, 4, 30, 23, 59, 59, tzinfo=UTC), False, None),
        (datetime(2026, 4, 30, 23, 59, 59, tzinfo=UTC), True, None),
        (datetime(2026, 5, 1, tzinfo=UTC), False, None),
        (datetime(2026, 5, 1, tzinfo=UTC), True, 1280e9),
    ],
    ids=["before", "before, asked for", "after, not asked for", "after, asked for"],
)
def test_the_memory_limb_holds_from_its_date_and_only_where_asked_for(
    as_of: datetime, with_proposed: bool, memory: float | None
) -> None:
    agreement = load_agreement("asi-agreement").on(as_of, with_proposed=with_proposed)
    assert covered(agreement).memory_bytes_max == memory


def test_nothing_held_before_the_agreement() -> None:
    with pytest.raises(ValueError, match="no clause of asi-agreement held on 2025-01-01"):
        load_agreement("asi-agreement").on(datetime(2025, 1, 1, tzinfo=UTC))


def test_inference_only_counts_the_formats_of_its_chips() -> None:
    agreement = load_agreement("inference-only")
    assert {c.kind for c in agreement.clauses} == {
        ClauseKind.HIDDEN_TRAINING,
        ClauseKind.INTERCONNECT_LIMIT,
        ClauseKind.POD_ISOLATION,
        ClauseKind.COORDINATED_EXCHANGE,
    }
    assert not agreement.clocks


# --- versions over time ------------------------------------------------------------------------------------------------


def with_thresholds(*versions: tuple[str, str | None, bool, float]) -> bytes:
    value = yaml.safe_load(GOOD)
    value["thresholds"] = [
        {
            "id": "t", "kind": "training", "flop_max": flop, "consequence": "x", "source": {"document": "d"},
            "holds_from": since, "proposed": proposed, **({"holds_until": until} if until else {}),
        }
        for since, until, proposed, flop in versions
    ]  # fmt: skip
    return yaml.safe_dump(value).encode()


def test_versions_of_a_threshold_follow_one_another() -> None:
    agreement = parse_agreement(
        with_thresholds(
            ("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z", False, 1.0),
            ("2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z", False, 2.0),
            ("2026-04-01T00:00:00Z", None, False, 4.0),
        ),
        where="t",
    )
    for month, expected in ((1, [1.0]), (2, [2.0]), (3, []), (4, [4.0]), (12, [4.0])):
        held = agreement.on(datetime(2026, month, 1, tzinfo=UTC)).thresholds
        assert [threshold.flop_max for threshold in held] == expected


@pytest.mark.parametrize(
    "versions",
    [
        [("2026-01-01T00:00:00Z", None, False, 1.0), ("2026-02-01T00:00:00Z", None, False, 2.0)],
        [("2026-02-01T00:00:00Z", None, False, 1.0), ("2026-01-01T00:00:00Z", "2026-02-01T00:00:01Z", False, 2.0)],
        [("2026-01-01T00:00:00Z", None, True, 1.0), ("2026-02-01T00:00:00Z", None, True, 2.0)],
    ],
    ids=["both open", "by one second", "two proposals"],
)
def test_two_versions_at_one_time_are_refused(versions: list[tuple[str, str | None, bool, float]]) -> None:
    with pytest.raises(InputError, match="two versions of threshold t hold at one time"):
        parse_agreement(with_thresholds(*versions), where="t.yaml")


def test_a_proposal_may_overlap_what_it_replaces() -> None:
    agreement = parse_agreement(
        with_thresholds(("2026-01-01T00:00:00Z", None, False, 1.0), ("2026-02-01T00:00:00Z", None, True, 2.0)),
        where="t",
    )
    march = datetime(2026, 3, 1, tzinfo=UTC)
    assert [t.flop_max for t in agreement.on(march).thresholds] == [1.0]
    assert [t.flop_max for t in agreement.on(march, with_proposed=True).thresholds] == [2.0]


# --- bad input ---------------------------------------------------------------------------------------------------------


def swap(old: str, new: str) -> bytes:
    assert GOOD.count(old) == 1
    return GOOD.replace(old, new).encode()


PARAMETERS = "{kind: interconnect-limit, bytes_per_s_max: 1000.0, averaging_s: 10.0, tolerance: 0.02}"
LAUGHS = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"

BAD = {
    "empty": (b"", "file.yaml: ", "dictionary"),
    "a scalar": (b"42", "file.yaml: ", "dictionary"),
    "a list": (b"- 1\n- 2\n", "file.yaml: ", "dictionary"),
    "binary": (bytes(range(256)), "file.yaml", "not YAML"),
    "not UTF-8": (b"id: \xff\xfe\xfa", "file.yaml", "not YAML"),
    "NUL bytes": (b"id: a\0b\n", "file.yaml", "not YAML"),
    "unclosed bracket": (b"id: x\nparties: [a\nversion: 1\n", "file.yaml:", "not YAML"),
    "a tab for an indent": (b"id: x\nsource:\n\tdocument: y\n", "file.yaml:3", "not YAML"),
    "two documents": (b"id: x\n---\nid: y\n", "file.yaml:2", "not YAML"),
    "an alias": (b"a: &a 1\nb: *a\n", "file.yaml:2", "aliases"),
    "a billion laughs": (LAUGHS.encode(), "file.yaml:2", "aliases"),
    "deep flow nesting": (b"[" * 100_000, "file.yaml:1", "nest"),
    "deep block nesting": (b"- " * 100_000, "file.yaml:1", "nest"),
    "huge": (b"#" * (1024 * 1024 + 1), "file.yaml: ", "more than 1048576"),
    "a repeated key": (GOOD.encode() + b"version: 2\n", "file.yaml:", "'version' repeats"),
    "a Python object": (b"id: !!python/object/apply:os.system [true]\n", "file.yaml:1", "not YAML"),
    "an impossible date": (swap("tolerance: 0.02}", "tolerance: 0.02, when: 2026-13-45}"), "file.yaml", "not YAML"),
    "unknown field": (GOOD.encode() + b"colour: red\n", "file.yaml: ", "colour: Extra inputs"),
    "missing field": (swap("title: A small agreement\n", ""), "file.yaml: ", "title: Field required"),
    "no clauses": (GOOD.split("clauses:")[0].encode() + b"clauses: []\n", "file.yaml: ", "clauses"),
    "no parties": (swap("[p]", "[]"), "file.yaml: ", "parties"),
    "an id that is no identifier": (swap("id: small", "id: '../small'"), "file.yaml: ", "id: "),
    "version zero": (swap("version: 1", "version: 0"), "file.yaml: ", "version"),
    "NaN": (swap("1000.0", ".nan"), "file.yaml: ", "bytes_per_s_max"),
    "infinity": (swap("1000.0", ".inf"), "file.yaml: ", "bytes_per_s_max"),
    "negative": (swap("1000.0", "-1.0"), "file.yaml: ", "bytes_per_s_max"),
    "zero": (swap("1000.0", "0.0"), "file.yaml: ", "bytes_per_s_max"),
    "a share above one": (swap("0.02}", "1.02}"), "file.yaml: ", "tolerance"),
    "a rate of zero": (swap("0.001", "0.0"), "file.yaml: ", "false_accusation_rate"),
    "a rate of a half": (swap("0.001", "0.5"), "file.yaml: ", "false_accusation_rate"),
    "certain confidence": (swap("0.99", "1.0"), "file.yaml: ", "assurance_confidence"),
    "utilisation above one": (swap("max: 0.5", "max: 1.1"), "file.yaml: ", "utilisation.max"),
    "unknown kind of clause": (swap("interconnect-limit", "vibes"), "file.yaml: ", "kind"),
    "a field of another kind": (swap("tolerance: 0.02", "tolerance: 0.02, thresholds: [t]"), "file.yaml: ", "thresholds"),
    "a time without a zone": (
        swap("    holds_from: 2026-01-01T00:00:00Z", "    holds_from: 2026-01-01T00:00:00"), "file.yaml: ", "time zone",
    ),
    "a date without a time": (
        swap("    holds_from: 2026-01-01T00:00:00Z", "    holds_from: 2026-01-01"), "file.yaml: ", "time zone",
    ),
    "a time beyond the calendar": (
        swap("    holds_from: 2026-01-01T00:00:00Z", '    holds_from: "9999-12-31T23:59:59-14:00"'),
        "file.yaml: ", "between the years",
    ),
    "holding backwards": (
        swap("    holds_from: 2026-01-01T00:00:00Z", "    holds_from: 2026-01-01T00:00:00Z\n    holds_until: 2025-01-01T00:00:00Z"),
        "file.yaml: ", "holds_until must come after",
    ),
    "an unknown threshold": (
        swap(PARAMETERS, "{kind: hidden-training, thresholds: [u]}"),
        "file.yaml: ", "unknown thresholds: u",
    ),
    "text without end": (swap("A small agreement", "x" * 4001), "file.yaml: ", "title"),
}  # fmt: skip


@pytest.mark.parametrize(("data", "place", "problem"), BAD.values(), ids=BAD)
def test_bad_agreements_are_refused_with_place_and_problem(data: bytes, place: str, problem: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_agreement(data, where="file.yaml")
    text = str(caught.value)
    assert text.startswith(place)
    assert problem in text
    assert len(text) < 2000
    assert caught.value.exit_code == 2


def test_the_good_one_is_good() -> None:
    assert parse_agreement(GOOD.encode(), where="file.yaml").id == "small"


@pytest.mark.parametrize("name", ["nowhere", "", "../shipped/asi-agreement", "a/b", "\0", "x" * 10_000])
def test_an_unknown_name_lists_the_known_ones(name: str) -> None:
    with pytest.raises(InputError, match="asi-agreement, inference-only"):
        load_agreement(name)


def test_a_file_is_loaded_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(GOOD)
    assert load_agreement(str(path)).id == "small"


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.mkdir()], ids=["absent", "a folder"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, make) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "mine.yaml"
    make(path)
    with pytest.raises(InputError, match=r"mine\.yaml: cannot be read"):
        load_agreement(str(path))


@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode("utf-8", "surrogatepass")))
@settings(max_examples=200)
def test_any_bytes_are_an_agreement_or_an_input_error(data: bytes) -> None:
    with pytest.raises(InputError):
        parse_agreement(data, where="fuzz")


@given(st.data())
@settings(max_examples=200)
def test_any_edit_of_a_good_one_is_an_agreement_or_an_input_error(data: st.DataObject) -> None:
    text = bytearray(GOOD.encode())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text) - 1))
        text[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    with contextlib.suppress(InputError):
        assert parse_agreement(bytes(text), where="fuzz").clauses
