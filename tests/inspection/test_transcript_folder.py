"""The folder of a run: what is written is read back, what was altered is not, and a writer may be killed at any time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspectorate.canonical import canonical_bytes, digest_of
from inspectorate.errors import EvidenceError, InputError, InspectorateError
from inspectorate.evidence import WorkKind
from inspectorate.mechanisms.inspection.transcripts.folder import FolderReader, parse_header, parse_packet
from inspectorate.mechanisms.inspection.transcripts.folder_writer import FolderWriter
from inspectorate.mechanisms.inspection.transcripts.hashing import RawTensor
from inspectorate.mechanisms.inspection.transcripts.lists import check_folder, flop_of, list_of, list_of_folder
from inspectorate.mechanisms.inspection.transcripts.types import (
    Checkpoint,
    InferenceContent,
    InferenceHeader,
    Packet,
    PacketList,
    Request,
    Stack,
    TrainingContent,
    TrainingHeader,
)

STACK = Stack(hardware="a chip", versions={"torch": "2"}, deterministic=True)
NS = 1_790_000_000_000_000_000
"""Beyond 2^53: times of this century in nanoseconds."""


def tensors(number: int) -> dict[str, RawTensor]:
    return {"w": RawTensor("F32", (2,), memoryview(number.to_bytes(8, "little")))}


def training_header(first: str) -> TrainingHeader:
    return TrainingHeader(
        work=WorkKind.TRAINING, run="r", code=digest_of(b"code"), stack=STACK, hyper_parameters={"lr": 0.1},
        optimiser="SGD", seed="1" * 64, seed_random="2" * 64, data=digest_of(canonical_bytes(["x"])), weights_first=first,
    )  # fmt: skip


def training_packet(number: int, before: str, after: str, batch: str, **changes: object) -> Packet:
    ends = [Checkpoint(weights=one, optimiser=one) for one in (before, after)]
    content = TrainingContent(
        work=WorkKind.TRAINING, first_step=number, steps=1, before=ends[0], after=ends[1], batches=(batch,), losses=(0.5,),
        tokens=4,
    )  # fmt: skip
    fields = {"number": number, "start_ns": NS + 10 * number, "end_ns": NS + 10 * number + 9, "flop": 0.1}
    return Packet.model_validate({**fields, "salt": f"{number:064x}", "content": content, **changes})


def write(path: Path, packets: int) -> FolderReader:
    """A whole folder of training packets."""
    first = FolderWriter.create(
        path.with_name(f"{path.name}-scratch"), training_header(digest_of(b"")), durable=False
    ).add_tensors(tensors(0))
    writer = FolderWriter.create(path, training_header(first), durable=False)
    writer.add_bytes(canonical_bytes(["x"]))
    before = writer.add_tensors(tensors(0))
    batch = writer.add_tensors({"x": RawTensor("U8", (1,), memoryview(b"1"))})
    for number in range(packets):
        after = writer.add_tensors(tensors(number + 1))
        writer.add_packet(training_packet(number, before, after, batch))
        before = after
    writer.close({"cut": 2})
    return FolderReader(path)


@pytest.fixture
def reader(tmp_path: Path) -> FolderReader:
    return write(tmp_path / "run", 4)


def test_a_folder_is_read_back(reader: FolderReader) -> None:
    assert (reader.count, reader.closed, reader.counts) == (4, True, {"cut": 2})
    check = check_folder(reader, [list_of_folder(reader, 0, 0, 1), list_of_folder(reader, 1, 1, 3)], deep=True)
    assert check.faults == ()
    assert (check.steps, check.tokens, check.committed, check.flop) == (4, 16, 4, 0.4)
    packet = reader.packet(2)
    assert parse_packet(packet.canonical_bytes(), where="x") == packet
    assert packet.start_ns == NS + 20
    assert parse_header(reader.header_bytes, where="x") == reader.header
    with reader.open_tensors(packet.content.after.weights, finite=True) as found:  # type: ignore[union-attr]
        assert bytes(found["w"].data) == bytes(tensors(3)["w"].data)


def test_a_list_names_times_exactly_and_adds_flop_exactly(reader: FolderReader) -> None:
    listed = list_of_folder(reader, 0, 1, 3)
    assert listed.first == 1
    assert PacketList.model_validate_json(listed.canonical_bytes()) == listed
    assert listed.start_ns == tuple(reader.packet(number).start_ns for number in (1, 2, 3))
    assert listed.leaves == tuple(digest_of(reader.packet(n).canonical_bytes())[7:] for n in (1, 2, 3))
    assert flop_of(listed) == 0.1 + 0.1 + 0.1 or flop_of(listed) == 0.3
    with pytest.raises(InputError):
        list_of_folder(reader, 0, 2, 3)
    with pytest.raises(InputError, match="is due"):
        list_of("r", 0, [reader.packet(1)], first=0)


def damage(reader: FolderReader) -> dict[str, Callable[[], object]]:
    path = reader.path
    weights = path / "content" / f"{reader.packet(1).content.after.weights[7:]}.tensors"  # type: ignore[union-attr]
    packet = path / "packets" / "00000002.json"
    other = reader.packet(1).model_copy(update={"number": 2, "start_ns": NS + 20, "end_ns": NS + 29})
    late = reader.packet(2).model_copy(update={"start_ns": NS + 15})
    dear = reader.packet(2).model_copy(update={"flop": 1.0})
    return {
        "content altered": lambda: weights.write_bytes(weights.read_bytes()[:-1] + b"\1"),
        "content cut": lambda: weights.write_bytes(weights.read_bytes()[:-1]),
        "content gone": weights.unlink,
        "content a link": lambda: (weights.rename(path / "x"), weights.symlink_to(path / "x")),
        "a step left out": lambda: packet.write_bytes(other.canonical_bytes()),
        "times moved": lambda: packet.write_bytes(late.canonical_bytes()),
        "other FLOP": lambda: packet.write_bytes(dear.canonical_bytes()),
        "packet of another number": lambda: packet.write_bytes(reader.packet(3).canonical_bytes()),
        "packet re-encoded": lambda: packet.write_bytes(packet.read_bytes() + b"\n"),
        "data items gone": (path / "content" / f"{reader.header.data[7:]}.bytes").unlink,  # type: ignore[union-attr]
    }


KINDS = (
    "content altered", "content cut", "content gone", "content a link", "a step left out", "times moved", "other FLOP",
    "packet of another number", "packet re-encoded", "data items gone",
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_that_was_altered_is_not_the_one_that_was_committed_to(reader: FolderReader, kind: str) -> None:
    lists = [list_of_folder(reader, 0, 0, 4)]
    damage(reader)[kind]()
    assert check_folder(reader, lists, deep=True).faults != ()


def test_a_shortened_transcript_is_seen(reader: FolderReader, tmp_path: Path) -> None:
    lists = [list_of_folder(reader, 0, 0, 2), list_of_folder(reader, 1, 2, 2)]
    (reader.path / "packets" / "00000003.json").unlink()
    with pytest.raises(EvidenceError, match="was closed with 4"):
        FolderReader(reader.path)
    (reader.path / "closed.json").unlink()
    short = FolderReader(reader.path)
    details = " ".join(fault.detail for fault in check_folder(short, lists).faults)
    assert "shortened" in details
    assert "not closed" in details
    assert any("due" in fault.detail for fault in check_folder(write(tmp_path / "b", 4), lists[1:]).faults)
    (short.path / "packets" / "00000001.json").unlink()
    with pytest.raises(EvidenceError, match="missing between"):
        FolderReader(short.path)
    empty = write(tmp_path / "empty", 0)
    assert [fault.detail for fault in check_folder(empty).faults] == ["holds no packet"]


def test_no_name_of_the_data_leaves_the_folder(reader: FolderReader, tmp_path: Path) -> None:
    (tmp_path / "outside").write_bytes(b"secret")
    for digest in ("sha256:../../outside", "../outside", "sha256:" + "0" * 63 + "/", "sha256:" + "G" * 64, ""):
        for call in (reader.content_path, reader.read_bytes):
            with pytest.raises(EvidenceError):
                call(digest)
    (reader.path / "packets").rename(tmp_path / "packets")
    (reader.path / "packets").symlink_to(tmp_path / "packets")
    with pytest.raises(EvidenceError, match="symbolic"):
        FolderReader(reader.path)


def test_what_is_no_folder_is_refused(reader: FolderReader, tmp_path: Path) -> None:
    for path in (tmp_path / "missing", reader.path / "header.json"):
        with pytest.raises(InspectorateError):
            FolderReader(path)
    with pytest.raises(InputError, match="not empty"):
        FolderWriter.create(reader.path, reader.header)
    with pytest.raises(InputError, match="closed"):
        FolderWriter.resume(reader.path, reader.header)
    (reader.path / "packets" / "notes.txt").write_bytes(b"")
    with pytest.raises(EvidenceError, match="no packet"):
        FolderReader(reader.path)


WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_transcript_folder import *
writer = FolderWriter.create(Path(sys.argv[1]), training_header(digest_of(b"")), durable=False)
before = writer.add_tensors(tensors(0))
for number in range(100_000):
    after = writer.add_tensors(tensors(number + 1))
    writer.add_packet(training_packet(number, before, after, before))
    before = after
    print(number, flush=True)
"""


def test_a_killed_writer_loses_at_most_the_open_packet(tmp_path: Path) -> None:
    path = tmp_path / "run"
    command = [sys.executable, "-c", WRITER, str(path), str(Path(__file__).parent)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = [int(process.stdout.readline()) for _ in range(20)]
        process.send_signal(signal.SIGKILL)
        said += [int(line) for line in process.stdout.read().splitlines()]
    cut = FolderReader(path)
    assert not cut.closed
    assert cut.count in (len(said), len(said) + 1)
    faults = [fault for fault in check_folder(cut, deep=True).faults if fault.packet not in (None, 0)]
    assert faults == []
    (path / "content" / "half.tensors.part").write_bytes(b"x")
    (path / "content" / f"{'a' * 64}.tensors").write_bytes(b"not whole")
    writer = FolderWriter.resume(path, cut.header, durable=False)
    assert writer.packets == cut.count
    assert FolderReader(path).half_written() == ()
    assert not (path / "content" / f"{'a' * 64}.tensors").exists()
    writer.add_packet(training_packet(cut.count, digest_of(b""), digest_of(b""), digest_of(b"")))
    assert FolderReader(path).count == cut.count + 1


def test_packets_are_made_durable_after_their_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By order of calls, with and without syncfs."""
    header = InferenceHeader(
        work=WorkKind.INFERENCE, run="r", code=digest_of(b""), stack=STACK, model=digest_of(b""), sampling={}
    )
    request = Request(
        prompt=digest_of(b"aaaa"), answer=digest_of(b"bbbb"), prompt_tokens=1, answer_tokens=1, seed=0, batch_sizes=()
    )
    content = InferenceContent(work=WorkKind.INFERENCE, requests=(request,))
    packet = Packet(number=0, start_ns=1, end_ns=2, flop=0, salt="0" * 64, content=content)
    for has_syncfs in (True, False):
        calls: list[str] = []
        module = "inspectorate.mechanisms.inspection.transcripts.folder_writer"
        monkeypatch.setattr(f"{module}._syncfs", lambda path, has=has_syncfs, to=calls: to.append("syncfs") or has)
        real = os.fsync
        monkeypatch.setattr(
            os, "fsync", lambda fd, to=calls, real=real: (to.append(os.readlink(f"/proc/self/fd/{fd}")), real(fd))[1]
        )
        writer = FolderWriter.create(tmp_path / str(has_syncfs), header)
        del calls[:]
        writer.add_bytes(b"aaaa")
        writer.add_bytes(b"bbbb")
        writer.add_bytes(b"aaaa")
        assert calls == []
        writer.add_packet(packet)
        monkeypatch.undo()
        names = [Path(call).name for call in calls]
        each = [] if has_syncfs else [f"{digest_of(b'aaaa')[7:]}.bytes", f"{digest_of(b'bbbb')[7:]}.bytes", "content"]
        assert names == ["syncfs", *each, "00000000.json.part", "packets"]


GOOD = training_packet(3, digest_of(b"1"), digest_of(b"2"), digest_of(b"3")).canonical_bytes()


@settings(max_examples=60)
@given(st.integers(0, len(GOOD) - 1), st.binary(max_size=4))
def test_damaged_records_raise_nothing_else(place: int, put: bytes) -> None:
    data = GOOD[:place] + put + GOOD[place + len(put) :]
    for parse in (parse_packet, parse_header):
        try:
            parse(data, where="x")
        except EvidenceError:
            continue
        assert parse is parse_packet
        assert parse_packet(data, where="x").canonical_bytes() == data
