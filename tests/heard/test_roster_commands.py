"""`inspectorate interview` from promise to verify, as two parties that hand each other folders, with each refusal."""

from __future__ import annotations

import base64
import csv
import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from roster_cases import ANCHORS, DAY, HOUR, INSPECTOR, PROVER, rows

from inspectorate.agreement import InterviewedStaff
from inspectorate.canonical import digest_of
from inspectorate.cli.interview import interview
from inspectorate.cli.options import now
from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence import VisitsHeld
from inspectorate.evidence.exchange import Exchange
from inspectorate.keys import SigningKey
from inspectorate.mechanisms.interviews.roster.faults import Fault, Found
from inspectorate.mechanisms.interviews.roster.opening import check_opening
from inspectorate.mechanisms.interviews.roster.people import Row


def table(path: Path, people: tuple[Row, ...]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("pseudonym", "role", "stratum"))
        writer.writerows((row.pseudonym, row.role, row.stratum) for row in people)
    return path


@dataclass
class Site:
    """Folders and keys of both parties."""

    root: Path

    def run(self, *words: object) -> Result:
        return CliRunner().invoke(interview, [str(word) for word in words])

    def done(self, *words: object, code: int = 0) -> dict[str, object]:
        result = self.run(*words, "--json")
        assert result.exit_code == code, (result.output, result.exception)
        found = json.loads(result.output)
        assert isinstance(found, dict)
        return found

    def party(self, folder: str, key: str) -> list[object]:
        return ["--out", self.root / folder, "--key", self.root / key, "--anchors", self.root / "anchors.json"]

    @property
    def prover(self) -> list[object]:
        return self.party("prover", "prover.pem")

    @property
    def verifier(self) -> list[object]:
        return self.party("verifier", "ada.pem")

    def promise(self, *more: object, name: str = "secret") -> dict[str, object]:
        given = more or ("--number", "operations=3", "--reach", "research=2:0.9", "--replacements", "1")
        keep = ("--keep", self.root / name)
        return self.done("promise", "--reporter", "staff-a", *given, "--as", "ada", *keep, *self.verifier)

    def commit(self, *more: object, name: str = "roster-1", people: tuple[Row, ...] | None = None) -> Result:
        start = now() - DAY if "--from" not in more else None
        times = () if start is None else ("--from", start.isoformat(), "--until", (start + 30 * DAY).isoformat())
        return self.run(
            "commit", table(self.root / f"{name}.csv", people or rows()), "--roster", name, "--reporter", "staff-a", *times,
            *more, "--promises", self.root / "verifier", "--keep", self.root / f"{name}.kept", *self.prover, "--json",
        )  # fmt: skip

    def draw(self, *more: object, secret: str = "secret") -> Result:
        kept = ("--keep", self.root / secret)
        return self.run("draw", "--from", self.root / "prover", "--as", "ada", *kept, *more, *self.verifier, "--json")

    def open(self, *more: object, name: str = "roster-1") -> Result:
        return self.run(
            "open", self.root / f"{name}.kept", "--from", self.root / "verifier", *more, *self.prover, "--json"
        )

    def held(self, *more: object, code: int = 0) -> dict[str, object]:
        start = (now() - HOUR).isoformat()
        files = ("--form", self.root / "form", "--records", self.root / "records", "--from-time", start)
        return self.done(
            "held", "--from", self.root / "prover", "--as", "ada", *files, *more, *self.verifier, code=code
        )

    def verify(self, *more: object) -> Result:
        both = (self.root / "verifier", self.root / "prover")
        return self.run("verify", *both, "--anchors", self.root / "anchors.json", *more, "--json")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    for name, key in (("prover.pem", PROVER), ("ada.pem", INSPECTOR)):
        key.write(tmp_path / name)
    (tmp_path / "anchors.json").write_text(ANCHORS.model_dump_json())
    (tmp_path / "form").write_text("the form")
    (tmp_path / "records").write_text("sealed")
    return Site(tmp_path)


def drawn_of(result: Result) -> list[int]:
    assert result.exit_code == 0, (result.output, result.exception)
    found = json.loads(result.output)["drawn"]
    assert isinstance(found, list)
    return found


def test_the_whole_journey_with_a_refusal_and_its_replacement(site: Site) -> None:
    promised = site.promise()
    assert promised["statement"] == json.loads(site.commit().output)["promise"]
    drawn = drawn_of(site.draw())
    # Of 8 researchers 2 know: 5 reach one with 0.89, 6 with 0.96.
    assert len(drawn) == 3 + 6
    waiting = site.verify()
    assert waiting.exit_code == 10, waiting.output
    opened = json.loads(site.open().output)["opened"]
    assert sorted(map(int, opened)) == drawn
    first = site.held("--refused", drawn[0], code=20)
    assert (first["refused"], first["heard"]) == ([drawn[0]], drawn[1:])
    again = drawn_of(site.draw("--replaces", first["statement"]))
    assert len(again) == 1
    assert again[0] not in drawn
    assert site.open().exit_code == 0
    second = site.held(code=0)
    result = site.verify()
    assert result.exit_code == 20, result.output
    draws = json.loads(result.output)["draws"]
    assert [(one["fair"], one["faults"]) for one in draws] == [(True, []), (True, [])]
    assert [one["refused"] for one in draws] == [[drawn[0]], []]
    assert site.run(
        "verify", site.root / "verifier", site.root / "prover", "--anchors", site.root / "anchors.json"
    ).output
    # Nobody is missing of the second draw; the first was replaced; and there is no second first draw.
    for words, why in (
        (("--replaces", second["statement"]), "nobody is to be drawn"), (("--replaces", first["statement"]), "redrawn"),
        ((), "redrawn"), (("--replaces", drawn[0]), "not there"),
    ):  # fmt: skip
        refused = site.draw(*words)
        assert why in str(refused.exception), refused.output


def test_no_name_and_no_undrawn_pseudonym_leaves_the_prover(site: Site) -> None:
    site.promise()
    site.commit()
    drawn = drawn_of(site.draw())
    shown = set(json.loads(site.open().output)["opened"].values())
    handed = b"".join(path.read_bytes() for path in (site.root / "prover").rglob("*") if path.is_file())
    hidden = {row.pseudonym for row in rows()} - shown
    assert len(hidden) == 20 - len(drawn)
    assert not [name for name in hidden if f'"{name}"'.encode() in handed]
    assert all(f'"{name}"'.encode() in handed for name in shown)
    assert (site.root / "roster-1.kept").stat().st_mode & 0o077 == 0


def test_who_is_not_opened_is_caught(site: Site) -> None:
    site.promise()
    site.commit()
    drawn = drawn_of(site.draw("--answer-hours", "1"))
    assert json.loads(site.open("--refuse", drawn[2]).output)["refused"] == [drawn[2]]
    assert site.verify().exit_code == 10
    late = site.verify("--at", (now() + DAY).isoformat())
    assert late.exit_code == 20
    (row,) = json.loads(late.output)["draws"]
    assert row["unopened"] == [drawn[2]]
    assert [(one["fault"], one["side"], one["entry"]) for one in row["faults"]] == [("not-opened", "prover", drawn[2])]


def test_a_name_that_is_dropped_from_the_handed_over_list_is_caught(site: Site) -> None:
    site.promise()
    committed = json.loads(site.commit().output)
    drawn_of(site.draw())
    site.open()
    (path,) = [
        path for path in (site.root / "prover" / "payloads").iterdir() if b"stratum_of" in path.read_bytes()
    ]  # fmt: skip
    whole = json.loads(path.read_bytes())
    for column in ("persons", "roles", "stratum_of"):
        del whole[column][3]
    path.write_bytes(json.dumps(whole, separators=(",", ":"), sort_keys=True).encode())
    result = site.verify()
    assert result.exit_code == 30
    (row,) = json.loads(result.output)["draws"]
    assert [one["fault"] for one in row["faults"]] == ["roster-unreadable"]
    assert row["roster"] == committed["statement"]


def test_a_second_roster_for_one_time_is_not_drawn_from(site: Site) -> None:
    site.promise()
    site.promise(name="other")
    assert site.commit().exit_code == 0
    shorter = rows({"operations": 11, "research": 8})
    refused = site.commit(name="roster-2", people=shorter)
    assert isinstance(refused.exception, InputError)
    # From another folder the prover's own command does not see the first; the verifier does, once both are there.
    shutil.move(site.root / "prover", site.root / "first")
    assert site.commit(name="roster-2", people=shorter).exit_code == 0
    shutil.copytree(site.root / "first", site.root / "prover", dirs_exist_ok=True)
    for secret in ("secret", "other"):
        result = site.draw(secret=secret)
        assert isinstance(result.exception, EvidenceError), result.output
    assert "rosters" in str(site.draw().exception) or "roster-repeated" in str(site.draw().exception)


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (("--number", "a=1", "--number", "a=2"), "every stratum once"),
        ((), "every stratum once"),
        (("--number", "a=-1"), "greater than or equal to 0"),
        (("--number", "a"), "unable to parse"),
        (("--reach", "a=1:2"), "less than 1"),
        (("--reach", "a=0:0.5"), "greater than or equal to 1"),
        (("--number", "a b=1"), "pattern"),
    ],
)
def test_selections_that_make_no_sense_are_refused_in_words(site: Site, words: tuple[str, ...], match: str) -> None:
    keep = ("--keep", site.root / "secret")
    result = site.run("promise", "--reporter", "staff-a", *words, "--as", "ada", *keep, *site.verifier)
    assert isinstance(result.exception, InputError)
    assert match in str(result.exception)


def test_visits_are_scheduled_and_attended(site: Site) -> None:
    site.promise()
    site.commit()
    drawn = json.loads(site.draw().output)["statement"]
    (site.root / "questions").write_text("what did you see?")
    start = now() - 3 * DAY
    folders = (
        "--verifier",
        site.root / "verifier",
        "--prover",
        site.root / "prover",
        "--anchors",
        site.root / "anchors.json",
    )
    given = ("--drawn", drawn, "--questions", site.root / "questions", "--out", site.root / "visits")
    times = ("--from", start.isoformat(), "--until", (start + 2 * DAY).isoformat())
    result = site.run("visits", "schedule", *folders, *given, *times, "--minutes", "60", "--rooms", "2")
    assert result.exit_code == 0, (result.output, result.exception)
    assert (site.root / "visits" / "visits.ics").read_bytes().count(b"BEGIN:VEVENT") == 20
    assert len(list((site.root / "visits" / "entries").iterdir())) == 20
    cramped = site.run("visits", "schedule", *folders, *given, *times, "--minutes", "600")
    assert isinstance(cramped.exception, InputError)
    again = site.run("visits", "schedule", *folders, *given, *times, "--minutes", "60", "--rooms", "3")
    assert "is not empty" in str(again.exception)
    attended = ("--came", "0-16,19", "--excused", "17=ill", "--keep", site.root / "attendance")
    words = ("visits", "held", site.root / "visits" / "schedule.json", "--from", site.root / "prover", "--as", "ada")
    found = site.done(*words, *attended, *site.verifier, code=20)
    assert (found["came"], found["excused"], found["missing"]) == (18, 1, [18])
    exchange = Exchange(site.root / "verifier", anchors=ANCHORS)
    ((_, said),) = exchange.of(VisitsHeld)
    assert (said.due, said.came, said.excused) == (20, 18, 1)
    assert not (site.root / "verifier" / "payloads" / "attendance").exists()
    twice = site.run(*words, *attended, *site.verifier)
    assert isinstance(twice.exception, InputError)
    for came in ("25", "3-", "x", "0-16,16", "-1"):
        wrong = site.run(*words, "--came", came, "--keep", site.root / "more", *site.party("new", "ada.pem"))
        assert isinstance(wrong.exception, InputError), came


def test_changes_from_roster_to_roster(site: Site) -> None:
    site.promise()
    assert site.commit().exit_code == 0
    site.promise(name="second")
    # An operator leaves, a researcher joins, another becomes an operator; the salts of the rest stay.
    before = rows()
    after = (
        *before[1:-1], before[-1].model_copy(update={"stratum": "operations"}), *rows({"research": 1}, first=50)
    )  # fmt: skip
    start = now() + 40 * DAY
    times = ("--from", start.isoformat(), "--until", (start + DAY).isoformat(), "--before", site.root / "roster-1.kept")
    result = site.commit(*times, name="roster-2", people=after)
    assert result.exit_code == 0, (result.output, result.exception)
    (site.root / "badges").write_text('{"monday": 19, "tuesday": 23}')
    (site.root / "seen").write_text('["ope-1", "ope-99"]')
    more = ("--badges", site.root / "badges", "--seen", site.root / "seen", "--kept", site.root / "roster-2.kept")
    words = ("changes", site.root / "prover", "--reporter", "staff-a", *more, "--anchors", site.root / "anchors.json")
    found = site.done(*words, code=10)
    (step,) = found["steps"]  # type: ignore[misc]
    assert (len(step["left"]), len(step["joined"]), step["stayed"]) == (1, 1, 19)
    assert [moved[2:] for moved in step["moved"]] == [["research", "operations"]]
    assert found["more_badges"] == [{"when": "tuesday", "badges": 23, "people": 20}]
    assert found["unlisted"] == ["ope-99"]
    assert "left" in site.run(*words).output


def test_sizes_are_planned_for_published_and_for_own_numbers(site: Site) -> None:
    published = site.done("plan", "--published")["draws"]
    assert [row["all_heard"] for row in published] == [9, 6, 4]  # type: ignore[attr-defined, index]
    assert "worst case" in site.run("plan", "--people", "300", "--knowing", "3").output
    agreed = site.done("plan", "--people", "40", "--agreement", "inference-only-heard")["draws"]
    assert agreed
    assert isinstance(site.run("plan", "--people", "10").exception, InputError)
    assert "cannot know" in str(site.run("plan", "--people", "10", "--knowing", "20").exception)


def test_a_key_of_another_cannot_speak(site: Site) -> None:
    site.promise()
    (site.root / "prover.pem").unlink()
    other = SigningKey(b"\x09" * 32)
    other.write(site.root / "prover.pem")
    refused = site.commit().exception
    assert isinstance(refused, InputError)
    assert "no trust anchor" in str(refused)
    assert not (site.root / "prover").exists()
    # Nor where a party trusts itself.
    believed = site.root / "anchors.json"
    ours = believed.read_text()
    believed.write_text(ours.replace(*(base64.b64encode(key.public.raw).decode() for key in (PROVER, other))))
    assert site.commit().exit_code == 0
    believed.write_text(ours)
    result = site.draw()
    assert isinstance(result.exception, EvidenceError)
    assert "set aside" in str(result.exception)


def test_what_was_set_aside_is_never_a_success(site: Site) -> None:
    for name in ("verifier", "prover"):
        (site.root / name / "statements").mkdir(parents=True)
    (site.root / "verifier" / "statements" / "1.json").write_bytes(b"{}")
    assert "1.json" in str(site.verify().exception)
    (site.root / "verifier" / "statements" / "1.json").unlink()
    site.promise()
    site.commit()
    changes = ("changes", site.root / "prover", "--reporter", "staff-a", "--anchors", site.root / "anchors.json")
    alone = site.run(*changes)
    assert (alone.exit_code, "there is one roster" in alone.output) == (0, True)
    site.draw()
    site.open()
    site.held()
    assert site.verify().exit_code == 0
    (site.root / "prover" / "statements" / "0.json").write_bytes(b"{}")
    for result in (site.verify(), site.run(*changes)):
        assert result.exit_code == 30
        assert "0.json" in result.output


def test_what_the_agreement_says_of_forms_and_time_is_held_against_a_round(site: Site) -> None:
    agreed = InterviewedStaff.model_validate(
        {
            "kind": "interviewed-staff", "held_every_s": 1, "answer_within_s": 3600, "forms": [digest_of(b"the form")],
            "strata": [{"id": name, "knowing_min": 2, "reach_min": 0.5} for name in ("operations", "research")],
            "unheard_share_max": 0.1,
        }
    )  # fmt: skip
    site.promise()
    site.commit()
    site.draw()
    site.open()
    site.held()
    for change, code, fault in (
        ({}, 0, ""), ({"forms": (digest_of(b"another"),)}, 20, "form-other"),
        ({"answer_within_s": 1e6}, 30, "answer-too-soon"),
    ):  # fmt: skip
        with pytest.MonkeyPatch.context() as patch:
            terms = agreed.model_copy(update=change)
            patch.setattr("inspectorate.cli.interview_verify.agreed_clause", lambda _, terms=terms: terms)
            result = site.verify("--agreement", "agreed")
        assert result.exit_code == code, (fault, result.output, result.exception)
        assert fault in result.output


def test_a_person_behind_two_entries_is_no_success(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.promise()
    site.commit()
    site.draw()
    site.open()
    site.held()
    twice = Found(fault=Fault.PERSON_TWICE, detail="entries 1 and 2 are one person", entry=2)
    monkeypatch.setattr(
        "inspectorate.cli.interview_verify.check_opening",
        lambda *given, **more: replace(check_opening(*given, **more), faults=(twice,)),
    )
    assert site.verify().exit_code == 30
