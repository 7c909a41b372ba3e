"""The meters against the real thing: a control group of the kernel, files of powercap's form, and torch's own counter."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from inspectorate.mechanisms.guarantee.metering.counters import (
    cpu_rise_s,
    powercap_range,
    read_cpu,
    read_powercap,
)
from inspectorate.mechanisms.guarantee.metering.meters import Ceilings, clock_flop, combine, kernel_flop, operators
from inspectorate.mechanisms.guarantee.metering.types import Source

ONE_CORE = Ceilings(flop_per_s=4e11, power_w=100, j_per_flop=1e-11, flop_per_core_s=2e11, cores=2)
BURN = "import os, time\nos.read(0, 1)\nwhile time.process_time() < 0.15: pass"


@pytest.fixture
def group() -> Iterator[Path]:
    """A new control group (v2)."""
    mounts = Path("/proc/mounts").read_text().splitlines()
    found = [Path(line.split()[1]) for line in mounts if line.split()[2] == "cgroup2"]
    if os.geteuid() != 0 or not found:
        pytest.skip("needs root and cgroup v2")
    folder = found[0] / f"inspectorate-test-{os.getpid()}"
    try:
        folder.mkdir()
    except OSError as fault:
        pytest.skip(f"no control group can be made here: {fault.strerror}")
    yield folder
    if folder.exists():
        folder.rmdir()


@pytest.mark.root
def test_cpu_time_of_a_real_control_group(group: Path) -> None:
    before = read_cpu(group, at_s=time.monotonic())
    assert before is not None
    process = subprocess.Popen([sys.executable, "-c", BURN], stdin=subprocess.PIPE)
    (group / "cgroup.procs").write_text(str(process.pid))
    process.communicate(b"x")
    after = read_cpu(group, at_s=time.monotonic())
    assert after is not None
    used_s = cpu_rise_s(before, after)
    assert used_s is not None
    assert 0.08 < used_s < 2
    passed_s = after.at_s - before.at_s
    assert kernel_flop(before, after, ONE_CORE, not_held_s=passed_s).source is Source.KERNEL
    # The group is removed and made again under its name: it has another inode, or counts from zero.
    group.rmdir()
    assert read_cpu(group, at_s=time.monotonic()) is None
    assert kernel_flop(before, None, ONE_CORE, not_held_s=passed_s) == clock_flop(passed_s, ONE_CORE)
    group.mkdir()
    anew = read_cpu(group, at_s=time.monotonic())
    assert anew is not None
    assert kernel_flop(after, anew, ONE_CORE, not_held_s=passed_s) == clock_flop(passed_s, ONE_CORE)


def test_a_control_group_that_is_not_there_has_no_count(tmp_path: Path) -> None:
    assert read_cpu(tmp_path / "absent", at_s=0) is None
    for text in ("", "usage_usec x\n", "usage_usec -5\n", "user_usec 5\n", "usage_usec " + "9" * 40 + "\n"):
        (tmp_path / "cpu.stat").write_text(text)
        assert read_cpu(tmp_path, at_s=0) is None
    (tmp_path / "cpu.stat").write_text("usage_usec 1234\nuser_usec 1000\nsystem_usec 234\n")
    sample = read_cpu(tmp_path, at_s=2)
    assert sample is not None
    assert (sample.usage_us, sample.group, sample.at_s) == (1234, tmp_path.stat().st_ino, 2)


def test_powercap_is_read_as_the_kernel_writes_it(tmp_path: Path) -> None:
    zone = tmp_path / "intel-rapl:0"
    assert read_powercap(zone, at_s=0) is None
    zone.mkdir()
    (zone / "energy_uj").write_text("124058291823\n")
    (zone / "max_energy_range_uj").write_text("262143328850\n")
    sample = read_powercap(zone, at_s=1)
    assert sample is not None
    assert (sample.meter, sample.microjoules) == ("intel-rapl:0", 124058291823)
    assert powercap_range(zone) == 262143328850
    (zone / "energy_uj").write_text("-1\n")
    assert read_powercap(zone, at_s=1) is None


def test_operators_that_torch_counts_are_a_lower_bound_and_miss_the_fast_path() -> None:
    """components.md, section 2: in `inference_mode` a fused encoder is not counted."""
    torch = pytest.importorskip("torch", reason="needs torch")
    counter = pytest.importorskip("torch.utils.flop_counter").FlopCounterMode
    torch.manual_seed(0)
    layer = torch.nn.TransformerEncoderLayer(d_model=32, nhead=4, dim_feedforward=64, batch_first=True)
    model, given = torch.nn.TransformerEncoder(layer, num_layers=2), torch.zeros(2, 16, 32)
    counted = []
    for mode in (torch.enable_grad, torch.inference_mode):
        model.train(mode is torch.enable_grad)
        with mode(), counter(display=False) as count:
            model(given)
        counted.append(count.get_total_flops())
    trained, inferred = counted
    assert 0 <= inferred < trained
    combined = combine([clock_flop(1.0, ONE_CORE)], [operators(inferred)])
    assert combined.contradiction is None
    assert combined.reading.used == clock_flop(1.0, ONE_CORE).used
    assert combined.reading.at_least == inferred
