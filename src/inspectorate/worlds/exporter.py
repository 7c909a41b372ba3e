"""One sensor: the flows of its pod's link in, the datagrams that reach the collector out.

1. The meter: flows cut at the active timeout, reported at the first tick after the cut, or after the flow ended.
2. The encoder of the sensor's protocol.
3. The way: a delay for each datagram; few are late and overtaken; where the site loses datagrams, they are gone.

`Damage` says how a broken or tampered exporter differs; everything of it is off by default.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address

import numpy as np

from inspectorate.mechanisms.interconnect.segments import Datagrams, Endpoint
from inspectorate.quantities import to_ns
from inspectorate.worlds import model
from inspectorate.worlds.model import NS_PER_S
from inspectorate.worlds.netflow import Clock, Messages, Meter, encode_ipfix, encode_v9
from inspectorate.worlds.packets import Cuts, Flows, Ints, cut_at_timeout
from inspectorate.worlds.sflow import Agent, encode_sflow
from inspectorate.worlds.site import Protocol, SimSite

COLLECTOR_ADDRESS = IPv4Address("192.0.2.10")
_EXPORTERS_FIRST = int(IPv4Address("192.0.2.100"))
_PORTS_FIRST = 20_000


@dataclass(frozen=True, kw_only=True)
class Damage:
    """What is wrong with one exporter; times in seconds from the start of the declared period."""

    silent_s: tuple[float, float] | None = None
    templates: bool = True
    announced_rate: int | None = None
    clock_shift_s: float = 0.0


SOUND = Damage()


def endpoint(number: int) -> Endpoint:
    """Where the collector listens for the sensor of that number."""
    return Endpoint(address=COLLECTOR_ADDRESS, port=_PORTS_FIRST + number)


def heard_until_ns(site: SimSite) -> int:
    """When the collectors stop listening, in ns from the start of the period."""
    return round((site.duration_s + model.TAIL_S) * NS_PER_S)


def export(
    site: SimSite, number: int, *, flows: Flows, random: np.random.Generator, damage: Damage = SOUND
) -> Datagrams:
    """What the collector receives from sensor `number`, whose link carries `flows`."""
    return _deliver(site, number, _messages(site, number, flows=flows, random=random, damage=damage), random)


def _messages(site: SimSite, number: int, *, flows: Flows, random: np.random.Generator, damage: Damage) -> Messages:
    """Steps 1 and 2."""
    sensor = site.sensors[number]
    shift = sensor.clock_offset_ns + round(damage.clock_shift_s * NS_PER_S)
    origin = to_ns(site.start) + shift
    clock = Clock(origin_ns=origin, booted_ns=origin - int(random.integers(1_000, 40 * 86_400)) * NS_PER_S)
    silent = None
    if damage.silent_s is not None:
        silent = (round(damage.silent_s[0] * NS_PER_S), round(damage.silent_s[1] * NS_PER_S))
    end_ns = heard_until_ns(site)
    if sensor.protocol is Protocol.SFLOW:
        agent = Agent(
            clock=clock,
            address=_EXPORTERS_FIRST + number,
            rate=model.SAMPLING_RATE,
            announced_rate=damage.announced_rate or model.SAMPLING_RATE,
        )
        return encode_sflow(flows, random, agent, end_ns=end_ns, silent_ns=silent)
    cuts, tick_ns = report_times(flows, random)
    heard = tick_ns < end_ns
    if silent is not None:
        heard &= (tick_ns < silent[0]) | (tick_ns >= silent[1])
    cuts, tick_ns = Cuts(**{name: getattr(cuts, name)[heard] for name in Cuts.__dataclass_fields__}), tick_ns[heard]
    meter = Meter(
        clock=clock,
        gain=sensor.gain,
        sequence=int(random.integers(0, 2**31)),
        domain=number,
        announces_templates=damage.templates,
    )
    encode = encode_v9 if sensor.protocol is Protocol.NETFLOW_V9 else encode_ipfix
    return encode(flows, cuts, tick_ns, meter)


def report_times(flows: Flows, random: np.random.Generator) -> tuple[Cuts, Ints]:
    """Step 1: the records of the meter in the order in which they are reported, and the tick of each."""
    timeout = round(model.ACTIVE_TIMEOUT_S * NS_PER_S)
    tick = round(model.TICK_S * NS_PER_S)
    cuts = cut_at_timeout(flows, timeout)
    cut_end = flows.start_ns[cuts.flow] + (cuts.piece + 1) * timeout
    due = np.minimum(cut_end, cuts.last_ns + round(model.FIN_WAIT_S * NS_PER_S))
    phase = int(random.integers(tick))
    tick_ns = ((due - phase) // tick + 1) * tick + phase
    order = np.argsort(tick_ns, kind="stable")
    return Cuts(**{name: getattr(cuts, name)[order] for name in Cuts.__dataclass_fields__}), tick_ns[order]


def _deliver(site: SimSite, number: int, messages: Messages, random: np.random.Generator) -> Datagrams:
    """Step 3."""
    count = len(messages.content)
    delay_s = model.DELAY_S + random.exponential(model.JITTER_S, count)
    late = random.random(count) < model.LATE_SHARE
    delay_s = np.where(late, delay_s + random.uniform(*model.LATE_S, count), delay_s)
    # Datagrams of one tick leave one after the other.
    arrival = messages.sent_ns + np.round(delay_s * NS_PER_S).astype(np.int64) + 20_000 * (np.arange(count) % 100)
    lost = random.random(count) < (model.LOSS_SHARE if site.loss else 0.0)
    kept = np.flatnonzero(~lost & (arrival >= -round(model.LEAD_S * NS_PER_S)) & (arrival < heard_until_ns(site)))
    order = kept[np.argsort(arrival[kept], kind="stable")]
    content = [messages.content[i] for i in order.tolist()]
    lengths = np.array([len(item) for item in content], dtype=np.int64)
    sender = np.frombuffer(IPv4Address(_EXPORTERS_FIRST + number).packed, dtype=np.uint8)
    return Datagrams(
        sensor=site.sensors[number].id,
        arrival_ns=to_ns(site.start) + arrival[order],
        data=np.frombuffer(bytearray(b"".join(content)), dtype=np.uint8),
        starts=np.cumsum(lengths) - lengths,
        lengths=lengths,
        addresses=np.tile(sender, (len(content), 1)),
        ports=np.full(len(content), 50_000 + number, dtype=np.uint16),
        dropped_total=np.zeros(len(content), dtype=np.int64),
        dropped_after=0,
        drained=True,
    )
