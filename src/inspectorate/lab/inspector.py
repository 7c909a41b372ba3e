"""The inspector of the bench: one enrolment session per pod, opened before anything runs and closed before the period begins.

    FOLDER/telemetry/      what the meters recorded meanwhile: signed segments of a stream of their own
    FOLDER/code/           a clean export of the code that serves: what the inspector read, and digested
    FOLDER/sessions/POD/   a session as `inspectorate enrol` makes it (docs/enrolment.md)

The sessions are made with the functions of the product, and everything that they refuse ends the recording. At full scale a
session that is not sufficient is refused; at a smaller one it is closed short, as `enrol close --short` would.

Several recordings of one bench may use one enrolment: hardware, code and meters are the same.
"""

from __future__ import annotations

import platform
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from inspectorate.evidence import Origin
from inspectorate.keys import SigningKey, TrustAnchors
from inspectorate.lab import telemetry
from inspectorate.lab.enrolling import LEVELS, Performed
from inspectorate.lab.terms import approving, bench_agreement
from inspectorate.mechanisms.workloads.enrol.clause import make_plan
from inspectorate.mechanisms.workloads.enrol.closing import Closing, close_session, samples_of_runs
from inspectorate.mechanisms.workloads.enrol.code import code_digest
from inspectorate.mechanisms.workloads.enrol.manifest import choose_signals
from inspectorate.mechanisms.workloads.enrol.recording import MeterSpool, read_spool, take_run
from inspectorate.mechanisms.workloads.enrol.session import (
    Opening,
    RunName,
    Session,
    add_run,
    name_run,
    open_session,
    read_session,
)
from inspectorate.mechanisms.workloads.signature.types import Condition, Manifest, Setting
from inspectorate.quantities import Period

INSPECTOR = "inspector"
WORKLOAD = "serving"
LOAD = "requests-per-s"
CODE = ("work_serve.py", "work_lm.py", "work_io.py", "trial_shape.py")
"""What a service of the bench runs, beside Python and torch."""


@dataclass(frozen=True, kw_only=True)
class Inspector:
    """Who enrols, and where it is kept. `anchors` are those of the reviewer: meters and inspector are among them."""

    folder: Path
    key: SigningKey
    anchors: TrustAnchors
    chip: str
    short: bool

    @property
    def recorded(self) -> Path:
        return self.folder / "telemetry"

    def session_folder(self, pod: str) -> Path:
        return self.folder / "sessions" / pod

    def export_code(self) -> str:
        """The code that serves, in a folder of its own, and its digest."""
        out = self.folder / "code"
        out.mkdir(parents=True, exist_ok=True)
        for name in CODE:
            shutil.copyfile(Path(__file__).parent / name, out / name)
        return self.code

    @property
    def code(self) -> str:
        """The digest of the exported code."""
        return enrolled_code(self.folder)

    def open(self, pods: tuple[str, ...], *, at: datetime) -> None:
        """Open a session for every pod."""
        agreement = bench_agreement()
        clause, _ = approving(agreement)
        code = self.export_code()
        for meter, pod in zip(telemetry.meters(pods), pods, strict=True):
            plan = make_plan(agreement, clause, meter, units=meter.units, signals=choose_signals(meter, ()))
            opening = Opening(
                manifest=self._manifest(pod, code), plan=plan, by=INSPECTOR, at=at, origin=Origin.RECORDED
            )
            open_session(self.session_folder(pod), opening, key=self.key, anchors=self.anchors)

    def close(self, performed: tuple[Performed, ...], *, pods: tuple[str, ...]) -> None:
        """Take every run into its sessions, and close them. The recorder must have ended."""
        for pod in pods:
            meter = telemetry.meter_id(pod)
            spool = read_spool(self.recorded, anchors=self.anchors, meter=meter)
            for one in performed:
                if pod in one.pods:
                    self._take(pod, one, spool)
            closing = Closing(code=self.code, at=datetime.now(UTC), short=self.short)
            close_session(self._session(pod), closing, key=self.key, anchors=self.anchors)

    def _take(self, pod: str, one: Performed, spool: MeterSpool) -> None:
        session = self._session(pod)
        settings = (Setting(name=LOAD, value=one.loads[pod]),) if pod in one.loads else ()
        asked = RunName(id=one.name, settings=settings)
        if one.contrast is not None:
            kind = "training" if one.contrast == "training" else "idle"
            asked = RunName(id=one.name, settings=(), contrast=one.contrast, kind=kind)  # type: ignore[arg-type]
        at = datetime.now(UTC)
        taken = take_run(
            spool,
            session.plan,
            period=one.period,
            session=Period(start=session.opened.opened_at, end=at),
            earlier=samples_of_runs(session, anchors=self.anchors),
        )
        add_run(session, name_run(session, asked), taken, spool=spool, at=at)

    def _session(self, pod: str) -> Session:
        return read_session(self.session_folder(pod), anchors=self.anchors)

    def _manifest(self, pod: str, code: str) -> Manifest:
        return Manifest(
            session=f"{WORKLOAD}-{pod}",
            workload=WORKLOAD,
            kind="inference",
            description="a language model of bytes is served to clients, one token at a time",
            pods=(pod,),
            chip=self.chip,
            chips=1,
            hardware=(f"{platform.machine()}, the cores of one machine shared by all pods",),
            software=(f"python {platform.python_version()}", f"torch {metadata.version('torch')}"),
            code=code,
            operating_range=(Condition(name=LOAD, least=LEVELS[0], most=LEVELS[-1]),),
        )


def enrolled_code(folder: Path) -> str:
    """The digest of the code that was enrolled in `folder`."""
    return code_digest(folder / "code").digest


def statements(folder: Path, pods: Iterable[str]) -> tuple[list[bytes], dict[str, bytes]]:
    """Envelopes and payloads of all sessions: what a bundle needs of them."""
    envelopes: list[bytes] = []
    payloads: dict[str, bytes] = {}
    for pod in pods:
        session = folder / "sessions" / pod
        envelopes += [path.read_bytes() for path in sorted((session / "statements").glob("*.json"))]
        payloads |= {f"sha256:{path.name}": path.read_bytes() for path in sorted((session / "payloads").iterdir())}
    return envelopes, payloads
