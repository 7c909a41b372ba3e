"""`inspectorate intake serve` and `intake tor` as an operator runs them: what is open, what is said, how it ends."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import web_raw as raw
from click.testing import CliRunner
from test_web_tor import ADDRESS
from web_running import NOTICE, SETTINGS, make_offices

from inspectorate.cli import cli
from inspectorate.errors import InputError
from inspectorate.keys import SigningKey
from inspectorate.ledger import Log
from inspectorate.mechanisms.whistleblowing.intake.volume import create_volume
from inspectorate.mechanisms.whistleblowing.web.config import Config

CONFIG = {
    "notice": {
        "agreement": {"en": "The Agreement"},
        "quorum": 2,
        "offices": [{"names": {"en": f"Office {n}"}} for n in range(3)],
    },
    "limits": {"upload_bytes": 1 << 20},
    "socket": "socket",
    "onion": "hostname",
    "ledger": "../log",
    "ledger_key": "../log.key",
}


def make_box(folder: Path, tick_s: float = 0.3) -> Path:
    box = folder / "box"
    settings = SETTINGS.model_copy(update={"tick_s": tick_s, "batch_s": 60.0, "blocks_per_tick": 2})
    create_volume(box, settings, make_offices().offices, SigningKey(bytes(32)))
    key = SigningKey(b"\x01" * 32)
    key.write(folder / "log.key")
    Log.create(folder / "log", "test.example/log", key).close()
    (box / "hostname").write_text(ADDRESS + "\n")
    (box / "serve.yaml").write_text(json.dumps(CONFIG))
    return box


@dataclass
class Served:
    process: subprocess.Popen[bytes]
    box: Path


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("serving")
    box = make_box(folder)
    process = subprocess.Popen(
        [sys.executable, "-m", "inspectorate", "intake", "serve", str(box)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=folder,
    )
    ends = time.monotonic() + 20
    while not (box / "socket").exists() and time.monotonic() < ends:
        time.sleep(0.02)
    yield Served(process, box)
    process.kill()
    process.wait()


def test_the_onion_address_reaches_the_pages(served: Served) -> None:
    assert raw.ask(served.box / "socket", raw.head("GET", "/en/", host=ADDRESS)).status == 200
    assert raw.ask(served.box / "socket", raw.head("GET", "/en/", host="other.onion")).status == 421
    assert ADDRESS in raw.ask(served.box / "socket", raw.get("/en/")).page


def test_an_upload_on_its_way_is_on_no_disk(served: Served) -> None:
    """No file is open but the store, the log and the socket; none of this content is in any file that it can write."""
    mark = os.urandom(16) * 20_000
    request = raw.report({"seen": "x"}, [("a.bin", mark)])
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as one:
        one.connect(str(served.box / "socket"))
        one.sendall(request[:200_000])
        time.sleep(0.1)
        opened = [os.readlink(path) for path in Path(f"/proc/{served.process.pid}/fd").iterdir() if path.is_symlink()]
        one.sendall(request[200_000:])
        assert one.recv(20).startswith(b"HTTP/1.1 200")
    ours = (str(served.box), str(served.box.parent / "log"))
    files = [name for name in opened if name.startswith("/") and not name.startswith(("/dev/", *ours))]
    assert files == []
    for path in served.box.parent.rglob("*"):
        assert not path.is_file() or mark[:16] not in path.read_bytes()


def test_it_says_where_it_listens_and_nothing_of_visitors_and_answers_what_is_on_its_way_before_it_ends(
    served: Served,
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as one:
        one.connect(str(served.box / "socket"))
        one.sendall(raw.report({"seen": "the last one"}))
        time.sleep(0.05)
        served.process.send_signal(signal.SIGTERM)
        came = b""
        while select.select([one], [], [], 10)[0] and (data := one.recv(65_536)):
            came += data
    assert came.startswith(b"HTTP/1.1 200")
    said, complained = served.process.communicate(timeout=20)
    assert served.process.returncode == 0
    assert said.decode().splitlines() == [f"listening at {served.box / 'socket'}", f"onion address: http://{ADDRESS}/"]
    assert all(line.startswith("not closed off:") for line in complained.decode().splitlines())


# --- what does not fit together -----------------------------------------------------------------------------------------


def test_pages_that_say_other_than_the_store_does_are_refused() -> None:
    offices = make_offices().offices
    good = {"notice": NOTICE.model_dump(mode="json"), "limits": {"upload_bytes": 1 << 20}}
    Config.model_validate(good).check(SETTINGS, offices, where="")
    other = good["notice"] | {"offices": [{"names": {"en": "One"}}, {"names": {"en": "Two"}}]}
    strange = good["notice"] | {
        "offices": [{"names": {"en": f"{n}"}, "recipient": offices.offices[(n + 1) % 3].recipient} for n in range(3)]
    }
    for wrong, said in (
        (good | {"limits": {"upload_bytes": 1 << 30}}, "more than"),
        (good | {"limits": {"upload_bytes": 1024, "files": 64}}, "files"),
        (good | {"notice": other}, "2 of 2 offices"), (good | {"notice": strange}, "another recipient"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=said):
            Config.model_validate(wrong).check(SETTINGS, offices, where="")


def test_what_pages_say_of_waits_and_sizes_follows_from_the_store() -> None:
    shown = Config.model_validate({"notice": NOTICE.model_dump(mode="json")}).shown(
        SETTINGS.model_copy(update={"tick_s": 4.0, "batch_s": 86_400.0}), ADDRESS
    )
    assert (shown.wait_s, shown.collected_h, shown.file_mb_max, shown.files_max, shown.onion) == (
        12,
        24,
        26,
        10,
        ADDRESS,
    )


def test_an_intake_without_a_log_does_not_start(tmp_path: Path) -> None:
    box = make_box(tmp_path)
    (box / "serve.yaml").write_text(json.dumps({name: value for name, value in CONFIG.items() if name != "ledger"}))
    done = CliRunner().invoke(cli, ["intake", "serve", str(box)])
    assert isinstance(done.exception, InputError)
    assert "no log" in str(done.exception)


@pytest.mark.tools
@pytest.mark.skipif(shutil.which("tor") is None, reason="needs tor")
def test_tor_makes_an_address_that_serve_takes(tmp_path: Path) -> None:
    done = CliRunner().invoke(
        cli, ["intake", "tor", str(tmp_path / "tor"), "--socket", str(tmp_path / "socket"), "--json"]
    )
    assert done.exit_code == 0, done.output
    made = json.loads(done.output)
    config = Config.model_validate({"notice": NOTICE.model_dump(mode="json"), "onion": made["hostname"]})
    assert config.address(tmp_path) == made["address"]
    assert made["address"] in config.hosts(made["address"])
