"""Honest traffic: requests under a load that all pods share, admitted up to a share of the limit, and all that goes with it.

Procedure (`honest_traffic`):

1. What does not wait for admission: canary, health checks, transfers between declared peers, and whatever a cheat sends.
2. Requests arrive as a Poisson process under the site's load (drift, noise, flash crowds) and are dealt to pods.
3. Clients repeat themselves, and agents send one pod's answer to another pod.
4. A pod admits a request only while every half-interval that it would touch stays below the pod's share of the limit;
   some of those refused come back once.

So an honest pod keeps the limit in every interval, by construction, and may be right below it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from ipaddress import IPv4Address

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inspectorate.worlds import model
from inspectorate.worlds.model import NS_PER_S
from inspectorate.worlds.packets import TCP, UDP, Flows, Ints, cut_on_grid, gap_for_rate, interval_totals, packetise
from inspectorate.worlds.site import SimSite, pod_address

Floats = NDArray[np.float64]

CANARY_ADDRESS = int(IPv4Address("192.0.2.1"))
BALANCER_ADDRESS = int(IPv4Address("192.0.2.2"))
CLIENTS_FIRST = int(IPv4Address("198.51.100.1"))
CLIENTS = 250
SERVICE_PORT, PIPELINE_PORT, CANARY_PORT = 8443, 5000, 7

_GRID_BEGIN_S = model.LEAD_S + 5.0
"""The grid of admission begins this long before the period, and ends as long after the longest answer."""
_BYTES_PER_REQUEST = 19_000.0
"""About the mean of what one request costs in its heavier direction under this model; only sets the arrival rate."""


@dataclass(frozen=True, kw_only=True)
class Requests:
    """Columns of shape (requests,): time of sending, pod, upload and answer."""

    at_s: Floats
    pod: Ints
    prompt_bytes: Ints
    tokens: Ints
    tokens_per_s: Floats
    upload_bytes_per_s: Floats

    def __len__(self) -> int:
        return len(self.pod)

    def take(self, which: NDArray[np.bool_] | Ints) -> Requests:
        """Some of the requests, by mask or by number."""
        return Requests(**{name: getattr(self, name)[which] for name in self.__dataclass_fields__})

    def later(self, at_s: Floats, pod: Ints) -> Requests:
        """The same requests at another time and pod."""
        return replace(self, at_s=at_s, pod=pod)


def honest_traffic(
    site: SimSite,
    random: np.random.Generator,
    *,
    cheating: Flows | None,
    served: Floats,
    displaced: Collection[int],
) -> Flows:
    """All flows of a site (steps in the module's docstring), `cheating` included.

    `served` scales what is asked of each pod, shape (pods,): a pod that trains may serve less. Pods in `displaced` make no
    use of their declared pipelines, so that a cheat below the limit stays below it.
    """
    # (1)
    fixed = [_canary(site), _health_checks(site)]
    for one, other in site.pipelines:
        # Drawn in any case, so that the rest of the site does not change with the cheat.
        handed_over = _pipeline(site, one, other, random)
        if one not in displaced and other not in displaced:
            fixed.append(handed_over)
    if cheating is not None:
        fixed.append(cheating)
    unrefusable = Flows.join(fixed)
    # (2), (3)
    asked = _with_repeats(_arrivals(site, served, random), site, random)
    # (4)
    budget = _budget(site, unrefusable)
    flows = _flows_of(asked, random)
    admitted = _admit(site, flows, len(asked), budget=budget)
    refused = asked.take(~admitted)
    back = refused.take(random.random(len(refused)) < model.RETRY_SHARE)
    if len(back):
        back = back.later(back.at_s + random.exponential(model.RETRY_AFTER_S, len(back)), back.pod)
        again = _flows_of(back, random)
        kept = flows.take(np.tile(admitted, 3))
        second = _admit(site, again, len(back), budget=budget - _usage(site, kept, budget.shape))
        return Flows.join([unrefusable, kept, again.take(np.tile(second, 3))])
    return Flows.join([unrefusable, flows.take(np.tile(admitted, 3))])


def load_over_time(site: SimSite, random: np.random.Generator) -> Floats:
    """Relative load per second, shape (seconds,), from `LEAD_S` before the period to its end; its mean is about 1."""
    seconds = int(site.duration_s + model.LEAD_S)
    time = np.arange(seconds, dtype=np.float64)
    drift = 1 + model.DRIFT_AMPLITUDE * np.sin(
        2 * np.pi * (time / random.uniform(*model.DRIFT_PERIOD_S) + random.random())
    )
    keep = np.exp(-1 / model.NOISE_TIME_S)
    steps = random.standard_normal(seconds) * model.NOISE_SIGMA * np.sqrt(1 - keep**2)
    # An AR(1) series as a convolution with its decaying response, cut where nothing is left of it.
    response = keep ** np.arange(int(8 * model.NOISE_TIME_S))
    load = drift * np.exp(np.convolve(steps, response)[:seconds])
    for _ in range(site.crowds):
        begin, height = random.uniform(0, seconds), random.uniform(*model.CROWD_HEIGHT)
        rise, fall = random.uniform(*model.CROWD_RISE_S), random.uniform(*model.CROWD_FALL_S)
        since = time - begin
        crowd = np.where(since < 0, 0.0, np.minimum(since / rise, 1.0) * np.exp(-np.maximum(since - rise, 0) / fall))
        load = load * (1 + (height - 1) * crowd)
    return load


def _arrivals(site: SimSite, served: Floats, random: np.random.Generator) -> Requests:
    pods = len(site.names)
    allowed = site.limit_bytes_per_s * site.peak_share
    scale = max(1.0, allowed / (_BYTES_PER_REQUEST * model.REQUESTS_PER_S_MAX))
    per_pod = site.utilisation * allowed / (_BYTES_PER_REQUEST * scale)
    weight = np.where(site.idle, 0.0, 1.0) * (1.0 if site.balanced else random.uniform(0.4, 1.3, pods)) * served
    load = load_over_time(site, random)
    counts = random.poisson(load * per_pod * weight.sum())
    at_s = np.repeat(np.arange(len(load)) - model.LEAD_S, counts) + random.random(int(counts.sum()))
    at_s.sort()
    total = len(at_s)
    pod = _deal(total, weight, random, in_turn=site.balanced)
    tokens, prompt = _lengths(total, scale, random)
    return Requests(
        at_s=at_s,
        pod=pod,
        prompt_bytes=prompt,
        tokens=tokens,
        tokens_per_s=random.uniform(*model.TOKENS_PER_S, total) * scale,
        upload_bytes_per_s=random.uniform(*model.UPLOAD_BYTES_PER_S, total) * scale,
    )


def _deal(total: int, weight: Floats, random: np.random.Generator, *, in_turn: bool) -> Ints:
    """The pod of each request: dealt out in turn, each pod as often as its weight says, or drawn by weight."""
    if total == 0:
        return np.empty(0, dtype=np.int64)
    if not in_turn:
        drawn: Ints = random.choice(len(weight), size=total, p=weight / weight.sum()).astype(np.int64)
        return drawn
    pods = np.flatnonzero(weight)
    turns = [(np.arange(int(total * weight[p] / weight.sum()) + 2) + p / len(weight)) / weight[p] for p in pods]
    owner = np.repeat(pods, [len(turn) for turn in turns])
    result: Ints = owner[np.argsort(np.concatenate(turns), kind="stable")][:total].astype(np.int64)
    return result


def _lengths(total: int, scale: float, random: np.random.Generator) -> tuple[Ints, Ints]:
    """Tokens answered and bytes of prompt."""
    body = model.TOKENS_MEDIAN * np.exp(model.TOKENS_SIGMA * random.standard_normal(total))
    tail = model.TOKENS_TAIL_MIN * (1 + random.pareto(model.TOKENS_TAIL_ALPHA, total))
    tokens = np.where(random.random(total) < model.TOKENS_TAIL_SHARE, tail, body)
    prompt = model.PROMPT_MEDIAN_BYTES * np.exp(model.PROMPT_SIGMA * random.standard_normal(total))
    document = random.uniform(*model.LONG_CONTEXT_BYTES, total)
    prompt = np.where(random.random(total) < model.LONG_CONTEXT_SHARE, document, prompt)
    tokens = np.clip(tokens, model.TOKENS_MIN, model.TOKENS_MAX)
    return (tokens * scale).astype(np.int64), (prompt * scale).astype(np.int64)


def _with_repeats(asked: Requests, site: SimSite, random: np.random.Generator) -> Requests:
    """Step 3."""
    busy = np.flatnonzero(~np.asarray(site.idle))
    doubled = asked.take(random.random(len(asked)) < model.DUPLICATE_SHARE)
    after = doubled.at_s + random.uniform(*model.DUPLICATE_AFTER_S, len(doubled))
    doubled = doubled.later(after, random.choice(busy, len(doubled)))
    source = asked.take(random.random(len(asked)) < model.CHAIN_SHARE)
    answered = source.at_s + source.tokens / source.tokens_per_s
    chained = source.later(answered + random.uniform(0.05, 0.5, len(source)), random.choice(busy, len(source)))
    text = source.tokens * model.CHAIN_TEXT_BYTES_PER_TOKEN
    parts = [asked, doubled, chained]
    joined = {name: np.concatenate([getattr(p, name) for p in parts]) for name in Requests.__dataclass_fields__}
    joined["prompt_bytes"][len(asked) + len(doubled) :] = text
    in_time = np.flatnonzero(joined["at_s"] < site.duration_s)
    order = in_time[np.argsort(joined["at_s"][in_time], kind="stable")]
    return Requests(**{name: values[order] for name, values in joined.items()})


def _flows_of(asked: Requests, random: np.random.Generator) -> Flows:
    """Three flows per request, in three blocks: upload, acknowledgements, answer."""
    count = len(asked)
    client = CLIENTS_FIRST + random.integers(0, CLIENTS, count)
    port = random.integers(32_768, 61_000, count)
    begin = np.round(asked.at_s * NS_PER_S).astype(np.int64)
    packets, last = packetise(asked.prompt_bytes + model.REQUEST_HEAD_BYTES)
    upload_gap = gap_for_rate(model.PACKET_BYTES_MAX, asked.upload_bytes_per_s)
    answer_at = begin + packets * upload_gap + random.integers(20_000_000, 400_000_000, count)
    token_gap = gap_for_rate(1.0, asked.tokens_per_s)
    common: dict[str, ArrayLike] = {
        "pod": asked.pod,
        "pod_address": pod_address(0) + 256 * asked.pod,
        "peer_address": client,
        "pod_port": SERVICE_PORT,
        "peer_port": port,
        "protocol": TCP,
    }
    upload = Flows.of(
        **common, outbound=0, start_ns=begin, gap_ns=upload_gap, packets=packets, size=model.PACKET_BYTES_MAX, last=last
    )
    acks = Flows.of(
        **common, outbound=0, start_ns=answer_at + 1_000_000, gap_ns=token_gap, packets=asked.tokens,
        size=model.ACK_BYTES, last=model.ACK_BYTES,
    )  # fmt: skip
    answer = Flows.of(
        **common, outbound=1, start_ns=answer_at, gap_ns=token_gap, packets=asked.tokens,
        size=model.TOKEN_BYTES, last=model.TOKEN_BYTES,
    )  # fmt: skip
    return Flows.join([upload, acks, answer])


def _budget(site: SimSite, unrefusable: Flows) -> Floats:
    """Bytes that requests may still use per pod, direction and half-interval."""
    answers_s = model.TOKENS_MAX / model.TOKENS_PER_S[0]
    step_s = site.averaging_s * model.ADMISSION_SHARE
    count = int((site.duration_s + 2 * _GRID_BEGIN_S + answers_s) / step_s) + 20
    shape = (len(site.names), 2, count)
    whole = site.limit_bytes_per_s * site.peak_share * step_s
    return whole - _usage(site, unrefusable, shape)


def _usage(site: SimSite, flows: Flows, shape: tuple[int, ...]) -> Floats:
    origin_ns, step_ns = _grid(site)
    total, _ = interval_totals(flows, pods=shape[0], origin_ns=origin_ns, step_ns=step_ns, count=shape[2])
    return total.astype(np.float64)


def _grid(site: SimSite) -> tuple[int, int]:
    """Origin and step [ns] of the grid of admission; the intervals of the limit's clause begin on it."""
    step_ns = round(site.averaging_s * model.ADMISSION_SHARE * NS_PER_S)
    return -(-round(_GRID_BEGIN_S * NS_PER_S) // step_ns) * -step_ns, step_ns


def _admit(site: SimSite, flows: Flows, requests: int, *, budget: Floats) -> NDArray[np.bool_]:
    """Step 4: whether each request, in order of arrival, is admitted; a refused one still counts against the budget.

    That refuses a little too many, never too few: what is admitted fits the budget in every cell.
    """
    cuts = cut_on_grid(flows, *_grid(site))
    cells = budget.shape[2]
    piece = np.clip(cuts.piece, 0, cells - 1)
    request = cuts.flow % max(requests, 1)
    cell = (flows.pod[cuts.flow] * 2 + flows.outbound[cuts.flow]) * cells + piece
    order = np.lexsort((request, cell))
    running = np.cumsum(cuts.bytes[order])
    at_cell = cell[order]
    begins = np.flatnonzero(np.diff(at_cell, prepend=-1))
    before = np.repeat(running[begins] - cuts.bytes[order][begins], np.diff(begins, append=len(at_cell)))
    over = running - before > budget.reshape(-1)[at_cell]
    admitted = np.ones(requests, dtype=np.bool_)
    admitted[request[order][over]] = False
    return admitted


def _canary(site: SimSite) -> Flows:
    pods = np.arange(len(site.names))
    return Flows.of(
        pod=pods, outbound=0, pod_address=pod_address(0) + 256 * pods, peer_address=CANARY_ADDRESS,
        pod_port=CANARY_PORT, peer_port=CANARY_PORT, protocol=UDP,
        start_ns=-round(model.LEAD_S * NS_PER_S) + 1_000_000 * pods, gap_ns=round(model.CANARY_EVERY_S * NS_PER_S),
        packets=int((site.duration_s + model.LEAD_S + model.TAIL_S) / model.CANARY_EVERY_S),
        size=model.CANARY_BYTES, last=model.CANARY_BYTES,
    )  # fmt: skip


def _health_checks(site: SimSite) -> Flows:
    """One short connection to every pod at the same moments."""
    pods = len(site.names)
    rounds = int((site.duration_s + model.LEAD_S) / model.HEALTH_EVERY_S)
    pod, turn = (grid.reshape(-1) for grid in np.meshgrid(np.arange(pods), np.arange(rounds), indexing="ij"))
    at_ns = np.round((turn * model.HEALTH_EVERY_S - model.LEAD_S) * NS_PER_S).astype(np.int64) + 2_000_000
    common: dict[str, ArrayLike] = {
        "pod": pod,
        "pod_address": pod_address(0) + 256 * pod,
        "peer_address": BALANCER_ADDRESS,
        "pod_port": SERVICE_PORT,
        "peer_port": 32_768 + turn % 20_000,
        "protocol": TCP,
        "gap_ns": 3_000_000,
    }
    parts = []
    for outbound, volume in ((0, model.HEALTH_IN_BYTES), (1, model.HEALTH_OUT_BYTES)):
        size = volume // 4
        begin = at_ns + outbound * 1_000_000
        parts.append(
            Flows.of(**common, outbound=outbound, start_ns=begin, packets=4, size=size, last=volume - 3 * size)
        )
    return Flows.join(parts)


def _pipeline(site: SimSite, one: int, other: int, random: np.random.Generator) -> Flows:
    """Declared peers: `one` hands work to `other` at random times; acknowledgements come back."""
    share = float(random.uniform(*model.PIPELINE_RATE_SHARE))
    mean = (model.PIPELINE_BYTES[0] + model.PIPELINE_BYTES[1]) / 2
    rate = site.limit_bytes_per_s * share * 0.5
    scale = max(1.0, rate / (mean * model.REQUESTS_PER_S_MAX))
    count = int(random.poisson(rate * site.duration_s / (mean * scale)))
    at_s = np.sort(random.uniform(-model.LEAD_S, site.duration_s, max(count, 1)))
    volume = (random.uniform(*model.PIPELINE_BYTES, len(at_s)) * scale).astype(np.int64)
    # One transfer at a time, first come, first served, so that a burst of work does not break the limit:
    # start(i) = max(at(i), start(i-1) + duration(i-1)), written with running sums.
    bytes_per_s = site.limit_bytes_per_s * 0.5
    before = np.concatenate(([0.0], np.cumsum((volume + model.PACKET_BYTES_MAX) / bytes_per_s)[:-1]))
    start_s = np.maximum.accumulate(at_s - before) + before
    in_time = start_s < site.duration_s
    return transfer(one, other, start_s[in_time], volume[in_time], bytes_per_s=bytes_per_s, port=PIPELINE_PORT)


def transfer(one: int, other: int, at_s: Floats, volume: Ints, *, bytes_per_s: float | Floats, port: int) -> Flows:
    """Transfers from one pod to another as both links see them, with an acknowledgement for every packet."""
    packets, last = packetise(volume)
    begin = np.round(at_s * NS_PER_S).astype(np.int64)
    gap = gap_for_rate(model.PACKET_BYTES_MAX, bytes_per_s)
    client_port = 40_000 + np.arange(len(at_s)) % 20_000
    parts = []
    for pod, peer, sends in ((one, other, 1), (other, one, 0)):
        ends: dict[str, ArrayLike] = {
            "pod": pod, "pod_address": pod_address(pod), "peer_address": pod_address(peer),
            "pod_port": client_port if sends else port, "peer_port": port if sends else client_port, "protocol": TCP,
        }  # fmt: skip
        ends |= {"gap_ns": gap, "packets": packets}
        parts.append(Flows.of(**ends, outbound=sends, start_ns=begin, size=model.PACKET_BYTES_MAX, last=last))
        back = {"outbound": 1 - sends, "size": model.ACK_BYTES, "last": model.ACK_BYTES}
        parts.append(Flows.of(**ends, **back, start_ns=begin + 500_000))
    return Flows.join(parts)
