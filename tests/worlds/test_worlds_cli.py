"""`inspectorate worlds`: what is written can be read again, by the product's own loaders."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

from inspectorate.agreement import load_agreement
from inspectorate.cli.worlds import worlds
from inspectorate.evidence import Bundle
from inspectorate.keys import TrustAnchors
from inspectorate.worlds import CATALOGUE, build_world
from inspectorate.worlds.custody_catalogue import KEPT
from inspectorate.worlds.guard_catalogue import GUARDED
from inspectorate.worlds.heard_catalogue import HEARD
from inspectorate.worlds.inspection_catalogue import INSPECTED


def test_list_names_every_world() -> None:
    result = CliRunner().invoke(worlds, ["list", "--json"])
    assert result.exit_code == 0
    assert [item["name"] for item in json.loads(result.stdout)] == [*CATALOGUE, *GUARDED, *INSPECTED, *HEARD, *KEPT]


def test_make_writes_a_site_that_opens(tmp_path: Path) -> None:
    out = tmp_path / "site"
    result = CliRunner().invoke(worlds, ["make", "relayed", "--seed", "3", "--out", str(out)], catch_exceptions=False)
    assert result.exit_code == 0
    assert "inspectorate review" in result.stdout
    world = build_world("relayed", 3)
    anchors = TrustAnchors.read(out / "anchors.yaml")
    assert anchors == world.anchors
    assert load_agreement(str(out / "agreement.yaml")) == world.agreement
    assert Bundle.open(out / "site.tar", anchors=anchors).entries.keys() | {"manifest.json"} == world.contents.keys()
    truth = json.loads((out / "truth.json").read_text())
    assert truth["guilty"] == list(world.truth.guilty)
    assert truth["simulated"] is True
    for name in ("anchors.yaml", "agreement.yaml"):
        assert (out / name).read_text().startswith("# Simulated")


def test_rates_counts_and_judges(tmp_path: Path) -> None:
    arguments = ["rates", "--honest", "2", "--cheats", "0", "--broken", "0", "--json"]
    result = CliRunner().invoke(worlds, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    printed = json.loads(result.stdout)
    assert printed["rows"][0]["label"] == "all honest"
    assert printed["rows"][0]["worlds"] == 2
    assert printed["within_allowance"] is True


def test_nothing_to_measure_is_refused() -> None:
    result = CliRunner().invoke(worlds, ["rates", "--honest", "0", "--cheats", "0", "--broken", "0"])
    assert result.exit_code == 2
