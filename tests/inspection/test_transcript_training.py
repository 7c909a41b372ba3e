"""The recorder in a real loop of torch: what it wrote gives the same bits when it is run again."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from torch import nn  # noqa: E402
from transcript_cases import ITEMS, SETTINGS, build, draw, options, record, train  # noqa: E402

from inspectorate.errors import EnvironmentError_, EvidenceError, InputError  # noqa: E402
from inspectorate.mechanisms.inspection.transcripts.folder import FolderReader  # noqa: E402
from inspectorate.mechanisms.inspection.transcripts.folder_writer import FolderWriter  # noqa: E402
from inspectorate.mechanisms.inspection.transcripts.lists import check_folder  # noqa: E402
from inspectorate.mechanisms.inspection.transcripts.seeds import data_digest, seed_is_of  # noqa: E402
from inspectorate.mechanisms.inspection.transcripts.stack import stack_of  # noqa: E402
from inspectorate.mechanisms.inspection.transcripts.torch_state import (  # noqa: E402
    DTYPE_OF,
    batch_of,
    load_optimiser,
    optimiser_of,
    raw_of,
    torch_of,
)
from inspectorate.mechanisms.inspection.transcripts.training import (  # noqa: E402
    PENDING_MAX,
    State,
    TrainingRecorder,
    read_batch,
)


@pytest.mark.parametrize("kind", ["AdamW", "SGD", "RMSprop", "Adagrad", "Adam"])
def test_every_packet_gives_the_same_bits_when_it_is_run_again(kind: str, tmp_path: Path) -> None:
    state = build(kind)
    record(tmp_path / "run", state, 8)
    reader = FolderReader(tmp_path / "run")
    assert reader.count == 3
    assert check_folder(reader, deep=True).faults == ()
    again = build(kind)
    for packet in reversed(list(reader.packets())):
        again.restore(reader, packet.content.before)
        assert again.checkpoint() == packet.content.before
        for digest, said in zip(packet.content.batches, packet.content.losses, strict=True):
            batch = draw(again)
            assert all(torch.equal(batch[name], one) for name, one in read_batch(reader, digest).items())
            assert train(again, batch).item() == said
        assert again.checkpoint() == packet.content.after
    header = reader.header
    assert seed_is_of(header.seed, ITEMS, header.seed_random)
    assert header.data == data_digest(ITEMS)
    assert header.hyper_parameters["optimiser.lr"] == state.optimizer.param_groups[0]["initial_lr"]
    assert header.stack == stack_of()


def test_a_changed_batch_seed_or_step_count_gives_other_bits(tmp_path: Path) -> None:
    record(tmp_path / "run", build(), 3)
    reader = FolderReader(tmp_path / "run")
    packet = reader.packet(0)
    for change in ("batch", "dropout", "skipped", "rate"):
        again = build()
        again.restore(reader, packet.content.before)
        if change == "dropout":
            torch.manual_seed(99)
        if change == "rate":
            again.optimizer.param_groups[0]["lr"] *= 1.01
        for number, digest in enumerate(packet.content.batches):
            batch = read_batch(reader, digest)
            if change == "batch":
                batch["x"] = batch["x"] + 1e-3
            if change != "skipped" or number:
                train(again, batch)
        assert again.checkpoint().weights != packet.content.after.weights, change


def record_and_fail(folder: Path, state: State) -> None:
    with TrainingRecorder(folder, SETTINGS, state, steps_per_packet=3, options=options()) as recorder:
        for _ in range(8):
            batch = draw(state)
            recorder.step(batch, train(state, batch), tokens=6)
        raise RuntimeError("power")


def test_a_run_that_was_cut_off_goes_on_where_it_ended(tmp_path: Path) -> None:
    whole = build()
    record(tmp_path / "whole", whole, 9)
    torch.manual_seed(0)
    state, folder = build(), tmp_path / "run"
    first = FolderReader(tmp_path / "whole").packet(0).content.before
    state.restore(FolderReader(tmp_path / "whole"), first)
    with pytest.raises(RuntimeError, match="power"):
        record_and_fail(folder, state)
    cut = FolderReader(folder)
    assert (cut.count, cut.closed) == (2, False)
    with pytest.raises(InputError, match="restore it first"):
        record(folder, build(), 3, resume=True)
    state = build()
    state.restore(cut, cut.packet(1).content.after)
    record(folder, state, 3, resume=True, clock=lambda: 5)
    done = FolderReader(folder)
    assert check_folder(done, deep=True).faults == ()
    ends = [[packet.content.after for packet in FolderReader(tmp_path / name).packets()] for name in ("run", "whole")]
    assert ends[0] == ends[1]


def test_the_loop_waits_for_a_slow_disk_and_hears_of_one_that_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, real = threading.Event(), FolderWriter.add_packet
    monkeypatch.setattr(FolderWriter, "add_packet", lambda self, packet: (gate.wait(10), real(self, packet))[1])
    state = build()
    recorder = TrainingRecorder(tmp_path / "run", SETTINGS, state, steps_per_packet=1, options=options())
    for _ in range(PENDING_MAX):
        batch = draw(state)
        recorder.step(batch, train(state, batch))
    assert recorder.waited_s < 1
    loss = train(state, batch)
    threading.Timer(0.5, gate.set).start()
    recorder.step(batch, loss)
    assert recorder.waited_s > 0.05

    def gone(*_: object) -> None:
        raise EnvironmentError_("No space left on device")

    monkeypatch.setattr(FolderWriter, "add_packet", gone)
    steps = (recorder.step(batch, train(state, batch)) for _ in range(PENDING_MAX + 2))
    with pytest.raises(EnvironmentError_, match="No space"):
        list(steps)


class Strange(torch.optim.SGD):
    """An optimiser of somebody else."""


def test_what_cannot_be_kept_exactly_is_refused_at_the_start(tmp_path: Path) -> None:
    model = nn.Linear(2, 2)
    other = nn.Linear(2, 2)
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    cases = {
        "is not one of": State(model, Strange(model.parameters(), lr=0.1)),
        "not the model's": State(model, torch.optim.SGD(other.parameters(), lr=0.1)),
        "the scheduler": State(model, sgd, torch.optim.lr_scheduler.ReduceLROnPlateau(sgd)),
    }
    for words, state in cases.items():
        with pytest.raises(InputError, match=words):
            TrainingRecorder(tmp_path / "run", SETTINGS, state, steps_per_packet=1)
    with pytest.raises(InputError, match="steps_per_packet"):
        TrainingRecorder(tmp_path / "run", SETTINGS, State(model, sgd), steps_per_packet=0)
    for batch, words in ((object(), "not kept"), ({"a": "text"}, "not kept"), ({}, "without"), ({"a.b": 1}, "point")):
        with pytest.raises(InputError, match=words):
            batch_of(batch)


def test_state_of_another_optimiser_is_refused() -> None:
    state = build()
    for _ in range(2):
        train(state, draw(state))
    tensors = {**state.tensors()["optimiser"]}
    for change in ("kind", "name", "shape", "scalars", "extra"):
        given = raw_of(tensors)
        again = build("SGD" if change == "kind" else "AdamW")
        if change == "name":
            given["4.weight/exp_avg"] = given.pop("0.weight/exp_avg")
        if change == "shape":
            given["0.weight/exp_avg"] = given["0.bias/exp_avg"]
        if change == "scalars":
            del given["scalars"]
        if change == "extra":
            given["x"] = given["0.bias/exp_avg"]
        with pytest.raises(EvidenceError):
            load_optimiser(again.model, again.optimizer, given, again.scheduler)
    assert optimiser_of(state.model, state.optimizer)[1]["scheduler"] is None


def test_every_format_of_torch_goes_there_and_back() -> None:
    for dtype in DTYPE_OF:
        tensor = torch.arange(6).reshape(2, 3).to(torch.float32).to(dtype).t()
        back = torch_of(raw_of({"a": tensor})["a"])
        assert back.dtype is dtype
        assert torch.equal(
            back.float() if dtype.itemsize == 1 else back, tensor.float() if dtype.itemsize == 1 else tensor
        )
    plain = torch.ones(4)
    assert raw_of({"a": plain})["a"].data.obj.__array_interface__["data"][0] == plain.data_ptr()
    assert batch_of((torch.ones(1), [{"a": 1.5}, None])).keys() == {"0", "1.0.a"}
