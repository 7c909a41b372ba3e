"""The control socket: one line each way, bounded, and no authority."""

from __future__ import annotations

import asyncio
import json
import socket
import stat
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from inspectorate.errors import EnvironmentError_, InputError
from inspectorate.mechanisms.guarantee.processor.control import Answer, ask, document_of, listening


async def _echo(request: Mapping[str, object]) -> Answer:
    if request["do"] == "fail":
        raise InputError("cannot", where="order")
    return {"ok": True, "did": str(request["do"]), "bytes": len(document_of(request)) if "document" in request else 0}


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A socket that is answered in a thread of its own."""
    path = tmp_path / "control"
    loop = asyncio.new_event_loop()
    started, stop = threading.Event(), asyncio.Event()

    async def serve() -> None:
        async with listening(path, _echo):
            started.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    started.wait(5)
    yield path
    loop.call_soon_threadsafe(stop.set)
    thread.join(5)
    loop.close()
    assert not path.exists()


def said(place: Path, data: bytes) -> dict[str, object]:
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(5)
        line.connect(str(place))
        line.sendall(data)
        line.shutdown(socket.SHUT_WR)
        with line.makefile("rb") as file:
            found = json.loads(file.read())
    assert isinstance(found, dict)
    return found


def test_a_file_in_the_place_of_the_socket_is_refused_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "guard.yaml"
    path.write_text("reporter: guard-1")

    async def serve() -> None:
        async with listening(path, _echo):
            raise AssertionError("it listens in the place of a file")

    with pytest.raises(EnvironmentError_, match="no socket"):
        asyncio.run(serve())
    assert path.read_text() == "reporter: guard-1"


def test_an_order_is_answered_and_the_socket_is_its_owners_only(place: Path) -> None:
    assert ask(place, do="status") == {"ok": True, "did": "status", "bytes": 0}
    assert ask(place, do="apply", document=b"12345")["bytes"] == 5
    assert stat.S_IMODE(place.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "data", [b"", b"\n", b"{", b"[]\n", b'{"do": 1}\n', b'{"do":"a","do":"b"}\n', b"\xff\xfe\n", b"9" * 100]
)
def test_what_is_no_order_gets_an_error_and_harms_nothing(place: Path, data: bytes) -> None:
    assert said(place, data)["ok"] is False
    assert ask(place, do="status")["ok"] is True


def test_a_line_without_end_is_not_kept(place: Path) -> None:
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(5)
        line.connect(str(place))
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            line.sendall(b"x" * 12_000_000)
    assert ask(place, do="status")["ok"] is True


def test_a_refused_order_says_why(place: Path) -> None:
    assert "cannot" in str(ask(place, do="fail")["error"])
    assert "no document" in str(ask(place, do="apply", document="not base64!")["error"])


def test_nobody_there_is_an_error_of_the_environment(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentError_, match="no guarantee processor answers"):
        ask(tmp_path / "nothing", do="status")
