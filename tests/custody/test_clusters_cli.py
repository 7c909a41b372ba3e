"""`register clusters` and `register tables` as a person uses them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from inspectorate.cli import cli
from inspectorate.errors import InputError
from inspectorate.mechanisms.custody.clusters.purposes import read_purposes

HEADER = "serial,model,site,cluster,pod,rack,host,owner,state"


def server(host: str, site: str, *, chips: int = 8, serials: str = "") -> list[str]:
    return [f"{serials or host}-{n},h100-sxm,{site},c,p,r,{host},acme,working" for n in range(chips)]


def written(path: Path, *servers: list[str]) -> str:
    path.write_text("\n".join((HEADER, *(row for rows in servers for row in rows))) + "\n", encoding="utf-8")
    return str(path)


def run(*words: str) -> Result:
    return CliRunner().invoke(
        cli, ["register", *words, "--as-of", "2026-11-01"] if words[0] == "clusters" else ["register", *words]
    )


@pytest.fixture
def register(tmp_path: Path) -> str:
    offices = [server(f"h{site}-{n}", f"office-{site}") for site in range(2) for n in range(2)]
    return written(tmp_path / "register.csv", *offices)


def test_clusters_step_by_step_and_with_a_wire(register: str, tmp_path: Path) -> None:
    apart = run("clusters", register, "--agreement", "asi-agreement")
    assert apart.exit_code == 0, apart.output
    assert "2 not covered" in apart.output
    assert "is not strictly above 16" in apart.output
    wires = tmp_path / "wires.csv"
    wires.write_text("host,other,bits_per_s\nh0-0,switch,40000000000\nh1-0,switch,40000000000\n", encoding="utf-8")
    joined = run("clusters", register, "--agreement", "asi-agreement", "--wiring", str(wires), "--json")
    facts = json.loads(joined.output)
    assert facts["outcomes"] == {"covered": 1, "not-covered": 0, "unknown": 0}
    link = next(one for one in facts["judged"][0]["joins"] if one["kind"] == "bandwidth")
    assert (link["between"], link["over"], link["bits_per_s"]) == (["h0-0", "h1-0"], ["switch"], 40e9)


def test_purposes_join_and_faults_are_named(register: str, tmp_path: Path) -> None:
    purposes = tmp_path / "purposes.csv"
    purposes.write_text("purpose,host\nservice,h0-0\nservice,h1-1\n", encoding="utf-8")
    found = run("clusters", register, "--agreement", "asi-agreement", "--purposes", str(purposes))
    assert "2 hosts are said to work together: service" in found.output
    purposes.write_text("purpose,host\nservice,nobody\n", encoding="utf-8")
    wrong = run("clusters", register, "--agreement", "asi-agreement", "--purposes", str(purposes))
    assert isinstance(wrong.exception, InputError)
    beyond = run("clusters", register, "--agreement", "asi-agreement", "--explain", "9")
    assert isinstance(beyond.exception, InputError)


def test_rotation_between_two_registers_calls_for_a_look(tmp_path: Path) -> None:
    first = written(tmp_path / "one.csv", server("a", "s0", serials="x"), server("b", "s1", serials="y"),
                    server("c", "s0", serials="z"))  # fmt: skip
    second = written(tmp_path / "two.csv", server("a", "s1", serials="x"), server("b", "s0", serials="y"),
                     server("c", "s0", serials="z"))  # fmt: skip
    found = run("clusters", second, "--agreement", "asi-agreement", "--earlier", f"2026-10-01={first}", "--rotated-days", "60",
                "--link", "125kB/s")  # fmt: skip
    assert found.exit_code == 10, found.output
    assert "rotated: 24 chips at s0" in found.output
    assert "positions of these sites are not declared" in found.output


def test_tables_agree() -> None:
    found = run("tables")
    assert found.exit_code == 0
    assert "0 of 7 rows and 22 cells differ" in found.output
    assert len(json.loads(run("tables", "--json").output)["runs"]) == 24


@pytest.mark.parametrize(
    "data", [b"", b"purpose,host\n", b"host,purpose\na,b\n", b"purpose,host\na\n", b"\xff", b"purpose,host\na,\n"]
)
def test_purposes_that_are_none_are_refused(data: bytes) -> None:
    with pytest.raises(InputError):
        read_purposes(data, "purposes.csv")
