"""The dynamic check: what a closed-in run reports of parameters, files and processes, and what a hostile program gets out of it."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from inspectorate.errors import EnvironmentError_
from inspectorate.mechanisms.inspection.code.archives import read_snapshot
from inspectorate.mechanisms.inspection.code.review import review_code
from inspectorate.mechanisms.inspection.code.run import RunBounds, RunReport, run_entry

needs_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed")

TRAINS = """
import torch
net, still = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)
net(torch.ones(1, 3)).sum().backward()
for p in net.parameters():
    p.data.sub_(p.grad, alpha=0.5)
quiet = still.weight.detach().numpy()
quiet -= 0.25
still(torch.ones(1, 3))
def never():
    net.weight.data.zero_()
    net.weight.data.add_(1)
"""


def ran(tmp_path: Path, text: str, *, watch: bool, seconds: float = 60.0) -> RunReport:
    """Run a program; skips where the kernel closes nothing in, because nothing runs there."""
    code = tmp_path / "code"
    code.mkdir()
    (code / "main.py").write_text(text)
    snapshot = read_snapshot(code)
    try:
        return run_entry(
            code, snapshot, review_code(snapshot, "main.py"), bounds=RunBounds(seconds=seconds, watch_tensors=watch)
        )
    except EnvironmentError_ as fault:
        if "so nothing was run" in fault.problem:
            pytest.skip(fault.problem)
        raise


@needs_torch
def test_changed_parameters_are_reported_however_they_changed(tmp_path: Path) -> None:
    found = ran(tmp_path, TRAINS, watch=True)
    assert found.seen is not None
    assert found.seen.ended == "by itself"
    changes = sorted(c.largest_change or 0 for c in found.seen.changed)
    assert found.parameters_changed == 3
    assert changes == pytest.approx([0.25, 0.5, 0.5], abs=1e-6)
    assert found.seen.backward == 1
    assert {(w.where, w.operation) for w in found.seen.writes if w.when == "other"} == {
        ("main.py:6", "aten.sub_.Tensor")
    }
    assert found.unforeseen == ()
    lines = {p.line: p.key for p in review_code(read_snapshot(tmp_path / "code"), "main.py").must_answer()}
    assert {lines[4], lines[6]} <= set(found.executed)
    assert lines[12] in found.never_executed


def test_a_program_of_the_standard_library(tmp_path: Path) -> None:
    text = "import socket, subprocess\ntry:\n    socket.create_connection(('192.0.2.1', 80), 1)\nexcept OSError:\n    x = 1\n"
    text += "try:\n    open('/etc/shadow')\nexcept OSError:\n    x = 2\n"
    found = ran(tmp_path, text, watch=False)
    assert found.seen is not None
    assert not found.network
    assert found.parameters_changed is None
    assert {"socket.connect", "open"} <= set(found.seen.counts)
    assert found.seen.lines["main.py"][-1] == 9


WRITES = """
import os
for d in range(3, 20):
    try:
        os.write(d, {})
    except OSError:
        pass
os._exit(0)
"""


@pytest.mark.parametrize(
    "text",
    [
        "import os\nos._exit(0)\n",
        WRITES.format('b\'{"ended": "by itself"}\\n\''),
        WRITES.format("b'[' * 100000 + b'\\n'"),
        "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n",
    ],
    ids=["leaves", "short report", "deep report", "dies"],
)
def test_a_run_without_a_report_is_no_result(text: str, tmp_path: Path) -> None:
    found = ran(tmp_path, text, watch=False)
    assert found.seen is None
    assert found.parameters_changed is None
    assert found.executed == found.never_executed == ()


def test_time_is_limited(tmp_path: Path) -> None:
    found = ran(tmp_path, "while True:\n    pass\n", watch=False, seconds=1.0)
    assert found.seen is None
