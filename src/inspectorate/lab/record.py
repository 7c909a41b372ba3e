"""Record a scenario: run it with a collector that listens to every sensor, and keep what it signed.

    DIRECTORY/evidence/   what the collector wrote: all that a review may see
    DIRECTORY/truth/      what really happened: for scoring only
    DIRECTORY/run/        logs and configuration of the run

The collector is the program of the package (`inspectorate collect flows`), run as its own process in the gateway's
namespace, with one port per sensor. Its key belongs to the verifier and is given from outside.

Not done here: making a site of it (`package`).
"""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass
from pathlib import Path

from inspectorate.errors import EnvironmentError_, InputError
from inspectorate.lab.bench import Options, Progress, run
from inspectorate.lab.scenario import Scenario
from inspectorate.lab.sensors import Sensor
from inspectorate.lab.truth import GroundTruth

SEGMENT_S = 30


@dataclass(frozen=True, kw_only=True)
class Recording:
    """What a recording left behind."""

    evidence: Path
    truth_path: Path
    truth: GroundTruth
    sensors: tuple[Sensor, ...]


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """An existing log and the file with its key."""

    folder: Path
    key: Path


def collector_argv(sensors: tuple[Sensor, ...], *, evidence: Path, key: Path, ledger: Ledger | None) -> list[str]:
    """The command that collects from these sensors into `evidence`, signing with the key in `key`."""
    argv = [sys.executable, "-m", "inspectorate", "collect", "flows"]
    argv += ["--out", str(evidence), "--key", str(key), "--segment-seconds", str(SEGMENT_S)]
    if ledger is not None:
        argv += ["--ledger", str(ledger.folder), "--ledger-key", str(ledger.key)]
    for sensor in sensors:
        argv += ["--listen", f"{sensor.sensor_id}={sensor.listen}"]
    return argv


def record(
    scenario: Scenario, options: Options, *, key: Path, progress: Progress, ledger: Ledger | None = None
) -> Recording:
    """Run a scenario with its collector, which also appends to `ledger`. `options.directory` must be new or empty.

    Raises `InputError` on an unusable key or directory, `EnvironmentError_` if a program fails or nothing was collected.
    """
    if not key.is_file():
        raise InputError("there is no signing key", where=str(key), remedy="create it for the verifier first")
    directory = options.directory
    if directory.exists() and any(directory.iterdir()):
        raise InputError("is not empty", where=str(directory), remedy="name a new directory")
    evidence = directory / "evidence"
    heard: list[tuple[Sensor, ...]] = []

    def collector(sensors: tuple[Sensor, ...]) -> list[str]:
        heard.append(sensors)
        return collector_argv(sensors, evidence=evidence, key=key, ledger=ledger)

    truth = run(scenario, dataclasses.replace(options, directory=directory / "run", collector=collector), progress)
    if not evidence.is_dir() or not any(evidence.iterdir()):
        raise EnvironmentError_("the collector left nothing", where=str(evidence), remedy="see run/logs/collector.err")
    place = directory / "truth"
    (directory / "run" / "truth").rename(place)
    return Recording(evidence=evidence, truth_path=place / "truth.json", truth=truth, sensors=heard[0])
