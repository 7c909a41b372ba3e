"""Location from the command line: region, map, statement and verdict, of files as landmarks write them."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from location_cases import DEVICE, INSPECTOR, LANDMARKS, LEAST_MS, pings

from inspectorate.cli import cli
from inspectorate.mechanisms.custody.location.record import OfLandmark, RoundTrips

KEY = base64.b64encode(DEVICE.public.raw).decode()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, ms in LEAST_MS.items():
        one = RoundTrips(device="beacon-a", landmarks=(OfLandmark(landmark=name, pings=pings(name, (ms + 1, ms))),))
        (tmp_path / f"{name}.json").write_bytes(one.canonical_bytes())
    known = "\n".join(
        f"  - {{name: {name}, latitude_deg: {one.position.latitude_deg}, longitude_deg: {one.position.longitude_deg}}}"
        for name, one in LANDMARKS.items()
    )
    (tmp_path / "landmarks.yaml").write_text(f"landmarks:\n{known}\n")
    INSPECTOR.write(tmp_path / "ada.pem")
    public = base64.b64encode(INSPECTOR.public.raw).decode()
    (tmp_path / "anchors.yaml").write_text(
        f"anchors:\n  - {{name: ada, public_key: '{public}', holder: verifier, roles: [inspector], "
        "valid_from: 2020-01-01T00:00:00Z, valid_until: 2190-01-01T00:00:00Z}\n"
    )
    (tmp_path / "declaration.yaml").write_text(DECLARATION.replace("KEY", KEY))
    return tmp_path


DECLARATION = """
id: fleet
party: p
period: {start: 2024-11-01T00:00:00Z, end: 2024-12-01T00:00:00Z}
sites:
  - id: north
    location: near the sea
    position: {latitude_deg: 52.0, longitude_deg: 5.0}
    clusters:
      - id: c
        pods:
          - {id: pod-a, chips: [{model: h100-sxm, count: 8}], networks: [10.0.0.0/24]}
    reporters:
      - {id: beacon-a, kind: located, holder: prover, pods: [pod-a], key: "KEY"}
"""


def run(folder: Path, *words: str, code: int = 0) -> Result:
    result = CliRunner().invoke(cli, ["custody", "locate", *(word.replace("@", f"{folder}/") for word in words)])
    assert result.exit_code == code, (result.output, result.exception)
    return result


FILES = tuple(f"@{name}.json" for name in LEAST_MS)


def test_a_region_its_map_and_its_exit_codes(folder: Path) -> None:
    known = ("--landmarks", "@landmarks.yaml", "--key", KEY)
    said = json.loads(
        run(folder, "region", *FILES, *known, "--declared", "52,5", "--geojson", "@map.json", "--json").stdout
    )
    assert said["regions"]["vacuum"]["standing"] == "within"
    assert json.loads((folder / "map.json").read_text())["features"][0]["geometry"]["type"] == "MultiPolygon"
    run(folder, "region", *FILES, *known, "--declared", "52,5", "--within-km", "10", code=10)
    text = run(folder, "region", *FILES, *known, "--declared", "40,5", code=20).stdout
    assert "away from where it is declared" in text
    other = base64.b64encode(INSPECTOR.public.raw).decode()
    run(folder, "region", *FILES, "--landmarks", "@landmarks.yaml", "--key", other, "--declared", "52,5", code=10)
    for declared in ("north", "91,0", "52"):
        run(folder, "region", *FILES, *known, "--declared", declared, code=1)


def test_a_statement_is_signed_and_judged_by_the_declaration(folder: Path) -> None:
    sign = ("--as", "ada", "--out", "@out", "--key", "@ada.pem", "--anchors", "@anchors.yaml", "--json")
    run(folder, "state", *FILES, *sign)
    judge = ("--anchors", "@anchors.yaml", "--landmarks", "@landmarks.yaml", "--declaration", "@declaration.yaml")
    said = json.loads(run(folder, "verify", "@out", *judge, "--json").stdout)
    assert said["measured"][0]["regions"]["vacuum"]["standing"] == "within"
    assert said["measured"][0]["faults"] == []
    run(folder, "verify", "@out", *judge, "--within-km", "100", code=10)
    run(folder, "state", "@east.json", *sign)  # the same round trips stated a second time: neither stands
    again = json.loads(run(folder, "verify", "@out", *judge, "--json", code=10).stdout)
    assert {one["fault"] for row in again["measured"] for one in row["faults"]} >= {"nonce-reused"}


def test_nobody_answers_an_address_that_is_none(folder: Path) -> None:
    words = ("--device", "d", "--key", KEY, "--landmark", "l", "--out", "@x.json", "--pings", "1", "--timeout", "0.05")
    run(folder, "probe", "nowhere", *words, code=1)
    run(folder, "probe", "127.0.0.1:1", *words, code=10)


def test_what_routes_usually_mean_is_said_apart(folder: Path) -> None:
    rows = "".join(f"{100 * n},{n * (0.74 + 0.02 * (n % 3)):.2f}\n" for n in range(1, 61))
    (folder / "routes.csv").write_text("distance_km,round_trip_ms\n" + rows)
    words = ("--landmarks", "@landmarks.yaml", "--key", KEY, "--declared", "52,5", "--json")
    plain = json.loads(run(folder, "region", *FILES, *words).stdout)
    found = json.loads(run(folder, "region", *FILES, *words, "--routes", "@routes.csv", "--confidence", "0.8").stdout)
    assert {name: value for name, value in found.items() if name != "usually"} == plain
    assert found["usually"]["confidence"] == 0.8
    assert found["usually"]["radius_m"] < plain["regions"]["vacuum"]["radius_m"]
    for text, words_of in (("distance_km,round_trip_ms\n1,x\n", "line 2"), ("a,b\n", "other columns"),
                           ("distance_km,round_trip_ms\n1,1\n", "1 routes were measured")):  # fmt: skip
        (folder / "routes.csv").write_text(text)
        fault = run(folder, "region", *FILES, *words, "--routes", "@routes.csv", code=1).exception
        assert words_of in str(fault)
