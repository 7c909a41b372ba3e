"""`inspectorate plan` as a user meets it: what it prints, that the table and JSON say the same, and what it refuses."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from functools import cache
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from inspectorate.agreement import load_agreement, shipped_agreements
from inspectorate.cli import cli
from inspectorate.cli.plan_joining import CREDITED
from inspectorate.cli.plan_units import PARAMETERS, PERIOD, RATE, SECONDS, SIZE, TOKENS, target
from inspectorate.errors import EnvironmentError_, InputError
from inspectorate.mechanisms.interconnect.plan import curves
from inspectorate.mechanisms.interconnect.plan.curves import Plan
from inspectorate.mechanisms.interconnect.plan.exhibits import ASSUMPTION_WORDS, headroom, simulator_rows
from inspectorate.mechanisms.interconnect.plan.inference import Modality, serving
from inspectorate.mechanisms.interconnect.plan.inverse import YEAR_S, Kind
from inspectorate.mechanisms.interconnect.plan.joining import Group, contributions
from inspectorate.mechanisms.interconnect.plan.methods import Assumptions, catalogue
from inspectorate.mechanisms.interconnect.plan.types import Case, LinkLimit, Reach
from inspectorate.report import plan_words as say


@cache
def ask(*options: str) -> Result:
    return CliRunner().invoke(cli, ["plan", *options])


@cache
def printed() -> str:
    result = ask("interconnect")
    assert result.exit_code == 0, result.output
    return result.output


@cache
def plan() -> Plan:
    result = ask("interconnect", "--json")
    assert result.exit_code == 0
    return Plan.model_validate_json(result.stdout)


# --- the answer --------------------------------------------------------------------------------------------------------


def test_the_default_is_the_reports_example() -> None:
    question = plan().question
    assert question.pods.count == question.chips == 128
    assert question.pods.flop_per_s == 128 * 400e12
    assert question.pods.memory_bytes == 128 * 80e9
    assert (question.job.parameters, question.job.tokens) == (405e9, 15.6e12)
    assert question.job.batch_tokens == 128 * 131_072
    assert question.limit == LinkLimit.same(125e3)


def test_it_reads_well_at_100_columns() -> None:
    lines = printed().splitlines()
    assert max(map(len, lines)) <= 100
    assert not any(line != line.rstrip() for line in lines)
    assert "\x1b" not in printed()


def test_it_says_what_such_numbers_are() -> None:
    words = " ".join(printed().split())
    assert "ranges over assumptions about an adversary, and no forecasts" in words
    assert "What happens inside one pod no limit on its link touches." in words
    assert "no limit, since one pod alone does it" in words


@pytest.mark.parametrize("case", Case)
def test_the_table_says_what_json_says(case: Case) -> None:
    found = plan()
    reach = Reach(
        case=case,
        methods=dict(found.reached)[case],
        unlimited_flop_per_s=found.question.pods.count * found.question.pods.flop_per_s,
    )
    best = reach.best(joint=True)
    line = next(line for line in printed().splitlines() if line.split()[:1] == [case.value])
    assert line.split()[1:3] == [say.times(best.slowdown), best.method]
    assert say.times(found.alone_slowdown) in line
    for left in found.left:
        if left.case is not case or left.kind is Kind.POST_TRAINING:
            continue
        line = next(one for one in printed().splitlines() if one.strip().startswith(f"{left.kind.value}, {case.value}"))
        for milestone in left.milestones:
            assert say.days(milestone.days, brief=True) in line
    place = list(Case).index(case)
    for answer in found.targets:
        goal = answer.target
        name = say.target(goal.kind.value, goal.slowdown_min, goal.flop, goal.period_s)
        line = next(one for one in printed().splitlines() if one.strip().startswith(name))
        limit = answer.limits[place]
        assert limit.case is case
        cells = [cell for cell in line.strip().removeprefix(name).split("  ") if cell.strip()]
        said = say.rate(limit.bytes_per_s_max) if limit.bytes_per_s_max else f"none ({limit.breaks_it})"
        assert cells[place].strip() == said


def test_what_serving_needs_and_the_room_over_it() -> None:
    assert "text                    85 kB/s      17 kB/s       1.47× the need" in printed()
    assert "video                   85 kB/s      1.6 MB/s      too tight: 1/12.8 of the need" in printed()


def test_head_room_counts_the_worse_direction() -> None:
    need = serving(Modality.TEXT, 128)
    assert headroom(LinkLimit.same(125e3), need) == pytest.approx(125 / 85)
    wide_in = LinkLimit(sent_bytes_per_s=17e3, received_bytes_per_s=850e3)
    assert headroom(wide_in, need) == pytest.approx(1.0)
    half = LinkLimit(sent_bytes_per_s=1e6, received_bytes_per_s=85e3, duty=0.5)
    assert headroom(half, need) == pytest.approx(0.5)


def test_serving_follows_the_served_model_and_the_chip() -> None:
    question = plan().question
    assert curves.serving_scale(question, Modality.TEXT) == 1.0
    small = question.model_copy(update={"served_parameters": 405e8})
    assert curves.serving_scale(small, Modality.TEXT) == pytest.approx(10)
    assert curves.serving_scale(small, Modality.IMAGES) == 1.0


def test_one_case_only() -> None:
    result = ask("interconnect", "--case", "cautious")
    assert result.exit_code == 0
    assert "446×" not in result.output
    assert "cautious" in result.output


def test_targets_of_ones_own() -> None:
    result = ask("interconnect", "--target", "100x", "--target", "post-training:1e23/90d", "--json")
    found = Plan.model_validate_json(result.stdout)
    usual = {answer.target: answer.limits for answer in plan().targets}
    assert [answer.target for answer in found.targets] == [target("100x"), target("post-training:1e23/90d")]
    assert found.targets[0].limits == usual[target("100x")]


def test_up_and_down_apart() -> None:
    result = ask("interconnect", "--up", "10kB/s", "--down", "1MB/s", "--json")
    limit = Plan.model_validate_json(result.stdout).question.limit
    assert (limit.sent_bytes_per_s, limit.received_bytes_per_s) == (10e3, 1e6)


def test_where_nothing_works_it_says_so() -> None:
    result = ask("interconnect", "--parameters", "100T", "--tokens", "1e15")
    assert result.exit_code == 0
    line = next(line for line in result.output.splitlines() if line.split()[:1] == ["published"])
    assert "does not work" in line
    assert "none" in line


def test_a_page_is_written(tmp_path: Path) -> None:
    page = tmp_path / "sub" / "plan.html"
    result = ask("interconnect", "--html", str(page))
    assert result.exit_code == 0
    assert str(page) in result.output
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert str(tmp_path) not in page.read_text(encoding="utf-8")


def test_a_page_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = ask("interconnect", "--html", str(tmp_path / "file" / "plan.html"))
    assert isinstance(result.exception, EnvironmentError_)


# --- tables of published numbers ---------------------------------------------------------------------------------------


def test_the_example_prints_every_number_with_its_error() -> None:
    lines = ask("example").output.splitlines()
    assert len(lines) == 2 + 17
    assert all(line.endswith(" %") for line in lines[2:])
    assert any(line.split() == ["training", "need", "130.21", "GB/s", "130.2", "GB/s", "+0.01", "%"] for line in lines)


def test_published_runs_the_simulator_and_what_caps_permit() -> None:
    output = ask("published").output
    for name in ("INTELLECT-1", "Covenant-72B", "OpenDiLoCo", "DiLoCoX", "RAND", "MIRI 2024", "MIRI 2026", "Version: "):
        assert name in output
    assert max(map(len, output.splitlines())) <= 100
    found = json.loads(ask("published", "--json").stdout)
    assert set(found) == {"published", "simulator", "permitted", "simulator_version"}
    assert [row["computed"] for row in found["simulator"]] == [row.computed for row in simulator_rows()]


def test_the_simulators_rows_are_within_a_quarter_per_cent() -> None:
    assert len(simulator_rows()) == 15
    for row in simulator_rows():
        assert row.computed == pytest.approx(row.printed, rel=0.0025), row.quantity


def test_the_catalogue_of_methods() -> None:
    output = ask("interconnect", "--methods").output
    assert max(map(len, output.splitlines())) <= 100
    for method in catalogue().values():
        assert f"{method.id}: {method.title}" in " ".join(output.split())
        assert method.sources[0].document in " ".join(output.split())
    assert [m["id"] for m in json.loads(ask("interconnect", "--methods", "--json").stdout)] == list(catalogue())


def test_every_assumption_has_words() -> None:
    assert set(ASSUMPTION_WORDS) == set(Assumptions.__dataclass_fields__)


# --- joining -----------------------------------------------------------------------------------------------------------


def test_joining_prints_what_the_account_counts_with() -> None:
    output = ask("joining", "--pods", "3").output
    group = Group(pods=3, bytes_per_s=125e3, pod_flop_per_s=128 * (989.4e12 * 0.6), memory_bytes=128 * 80e9, run_flops=(1e24,),
                  case=Case.CENTRAL)  # fmt: skip
    shares = contributions(group, post_training=False)
    line = next(line for line in output.splitlines() if line.split()[:2] == ["central", "pre-training"])
    assert ", ".join(f"{100 * share:.3g}" for share in shares) in line
    found = json.loads(ask("joining", "--pods", "3", "--json").stdout)
    assert len(found) == 6
    assert next(r for r in found if (r["case"], r["kind"]) == ("central", "pre-training"))["contributions"] == list(
        shares
    )
    assert all(row["contributions"][0] == 1 for row in found)


def test_joining_credits_what_the_shipped_agreements_credit() -> None:
    assert {load_agreement(name).utilisation.max for name in shipped_agreements()} == {CREDITED}


@pytest.mark.parametrize("options", [("--chip", "abacus"), ("--memory", "0")])
def test_joining_refuses(options: tuple[str, ...]) -> None:
    assert isinstance(ask("joining", *options).exception, InputError)


# --- units -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (RATE, "125kB/s", 125e3),
        (RATE, "125 KB/s", 125e3),
        (RATE, "1Mbit/s", 125e3),
        (RATE, "1 Mbps", 125e3),
        (RATE, "400Gbit/s", 50e9),
        (RATE, "1.5MB/s", 1.5e6),
        (RATE, "2e5", 2e5),
        (RATE, ".5B/s", 0.5),
        (PARAMETERS, "405B", 405e9),
        (PARAMETERS, "405b", 405e9),
        (PARAMETERS, "7e9", 7e9),
        (TOKENS, "15.6T", 15.6e12),
        (TOKENS, "16M", 16e6),
        (SIZE, "80GB", 80e9),
        (SECONDS, "100ms", 0.1),
        (SECONDS, "48h", 172_800),
        (PERIOD, "1y", YEAR_S),
    ],
)
def test_units(kind: object, text: str, value: float) -> None:
    assert callable(kind)
    assert math.isclose(kind(text), value, rel_tol=1e-12)


@pytest.mark.parametrize(
    ("option", "text", "says"),
    [
        ("--limit", "5b/s", "'b/s' is no unit of a rate"),
        ("--limit", "125kb/s", "no unit of a rate"),
        ("--limit", "mB/s", "is not a rate"),
        ("--limit", "5mB/s", "no unit of a rate"),
        ("--limit", "1kiB/s", "no unit of a rate"),
        ("--limit", "0", "is outside"),
        ("--limit", "-5kB/s", "is not a rate"),
        ("--limit", "nan", "is not a rate"),
        ("--limit", "inf", "is not a rate"),
        ("--limit", "1e999", "is outside"),
        ("--limit", "1e17B/s", "is outside"),
        ("--limit", "", "is not a rate"),
        ("--parameters", "405Q", "no unit of a number of parameters"),
        ("--parameters", "12", "is outside"),
        ("--tokens", "many", "is not a number of tokens"),
        ("--round-trip", "3 parsecs", "no unit of a time"),
        ("--memory", "80Gb", "no unit of a size"),
        ("--pods", "0", "0 is not in the range"),
        ("--pods", "1000000", "is not in the range"),
        ("--utilisation", "1.5", "1.5 is not in the range"),
        ("--duty", "0", "is not in the range"),
        ("--target", "5q", "no unit of a number of FLOP"),
        ("--target", "100x/1y", "a slowdown has no period"),
        ("--target", "training:1e24", "is not a target"),
        ("--target", "0.5x", "is outside"),
        ("--target", "1e24/0d", "is outside"),
        ("--case", "worst", "'worst' is not one of"),
    ],
)
def test_bad_input_is_named_with_its_option(option: str, text: str, says: str) -> None:
    result = ask("interconnect", option, text)
    assert result.exit_code == 2
    assert f"Invalid value for '{option}'" in result.output
    assert says in result.output


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--chip", "abacus"), "no chip 'abacus'"),
        (("--chip", "gh200"), "no memory of gh200"),
        (("--up", "5kB/s"), "give both or neither"),
        (("--down", "5kB/s"), "give both or neither"),
        (("--limit", "1MB/s", "--up", "1MB/s", "--down", "1MB/s"), "give either"),
        (("--batch-tokens", "1T", "--tokens", "1B"), "more tokens than the run has"),
        (("--window-every", "0"), "greater than 0"),
    ],
)
def test_what_does_not_go_together_is_refused(options: tuple[str, ...], says: str) -> None:
    result = ask("interconnect", *options)
    assert isinstance(result.exception, InputError)
    assert says in str(result.exception)


def test_a_chip_without_memory_takes_one() -> None:
    result = ask("interconnect", "--chip", "gh200", "--memory", "96GB", "--json")
    assert Plan.model_validate_json(result.stdout).question.pods.memory_bytes == 128 * 96e9


def test_a_target_in_words() -> None:
    assert target("pre-training: 1e25 FLOP / 2y").period_s == 2 * YEAR_S
    assert target("1e24").kind is Kind.JOINT
    with pytest.raises(click.BadParameter):
        target("")


def test_errors_are_one_line_and_exit_2() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "inspectorate", "plan", "interconnect", "--chip", "abacus"],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.strip().count("\n") == 0
    assert done.stderr.startswith("error: --chip: ")


# --- the forward question ----------------------------------------------------------------------------------------------


def test_needs_are_those_of_the_reports_example() -> None:
    rows = {row["method"]: row for row in json.loads(ask("needs", "--case", "published", "--json").stdout)}
    assert rows["data-parallel"]["sent_bytes_per_s"] == pytest.approx(130.2e9, rel=0.001)
    assert rows["alone"]["sent_bytes_per_s"] == 0
    text = ask("needs", "--case", "published").output
    assert "130 GB/s" in text
    assert all(name in text for name in rows)


def test_needs_of_a_model_that_no_pod_holds_name_only_methods_that_cut_it() -> None:
    rows = json.loads(ask("needs", "--pods", "16", "--chips", "8", "--json").stdout)
    families = {catalogue()[row["method"]].family for row in rows} - {"alone"}
    assert families == {"pipeline", "tensor", "experts"}
