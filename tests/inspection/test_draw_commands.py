"""`inspectorate replay` from promise to check, as two parties that hand each other folders, with each refusal."""

from __future__ import annotations

import base64
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from draw_cases import ANCHORS, HEADER, INSPECTOR, PROVER, packets

from inspectorate.cli.replay import replay
from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence.exchange import Exchange
from inspectorate.keys import SigningKey
from inspectorate.ledger import Log
from inspectorate.mechanisms.inspection.transcripts.folder_writer import FolderWriter


@dataclass
class Site:
    """Folders and keys of both parties."""

    root: Path

    def run(self, *words: str | Path) -> Result:
        return CliRunner().invoke(replay, [str(word) for word in words])

    def done(self, *words: str | Path) -> dict[str, object]:
        result = self.run(*words, "--json")
        assert result.exit_code == 0, (result.output, result.exception)
        found = json.loads(result.output)
        assert isinstance(found, dict)
        return found

    @property
    def prover(self) -> list[str | Path]:
        return [
            "--out",
            self.root / "prover",
            "--key",
            self.root / "prover.pem",
            "--anchors",
            self.root / "anchors.json",
        ]

    @property
    def verifier(self) -> list[str | Path]:
        return [
            "--out",
            self.root / "verifier",
            "--key",
            self.root / "ada.pem",
            "--anchors",
            self.root / "anchors.json",
        ]

    def promise(self, name: str = "secret", *more: str) -> dict[str, object]:
        count = more or ("--count", "6", "--method", "packets")
        return self.done(
            "promise", "--reporter", "jobs-a", *count, "--as", "ada", "--keep", self.root / name, *self.verifier
        )

    def commit(self, *more: str | Path) -> dict[str, object]:
        return self.done("commit", self.root / "run", "--claim", "claim-1", "--reporter", "jobs-a", *more, *self.prover)

    def named(self) -> list[str | Path]:
        return ["--promises", self.root / "verifier"]

    def challenge(self, *more: str | Path, secret: str = "secret") -> Result:
        kept = ["--keep", self.root / secret] if secret else []
        return self.run(
            "challenge", "--from", self.root / "prover", "--as", "ada", *kept, *more, *self.verifier, "--json"
        )

    def open(self, *more: str) -> Result:
        return self.run("open", self.root / "run", "--from", self.root / "verifier", *more, *self.prover, "--json")

    def check(self, *more: str) -> Result:
        return self.run(
            "check",
            self.root / "prover",
            self.root / "verifier",
            "--anchors",
            self.root / "anchors.json",
            "--json",
            *more,
        )


@pytest.fixture
def site(tmp_path: Path) -> Site:
    writer = FolderWriter.create(tmp_path / "run", HEADER, durable=False)
    for packet in packets():
        writer.add_packet(packet)
    writer.close()
    PROVER.write(tmp_path / "prover.pem")
    INSPECTOR.write(tmp_path / "ada.pem")
    (tmp_path / "anchors.json").write_bytes(ANCHORS.canonical_bytes())
    return Site(tmp_path)


def drawn(result: Result) -> list[int]:
    assert result.exit_code == 0, (result.output, result.exception)
    found = json.loads(result.output)["packets"]
    assert isinstance(found, list)
    return found


def test_from_promise_to_check(site: Site) -> None:
    promise = site.promise()
    commitment = site.commit(*site.named())
    assert (commitment["promise"], commitment["packets"], commitment["final"]) == (promise["statement"], 20, True)
    assert (site.root / "secret").stat().st_mode & 0o777 == 0o600
    numbers = drawn(site.challenge())
    assert len(numbers) == 6
    assert site.check().exit_code == 10
    opened = site.open()
    assert opened.exit_code == 0, opened.exception
    assert json.loads(opened.output)["opened"] == numbers
    result = site.check()
    (row,) = json.loads(result.output)["draws"]
    assert (result.exit_code, row["fair"], row["order_of_times"], row["faults"]) == (0, True, "named", [])
    # Six clean of twenty alike: at most 7 dirty at 5 %, since C(12, 6)/C(20, 6) = 0.024 and C(13, 6)/C(20, 6) = 0.044.
    assert row["dirty_share_if_rest_is_clean"] == pytest.approx(6 / 20)
    # As text, too; nothing secret has left the verifier's folder.
    text = site.run("check", site.root / "prover", site.root / "verifier", "--anchors", site.root / "anchors.json")
    assert "named" in text.output


def test_a_refused_packet_counts_as_dirty(site: Site) -> None:
    site.promise()
    site.commit(*site.named())
    numbers = drawn(site.challenge())
    # Of training the packet after a refused one would be lost as well.
    refused = next(number for number in numbers if number + 1 not in numbers)
    opened = site.open("--refuse", str(refused))
    assert json.loads(opened.output)["refused"] == [refused]
    assert site.check().exit_code == 10
    late = site.check("--at", "2150-01-01T00:00:00Z")
    (row,) = json.loads(late.output)["draws"]
    assert (late.exit_code, row["refused"]) == (20, [refused])
    assert [one["fault"] for one in row["faults"]] == ["not-opened"]


def test_only_what_was_drawn_can_be_refused(site: Site) -> None:
    site.promise()
    site.commit(*site.named())
    numbers = drawn(site.challenge())
    other = min(set(range(20)) - set(numbers))
    assert isinstance(site.open("--refuse", str(other)).exception, InputError)


def test_stretch_by_stretch_each_with_a_promise_of_its_own(site: Site) -> None:
    first, second = site.promise("one"), site.promise("two")
    commitments = [site.commit("--packets", "8", *site.named()), site.commit(*site.named())]
    assert [one["promise"] for one in commitments] == [first["statement"], second["statement"]]
    assert [(one["sequence"], one["packets"], one["final"]) for one in commitments] == [(0, 8, False), (1, 12, True)]
    assert max(drawn(site.challenge(secret="one"))) < 8 <= min(drawn(site.challenge(secret="two")))
    assert isinstance(site.open().exception, EvidenceError)  # which of the two?
    for one in Exchange(site.root / "verifier", anchors=ANCHORS).statements:
        if "packets" in type(one.predicate).model_fields:
            assert site.open("--drawn", one.digest).exit_code == 0
    assert site.check().exit_code == 0
    assert "in full" in str(site.run("commit", site.root / "run", "--claim", "claim-1", "--reporter", "jobs-a",
                                     *site.prover).exception)  # fmt: skip


def test_a_promise_is_used_once(site: Site) -> None:
    site.promise()
    site.commit("--packets", "8", *site.named())
    again = site.run(
        "commit", site.root / "run", "--claim", "claim-1", "--reporter", "jobs-a", *site.named(), *site.prover
    )
    assert "no promise" in str(again.exception)
    drawn(site.challenge())
    fault = str(site.challenge().exception)
    assert "secret-reused" in fault
    assert "redrawn" in fault
    # The second commitment names no promise; a secret that is known now cannot draw from it.
    rest = site.commit()
    fault = str(site.challenge("--commitment", str(rest["statement"])).exception)
    assert "secret-reused" in fault
    assert "promise-after" in fault


def test_a_secret_that_was_never_promised(site: Site) -> None:
    site.promise()
    commitment = site.commit(*site.named())
    shutil.rmtree(site.root / "verifier" / "statements")
    assert isinstance(site.challenge("--commitment", str(commitment["statement"])).exception, InputError)


def test_a_list_that_was_exchanged(site: Site) -> None:
    site.promise()
    site.commit(*site.named())
    (payload,) = (site.root / "prover" / "payloads").iterdir()
    payload.write_bytes(payload.read_bytes().replace(b"run-1", b"run-2"))
    assert "list-unreadable" in str(site.challenge().exception)


def test_a_commitment_by_a_stranger_is_set_aside(site: Site) -> None:
    site.promise()
    stranger = SigningKey(b"\x09" * 32)
    stranger.write(site.root / "stranger.pem")
    words = (
        "commit", site.root / "run", "--claim", "claim-1", "--reporter", "jobs-a", *site.named(), "--out",
        site.root / "prover", "--key", site.root / "stranger.pem", "--anchors",
    )  # fmt: skip
    refused = site.run(*words, site.root / "anchors.json").exception
    assert isinstance(refused, InputError)
    assert "no trust anchor" in str(refused)
    own = site.root / "own.json"
    ours, theirs = (base64.b64encode(key.public.raw) for key in (PROVER, stranger))
    own.write_bytes(ANCHORS.canonical_bytes().replace(ours, theirs))
    site.done(*words, own)
    fault = site.challenge().exception
    assert isinstance(fault, EvidenceError)
    assert "set aside" in str(fault)


def test_a_draw_that_is_not_fair_is_not_answered(site: Site) -> None:
    """The verifier signs a draw of other packets than the secret gives: by hand, since the command refuses it."""
    site.promise()
    site.commit(*site.named())
    drawn(site.challenge())
    payloads = site.root / "verifier" / "payloads"
    for path in payloads.iterdir():
        path.write_bytes(path.read_bytes() + b" ")
    fault = site.open().exception
    assert isinstance(fault, EvidenceError)
    assert "randomness-unreadable" in str(fault)
    assert site.check().exit_code == 30


def test_a_folder_of_another_run_is_not_opened(site: Site) -> None:
    site.promise()
    site.commit(*site.named())
    drawn(site.challenge())
    shutil.rmtree(site.root / "run")
    writer = FolderWriter.create(site.root / "run", HEADER.model_copy(update={"optimiser": "adam"}), durable=False)
    for packet in packets():
        writer.add_packet(packet)
    assert "header" in str(site.open().exception)


def test_the_plan_gives_the_number_of_points(site: Site) -> None:
    facts = site.promise("secret", "--dirty-share", "0.01", "--miss", "0.05", "--strata", "4")
    assert facts["selection"] == {"method": "time", "count": 300, "strata": 4}
    both = site.run("promise", "--reporter", "jobs-a", "--as", "ada", "--keep", site.root / "other", *site.verifier)
    assert isinstance(both.exception, InputError)
    kept = site.run(
        "promise", "--reporter", "jobs-a", "--count", "3", "--as", "ada", "--keep", site.root / "secret", *site.verifier
    )
    assert "cannot be written" in str(kept.exception)


def test_digests_stand_in_the_ledger(site: Site) -> None:
    log_key = SigningKey(b"\x07" * 32)
    log_key.write(site.root / "log.pem")
    with Log.create(site.root / "log", "example.org/log", log_key):
        pass
    site.done("promise", "--reporter", "jobs-a", "--count", "3", "--as", "ada", "--keep", site.root / "secret", *site.verifier,
              "--ledger", site.root / "log", "--ledger-key", site.root / "log.pem")  # fmt: skip
    with Log.open(site.root / "log", log_key) as log:
        assert log.size == 1


def test_wrong_use_of_the_beacon(site: Site) -> None:
    site.commit()
    (site.root / "round.json").write_text('{"round": 1, "signature": "00"}')
    for more in (["--round", site.root / "round.json"], []):
        assert isinstance(site.challenge(*more, secret="").exception, InputError)  # type: ignore[arg-type]
    wrong = ["--round", site.root / "round.json", "--received", "2024-11-01T00:30:00Z", "--count", "4"]
    assert isinstance(site.challenge(*wrong, secret="").exception, InputError)  # type: ignore[arg-type]


def test_links_and_other_names_in_a_folder_are_set_aside(site: Site) -> None:
    site.promise()
    statements = site.root / "verifier" / "statements"
    (statements / "link.json").symlink_to(site.root / "anchors.json")
    (statements / "junk.json").write_text("{}")
    (statements / "folder.json").mkdir()
    found = Exchange(site.root / "verifier", anchors=ANCHORS)
    assert (len(found.statements), len(found.set_aside)) == (1, 3)
    with pytest.raises(InputError):
        Exchange(site.root / "run", anchors=ANCHORS)
