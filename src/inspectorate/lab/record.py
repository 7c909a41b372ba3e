"""Record a scenario: run it with a collector that listens to every sensor, and keep what it signed.

    DIRECTORY/evidence/   what the collector wrote
    DIRECTORY/telemetry/  what the meters wrote, where telemetry is recorded
    DIRECTORY/enrolment/  the sessions of the inspector (`inspector`)
    DIRECTORY/truth/      what really happened: for scoring only
    DIRECTORY/run/        logs and configuration of the run

The collector is the program of the package (`inspectorate collect flows`), run as its own process in the gateway's
namespace, with one port per sensor. Its key belongs to the verifier and is given from outside. So it is with the recorder of
telemetry. The statements of the sessions go into the log when they are made; the log belongs to one program at a time, so those
of the meters are appended when all is over (`package`).

Not done here: making a site of it (`package`).
"""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from inspectorate.errors import EnvironmentError_, InputError
from inspectorate.keys import SigningKey
from inspectorate.lab.bench import COLLECTOR_LIMIT_S, Options, Progress, run
from inspectorate.lab.enrolling import Place, perform
from inspectorate.lab.inspector import Inspector, statements
from inspectorate.lab.scenario import Scenario
from inspectorate.lab.sensors import Sensor
from inspectorate.lab.telemetry import Recorder, start_recorder
from inspectorate.lab.truth import GroundTruth
from inspectorate.ledger import Log
from inspectorate.submission import ledger_entry

SEGMENT_S = 30


@dataclass(frozen=True, kw_only=True)
class Recording:
    """What a recording left behind."""

    evidence: Path
    truth_path: Path
    truth: GroundTruth
    sensors: tuple[Sensor, ...]
    telemetry: Path | None = None
    enrolment: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Telemetry:
    """How telemetry is recorded, and who enrols; without an inspector the enrolment is already in `enrolment`."""

    recorder: Recorder
    enrolment: Path
    inspector: Inspector | None


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
    scenario: Scenario,
    options: Options,
    *,
    key: Path,
    progress: Progress,
    ledger: Ledger | None = None,
    telemetry: Telemetry | None = None,
) -> Recording:
    """Run a scenario with its collector, which also appends to `ledger`. `options.directory` must be new or empty.

    Raises `InputError` on an unusable key or directory, `EnvironmentError_` if a program fails or nothing was collected.
    """
    if not key.is_file():
        raise InputError("there is no signing key", where=str(key), remedy="create it for the verifier first")
    directory = options.directory
    if directory.exists() and any(directory.iterdir()):
        raise InputError("is not empty", where=str(directory), remedy="name a new directory")
    evidence, measured = directory / "evidence", directory / "telemetry"
    heard: list[tuple[Sensor, ...]] = []

    def collector(sensors: tuple[Sensor, ...]) -> list[str]:
        heard.append(sensors)
        return collector_argv(sensors, evidence=evidence, key=key, ledger=ledger)

    asked = dataclasses.replace(options, directory=directory / "run", collector=collector)
    if telemetry is not None:
        recorder = telemetry.recorder
        asked = dataclasses.replace(
            asked,
            meters=lambda network, ready: recorder.argv(network, out=measured, ready=ready),
            enrol=lambda place: enrol(telemetry, place, ledger),
        )
    truth = run(scenario, asked, progress)
    for folder, name in ((evidence, "collector"), *([(measured, "meters")] if telemetry else [])):
        if not folder.is_dir() or not any(folder.iterdir()):
            raise EnvironmentError_(f"the {name} left nothing", where=str(folder), remedy=f"see run/logs/{name}.err")
    place = directory / "truth"
    (directory / "run" / "truth").rename(place)
    return Recording(
        evidence=evidence,
        truth_path=place / "truth.json",
        truth=truth,
        sensors=heard[0],
        telemetry=measured if telemetry else None,
        enrolment=telemetry.enrolment if telemetry else None,
    )


def enrol(telemetry: Telemetry, place: Place, ledger: Ledger | None) -> None:
    """Let the inspector enrol what the bench runs, each statement logged when it was made; or log an earlier enrolment."""
    pods, inspector, recorder = place.network.pods, telemetry.inspector, telemetry.recorder
    if inspector is not None:
        inspector.open(pods, at=datetime.now(UTC))
        _log_sessions(telemetry.enrolment, pods, ledger)
        name = "enrol-meters"
        start_recorder(
            place.network,
            place.processes,
            name,
            lambda network, ready: recorder.argv(network, out=inspector.recorded, ready=ready),
            place.folder,
        )
        performed = perform(place)
        place.processes.end(name, grace_s=COLLECTOR_LIMIT_S)
        place.tell("enrolling: closing the sessions")
        inspector.close(performed, pods=pods)
    _log_sessions(telemetry.enrolment, pods, ledger)


def _log_sessions(enrolment: Path, pods: tuple[str, ...], ledger: Ledger | None) -> None:
    if ledger is None:
        return
    envelopes, _ = statements(enrolment, pods)
    with Log.open(ledger.folder, SigningKey.read(ledger.key)) as log:
        log.append([entry for one in envelopes if log.find(entry := ledger_entry(one)) is None])
