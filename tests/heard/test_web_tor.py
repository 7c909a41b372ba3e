"""The onion service: its configuration is taken by tor, its address is real, and what is too old or odd is refused."""

from __future__ import annotations

import shutil
import stat
from pathlib import Path

import pytest

from inspectorate.errors import EnvironmentError_, InputError
from inspectorate.mechanisms.whistleblowing.web import tor

ADDRESS = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion"
"""torproject.org as an onion service."""


def program(folder: Path, version: str, modules: str = "pow: yes", verdict: str = "Configuration was valid") -> str:
    """Something that speaks as tor does."""
    path = folder / "tor"
    path.write_text(
        f'#!/bin/sh\ncase "$1" in --version) echo "{version}";; --list-modules) echo "{modules}";; *) echo "{verdict}";; esac\n'
    )
    path.chmod(0o755)
    return str(path)


def settings(folder: Path) -> tor.TorSettings:
    return tor.TorSettings(data=str(folder / "data"), socket=str(folder / "socket"))


def test_the_configuration_offers_nothing_but_the_onion_service(tmp_path: Path) -> None:
    lines = [line for line in tor.torrc(settings(tmp_path)).splitlines() if line and not line.startswith("#")]
    options = dict(line.split(" ", 1) for line in lines)
    assert len(options) == len(lines)
    assert {name: options[name] for name in ("SocksPort", "ControlPort", "ORPort")} == dict.fromkeys(
        ("SocksPort", "ControlPort", "ORPort"), "0"
    )
    assert options["HiddenServicePort"] == f"80 unix:{tmp_path}/socket"
    assert options["HiddenServicePoWDefensesEnabled"] == options["HiddenServiceEnableIntroDoSDefense"] == "1"
    assert options["Log"] == "warn stderr"
    assert not any("file" in line for line in lines)


@pytest.mark.parametrize("path", ["relative", "/a b", '/a"b', "/a\nSocksPort 9050", "/" + "a" * 300, "/a#b"])
def test_a_path_that_tor_could_read_otherwise_is_refused(path: str, tmp_path: Path) -> None:
    with pytest.raises(InputError):
        tor.torrc(tor.TorSettings(data=path, socket=str(tmp_path / "socket")))


@pytest.mark.parametrize(
    ("version", "modules", "said"),
    [
        ("Tor version 0.4.7.16.", "pow: yes", "proof of work"),
        ("Tor version 0.4.8.10.", "pow: no", "built without"),
        ("something else", "pow: yes", "version"),
    ],
)
def test_a_tor_without_its_defences_is_refused(version: str, modules: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(EnvironmentError_, match=said):
        tor.tor_version(program(tmp_path, version, modules))


def test_what_tor_does_not_take_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentError_, match="Unknown option"):
        tor.verify_config(program(tmp_path, "", verdict="Unknown option"), tmp_path / "torrc")
    with pytest.raises(EnvironmentError_, match="cannot be started"):
        tor.tor_version(str(tmp_path / "absent"))
    with pytest.raises(EnvironmentError_, match="no onion address"):
        tor.make_address(program(tmp_path, ""), tmp_path / "torrc", settings(tmp_path), within_s=1.0)


def test_addresses() -> None:
    tor.check_address(ADDRESS, where="")
    for wrong in (ADDRESS.replace("2gz", "2gy"), ADDRESS[:-6], "example.onion", ADDRESS.upper(), ""):
        with pytest.raises(InputError):
            tor.check_address(wrong, where="")


def test_a_file_that_holds_no_address_is_refused(tmp_path: Path) -> None:
    (tmp_path / "hostname").write_bytes(b"\xff" * 300)
    with pytest.raises(InputError):
        tor.read_address(tmp_path / "hostname")
    with pytest.raises(InputError, match="cannot be read"):
        tor.read_address(tmp_path / "absent")


@pytest.mark.tools
@pytest.mark.skipif(shutil.which("tor") is None, reason="needs tor")
def test_a_real_tor_takes_the_configuration_and_makes_the_address(tmp_path: Path) -> None:
    own, config = settings(tmp_path), tmp_path / "torrc"
    config.write_text(tor.torrc(own))
    assert tor.tor_version("tor") >= tor.TOR_MIN
    tor.verify_config("tor", config)
    address = tor.make_address("tor", config, own)
    assert tor.make_address("tor", config, own) == address, "the keys are kept"
    assert stat.S_IMODE(own.service.stat().st_mode) == 0o700
    config.write_text(tor.torrc(own).replace("HiddenServiceVersion 3", "HiddenServiceVersion 2"))
    with pytest.raises(EnvironmentError_, match="does not take it"):
        tor.verify_config("tor", config)
