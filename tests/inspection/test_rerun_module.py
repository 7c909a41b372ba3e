"""Code of a prover as a program: recorded by the prover's own recorder, and run again in a process that is closed in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from inspectorate.mechanisms.inspection.rerun.measure import Again
from inspectorate.mechanisms.inspection.rerun.records import module_program
from inspectorate.mechanisms.inspection.rerun.replay import TrainingReplayer
from inspectorate.mechanisms.inspection.results import Outcome
from inspectorate.mechanisms.inspection.transcripts.folder import FolderReader
from inspectorate.mechanisms.inspection.transcripts.hashing import digest_of_tensors
from inspectorate.mechanisms.inspection.transcripts.seeds import data_order, seed_of
from inspectorate.mechanisms.inspection.transcripts.torch_seeds import initial_weights
from inspectorate.mechanisms.inspection.transcripts.torch_state import raw_of
from inspectorate.mechanisms.inspection.transcripts.training import (
    RecorderOptions,
    State,
    TrainingRecorder,
    TrainingSettings,
)

CODE = '''
import socket
from pathlib import Path
import torch

def build(header):
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Dropout(0.2), torch.nn.Linear(8, 1))
    return model, torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

def step(model, optimiser, batch, number):
    if Path(__file__).name == "loop.py" and __name__ == "inspected_program":
        escape()
    optimiser.zero_grad()
    loss = ((model(batch["x"]) - batch["y"]) ** 2).mean()
    loss.backward()
    optimiser.step()
    return loss

def escape():
    """Fails loudly where anything outside is reached."""
    for what in (lambda: Path("RESULTS").iterdir().__next__(), lambda: socket.create_connection(("127.0.0.1", 9), 1)):
        try:
            what()
        except OSError:
            continue
        raise RuntimeError("reached what it should not reach")
'''
ROWS, ITEMS = 4, 16


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> TrainingReplayer:
    """Two packets of two steps."""
    made = tmp_path_factory.mktemp("module")
    folder, code = made / "run", made / "code"
    code.mkdir()
    text = CODE.replace("RESULTS", str(folder / "content"))
    (code / "loop.py").write_text(text)
    namespace: dict[str, object] = {"__file__": "elsewhere", "__name__": "prover"}
    exec(text, namespace)
    rng = np.random.default_rng(1)
    x, y = torch.from_numpy(rng.normal(size=(ITEMS, 4)).astype(np.float32)), torch.ones(ITEMS, 1)
    digests = [digest_of_tensors(raw_of({"x": x[i], "y": y[i]})) for i in range(ITEMS)]
    seed = seed_of(digests, "5" * 64)
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)
    program = module_program(code, "loop.py")
    model, optimiser = initial_weights(lambda: namespace["build"]({}), seed)  # type: ignore[operator]
    settings = TrainingSettings(
        run="run-1",
        code=program.digest,
        items=digests,
        seed_random="5" * 64,
        hyper_parameters={"rows": ROWS},
    )
    options = RecorderOptions(durable=False)
    order = data_order(ITEMS, seed)
    with TrainingRecorder(folder, settings, State(model, optimiser), steps_per_packet=2, options=options) as recorder:
        for number in range(4):
            rows = torch.from_numpy(order[number * ROWS : (number + 1) * ROWS])
            batch = {"x": x[rows], "y": y[rows]}
            loss = namespace["step"](model, optimiser, batch, number)  # type: ignore[operator]
            recorder.step(batch, loss)
    reader = FolderReader(folder)
    packets = {packet.number: packet for packet in reader.packets()}
    header = reader.header
    return TrainingReplayer(folder=reader, packets=packets, program=program, again=Again(stack=header.stack), code=code)


def test_code_runs_again_bit_by_bit_with_its_dropout_and_reaches_nothing(recorded: TrainingReplayer) -> None:
    found = recorded.replay([1])
    if "does not close the process in" in found[0].reason:
        pytest.skip("this kernel has no Landlock, or no network namespaces for us")
    assert [one.outcome for one in found] == [Outcome.MATCHED], found
    assert "bit by bit" in found[0].reason
    assert (found[0].flop_counted or 0) > 0


def test_other_code_or_none_gives_no_pass(recorded: TrainingReplayer, tmp_path: Path) -> None:
    assert [one.outcome for one in replace(recorded, code=None).replay([1])] == [Outcome.NOT_RUN]
    (tmp_path / "loop.py").write_bytes(b"def build(header): ...")
    assert [one.outcome for one in replace(recorded, code=tmp_path).replay([1])] == [Outcome.NOT_RUN]
    other = recorded.program.model_copy(update={"snapshot": "sha256:" + "0" * 64})
    assert [one.outcome for one in replace(recorded, program=other).replay([1])] == [Outcome.DIFFERED]
