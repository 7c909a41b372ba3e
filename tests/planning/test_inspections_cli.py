"""From the JSON of a review to a plan, a draw and its check, from the command line; and what broken files get."""

from __future__ import annotations

import functools
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inspectorate.account import take_account
from inspectorate.assessment import Assessment, HiddenBound, Joining, Outside, Scope, Verdict
from inspectorate.cli.plan_inspections import inspections
from inspectorate.errors import InspectorateError
from inspectorate.findings import Finding
from inspectorate.planning.inspections import InspectionPlan, Methods, whereabouts
from inspectorate.planning.inspections.methods import LooksAt
from inspectorate.planning.inspections.places import cells_of, open_places
from inspectorate.quantities import Period
from inspectorate.report import render_json
from inspectorate.report.doubt_page import render_doubt, render_doubt_page
from inspectorate.review import Review

PODS = ("a", "b", "c", "d")
PERIOD = Period(start=datetime(2026, 11, 1, tzinfo=UTC), end=datetime(2026, 11, 2, tzinfo=UTC))
ALL = Scope(pods=PODS, period=PERIOD)
SITES = """\
sites:
  - {id: north, travel_days: 2, pods: [a, b]}
  - {id: south, travel_days: 3, pods: [c, d]}
"""


def assessed(*, outside: float | None = None, clause: str = "links") -> Assessment:
    """A limit between pods, a bound of half a per cent but for four hours of pod b."""
    gap = PERIOD.start + timedelta(hours=4)
    bounds = [
        HiddenBound(
            statement="signatures", miss_probability=0.005, scope=Scope(pods=pods, period=period), share_max=0.005
        )
        for pods, period in ((("a", "c", "d"), PERIOD), (("b",), Period(start=gap, end=PERIOD.end)))
    ]
    return Assessment(
        clause=clause, mechanism="made", scope=ALL, verdict=Verdict.INCONCLUSIVE, hidden=tuple(bounds),
        joining=(Joining(statement="limit", miss_probability=0.0, scope=ALL, bytes_per_s_max=125e3,
                         contributions=(1.0, 0.01, 0.01, 0.01), rule="made"),),
        outside=() if outside is None else (
            Outside(statement="count", miss_probability=0.0, scope=ALL, share_max=outside),),
        evidence_ids=("e",), reasons=("made by a test",),
    )  # fmt: skip


def made(assessment: Assessment) -> Review:
    account = take_account(
        [assessment], capacities=dict.fromkeys(PODS, 8 * 990e12 * 0.6), period=PERIOD, interval_s=3600, confidence=0.99
    )
    finding = Finding(
        clause=assessment.clause, title="links", source=_source(), verdict=assessment.verdict, assessments=(assessment,),
        reasons=("r",), as_of=PERIOD.end,
    )  # fmt: skip
    return Review(
        agreement="made", agreement_version=1, agreement_title="made", declaration="d",
        declaration_digest="sha256:" + "0" * 64, party="party-a", pods=PODS, period=PERIOD, as_of=PERIOD.end,
        with_proposed=False, simulated=True, ledger=None, statements=1, problems=(), findings=(finding,),
        account=account, not_checked=(),
    )  # fmt: skip


def _source() -> object:
    from_agreement = Finding.model_fields["source"].annotation
    return from_agreement.model_construct(document="made", place="here")  # type: ignore[union-attr]


def run(*words: str) -> Result:
    return CliRunner().invoke(inspections, list(words))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plans")
    (path / "review.json").write_bytes(render_json(made(assessed())))
    (path / "sites.yaml").write_text(SITES)
    return path


@functools.cache
def planned(folder: Path, *more: str) -> InspectionPlan:
    result = run(str(folder / "review.json"), "--sites", str(folder / "sites.yaml"), "--inspector-days", "7", "--quota", "2",
                 "--json", *more)  # fmt: skip
    assert result.exit_code == 0, result.exception
    return InspectionPlan.model_validate_json(result.stdout)


def test_the_plan_is_on_the_accounts_own_number(folder: Path) -> None:
    plan = planned(folder)
    review = Review.model_validate_json((folder / "review.json").read_bytes())
    assert plan.run_flop == pytest.approx(review.account.hidden_flop_max)
    assert plan.nothing_gets_flop == pytest.approx(plan.run_flop, rel=1e-6)
    assert plan.gets_flop_least <= plan.gets_flop < plan.run_flop
    assert plan.gap < 1e-4
    gap_hours = next(kind for kind in plan.kinds if kind.name == "b: nothing")
    assert gap_hours.chance == max(kind.chance for kind in plan.kinds)
    assert gap_hours.periods == (Period(start=PERIOD.start, end=PERIOD.start + timedelta(hours=4)),)
    help_ = next(one for one in review.account.help if (one.pod, one.basis) == ("b", "nothing"))
    assert gap_hours.run_without_flop == pytest.approx(help_.hidden_flop_max)


def test_equal_reviews_give_equal_plans(folder: Path) -> None:
    again = planned.__wrapped__(folder, "--quick")
    assert planned(folder, "--quick").canonical_bytes() == again.canonical_bytes()
    assert again.terms.effort == "quick"


def test_no_plan_takes_more_than_there_is(folder: Path) -> None:
    for one in planned(folder).lists:
        assert one.days <= 7
        assert one.visits <= 2
    assert planned(folder, "--used", "2", "--quick").gets_flop == pytest.approx(planned(folder).run_flop, rel=1e-5)


def test_chips_elsewhere_can_only_be_counted() -> None:
    review = made(assessed(outside=0.1))
    cells = cells_of(review.account, review.findings)
    found = open_places(cells, whereabouts(PODS, None, None), by_site=False)
    apart = next(place for place in found.places if not place.pods)
    assert apart.hidden_flop == pytest.approx(0.1 * review.account.capacity_flop)
    assert next(one for one in review.account.help if one.pod is None).hidden_flop_max == pytest.approx(
        apart.run_without_flop
    )
    assert [one.id for one in Methods.read(None).looking_at(LooksAt.ELSEWHERE)] == ["count-chips"]


def test_people_have_no_power() -> None:
    assert all(one.power is None for one in Methods.read(None).looking_at(LooksAt.PEOPLE))


def test_a_site_is_as_much_as_its_pods_together(folder: Path) -> None:
    plan = planned(folder, "--by", "site", "--quick")
    assert plan.by_site
    assert {kind.name for kind in plan.kinds} == {"north", "south"}
    assert plan.nothing_gets_flop == pytest.approx(plan.run_flop, rel=1e-6)


# --- draws -----------------------------------------------------------------------------------------------------------------


def test_a_promised_draw_is_repeated_by_the_other_side(folder: Path, tmp_path: Path) -> None:
    terms = ("--sites", str(folder / "sites.yaml"), "--quick", "--quota", "2", "--inspector-days", "7")
    promised = run("promise", *terms, "--keep", str(tmp_path / "kept"), "--json")
    digest = json.loads(promised.stdout)["promise"]
    assert (tmp_path / "kept").stat().st_mode & 0o077 == 0
    plan = str(tmp_path / "plan.json")
    assert run("make", str(folder / "review.json"), *terms, "--out", plan).exit_code == 0
    drawn = run(
        "draw", plan, "--seed-from", "promise", "--keep", str(tmp_path / "kept"), "--out", str(tmp_path / "out")
    )
    assert drawn.exit_code == 0, drawn.exception
    check = (
        "verify",
        plan,
        str(tmp_path / "out" / "draw.json"),
        "--randomness",
        str(tmp_path / "out" / "randomness.json"),
    )
    assert run(*check, "--promised", digest).exit_code == 0
    made_again = (*check, "--promised", digest, "--review", str(folder / "review.json"))
    assert json.loads(run(*made_again, *terms[:2], "--json").stdout)["made_again"]
    assert "other files of sites" in str(run(*made_again).exception)
    for wrong in ((), ("--promised", "sha256:" + "1" * 64)):
        assert isinstance(run(*check, *wrong).exception, InspectorateError)
    other = run("make", str(folder / "review.json"), *terms, "--people-days", "1", "--out", plan)
    assert other.exit_code == 0
    for words in (
        check,
        ("draw", plan, "--seed-from", "promise", "--keep", str(tmp_path / "kept"), "--out", str(tmp_path / "o2")),
    ):
        fault = run(*words, *(("--promised", digest) if words is check else ())).exception
        assert isinstance(fault, InspectorateError)
        assert "terms" in str(fault)


def test_a_plan_that_was_changed_is_not_made_again(folder: Path, tmp_path: Path) -> None:
    """Whoever knows the secret could change a plan that fits its terms: the review tells."""
    terms = ("--sites", str(folder / "sites.yaml"), "--quick", "--quota", "2", "--inspector-days", "7")
    kept, drawn = str(tmp_path / "kept"), tmp_path / "out"
    promised = json.loads(run("promise", *terms, "--keep", kept, "--json").stdout)["promise"]
    plan = planned(folder, "--quick")
    first = plan.lists[0]
    changed = plan.model_copy(
        update={"lists": (first.model_copy(update={"weight": first.weight + 1}), *plan.lists[1:])}
    )
    (tmp_path / "plan.json").write_bytes(changed.canonical_bytes())
    assert (
        run(
            "draw", str(tmp_path / "plan.json"), "--seed-from", "promise", "--keep", kept, "--out", str(drawn)
        ).exit_code
        == 0
    )
    check = ("verify", str(tmp_path / "plan.json"), str(drawn / "draw.json"), "--randomness", str(drawn / "randomness.json"),
             "--promised", promised)  # fmt: skip
    assert run(*check).exit_code == 0
    fault = run(*check, "--review", str(folder / "review.json"), *terms[:2]).exception
    assert "another plan" in str(fault)


@pytest.mark.parametrize(
    "option", [("--by", "site"), ("--follow", "a"), ("--people-days", "1"), ("--weeks-left", "4"), ("--quick",)]
)
def test_a_promise_covers_all_that_changes_the_plan(option: tuple[str, ...], tmp_path: Path) -> None:
    for name, words in (("without", ()), ("with", option)):
        assert run("promise", *words, "--keep", str(tmp_path / name)).exit_code == 0
    terms = [json.loads((tmp_path / name).read_bytes())["selection"] for name in ("without", "with")]
    assert terms[0] != terms[1]


ROUND_1000 = "b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125e342b73a8dd2bacbe47e4b6b63ed5e39"
"""Of drand's quicknet, of 15:59:24 UTC on 23 August 2023; see tests/inspection/test_draw_beacon.py."""


def test_a_recorded_round_of_the_beacon_draws(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("py_arkworks_bls12381", reason="needs the extra `beacon`")
    plan = planned(folder, "--quick", "--draw-at", "2023-08-23T15:59:23Z")
    (tmp_path / "plan.json").write_bytes(plan.canonical_bytes())
    (tmp_path / "round.json").write_text(json.dumps({"round": 1000, "signature": ROUND_1000}))
    words = ("draw", str(tmp_path / "plan.json"), "--seed-from", "beacon", "--round", str(tmp_path / "round.json"))
    early, late = "2023-08-23T15:00:00Z", "2023-08-23T15:59:25Z"
    drawn = run(*words, "--received", early, "--out", str(tmp_path / "out"))
    assert drawn.exit_code == 0, drawn.exception
    check = ("verify", str(tmp_path / "plan.json"), str(tmp_path / "out" / "draw.json"), "--randomness",
             str(tmp_path / "out" / "randomness.json"))  # fmt: skip
    assert run(*check).exit_code == 0
    assert "when its round was known" in str(run(*words, "--received", late, "--out", str(tmp_path / "o2")).exception)
    (tmp_path / "round.json").write_text(json.dumps({"round": 1001, "signature": ROUND_1000}))
    assert "round 1001" in str(run(*words, "--received", early, "--out", str(tmp_path / "o3")).exception)


# --- broken input ------------------------------------------------------------------------------------------------------------


def test_a_review_that_contradicts_itself_is_refused(folder: Path, tmp_path: Path) -> None:
    value = json.loads((folder / "review.json").read_bytes())
    value["account"]["hidden_flop_max"] *= 2
    (tmp_path / "r.json").write_text(json.dumps(value))
    fault = run(str(tmp_path / "r.json")).exception
    assert isinstance(fault, InspectorateError)
    assert fault.exit_code == 2
    assert fault.where
    assert fault.remedy


@pytest.mark.parametrize("text", ["", "{}", "[1", '{"account": 1e999}', "null", "[" * 5_000])
def test_what_is_no_review_names_file_and_remedy(text: str, tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text(text)
    fault = run(str(tmp_path / "r.json")).exception
    assert isinstance(fault, InspectorateError)
    assert str(tmp_path) in fault.where
    assert fault.remedy or fault.problem


@pytest.mark.parametrize(
    "text",
    ["sites: [{id: north, travel_days: -1}]", "sites: [{id: n, travel_days: 1, pods: [zz]}]", "sites: 3", "a: &x 1\nb: *x",
     "sites: [{id: n, travel_days: 1, pods: [a]}, {id: m, travel_days: 1, pods: [a]}]"],
)  # fmt: skip
def test_broken_sites_are_refused(text: str, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(text)
    fault = run(str(folder / "review.json"), "--sites", str(tmp_path / "s.yaml")).exception
    assert isinstance(fault, InspectorateError)
    assert fault.where


@given(st.data())
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_mutated_reviews_give_a_plan_or_a_named_fault(folder: Path, tmp_path: Path, data: st.DataObject) -> None:
    raw = bytearray((folder / "review.json").read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / "r.json").write_bytes(bytes(raw))
    result = run(str(tmp_path / "r.json"), "--inspector-days", "0", "--json")
    assert result.exit_code == 0 or isinstance(result.exception, InspectorateError)


# --- the page ------------------------------------------------------------------------------------------------------------------


def test_the_page_stands_alone_and_escapes(folder: Path) -> None:
    plan = planned(folder, "--weeks-left", "4", "--quick")
    hostile = plan.kinds[0].model_copy(update={"name": "<script>x</script>", "basis": ("<b>",)})
    text = render_doubt_page(plan.model_copy(update={"kinds": (hostile, *plan.kinds[1:])}))
    assert "<script>" not in text
    assert "&lt;script&gt;" in text
    assert "e+" not in text
    assert "below 0.01 %" not in render_doubt_page(plan.model_copy(update={"gap": 0.02}))
    assert "below 0.01 %" in render_doubt_page(plan.model_copy(update={"gap": 1e-7}))
    assert "http" not in text.replace("http-equiv", "")
    assert "Simulated evidence" in text
    assert str(render_doubt(plan)).startswith("<section")
    assert render_doubt_page(plan) == render_doubt_page(plan)
