"""Upload mode: exactly the bytes of the listed model, and one answer of a fixed size."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import pytest
from interlock_making import LISTED, MODEL, PlainGate, Rig, post, rig, status_of

from inspectorate.mechanisms.guarantee.events import EventKind, Mode, Refusal
from inspectorate.mechanisms.guarantee.interlock.reference import UPLOAD_ANSWER_BYTES
from inspectorate.mechanisms.guarantee.interlock.upload import Quarantine, digest_header


def put(content: bytes, *, size: int | None = None, digest: str = "", extra: str = "", method: str = "PUT") -> bytes:
    digest = digest or digest_header(LISTED.content)
    head = f"{method} /guard/model HTTP/1.1\r\nHost: guard\r\nContent-Digest: {digest}\r\n{extra}"
    return f"{head}Content-Length: {len(content) if size is None else size}\r\n\r\n".encode() + content


def content_of(answer: bytes) -> bytes:
    return answer.split(b"\r\n\r\n", 1)[1]


def quarantine_is_empty(one: Rig) -> bool:
    return list(one.quarantine.iterdir()) == []


def idle() -> PlainGate:
    return PlainGate(mode=Mode.READY)


def test_the_listed_model_is_taken_and_then_served(tmp_path: Path) -> None:
    async def check() -> None:
        async with rig(tmp_path, gate=idle()) as one:
            refused = await one.talk(post({"prompt": "a", "max_tokens": 1}))
            assert status_of(refused) == 503
            answer = await one.talk(put(MODEL))
            assert status_of(answer) == 200
            assert len(content_of(answer)) == UPLOAD_ANSWER_BYTES
            assert one.gate.uploads == [(True, LISTED.content, len(MODEL))]
            (committed,) = one.loader.loaded
            assert committed.read_bytes() == MODEL
            assert list(one.quarantine.iterdir()) == [committed]
            assert committed.stat().st_mode & 0o777 == 0o600
            assert one.loader.unloads == 1
            assert status_of(await one.talk(post({"prompt": "a", "max_tokens": 1}))) == 200

    asyncio.run(check())


BYTE = b"\x00"
OTHER = MODEL[:-1] + b"\x00"


@pytest.mark.parametrize(
    ("data", "status", "kind", "seen"),
    [
        (put(MODEL + BYTE), 413, "upload-exceeded", None),
        (put(MODEL + BYTE, size=len(MODEL)), 413, "upload-exceeded", len(MODEL) + 1),
        (put(MODEL[:-1]), 403, "model-refused", None),
        (put(OTHER), 403, "model-refused", len(MODEL)),
        (put(OTHER, digest=digest_header(f"sha256:{hashlib.sha256(OTHER).hexdigest()}")), 403, "model-refused", None),
        (put(MODEL, digest="sha-256=:AAAA:"), 400, "bad-request", None),
        (put(MODEL, digest="sha-512=:AAAA:"), 400, "bad-request", None),
        (put(MODEL, method="POST"), 405, "bad-request", None),
        (put(MODEL, extra="Transfer-Encoding: chunked\r\n"), 411, "bad-request", None),
    ],
    ids=[
        "declared-more",
        "one-byte-more",
        "declared-less",
        "other-bytes",
        "other-model",
        "short",
        "sha512",
        "post",
        "te",
    ],
)
def test_anything_else_is_refused(tmp_path: Path, data: bytes, status: int, kind: str, seen: int | None) -> None:
    async def check() -> None:
        async with rig(tmp_path, gate=idle()) as one:
            answer = await one.talk(data)
            assert status_of(answer) == status
            assert f'"kind": "{kind}"'.encode() in answer
            if b"PUT" in data and status != 411:
                assert len(content_of(answer)) == UPLOAD_ANSWER_BYTES
            assert quarantine_is_empty(one)
            assert one.loader.loaded == []
            assert one.gate.mode is Mode.READY
            assert [bytes_seen for _, _, bytes_seen in one.gate.uploads] == ([] if seen is None else [seen])

    asyncio.run(check())


def test_a_byte_too_many_that_comes_late_is_refused_as_well(tmp_path: Path) -> None:
    async def check() -> None:
        async with rig(tmp_path, gate=idle()) as one:
            reader, writer = await asyncio.open_connection("127.0.0.1", one.port)
            writer.write(put(MODEL))
            await writer.drain()
            await asyncio.sleep(0.04)
            writer.write(BYTE)
            assert status_of(await reader.read(-1)) == 413
            writer.close()
            assert one.gate.uploads == [(False, LISTED.content, len(MODEL) + 1)]
            assert quarantine_is_empty(one)

    asyncio.run(check())


def test_an_upload_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    async def check() -> None:
        async with rig(tmp_path, gate=idle()) as one:
            await one.talk(put(MODEL[:1000], size=len(MODEL)), ends=True)
            ((complete, _, seen),) = one.gate.uploads
            assert (complete, seen) == (False, 1000)
            assert quarantine_is_empty(one)
            assert one.gate.mode is Mode.READY

    asyncio.run(check())


def test_a_client_that_waits_is_asked_only_for_a_listed_model(tmp_path: Path) -> None:
    async def check() -> None:
        async with rig(tmp_path, gate=idle()) as one:
            waits = "Expect: 100-continue\r\n"
            reader, writer = await asyncio.open_connection("127.0.0.1", one.port)
            writer.write(put(b"", size=len(MODEL), extra=waits))
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100")
            writer.write(MODEL)
            assert status_of(await reader.read(-1)) == 200
            writer.close()
            other = await one.talk(put(b"", size=5, extra=waits))
            assert status_of(other) == 403
            assert b" 100 " not in other

    asyncio.run(check())


def test_nothing_is_served_while_a_model_comes_in_and_open_streams_end(tmp_path: Path) -> None:
    async def check() -> None:
        async with rig(tmp_path) as one:
            reader, writer = await asyncio.open_connection("127.0.0.1", one.port)
            writer.write(put(MODEL[:1000], size=len(MODEL)))
            await asyncio.sleep(0.05)
            assert one.gate.mode is Mode.UPLOADING
            assert status_of(await one.talk(post({"prompt": "a", "max_tokens": 1}))) == 503
            second = await one.talk(put(MODEL))
            writer.write(MODEL[1000:])
            assert status_of(await reader.read(-1)) == 200
            assert status_of(second) == 409
            writer.close()

    asyncio.run(check())


def test_a_halt_within_an_upload_ends_it(tmp_path: Path) -> None:
    async def check() -> None:
        async with rig(tmp_path, gate=idle()) as one:
            reader, writer = await asyncio.open_connection("127.0.0.1", one.port)
            writer.write(put(MODEL[:1000], size=len(MODEL)))
            await asyncio.sleep(0.05)
            one.gate.turn(Mode.HALTED, Refusal(kind=EventKind.HALTED_BY_HAND, why="test"))
            async with asyncio.timeout(1):
                answer = await reader.read(-1)
            assert status_of(answer) == 503
            assert b"halted-by-hand" in answer
            assert quarantine_is_empty(one)
            writer.close()

    asyncio.run(check())


def test_a_server_that_does_not_start_is_told_to_the_gate(tmp_path: Path) -> None:
    async def check() -> None:
        async with rig(tmp_path, gate=idle()) as one:
            one.loader.fails = True
            answer = await one.talk(put(MODEL))
            assert status_of(answer) == 503
            assert one.gate.why_unloaded == "the server does not start"
            assert one.gate.mode is Mode.READY

    asyncio.run(check())


def test_a_committed_model_is_hashed_again_before_it_is_trusted(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path)
    assert quarantine.find(LISTED) is None
    incoming = quarantine.incoming(LISTED.size_bytes)
    incoming.write(MODEL)
    incoming.finish()
    place = quarantine.commit(LISTED)
    assert quarantine.find(LISTED) == place
    place.write_bytes(OTHER)
    assert quarantine.find(LISTED) is None
    (tmp_path / "incoming.part").write_bytes(b"left over")
    Quarantine(tmp_path)
    assert not (tmp_path / "incoming.part").exists()
