"""A recording as a site that can be reviewed: declaration, trust anchors and bundle.

    OUT/site.tar           the bundle: what the operator hands over
    OUT/anchors.yaml       what the reviewer trusts: public keys only
    OUT/declaration.yaml   the declaration as it was signed, for reading
    OUT/agreement.yaml     the terms for a site with telemetry (`terms`)
    OUT/truth.json         what really happened: for scoring, never for a review

The parties of the bench: the verifier holds the gateway, so collector, log and witness are its own, and so are meters and
inspector; the prover signs the declaration and the bundle. The declaration claims that every pod served inference throughout,
whatever it did; where a workload was enrolled, that it was this workload, with the code that the inspector read.

Keys are made anew for every recording, kept beside the run, and not part of the site.
"""

from __future__ import annotations

import base64
import json
import math
import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import yaml

from inspectorate.declaration import (
    ChipGroup,
    Cluster,
    Declaration,
    Link,
    Pod,
    Sensor,
    SensorKind,
    Site,
    WorkloadClaim,
    WorkloadKind,
)
from inspectorate.errors import EnvironmentError_
from inspectorate.evidence import Origin, write_bundle
from inspectorate.keys import Holder, LedgerAnchor, Role, SigningKey, TrustAnchor, TrustAnchors
from inspectorate.lab import telemetry
from inspectorate.lab.inspector import INSPECTOR, WORKLOAD, enrolled_code, statements
from inspectorate.lab.network import links
from inspectorate.lab.record import Recording
from inspectorate.lab.scenario import Scenario
from inspectorate.lab.sensors import SAMPLING_RATE, Protocol, place
from inspectorate.lab.sensors import Sensor as Exporter
from inspectorate.lab.terms import HEADING, bench_agreement
from inspectorate.ledger import KeyKind, Log, VerifierKey, WitnessAddress, cosigned_checkpoint
from inspectorate.quantities import Period
from inspectorate.submission import ledger_entry, read_spool, submit

PARTY = "operator"
LOG_ORIGIN = "lab.inspectorate.example/evidence"
WITNESS_NAME = "witness.inspectorate.example/lab"
CHIP = "x86-64-core-avx512"
LINK_BYTES_PER_S = 1.25e9
"""Declared capacity of a pod link: 10 Gbit/s. A pair of virtual interfaces carried 3.6 to 14 Gbit/s on two cores."""
SILENCE_S_MAX = 10.0
"""A live exporter reports the canary's flow every 5 to 7 s."""
SAMPLED_SILENCE_S_MAX = 40.0
"""A sampling exporter reports its counters on a timer of its own, and one in 128 packets otherwise."""
ACTIVE_TIMEOUT_S = 7.0
KEYS_VALID = timedelta(days=3650)
BEFOREHAND = timedelta(hours=2)
"""How long before all is known a recording is declared for."""
WITNESS_END_S = 10.0


@dataclass(frozen=True, kw_only=True)
class SiteKeys:
    """The keys of one recording."""

    collector: SigningKey
    log: SigningKey
    prover: SigningKey
    witness: SigningKey
    meters: SigningKey
    inspector: SigningKey

    @classmethod
    def make(cls, folder: Path, *, inspector: SigningKey | None = None) -> SiteKeys:
        """New keys, each in a file of its own in `folder`; but for the inspector's where an earlier enrolment is used."""
        folder.mkdir(parents=True, exist_ok=True)
        names = ("collector", "log", "prover", "witness", "meters", "inspector")
        made = {name: SigningKey(os.urandom(32)) for name in names}
        made["inspector"] = inspector or made["inspector"]
        for name, key in made.items():
            key.write(folder / f"{name}.pem")
        return cls(**made)

    @property
    def witness_key(self) -> VerifierKey:
        return VerifierKey.of(self.witness, name=WITNESS_NAME, kind=KeyKind.WITNESS)

    @property
    def log_key(self) -> VerifierKey:
        return VerifierKey.of(self.log, name=LOG_ORIGIN, kind=KeyKind.LOG)


def declare(recording: Recording) -> Declaration:
    """What the prover says of the bench: its pods, links, sensors and meters, and inference everywhere."""
    truth = recording.truth
    start = datetime.fromtimestamp(math.ceil(truth.period.start.timestamp()), UTC)
    period = Period(start=start, end=start + timedelta(seconds=round(truth.period.duration_s)))
    enrolled = recording.enrolment is not None
    claim = WorkloadClaim(
        id="service",
        kind=WorkloadKind.INFERENCE,
        pods=tuple(sensor.pod for sensor in recording.sensors),
        period=period,
        description="a language model is served to clients",
        workload=WORKLOAD if enrolled else None,
        code=enrolled_code(recording.enrolment) if recording.enrolment is not None else None,
    )
    site = _site(recording.sensors, measured=recording.telemetry is not None)
    return Declaration(id=f"bench-{truth.scenario}", party=PARTY, period=period, sites=(site,), claims=(claim,))


def declare_meters(scenario: Scenario, *, now: datetime) -> Declaration:
    """What is declared before anything is recorded: pods, sensors and meters, and no claim yet."""
    period = Period(start=now, end=now + BEFOREHAND)
    sensors = place(links(scenario.pods), scenario.pods)
    site = _site(sensors, measured=True)
    return Declaration(id=f"bench-{scenario.name}", party=PARTY, period=period, sites=(site,))


def _site(exporters: tuple[Exporter, ...], *, measured: bool) -> Site:
    pods = tuple(
        Pod(
            id=sensor.pod,
            chips=(ChipGroup(model=CHIP, count=1),),
            networks=(f"{sensor.pod_ipv4}/32", f"{sensor.pod_ipv6}/128"),
        )
        for sensor in exporters
    )
    sensors = tuple(
        Sensor(
            id=sensor.sensor_id,
            kind=SensorKind.FLOW_EXPORT,
            holder=Holder.VERIFIER,
            pod=sensor.pod,
            silence_s_max=SAMPLED_SILENCE_S_MAX if sensor.protocol is Protocol.SFLOW else SILENCE_S_MAX,
            active_timeout_s=ACTIVE_TIMEOUT_S,
            sampling_rate=SAMPLING_RATE if sensor.protocol is Protocol.SFLOW else 1,
        )
        for sensor in exporters
    )
    names = tuple(pod.id for pod in pods)
    return Site(
        id="bench",
        location="a bench in network namespaces on one machine",
        clusters=(Cluster(id="pods", pods=pods),),
        links=tuple(Link(pod=pod, bytes_per_s_max=LINK_BYTES_PER_S) for pod in names),
        sensors=sensors,
        meters=telemetry.meters(names) if measured else (),
    )


def trust(keys: SiteKeys, declaration: Declaration) -> TrustAnchors:
    """What the reviewer of this site trusts: the verifier's collector for its sensors, the prover for what it declares."""
    start = declaration.period.start - timedelta(days=1)

    meters = tuple(meter.id for meter in declaration.meters)
    flows = tuple(sensor.id for sensor in declaration.sensors)

    def anchor(
        name: str, key: SigningKey, holder: Holder, *roles: Role, speaks_for: tuple[str, ...] = ()
    ) -> TrustAnchor:
        return TrustAnchor(
            name=name,
            public_key=base64.b64encode(key.public.raw).decode(),
            holder=holder,
            roles=roles,
            sensors=speaks_for,
            valid_from=start,
            valid_until=start + KEYS_VALID,
        )

    return TrustAnchors(
        anchors=(
            anchor("gateway-collector", keys.collector, Holder.VERIFIER, Role.SENSOR, Role.CUSTODY, speaks_for=flows),
            anchor("operator", keys.prover, Holder.PROVER, Role.DECLARATION, Role.BUNDLE),
            *(
                (
                    anchor("pod-meters", keys.meters, Holder.VERIFIER, Role.SENSOR, speaks_for=meters),
                    anchor(INSPECTOR, keys.inspector, Holder.VERIFIER, Role.INSPECTOR),
                )
                if meters
                else ()
            ),
        ),
        ledgers=(
            LedgerAnchor(origin=LOG_ORIGIN, key=keys.log_key.text, witnesses=(keys.witness_key.text,), witnesses_min=1),
        ),
    )


def witnessed(log: Log, keys: SiteKeys, folder: Path) -> bytes:
    """The log's checkpoint with the cosignature of a witness, which runs as a process of its own and is ended again."""
    command = [sys.executable, "-m", "inspectorate", "ledger", "witness", "--json", "--state", str(folder / "witness")]
    command += ["--name", WITNESS_NAME, "--log", keys.log_key.text, "--key", str(folder / "keys" / "witness.pem")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline() or "{}")
        if "url" not in told:
            raise EnvironmentError_("the witness did not start", remedy="run `inspectorate ledger witness` by hand")
        return cosigned_checkpoint(log, [WitnessAddress(url=told["url"], key=keys.witness_key)])
    finally:
        process.terminate()
        process.wait(timeout=WITNESS_END_S)


def package(recording: Recording, *, out: Path, keys: SiteKeys, folder: Path, now: datetime) -> Declaration:
    """Write the site of a recording into the new folder `out`. `folder` holds its keys and its log."""
    declaration = declare(recording)
    envelopes, payloads = read_spool(recording.evidence)
    with Log.open(folder / "ledger", keys.log) as log:
        if recording.telemetry is not None and recording.enrolment is not None:
            told, shown = read_spool(recording.telemetry)
            log.append([ledger_entry(envelope) for envelope in told])
            sessions, enrolled = statements(recording.enrolment, tuple(sensor.pod for sensor in recording.sensors))
            envelopes, payloads = [*envelopes, *told, *sessions], payloads | shown | enrolled
        contents = submit(
            envelopes=envelopes,
            payloads=payloads,
            declaration=declaration,
            declaration_key=keys.prover,
            log=log,
            bundle_key=keys.prover,
            created_at=now,
            origin=Origin.RECORDED,
            cosign=lambda: witnessed(log, keys, folder),
        )
    out.mkdir(parents=True, exist_ok=True)
    write_bundle(contents, out / "site.tar")
    _write_yaml(out / "anchors.yaml", trust(keys, declaration).model_dump(mode="json", exclude_none=True))
    write_declaration(out / "declaration.yaml", declaration)
    (out / "truth.json").write_bytes(recording.truth.canonical_bytes())
    if recording.telemetry is not None:
        _write_yaml(
            out / "agreement.yaml", bench_agreement().model_dump(mode="json", exclude_none=True), heading=HEADING
        )
    return declaration


def write_declaration(path: Path, declaration: Declaration) -> None:
    """A declaration as a file that the commands read."""
    _write_yaml(path, declaration.model_dump(mode="json", exclude_none=True))


def _write_yaml(path: Path, value: object, *, heading: str = "") -> None:
    path.write_text(heading + yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=110))
