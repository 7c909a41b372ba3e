"""The witness: the status codes of C2SP tlog-witness, its memory across crashes, and a real second process."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from faulty_disk import Crash, FaultyDisk
from hypothesis import given, settings
from hypothesis import strategies as st

from inspectorate.errors import EnvironmentError_, EvidenceError, InputError
from inspectorate.keys import LedgerAnchor, SigningKey
from inspectorate.ledger import KeyKind, MemoryLog, Policy, VerifierKey, Witness, WitnessAddress, cosigned_checkpoint
from inspectorate.ledger.checkpoint import Checkpoint
from inspectorate.ledger.merkle import EMPTY_ROOT
from inspectorate.ledger.note import Note, NoteSignature
from inspectorate.ledger.witness import REQUEST_BYTES_MAX, Reply, Request
from inspectorate.ledger.witness_http import WitnessServer, post_request

ORIGIN, NAME = "example.org/log", "w.example"
KEY, WITNESS = SigningKey(b"\x0b" * 32), SigningKey(b"\x0c" * 32)
LOG_KEY = VerifierKey.of(KEY, name=ORIGIN, kind=KeyKind.LOG)
WITNESS_KEY = VerifierKey.of(WITNESS, name=NAME, kind=KeyKind.WITNESS)
ANCHOR = LedgerAnchor(origin=ORIGIN, key=LOG_KEY.text, witnesses=(WITNESS_KEY.text,), witnesses_min=1)
TIME_S = 1_700_000_000


def make_log(size: int, *, mark: bytes = b"") -> MemoryLog:
    """A log; `mark` makes its entries from the fourth on different."""
    log = MemoryLog(ORIGIN, KEY)
    for i in range(size):
        log.append([b"%d" % i + (mark if i >= 3 else b"")])
    return log


def make_witness(disk: FaultyDisk | None = None) -> Witness:
    return Witness(disk or FaultyDisk(), WITNESS, name=NAME, logs=[LOG_KEY], clock_s=lambda: TIME_S)


def ask(witness: Witness, log: MemoryLog, old: int, new: int, *, proof: tuple[bytes, ...] | None = None) -> Reply:
    proof = log.consistency(old, new) if proof is None else proof
    return witness.add_checkpoint(bytes(Request(old_size=old, proof=proof, checkpoint=log.checkpoint(new))))


def test_a_growing_log_is_cosigned_at_every_size() -> None:
    witness, log = make_witness(), make_log(20)
    for old, new in [(0, 0), (0, 1), (1, 4), (4, 4), (4, 7), (7, 20)]:
        reply = ask(witness, log, old, new)
        assert reply.status == 200
        verified = Policy.from_anchor(ANCHOR).verify(log.checkpoint(new) + reply.body.encode())
        assert (verified.checkpoint.size, verified.cosignatures[0].time_s) == (new, TIME_S)
        latest = witness.latest(ORIGIN)
        assert latest
        assert latest.size == new


def test_the_status_codes_are_those_of_the_specification() -> None:
    witness, log, fork = make_witness(), make_log(9), make_log(9, mark=b"!")
    assert ask(witness, log, 0, 7).status == 200

    def sent(body: bytes) -> int:
        return witness.add_checkpoint(body).status

    good = bytes(Request(old_size=7, proof=log.consistency(7, 9), checkpoint=log.checkpoint(9)))
    foreign, stranger = MemoryLog("example.org/other", KEY), MemoryLog(ORIGIN, WITNESS)
    assert sent(good.replace(b"old 7", b"old 07")) == 400
    assert sent(good.replace(b"old 7\n", b"")) == 400
    assert sent(b"") == 400
    assert sent(good + b"x" * REQUEST_BYTES_MAX) == 400
    assert sent(good.replace(b"\n9\n", b"\n09\n")) == 400
    assert sent(bytes(Request(old_size=0, proof=(), checkpoint=foreign.checkpoint()))) == 404
    assert sent(bytes(Request(old_size=0, proof=(), checkpoint=stranger.checkpoint()))) == 403
    assert sent(good.replace(b"\n9\n", b"\n8\n")) == 403
    assert ask(witness, log, 9, 7, proof=()).status == 400
    assert ask(witness, log, 7, 9, proof=()).status == 422
    assert ask(witness, fork, 7, 9).status == 422
    assert ask(witness, log, 7, 7, proof=(EMPTY_ROOT,)).status == 422
    for reply in (ask(witness, log, 4, 9), ask(witness, log, 0, 5), ask(witness, fork, 7, 7)):
        assert (reply.status, reply.body, reply.content_type) == (409, "7\n", "text/x.tlog.size")
    assert sent(good) == 200


def test_a_fork_at_the_recorded_size_is_kept_as_proof() -> None:
    disk = FaultyDisk()
    witness, log, fork = make_witness(disk), make_log(7), make_log(7, mark=b"!")
    assert ask(witness, log, 0, 7).status == 200
    for _ in range(2):
        assert ask(witness, fork, 7, 7).status == 409
    kept = [data for path, data in disk.seen.items() if path.startswith("conflicts/")]
    assert kept == [log.checkpoint() + b"\n" + fork.checkpoint()]


def test_a_cosignature_is_released_only_after_its_checkpoint_is_recorded() -> None:
    log, fork = make_log(9), make_log(9, mark=b"!")
    for cut in (0.0, 1.0):
        disk = FaultyDisk()
        witness = make_witness(disk)
        assert ask(witness, log, 0, 5).status == 200
        disk.crash_at, disk.cut = disk.operations + 1, cut
        with pytest.raises(Crash):
            ask(witness, log, 5, 9)
        for seed, power in enumerate((False, True)):
            again = make_witness(disk.survivor(power=power, seed=seed))
            latest = again.latest(ORIGIN)
            assert latest
            assert latest.size == (9 if cut else 5)
            assert ask(again, fork, latest.size, 9).status in (409, 422)
            assert ask(again, log, latest.size, 9).status == 200


def test_altered_state_is_an_error_and_never_a_cosignature() -> None:
    disk = FaultyDisk()
    assert ask(make_witness(disk), make_log(5), 0, 5).status == 200
    (path,) = disk.seen
    disk.seen[path] = disk.seen[path].replace(b"\n5\n", b"\n4\n")
    with pytest.raises(EvidenceError):
        ask(make_witness(disk), make_log(9), 5, 9)


def test_of_two_requests_at_once_only_one_continues() -> None:
    witness = make_witness()
    logs = [make_log(9, mark=b"%d" % i) for i in range(8)]
    assert ask(witness, logs[0], 0, 3).status == 200
    replies: list[Reply] = []
    threads = [threading.Thread(target=lambda log=log: replies.append(ask(witness, log, 3, 9))) for log in logs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(reply.status for reply in replies) == [200] + [409] * 7


@given(st.binary(max_size=200))
@settings(max_examples=200)
def test_arbitrary_requests_are_answered_with_400(data: bytes) -> None:
    for body in (data, b"old 0\n\n" + data, b"old 0\n" + data + b"\n\n" + make_log(1).checkpoint()):
        assert make_witness().add_checkpoint(body).status in (400, 422)


def test_the_client_refuses_a_reply_that_does_not_verify() -> None:
    log = make_log(5)
    address = WitnessAddress(url="http://w", key=WITNESS_KEY)
    impostor = Witness(FaultyDisk(), SigningKey(b"\x0d" * 32), name=NAME, logs=[LOG_KEY], clock_s=lambda: TIME_S)
    forged = NoteSignature(name=NAME, key_hash=WITNESS_KEY.key_hash, signature=b"x" * 72).line
    for post, reason in (
        (lambda _, body: impostor.add_checkpoint(body), "no cosignature of this witness"),
        (lambda _, body: Reply(status=200, body=forged), "does not fit"),
        (lambda _, body: Reply(status=200, body="\n"), "malformed"),
        (lambda _, body: Reply(status=409, body="0\n"), "refuses"),
        (lambda _, body: Reply(status=409, body="17\n"), "refuses"),
        (lambda _, body: Reply(status=503, body=""), "refuses"),
    ):
        with pytest.raises(EvidenceError, match=reason):
            cosigned_checkpoint(log, [address], post=post)


@pytest.fixture
def served() -> Iterator[tuple[str, int]]:
    with WitnessServer(("127.0.0.1", 0), make_witness()) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", server.server_address[1]
        server.shutdown()


@pytest.mark.parametrize(
    ("request_bytes", "answer"),
    [
        (b"POST /add-checkpoint HTTP/1.1\r\n\r\n", b" 411 "),
        (b"POST /add-checkpoint HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", b" 413 "),
        (b"POST /add-checkpoint HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b" 411 "),
        (b"POST /add-checkpoint HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc", b" 413 "),
        (b"POST /other HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", b" 404 "),
        (b"GET /add-checkpoint HTTP/1.1\r\n\r\n", b" 501 "),
        (b"\x00\xff\r\n\r\n", b"400"),
    ],
)
def test_hostile_http_is_answered_and_the_server_lives_on(
    served: tuple[str, int], request_bytes: bytes, answer: bytes
) -> None:
    with socket.create_connection(("127.0.0.1", served[1]), timeout=5) as connection:
        connection.sendall(request_bytes)
        connection.shutdown(socket.SHUT_WR)
        assert answer in connection.recv(4096)
    address = WitnessAddress(url=served[0], key=WITNESS_KEY)
    assert Policy.from_anchor(ANCHOR).verify(cosigned_checkpoint(make_log(2), [address]))


def test_an_unreachable_witness_and_a_bad_url_are_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(EnvironmentError_, match="cannot be reached"):
            post_request(f"http://127.0.0.1:{taken.getsockname()[1]}", b"")
    for url in ("ftp://x", "http://", "http://x:99999", "nothing"):
        with pytest.raises(InputError):
            post_request(url, b"")


class Process:
    """A witness in a second process, started through the command line."""

    def __init__(self, folder: Path) -> None:
        key = folder / "witness.pem"
        if not key.exists():
            WITNESS.write(key)
        command = [sys.executable, "-c", "from inspectorate.cli.ledger import ledger; ledger()", "witness", "--json"]
        command += ["--state", str(folder / "state"), "--name", NAME, "--key", str(key), "--log", LOG_KEY.text]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        started = json.loads(self.process.stdout.readline())
        assert started["verifier_key"] == WITNESS_KEY.text
        self.address = WitnessAddress(url=started["url"], key=WITNESS_KEY)

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        code = self.process.wait(timeout=10)
        assert self.process.stdout
        self.process.stdout.close()
        return code


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[list[Process]]:
    started: list[Process] = [Process(tmp_path)]
    yield started
    for one in started:
        if one.process.poll() is None:
            one.end(signal.SIGKILL)


def test_a_second_process_refuses_a_forked_and_a_shrunk_log_even_after_it_was_killed(
    processes: list[Process], tmp_path: Path
) -> None:
    log = make_log(9)
    first = processes[0]
    assert Policy.from_anchor(ANCHOR).verify(cosigned_checkpoint(log, [first.address])).checkpoint.size == 9
    assert first.end(signal.SIGKILL) == -signal.SIGKILL
    second = Process(tmp_path)
    processes.append(second)
    for bad in (make_log(9, mark=b"!"), make_log(12, mark=b"!"), make_log(8), make_log(4, mark=b"!")):
        with pytest.raises(EvidenceError, match="refuses to cosign"):
            cosigned_checkpoint(bad, [second.address])
    log.append([b"9"])
    data = cosigned_checkpoint(log, [second.address])
    assert Policy.from_anchor(ANCHOR).verify(data).checkpoint.size == 10
    assert Checkpoint.parse(Note.parse(data, where="test").text, where="test").size == 10
    assert second.end(signal.SIGTERM) == 0
