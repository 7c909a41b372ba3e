"""`inspectorate replay` to its end: what was drawn is run again, and what came of it is stated."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import Result
from draw_cases import ANCHORS, INSPECTOR, PROVER, START
from test_draw_commands import Site, drawn
from tokens_made import model, write_model, write_run

from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence import PacketsReplayed, ReplayMethod
from inspectorate.evidence.exchange import Exchange
from inspectorate.keys import TrustAnchors
from inspectorate.mechanisms.inspection.results import Outcome, ReplayReport
from inspectorate.mechanisms.inspection.transcripts.folder import FolderReader, content_of
from inspectorate.mechanisms.inspection.transcripts.folder_writer import FolderWriter
from inspectorate.quantities import to_ns


@dataclass
class Served(Site):
    """A site that serves a declared model, honestly or not."""

    def verify(self, *more: str | Path) -> Result:
        return self.run(
            "verify", self.root / "run", "--from", self.root / "prover", "--as", "ada", "--model", self.root / "model",
            *more, *self.verifier, "--json",
        )  # fmt: skip


def site_of(root: Path, *, served_by: int) -> Served:
    """One packet, served by the model of a seed; the declared one is that of seed 1. Its time is put into the keys' validity."""
    made = write_run(root / "made", None, served_by=model(served_by))
    writer = FolderWriter.create(root / "run", made.header, durable=False)
    reader = FolderReader(made.folder)
    (packet,) = made.packets.values()
    for digest in content_of(packet):
        writer.add_bytes(reader.read_bytes(digest))
    start = to_ns(START)
    writer.add_packet(packet.model_copy(update={"start_ns": start, "end_ns": start + 10**9}))
    writer.close()
    write_model(root / "model")
    PROVER.write(root / "prover.pem")
    INSPECTOR.write(root / "ada.pem")
    (root / "anchors.json").write_bytes(ANCHORS.canonical_bytes())
    site = Served(root)
    site.promise("secret", "--count", "3", "--method", "time")
    site.commit(*site.named())
    assert drawn(site.challenge()) == [0]
    return site


@pytest.mark.parametrize(("served_by", "outcome", "code"), [(1, Outcome.MATCHED, 0), (2, Outcome.DIFFERED, 20)])
def test_answers_that_were_drawn_are_run_again_and_stated(
    tmp_path: Path, served_by: int, outcome: Outcome, code: int
) -> None:
    site = site_of(tmp_path, served_by=served_by)
    assert isinstance(site.verify().exception, EvidenceError), "nothing was opened yet"
    assert site.open().exit_code == 0
    told = site.verify()
    assert told.exit_code == code, (told.output, told.exception)
    found = json.loads(told.output)
    assert (found[outcome.value], [one["outcome"] for one in found["report"]["results"]]) == (1, [outcome.value])
    mine = Exchange(tmp_path / "verifier", anchors=TrustAnchors.read(tmp_path / "anchors.json"))
    ((statement, said),) = mine.of(PacketsReplayed)
    assert (statement.digest, said.drawn, said.method) == (found["statement"], found["drawn"], ReplayMethod.EXACT)
    results = mine.payload(statement.statement.subject[0].digest_text)
    assert ReplayReport.parse(json.loads(results), where="test", error=InputError).results[0].outcome is outcome
    assert isinstance(site.verify().exception, EvidenceError), "a draw is run again once"


def test_what_is_needed_and_not_given_is_said(tmp_path: Path) -> None:
    site = site_of(tmp_path, served_by=1)
    site.open()
    for more in (("--method", "difr"), ("--method", "exact", "--drawn", "sha256:" + 64 * "0")):
        assert isinstance(site.verify(*more).exception, InputError | EvidenceError), more
    no_model = site.run(
        "verify", tmp_path / "run", "--from", tmp_path / "prover", "--as", "ada", *site.verifier, "--json"
    )
    assert isinstance(no_model.exception, InputError)
