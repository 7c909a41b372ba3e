"""Every kind of world: the same from the same seed, marked as simulated, true to its description."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from decode import udp_payloads

from inspectorate.errors import InputError
from inspectorate.evidence import Bundle, FlowExportSegment, Origin, RejectedEvidence, read_statements, receive
from inspectorate.ledger import verify_proof
from inspectorate.worlds import CATALOGUE, World, WorldKind, build_world, names_of
from inspectorate.worlds.model import NS_PER_S

SEEDS = (1, 2, 5)


def opened(world: World) -> Bundle:
    return Bundle.check(world.files, anchors=world.anchors)


@pytest.mark.parametrize("name", list(CATALOGUE))
def test_the_receiver_finds_exactly_the_expected_problems(name: str) -> None:
    for seed in SEEDS:
        world = build_world(name, seed)
        if world.truth.refused is not None:
            with pytest.raises(RejectedEvidence) as refusal:
                opened(world)
            assert refusal.value.kind is world.truth.refused
            continue
        bundle = opened(world)
        statements, problems = read_statements(bundle, anchors=world.anchors)
        evidence = receive(
            bundle,
            statements,
            not_logged={},
            sensors=[sensor.id for sensor in world.declaration.sensors],
            period=world.declaration.period,
        )
        found = Counter((problem.kind, problem.sensor) for problem in (*problems, *evidence.problems))
        assert found == world.truth.expected_problems
        assert evidence.simulated


@pytest.mark.parametrize("name", ["honest", "wrong-key", "forked-stream"])
def test_every_statement_and_the_manifest_are_marked_simulated(name: str) -> None:
    world = build_world(name, 1)
    bundle = opened(world)
    statements, _ = read_statements(bundle, anchors=world.anchors)
    assert len(statements) > len(world.site.sensors)
    assert {statement.predicate.origin for statement in statements} == {Origin.SIMULATED}
    assert bundle.manifest.predicate.origin is Origin.SIMULATED
    assert all(anchor.name.startswith("simulated-") for anchor in world.anchors.anchors)


@pytest.mark.parametrize("name", ["honest", "relayed-padded", "cloned-sensor"])
def test_the_same_seed_gives_the_same_bytes_and_another_does_not(name: str) -> None:
    one, again, other = build_world(name, 7), build_world(name, 7), build_world(name, 8)
    assert one.contents == again.contents
    assert one.truth == again.truth
    assert one.contents["manifest.json"] != other.contents["manifest.json"]


@pytest.mark.parametrize("name", names_of(WorldKind.HONEST))
def test_honest_pods_keep_the_limit_and_exchange_with_declared_peers_only(name: str) -> None:
    for seed in range(6):
        world = build_world(name, seed)
        site = world.site
        highest = world.interval_bytes().max() / site.averaging_s
        assert highest <= site.limit_bytes_per_s * site.peak_share + 1
        assert not world.truth.over_limit
        assert not world.truth.guilty
        assert pod_pairs(world) == {tuple(sorted(pair)) for pair in site.pipelines}


def pod_pairs(world: World) -> set[tuple[int, int]]:
    peer = (world.flows.peer_address >> 8) - (int.from_bytes(bytes([10, 20, 0, 0]), "big") >> 8)
    inside = (peer >= 0) & (peer < len(world.site.names))
    return {
        (min(a, b), max(a, b)) for a, b in zip(world.flows.pod[inside].tolist(), peer[inside].tolist(), strict=True)
    }


def test_near_the_limit_means_near_the_limit() -> None:
    worlds = [build_world("honest-near-limit", seed) for seed in range(4)]
    shares = [world.interval_bytes().max() / world.site.averaging_s / world.site.limit_bytes_per_s for world in worlds]
    assert all(0.9 <= share <= 0.97 for share in shares)


def test_crowds_move_all_pods_together() -> None:
    together = []
    for seed in range(6):
        volume = build_world("honest-crowds", seed).interval_bytes()[:, 1, :].astype(float)
        correlation = np.corrcoef(volume)
        together.append(correlation[np.triu_indices(len(volume), 1)].mean())
    assert np.mean(together) > 0.3


@pytest.mark.parametrize("name", names_of(WorldKind.CHEATING))
def test_cheats_do_what_they_say(name: str) -> None:
    over = {"ddp", "over-limit-burst"}
    for seed in SEEDS:
        world = build_world(name, seed)
        assert world.truth.guilty
        assert world.declaration.period.covers(world.truth.breaches[0].period)
        assert world.truth.breaches[0].exchanged_bytes > 0
        guilty_over = {pod for pod, _ in world.truth.over_limit}
        assert guilty_over == (set(world.truth.guilty) if name in over else set())


@pytest.mark.parametrize("name", ["relayed", "relayed-padded", "relayed-paced"])
def test_relayed_pods_never_talk_to_each_other(name: str) -> None:
    world = build_world(name, 1)
    assert pod_pairs(world) <= {tuple(sorted(pair)) for pair in world.site.pipelines}


def test_a_slow_drip_stays_below_the_allowance() -> None:
    for seed in SEEDS:
        world = build_world("slow-drip", seed)
        one, other = (world.site.names.index(pod) for pod in world.truth.guilty)
        pair = world.flows.take((world.flows.pod == one) & (world.flows.peer_port >= 29_500))
        pair = pair.take(((pair.peer_address >> 8) & 0xFF) == other)
        rate = pair.total_bytes[pair.outbound == 1].sum() / world.site.duration_s
        assert 0 < rate <= world.site.allowance_bytes_per_s


def test_a_cheating_world_shares_the_site_of_its_seed_with_the_others() -> None:
    sites = [build_world(name, 4).site for name in ("ddp", "relayed", "missing-segment")]
    assert sites[0] == sites[1] == sites[2]


def test_a_world_seen_for_a_shorter_time_is_the_beginning_of_the_whole() -> None:
    whole, early = build_world("low-communication", 2), build_world("low-communication", 2, observed_s=300)
    assert early.declaration.period.start == whole.declaration.period.start
    assert early.declaration.period.duration_s == 300
    for short, long in zip(early.received, whole.received, strict=True):
        assert short.contents() == long.contents()[: len(short)]
        assert (short.arrival_ns[-1] - long.arrival_ns[0]) / NS_PER_S < 340
    opened(early)


def test_segments_hold_what_arrived() -> None:
    world = build_world("honest-lossy", 1)
    bundle = opened(world)
    statements, _ = read_statements(bundle, anchors=world.anchors)
    found: dict[str, list[bytes]] = {}
    segments = [s for s in statements if isinstance(s.predicate, FlowExportSegment)]
    for statement in sorted(segments, key=lambda s: s.predicate.sequence):
        predicate = statement.predicate
        datagrams = list(udp_payloads(bundle.payload(statement.statement.subject[0].digest_text)))
        assert len(datagrams) == predicate.datagrams
        found.setdefault(predicate.sensor, []).extend(data for _, data in datagrams)
    assert found == {part.sensor: part.contents() for part in world.received}


@pytest.mark.parametrize(("name", "withheld"), [("honest", 0), ("withheld-statement", 1), ("missing-segment", 0)])
def test_ledger_proofs_hold_and_show_what_was_withheld(name: str, withheld: int) -> None:
    world = build_world(name, 2)
    bundle = opened(world)
    proven = []
    for digest, _ in bundle.statements():
        proof = bundle.proof(digest)
        assert proof is not None
        proven.append(verify_proof(proof, bytes.fromhex(digest[7:]), world.anchors.ledgers[0]))
    assert {p.tree_size for p in proven} == {len({p.index for p in proven}) + withheld}
    assert world.truth.withheld == withheld


def test_unusable_requests_are_refused() -> None:
    with pytest.raises(InputError, match="no world 'nonsense'"):
        build_world("nonsense", 1)
    with pytest.raises(InputError, match="seed -1"):
        build_world("honest", -1)
    with pytest.raises(InputError, match="is not within"):
        build_world("honest", 1, observed_s=10_000)
