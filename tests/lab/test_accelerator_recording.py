"""Recordings of an accelerator: what is planned, what landing refuses, and the data set that stands in the tree."""

from __future__ import annotations

import hashlib
import json
import re
import tarfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from inspectorate.declaration import MeasuringPoint
from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence import Origin
from inspectorate.evidence.sealing import Sealer
from inspectorate.keys import SigningKey
from inspectorate.lab import accelerator_plan as plan
from inspectorate.lab import work_accelerator_land as landing
from inspectorate.lab.accelerator_chip import declare
from inspectorate.mechanisms.workloads.evaluate.load import Form, load_runs
from inspectorate.mechanisms.workloads.evaluate.load_accelerator import read_recorded
from inspectorate.mechanisms.workloads.record.recorder import Recorded, TelemetryRecorder, payload_of
from inspectorate.mechanisms.workloads.telemetry.frame import Samples
from inspectorate.mechanisms.workloads.telemetry.table import read_table

ROOT = Path(__file__).parents[2]
DATA = ROOT / "examples" / "accelerator-h200"
SESSIONS = {"first": 60, "second": 42}
KEY, OTHER_KEY = SigningKey(bytes(range(32))), SigningKey(bytes(range(1, 33)))
NS = 10**9
START_NS = 1_790_000_000 * NS
CARD = "GPU-01234567-89ab"


# --- the plan ------------------------------------------------------------------------------------------------------------


def test_a_first_round_holds_every_workload_once_and_a_second_repeats_with_other_seeds() -> None:
    first, second = plan.rounds("full", 7)
    every = {*plan.TRAINING, *plan.INFERENCE, *plan.OTHER, *plan.DISGUISED, "idle"}
    assert Counter(one.workload for one in first) == Counter(every)
    assert Counter(one.workload for one in second) == Counter(every)
    assert {one.workload for one in second[: len(plan.AGAIN)]} == set(plan.AGAIN)
    assert not {one.seed for one in first} & {one.seed for one in second}
    assert len({one.id for one in (*first, *second)}) == len(first) + len(second)


def test_an_order_follows_from_the_seed() -> None:
    orders = [[one.workload for one in plan.rounds("full", seed)[0]] for seed in (7, 7, 8)]
    assert orders[0] == orders[1] != orders[2]


def test_disguised_training_is_training_and_claims_an_honest_inference() -> None:
    first, _ = plan.rounds("full", 7)
    disguised = {one.workload: one.kind for one in first if one.disguise}
    assert set(disguised.values()) == {"training"}
    assert disguised.keys() == landing.CLAIMS.keys()
    assert set(landing.CLAIMS.values()) <= plan.INFERENCE.keys()
    assert {one.disguise for one in first if one.kind == "inference"} == {""}


def test_the_smoke_plan_is_part_of_the_full_one() -> None:
    assert {one.workload for one in plan.rounds("smoke", 1)[0]} <= {one.workload for one in plan.rounds("full", 1)[0]}


def test_two_meters_are_declared() -> None:
    made = declare((CARD,), ("power_w",), every_s=0.05, model="h200-sxm")
    assert [(one.id, one.point) for one in made.sites[0].meters] == [
        ("chip", MeasuringPoint.CHIP),
        ("host", MeasuringPoint.NODE),
    ]


# --- landing -------------------------------------------------------------------------------------------------------------


class Folder:
    """A spool on disk."""

    def __init__(self, at: Path) -> None:
        self.at = at

    def put(self, name: str, chunks: object) -> None:
        path = self.at / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"".join(chunks))  # type: ignore[arg-type]


def recorded(out: Path, change: Callable[[Path], None] = lambda _: None, key: SigningKey = KEY) -> Path:
    """What a session leaves: 3 s of a chip, in segments of 1 s; `change` has the spool before it is packed."""
    spool = out / "spool"
    sealer = Sealer(Folder(spool), KEY, stream="s", origin=Origin.RECORDED, recorder="a test")
    meters = (Recorded(meter="chip", units=(CARD,), signals=("power_w",)),)
    recorder = TelemetryRecorder(meters, lambda cut: sealer.seal(payload_of(cut)), start_ns=START_NS, segment_s=1.0)
    for tenth in range(30):
        now = START_NS + tenth * NS // 10
        recorder.tick("chip", now)
        recorder.feed("chip", Samples(units=(CARD,), signals=("power_w",), time_ns=np.array([now]), unit=np.zeros(1, np.int32),
                                      values=np.array([[float(tenth)]])))  # fmt: skip
    recorder.close(START_NS + 3 * NS)
    change(spool)
    (out / "meter.pub").write_bytes(key.public.raw)
    with tarfile.open(out / "spool.tar.gz", "w:gz") as tar:
        for name in ("meter.pub", "spool"):
            tar.add(out / name, arcname=name)
    run = {"id": "a", "workload": "padding", "kind": "training", "family": "f", "disguise": "padding", "seed": 1, "event": "failed",
           "fault": "no such file: /opt/x/y.py", "seconds_asked": 1.0, "seen": "elsewhere"}  # fmt: skip
    (out / "runs.jsonl").write_text(json.dumps(run) + "\n")
    session = {"chip": {"name": "A chip"}, "units": [CARD], "probed": {"units": [CARD]}, "host": {"kernel": "6.1"},
               "recorder": {"out": "/tmp/x"}}  # fmt: skip
    (out / "session.json").write_text(json.dumps(session))
    return out


def test_landing_keeps_every_sample_and_names_no_card_and_no_path(tmp_path: Path) -> None:
    manifest = landing.land(recorded(tmp_path), tmp_path / "set", claims=landing.CLAIMS, commit="c")
    table = read_table(tmp_path / "set" / "chip.parquet")
    assert table.units == ("chip-0",)
    assert table.values[:, 0].tolist() == [float(tenth) for tenth in range(30)]
    assert manifest["verified"]["samples_chip"] == 30
    (run,) = read_recorded(tmp_path / "set")
    assert (run.claims, run.fault) == ("prefill", "no such file: …")
    for path in (tmp_path / "set").iterdir():
        assert not re.search(rb"GPU-|/home|/tmp|6\.1", path.read_bytes())


def test_a_folder_that_is_there_is_not_written_into(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there already"):
        landing.land(recorded(tmp_path), tmp_path, claims={}, commit="")


def _strike(spool: Path, kind: str, number: int) -> None:
    """Take away one file; statements in the order of their segments."""
    found = sorted((spool / kind).iterdir(), key=lambda path: path.stat().st_mtime_ns)
    found[number].unlink()


def _flip(spool: Path) -> None:
    path = max((spool / "statements").iterdir())
    path.write_bytes(path.read_bytes().replace(b'"sig":"', b'"sig":"AA', 1))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda spool: _strike(spool, "payloads", 0), "payload"),
        (lambda spool: _strike(spool, "statements", 1), "problems"),
        (lambda spool: _strike(spool, "statements", -1), "problems"),
        (_flip, None),
    ],
    ids=["a payload is gone", "a statement is gone", "the end is gone", "a signature is another"],
)
def test_a_spool_that_is_not_whole_is_refused(
    tmp_path: Path, change: Callable[[Path], None], message: str | None
) -> None:
    source = recorded(tmp_path, change)
    with pytest.raises(EvidenceError, match=message):
        landing.land(source, tmp_path / "set", claims={}, commit="")
    assert not (tmp_path / "set").exists()


def test_a_spool_of_another_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EvidenceError):
        landing.land(recorded(tmp_path, key=OTHER_KEY), tmp_path / "set", claims={}, commit="")


# --- the data set --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("session", SESSIONS)
def test_files_are_as_the_manifest_says(session: str) -> None:
    folder = DATA / session
    manifest = json.loads((folder / "manifest.json").read_text())
    assert {path.name for path in folder.iterdir()} == {*manifest["files"], "manifest.json"}
    for name, told in manifest["files"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == told["sha256"], name
    for meter in ("chip", "host"):
        assert pq.read_metadata(folder / f"{meter}.parquet").num_rows == manifest["verified"][f"samples_{meter}"]


def test_the_data_set_is_small_and_names_no_card_and_no_machine() -> None:
    files = [path for path in DATA.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 6_000_000
    for path in files:
        assert not re.search(
            rb"GPU-[0-9a-f]{4,}|/home/|/tmp/|/opt/|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-", path.read_bytes()
        ), path


def test_every_run_is_there_and_most_are_read() -> None:
    runs, dropped = load_runs(DATA, Form.ACCELERATOR, signals=("power_w", "tensor_busy_share"), step_s=0.1, least_s=1.8)
    assert Counter(run.session for run in runs) == SESSIONS
    assert (dropped.short, dropped.empty, dropped.duplicates) == (0, 0, 0)
    assert {run.hardware for run in runs} == {"NVIDIA H200"}
    assert {run.disguise: run.claims for run in runs if run.disguise} == landing.CLAIMS
    assert len({run.job for run in runs}) == len(runs)
    share = min(np.isfinite(run.frame.values).mean() for run in runs)
    assert share > 0.95


def test_power_and_flop_are_of_one_card() -> None:
    for session in SESSIONS:
        samples = read_table(DATA / session / "chip.parquet")
        power = samples.values[:, samples.signals.index("power_w")]
        assert 60 < power.min() < power.max() < 760
        for run in read_recorded(DATA / session):
            rate = (run.flop_training + run.flop_other) / (run.end_ns - run.start_ns) * 1e9
            assert rate < 989.4e12, run.id
            if run.probe_flop_counted and run.probe_flop_by_rule:
                assert 0.9 < run.probe_flop_counted / run.probe_flop_by_rule < 1.05, run.id
