"""A keeper, two inspectors and an office at the command line, each with a folder of their own."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from register_histories import chip, table

from inspectorate.agreement import load_agreement
from inspectorate.cli import cli
from inspectorate.errors import InspectorateError
from inspectorate.evidence.exchange import Exchange
from inspectorate.keys import SigningKey, TrustAnchors
from inspectorate.mechanisms.custody.register import read_register
from inspectorate.mechanisms.custody.register.faults import Fault
from inspectorate.mechanisms.custody.register.judge import Terms, judge
from inspectorate.mechanisms.custody.register.reading import read_books
from inspectorate.mechanisms.custody.register.reference import COLUMNS

CSV = ",".join(COLUMNS) + "\n"
PEOPLE = (("keeper-a", "sensor", "prover"), ("ada", "inspector", "verifier"), ("bob", "inspector", "verifier"),
          ("own", "inspector", "prover"))  # fmt: skip


def rows(*serials: str, site: str = "site-a", state: str = "working") -> str:
    return "".join(f"{one},h100-sxm,{site},c-1,{site}-p,rack 1,host 1,owner,{state}\n" for one in serials)


class Table:
    """Who sits around it, with keys, anchors and folders."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        anchors = []
        for number, (name, role, holder) in enumerate(PEOPLE, start=1):
            key = SigningKey(bytes([number]) * 32)
            key.write(folder / f"{name}.pem")
            sensors = {"sensors": [name]} if role == "sensor" else {}
            anchors.append({
                "name": name, "public_key": base64.b64encode(key.public.raw).decode(), "holder": holder, "roles": [role],
                "valid_from": "2020-01-01T00:00:00Z", "valid_until": "2190-01-01T00:00:00Z", **sensors,
            })  # fmt: skip
        (folder / "anchors.yaml").write_text(yaml.safe_dump({"anchors": anchors}))
        (folder / "declaration.yaml").write_text(yaml.safe_dump({
            "id": "d", "party": "party-a", "period": {"start": "2026-01-01T00:00:00Z", "end": "2190-01-01T00:00:00Z"},
            "sites": [{"id": "site-a", "location": "Here", "clusters": [{"id": "c-1", "pods": [
                {"id": "site-a-p", "chips": [{"model": "h100-sxm", "count": 3}], "networks": ["10.0.0.0/24"]}]}]}],
        }))  # fmt: skip

    def file(self, name: str, text: str) -> Path:
        (self.folder / name).write_text(text)
        return self.folder / name

    def run(self, *words: object) -> Result:
        return CliRunner().invoke(cli, [str(word) for word in words])

    def by(self, who: str, *words: object) -> dict[str, Any]:
        """Run a command that signs, and read its result."""
        ran = self.run(*words, "--key", self.folder / f"{who}.pem", "--anchors", self.folder / "anchors.yaml",
                       "--out", self.folder / f"out-{who}", "--json")  # fmt: skip
        if isinstance(ran.exception, InspectorateError):
            raise ran.exception
        assert ran.exit_code == 0, ran.output
        found: dict[str, Any] = json.loads(ran.output)
        return found

    def check(self, *people: str, as_of: str = "2026-09-01") -> tuple[int, dict[str, Any]]:
        ran = self.run("register", "check", *(self.folder / f"out-{who}" for who in people), "--anchors",
                       self.folder / "anchors.yaml", "--agreement", "asi-agreement", "--as-of", as_of, "--json")  # fmt: skip
        if isinstance(ran.exception, InspectorateError):
            raise ran.exception
        return ran.exit_code, json.loads(ran.output)

    def hand(self, text: str, at: str, *more: object) -> dict[str, Any]:
        path = self.file(f"inventory-{at}.csv", CSV + text)
        return self.by(
            "keeper-a", "register", "hand", path, "--unwired", "--reporter", "keeper-a", "--standing-at", at, *more
        )


@pytest.fixture
def around(tmp_path: Path) -> Table:
    return Table(tmp_path)


FIRST = ("--chain", "r-1", "--since", "2026-01-01")


def faults(facts: dict[str, Any]) -> list[str]:
    return [one["fault"] for own in facts["registers"] for one in own["faults"]]


def test_a_register_its_changes_and_its_faults(around: Table) -> None:
    first = around.hand(rows("S1", "S2", "S3"), "2026-02-01", *FIRST)
    assert (first["sequence"], first["chips"], first["previous"]) == (0, 3, None)
    path = around.file("new.csv", CSV + rows("S4"))
    around.by(
        "keeper-a", "register", "acquire", path, "--seller", "maker", "--reporter", "keeper-a", "--at", "2026-03-01"
    )
    broken = around.file("broken.txt", "S1\n")
    around.by(
        "keeper-a", "register", "report", broken, "--state", "broken", "--reporter", "keeper-a", "--at", "2026-03-02"
    )
    ended = around.file("ended.txt", "S2\n")
    around.by("ada", "register", "destroy", ended, "--reporter", "keeper-a", "--means", "shredded", "--as", "ada",
              "--at", "2026-03-03")  # fmt: skip
    second = around.hand(rows("S1", state="broken") + rows("S3", "S4"), "2026-04-01")
    assert second["previous"] == first["statement"]
    code, facts = around.check("keeper-a", "ada", as_of="2026-12-01T00:00:00Z")
    late = [one for one in faults(facts) if one not in {"first-late", "update-late"}]
    assert (late, code) == ([], 20), "handed over today, months after the first was due"
    (own,) = facts["registers"]
    assert own["balances"][1] | {"as_of": ""} == {
        "sequence": 1, "as_of": "", "opening": 3, "acquired": 1, "destroyed": 1, "away": 0, "under_way": 0,
        "closing": 3, "compared": True,
    }  # fmt: skip
    without, facts = around.check("keeper-a", as_of="2026-12-01T00:00:00Z")
    assert (without, [one for one in faults(facts) if "late" not in one]) == (20, ["vanished"])
    name = second["payloads"]["register"].removeprefix("sha256:")
    payload = around.folder / "out-keeper-a" / "payloads" / name
    assert len(read_register(payload.read_bytes())) == 3
    payload.chmod(0o600)
    payload.write_bytes(b"PAR1")
    code, facts = around.check("keeper-a", "ada", as_of="2026-12-01T00:00:00Z")
    assert [one for one in faults(facts) if "late" not in one] == ["register-unread"]


def test_transfers_at_the_command_line(around: Table) -> None:
    around.hand(rows("S1", "S2"), "2026-02-01", *FIRST)
    chips, why = around.file("chips.txt", "S1\nS2\n"), around.file("why.txt", "asked the carrier")
    soon = (datetime.now(UTC) + timedelta(days=13)).isoformat()
    notice = ("register", "transfer", "notify", chips, "--transfer", "t-1", "--from-site", "site-a", "--to-site", "site-b",
              "--reporter", "keeper-a", "--begins")  # fmt: skip
    with pytest.raises(InspectorateError, match="less than 14 days"):
        around.by("keeper-a", *notice, soon, "--agreement", "asi-agreement")
    told = around.by("keeper-a", *notice, soon)
    for who, answer in (("ada", "--approve"), ("own", "--refuse")):
        decided = around.by(who, "register", "transfer", "decide", told["statement"], "--from", around.folder / "out-keeper-a",
                            answer, "--grounds", why, "--keep", around.folder / f"kept-{who}", "--as", who)  # fmt: skip
        assert (decided["chips"], decided["approved"]) == (2, answer == "--approve")
    assert b"carrier" in (around.folder / "kept-ada").read_bytes()
    with pytest.raises(InspectorateError, match="holds 0 notices"):
        around.by("keeper-a", "register", "transfer", "move", "sha256:00", "--left", "--reporter", "keeper-a")
    other = around.file("other.txt", "S3\n")
    with pytest.raises(InspectorateError, match="does not list S3"):
        around.by("keeper-a", "register", "transfer", "move", told["statement"], "--left", "--serials", other,
                  "--reporter", "keeper-a")  # fmt: skip
    move = ("register", "transfer", "move", told["statement"], "--reporter", "keeper-a", "--seal", "seal-1")
    left = around.by("keeper-a", *move, "--left")
    one = around.file("one.txt", "S1\n")
    assert (left["chips"], around.by("keeper-a", *move, "--arrived", "--serials", one)["chips"]) == (2, 1)
    now = datetime.now(UTC).isoformat()
    code, facts = around.check("keeper-a", "ada", "own", as_of=now)
    assert code == 20
    assert sorted(one for one in faults(facts) if one not in {"first-late", "update-late"}) == [
        "left-early",
        "notice-short",
    ]
    assert facts["registers"][0]["under_way"][0]["chips"] == 1


def test_signers_and_what_cannot_be_stated(around: Table) -> None:
    with pytest.raises(InspectorateError, match="--since"):
        around.hand(rows("S1"), "2026-02-01", "--chain", "r-1")
    with pytest.raises(InspectorateError, match="twice"):
        around.hand(rows("S1", "S1"), "2026-02-01", *FIRST)
    around.hand(rows("S1"), "2026-02-01", *FIRST)
    with pytest.raises(InspectorateError, match="later time"):
        around.hand(rows("S1"), "2026-02-01", "--since", "2026-01-15")
    with pytest.raises(InspectorateError, match="goes on"):
        around.hand(rows("S1"), "2026-03-01", "--chain", "another")
    ended = around.file("ended.txt", "S1\n")
    around.by("own", "register", "destroy", ended, "--reporter", "keeper-a", "--means", "lost", "--as", "own")
    anchors = TrustAnchors.read(around.folder / "anchors.yaml")
    folders = [Exchange(around.folder / name, anchors=anchors) for name in ("out-keeper-a", "out-own")]
    statements = [one for folder in folders for one in folder.statements]
    books = read_books(statements, "keeper-a", payload=folders[0].payload)
    assert [one.fault for one in books.found] == [Fault.CHANGE_UNREAD]
    agreement = load_agreement("asi-agreement")
    clause = next(one for one in agreement.clauses if one.id == "chip-register")
    end = datetime.now(UTC)
    terms = Terms(clause=clause.parameters, holds_from=end - timedelta(days=1), as_of=end)  # type: ignore[arg-type]
    both = read_books(statements, "keeper-a", payload=lambda one: _either(folders, one))
    assert [one.fault for one in judge(both, terms).found] == [Fault.CERTIFICATE_OWN]


def _either(folders: Sequence[Exchange], digest: str) -> bytes:
    name = digest.removeprefix("sha256:")
    folder = next(one for one in folders if (one.path / "payloads" / name).exists())
    return folder.payload(digest)


def test_tables_against_each_other_and_against_a_declaration(around: Table) -> None:
    before = around.file("before.csv", CSV + rows("S1", "S2", "S3"))
    after = around.file("after.csv", CSV + rows("S1") + rows("S3", site="site-b") + rows("S9"))
    ran = around.run("register", "check", before, after, "--json")
    assert (ran.exit_code, sorted(faults(json.loads(ran.output)))) == (20, ["appeared", "elsewhere", "vanished"])
    new, gone = around.file("new.csv", CSV + rows("S9")), around.file("gone.txt", "S2\n")
    ran = around.run("register", "check", before, after, "--acquired", new, "--destroyed", gone)
    assert ran.exit_code == 20
    assert "elsewhere: from site-a to site-b (1 chips: S3)" in ran.output
    assert around.run("register", "check", before, before).exit_code == 0
    declared = around.folder / "declaration.yaml"
    assert around.run("register", "compare", before, declared).exit_code == 0
    ran = around.run("register", "compare", after, declared, "--json")
    assert ran.exit_code == 20
    assert [(one["pod"], one["declared"], one["registered"]) for one in json.loads(ran.output)["differences"]] == [
        ("site-a-p", 3, 2), ("site-b-p", 0, 1),
    ]  # fmt: skip
    shown = json.loads(around.run("register", "show", after, "--by", "site", "--json").output)
    assert shown["groups"] == [["site-a", 2], ["site-b", 1]]
    assert shown["chips"] == len(table([chip("S1")])) * 3


def test_challenge_inspections_at_the_command_line(around: Table) -> None:
    why = around.file("why.txt", "satellite images")
    common = ("--declaration", around.folder / "declaration.yaml", "--agreement", "asi-agreement", "--site", "site-a",
              "--text", why)  # fmt: skip
    asked = around.by("ada", "custody", "access", "request", *common, "--as", "ada", "--keep", around.folder / "k1")
    assert (asked["number"], asked["of"], asked["party"]) == (1, 20, "party-a")
    joined = around.by("bob", "custody", "access", "request", *common, "--as", "bob", "--keep", around.folder / "k2",
                       "--known", around.folder / "out-ada", "--join", asked["request"])  # fmt: skip
    assert (joined["request"], joined["number"]) == (asked["request"], 1)
    second = around.by("bob", "custody", "access", "request", *common, "--as", "bob", "--keep", around.folder / "k3",
                       "--known", around.folder / "out-ada")  # fmt: skip
    assert second["number"] == 2
    with pytest.raises(InspectorateError, match="no site"):
        around.by("ada", "custody", "access", "request", *common, "--site", "site-z", "--as", "ada", "--keep", "k")
    log = ("custody", "access", "log", asked["statement"], "--text", why, "--as", "ada", "--step")
    around.by("ada", *log, "arrived", "--keep", around.folder / "k4")
    around.by("ada", *log, "refused", "--keep", around.folder / "k5", "--exits-inspected", 3)
    show = ("custody", "access", "show", around.folder / "out-ada", around.folder / "out-bob", "--agreement", "asi-agreement",
            "--anchors", around.folder / "anchors.yaml", "--party", "party-a")  # fmt: skip
    nobody = around.run(*show[:-1], "party-z")
    assert (nobody.exit_code, nobody.output) == (30, "no requests to party-z\n")
    ran = around.run(*show, "--json")
    found = json.loads(ran.output)
    assert ran.exit_code == 20
    assert [(one["number"], one["outcome"], one["exits_inspected"]) for one in found["cases"]] == [
        (1, "refused", 3), (2, "pending", 0),
    ]  # fmt: skip
    by_name = ("custody", "access", "log", asked["request"], *log[4:])
    around.by("ada", *by_name, "admitted", "--keep", around.folder / "k6")
    ran = around.run(*show)
    assert ran.exit_code == 10
    assert f"{asked['request']}  site-a: granted" in ran.output
