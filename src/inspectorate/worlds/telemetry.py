"""What the meters of a simulated site show, and what was enrolled there, where the agreement asks for telemetry.

- Each pod has a meter of its chips, which the prover holds, and one at its node's inlet, which the verifier holds; racks of
  `PODS_PER_RACK` pods have one more, of the verifier. Each feeds the next, and all sample once a second.
- Chips work for requests as the traffic of the pod says, and for the training of a guilty pod with what is left of them.
- Weeks before, an inspector enrolled serving on every pod: separate runs over the whole range of load, and as contrasts
  idling and training. An honest pod's telemetry comes from the same model as its references, under the site's own load.

Segments pass through the product's own recorder and sealer. Every draw has a purpose of its own, so that a site under an
agreement without these clauses is the same to the byte.
Not done here: disguised telemetry (`disguises`), broken meters, and hardware that changes between enrolment and use.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from inspectorate.agreement import Agreement, ClauseKind
from inspectorate.declaration import Current, Declaration, MeasuringPoint, Meter
from inspectorate.evidence import Origin
from inspectorate.evidence.sealing import Sealer
from inspectorate.keys import Holder, SigningKey
from inspectorate.mechanisms.workloads.record.recorder import Cut, Recorded, TelemetryRecorder, payload_of
from inspectorate.mechanisms.workloads.telemetry.frame import Samples
from inspectorate.quantities import to_ns
from inspectorate.worlds import model, telemetry_model
from inspectorate.worlds.model import NS_PER_S
from inspectorate.worlds.packets import Flows, interval_totals
from inspectorate.worlds.site import SimSite
from inspectorate.worlds.telemetry_model import CHIP_SIGNALS, POWER_SIGNALS, Draw, Floats, Machine
from inspectorate.worlds.traffic import PIPELINE_PORT, SERVICE_PORT

ASKS = frozenset({ClauseKind.APPROVED_WORKLOADS, ClauseKind.SOUND_TELEMETRY})
PODS_PER_RACK = 3
SILENCE_S_MAX = 5.0
SAMPLED_AT_S, SAMPLING_JITTER_S = 0.5, 0.02
"""Polls come in the middle of each second, but for the jitter of a loaded host."""
STREAM = "simulated-telemetry"
RECORDER = "inspectorate worlds: simulated"
NOT_TRAINING = frozenset({"over-limit-burst", "exfiltration"})
"""Cheats that break a clause without training anything."""


@dataclass(frozen=True, kw_only=True)
class Trains:
    """Pods that train, from when to when [s since the start of the period], and what is left of their honest work."""

    pods: tuple[int, ...] = ()
    start_s: float = 0.0
    end_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Envelopes in order of signing, and the payloads that they name by digest."""

    envelopes: tuple[bytes, ...] = ()
    payloads: Mapping[str, bytes] = field(default_factory=dict)


def asked(agreement: Agreement) -> bool:
    """Whether an agreement has a clause about telemetry."""
    return any(clause.kind in ASKS for clause in agreement.clauses)


def chips_meter(pod: str) -> str:
    return f"chips-{pod}"


def node_meter(pod: str) -> str:
    return f"node-{pod}"


def rack_meter(rack: int) -> str:
    return f"rack-{rack + 1}"


def racks_of(site: SimSite) -> tuple[tuple[int, ...], ...]:
    """The pods of each rack, in order."""
    pods = range(len(site.names))
    return tuple(tuple(pods[first : first + PODS_PER_RACK]) for first in range(0, len(pods), PODS_PER_RACK))


def meters(site: SimSite) -> tuple[Meter, ...]:
    """The meters of a site: chips and nodes of every pod, then racks."""
    found = []
    for name in site.names:
        found.append(
            Meter(
                id=chips_meter(name),
                holder=Holder.PROVER,
                point=MeasuringPoint.CHIP,
                pods=(name,),
                units=tuple(f"{name}/chip-{number}" for number in range(model.CORES_PER_POD)),
                signals=CHIP_SIGNALS,
                sampled_every_s=telemetry_model.STEP_S,
                silence_s_max=SILENCE_S_MAX,
            )
        )
        found.append(
            Meter(
                id=node_meter(name),
                holder=Holder.VERIFIER,
                point=MeasuringPoint.NODE,
                pods=(name,),
                units=(f"{name}/node",),
                signals=POWER_SIGNALS,
                sampled_every_s=telemetry_model.STEP_S,
                bandwidth_hz=telemetry_model.NODE_BANDWIDTH_HZ,
                current=Current.AC,
                silence_s_max=SILENCE_S_MAX,
                feeds=(chips_meter(name),),
            )
        )
    for number, pods in enumerate(racks_of(site)):
        found.append(
            Meter(
                id=rack_meter(number),
                holder=Holder.VERIFIER,
                point=MeasuringPoint.RACK,
                pods=tuple(site.names[pod] for pod in pods),
                units=(f"{rack_meter(number)}/outlet",),
                signals=POWER_SIGNALS,
                sampled_every_s=telemetry_model.STEP_S,
                bandwidth_hz=telemetry_model.RACK_BANDWIDTH_HZ,
                current=Current.AC,
                silence_s_max=SILENCE_S_MAX,
                feeds=tuple(node_meter(site.names[pod]) for pod in pods),
            )
        )
    return tuple(found)


def loads(site: SimSite, flows: Flows, *, lead_s: float, seconds: int) -> Floats:
    """How busy requests keep the chips of each pod, shape (pods, seconds), from `lead_s` before the period on."""
    pods, limit = len(site.names), site.limit_bytes_per_s

    def rates(which: NDArray[np.bool_]) -> tuple[Floats, Floats]:
        volume, packets = interval_totals(
            flows.take(which), pods=pods, origin_ns=-round(lead_s * NS_PER_S), step_ns=NS_PER_S, count=seconds
        )
        return volume.astype(np.float64), packets.astype(np.float64)

    volume, packets = rates(flows.pod_port == SERVICE_PORT)
    handed, _ = rates((flows.pod_port == PIPELINE_PORT) | (flows.peer_port == PIPELINE_PORT))
    tokens = packets[:, 1] * model.TOKEN_BYTES
    # Of what comes in, acknowledgements of tokens are no work.
    prompts = np.maximum(volume[:, 0] - packets[:, 1] * model.ACK_BYTES, 0.0)
    work = (tokens + telemetry_model.PROMPT_WEIGHT * (prompts + handed.sum(axis=1))) / limit
    smooth = telemetry_model.first_order(work.T, telemetry_model.SMOOTHING_S).T
    return np.clip(smooth, 0.0, 1.0)


def machine_of(draw: Draw, pod: str) -> Machine:
    """The chips and the meter of a pod: the same at enrolment and later."""
    return Machine.draw(model.CORES_PER_POD, draw(f"telemetry machine {pod}"))


def series(
    site: SimSite, flows: Flows, trains: Trains, draw: Draw, *, lead_s: float, seconds: int
) -> dict[str, Floats]:
    """What every meter reads, by name, shape (signals, seconds, units); second 0 is `lead_s` before the period."""
    work = loads(site, flows, lead_s=lead_s, seconds=seconds)
    time = np.arange(seconds) - lead_s
    found: dict[str, Floats] = {}
    nodes = []
    for pod, name in enumerate(site.names):
        training = np.zeros(seconds)
        if pod in trains.pods:
            rhythm = telemetry_model.training_of(seconds, draw(f"telemetry training {name}"))
            training = np.where((time >= trains.start_s) & (time < trains.end_s), rhythm, 0.0)
        random = draw(f"telemetry noise {name}")
        machine = machine_of(draw, name)
        chips = telemetry_model.chips_of(work[pod], training, machine, random)
        nodes.append(telemetry_model.node_of(chips, machine, random))
        found[chips_meter(name)] = chips
        found[node_meter(name)] = nodes[-1][None, :, None]
    for rack, pods in enumerate(racks_of(site)):
        random = draw(f"telemetry rack {rack}")
        gain = float(1 + telemetry_model.GAIN_ERROR * random.standard_normal())
        found[rack_meter(rack)] = telemetry_model.rack_of([nodes[pod] for pod in pods], gain, random)[None, :, None]
    return found


def samples_of(values: Floats, meter: Meter, *, start_ns: int, random: np.random.Generator) -> Samples:
    """Readings (signals, seconds, units) as rows in the order in which a poll of all units brings them."""
    signals, seconds, units = values.shape
    at = start_ns + (np.arange(seconds) + SAMPLED_AT_S + SAMPLING_JITTER_S * random.uniform(-1, 1, seconds)) * NS_PER_S
    return Samples(
        units=meter.units,
        signals=meter.signals,
        time_ns=np.repeat(at.astype(np.int64), units),
        unit=np.tile(np.arange(units, dtype=np.int32), seconds),
        values=np.ascontiguousarray(values.reshape(signals, seconds * units).T),
    )


@dataclass
class _Kept:
    """Files by name, as a spool on disk would keep them."""

    files: dict[str, bytes] = field(default_factory=dict)

    def put(self, name: str, chunks: Sequence[bytes | memoryview]) -> None:
        self.files[name] = b"".join(chunks)


def state(
    declaration: Declaration, shown: Mapping[str, Floats], keys: Mapping[Holder, SigningKey], draw: Draw
) -> Measured:
    """Signed segments of every declared meter, from `LEAD_S` before the period to `TAIL_S` after it."""
    period = declaration.period
    start_ns, end_ns = to_ns(period.start - timedelta(seconds=model.LEAD_S)), to_ns(period.end)
    end_ns += round(model.TAIL_S * NS_PER_S)
    spool, digests, cuts = _Kept(), list[bytes](), list[Cut]()
    recorded = [Recorded(meter=m.id, units=m.units, signals=m.signals) for m in declaration.meters]
    recorder = TelemetryRecorder(recorded, cuts.append, start_ns=start_ns, segment_s=model.SEGMENT_S)
    seconds = (end_ns - start_ns) // NS_PER_S
    for meter in declaration.meters:
        values = shown[meter.id][:, :seconds]
        recorder.feed(
            meter.id, samples_of(values, meter, start_ns=start_ns, random=draw(f"telemetry times {meter.id}"))
        )
    recorder.close(end_ns)
    sealers = {
        holder: Sealer(
            spool, key, stream=STREAM, origin=Origin.SIMULATED, recorder=RECORDER, on_statement=digests.append
        )
        for holder, key in keys.items()
    }
    holders = {meter.id: meter.holder for meter in declaration.meters}
    for cut in sorted(cuts, key=lambda one: (one.sequence, one.recorded.meter)):
        sealers[holders[cut.recorded.meter]].seal(payload_of(cut))
    return Measured(
        envelopes=tuple(spool.files[f"statements/{digest.hex()}.json"] for digest in digests),
        payloads={
            "sha256:" + name.removeprefix("payloads/"): data
            for name, data in spool.files.items()
            if name.startswith("payloads/")
        },
    )
