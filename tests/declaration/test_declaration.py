"""Declarations: what is refused, and that people's YAML and the signed JSON are the same declaration."""

from __future__ import annotations

import contextlib
import copy
import json
from collections.abc import Callable
from ipaddress import ip_network
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from inspectorate.canonical import canonical_bytes
from inspectorate.declaration import Declaration, load_declaration, parse_declaration
from inspectorate.errors import EvidenceError, InputError

GOOD: dict[str, Any] = {
    "id": "site-1",
    "party": "p",
    "period": {"start": "2026-01-01T00:00:00Z", "end": "2026-01-02T00:00:00Z"},
    "sites": [
        {
            "id": "s",
            "location": "somewhere",
            "clusters": [
                {
                    "id": "k",
                    "pods": [
                        {"id": "a", "chips": [{"model": "h100-sxm", "count": 8}], "networks": ["10.0.0.0/24"], "peers": ["b"]},
                        {"id": "b", "chips": [{"model": "a100-80", "count": 4}], "networks": ["10.0.1.0/24", "2001:db8::/64"]},
                    ],
                }
            ],
            "links": [{"pod": "a", "bytes_per_s_max": 1e9}],
            "sensors": [
                {
                    "id": "flow-a", "kind": "flow-export", "holder": "verifier", "pod": "a",
                    "silence_s_max": 5.0, "active_timeout_s": 10.0,
                }
            ],
        }
    ],
    "claims": [
        {
            "id": "c", "kind": "inference", "pods": ["a", "b"], "description": "chat",
            "period": {"start": "2026-01-01T00:00:00Z", "end": "2026-01-02T00:00:00Z"},
        }
    ],
}  # fmt: skip


def edited(edit: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    value = copy.deepcopy(GOOD)
    edit(value)
    return value


def pods(value: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = value["sites"][0]["clusters"][0]["pods"]
    return found


def site(value: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = value["sites"][0]
    return found


def parse(value: object) -> Declaration:
    return parse_declaration(canonical_bytes(value), where="declaration")


def test_the_good_one_is_good() -> None:
    declaration = parse(GOOD)
    assert [pod.id for pod in declaration.pods] == ["a", "b"]
    assert declaration.pods[0].peak_flop_per_s(("fp16",)) == pytest.approx(8 * 989.4e12)
    assert declaration.pods[0].peak_flop_per_s(("fp16", "fp8")) == pytest.approx(8 * 1979e12)
    assert (declaration.link("a") is None, declaration.link("b") is None) == (False, True)
    assert (declaration.sensor("flow-a") is None, declaration.sensor("flow-b") is None) == (False, True)
    assert declaration.sensors[0].sampling_rate == 1


def test_yaml_and_canonical_json_are_the_same_declaration(tmp_path: Path) -> None:
    path = tmp_path / "d.yaml"
    path.write_text(yaml.safe_dump(GOOD))
    written = load_declaration(path)
    signed = parse_declaration(written.canonical_bytes(), where="payload")
    assert signed == written
    assert signed.canonical_bytes() == written.canonical_bytes()


BAD: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "no sites": (lambda v: v.update(sites=[]), "sites"),
    "no pods": (lambda v: v["sites"][0]["clusters"][0].update(pods=[]), "pods"),
    "a field too many": (lambda v: v.update(colour="red"), "colour"),
    "a period backwards": (lambda v: v["period"].update(end="2025-01-01T00:00:00Z"), "must end after"),
    "a period of no length": (lambda v: v["period"].update(end=v["period"]["start"]), "must end after"),
    "a time without a zone": (lambda v: v["period"].update(start="2026-01-01T00:00:00"), "time zone"),
    "a time beyond 64-bit nanoseconds": (lambda v: v["period"].update(end="2300-01-01T00:00:00Z"), "between the years"),
    "a time beyond the calendar": (lambda v: v["period"].update(end="9999-12-31T23:59:59-14:00"), "between the years"),
    "an unknown chip": (lambda v: pods(v)[0]["chips"][0].update(model="h900"), "not in the catalogue"),
    "no chips": (lambda v: pods(v)[0].update(chips=[]), "chips"),
    "a count of zero": (lambda v: pods(v)[0]["chips"][0].update(count=0), "count"),
    "a count out of all bounds": (lambda v: pods(v)[0]["chips"][0].update(count=10**9), "count"),
    "a count that is no whole number": (lambda v: pods(v)[0]["chips"][0].update(count=1.5), "count"),
    "a pod twice": (lambda v: pods(v)[1].update(id="a"), "pod declared twice: a"),
    "a sensor twice": (
        lambda v: site(v)["sensors"].append(site(v)["sensors"][0]),
        "sensor, meter or reporter declared twice: flow-a",
    ),
    "a link twice": (lambda v: site(v)["links"].append(site(v)["links"][0]), "link of pod declared twice: a"),
    "a claim twice": (lambda v: v["claims"].append(v["claims"][0]), "claim declared twice: c"),
    "a peer that is no pod": (lambda v: pods(v)[0].update(peers=["z"]), "peers of a names unknown pods: z"),
    "a sensor of no pod": (lambda v: site(v)["sensors"][0].update(pod="z"), "sensor flow-a names unknown pods: z"),
    "a link of no pod": (lambda v: site(v)["links"][0].update(pod="z"), "link of z names unknown pods: z"),
    "a claim of no pod": (lambda v: v["claims"][0].update(pods=["a", "z"]), "claim c names unknown pods: z"),
    "an unknown holder": (lambda v: site(v)["sensors"][0].update(holder="nobody"), "holder"),
    "an unknown kind of sensor": (lambda v: site(v)["sensors"][0].update(kind="telepathy"), "kind"),
    "a sensor that may be silent for no time": (lambda v: site(v)["sensors"][0].update(silence_s_max=0), "silence_s_max"),
    "a sampling rate of zero": (lambda v: site(v)["sensors"][0].update(sampling_rate=0), "sampling_rate"),
    "a pod without a network": (lambda v: pods(v)[0].update(networks=[]), "networks"),
    "no network at all": (lambda v: pods(v)[0].update(networks=["somewhere"]), "networks"),
    "a network with host bits": (lambda v: pods(v)[0].update(networks=["10.0.0.1/24"]), "networks"),
    "a network in another spelling": (lambda v: pods(v)[0].update(networks=["2001:DB8::/32"]), "write the network as"),
    "an address without a length": (lambda v: pods(v)[0].update(networks=["10.0.0.1"]), "write the network as 10.0.0.1/32"),
    "the network of another pod": (
        lambda v: pods(v)[0].update(networks=["10.0.1.0/24"]), "network 10.0.1.0/24 of b overlaps 10.0.1.0/24 of a",
    ),
    "a network within that of another pod": (
        lambda v: pods(v)[0].update(networks=["10.0.0.0/16"]), "network 10.0.1.0/24 of b overlaps 10.0.0.0/16 of a",
    ),
    "a network around that of another pod": (
        lambda v: pods(v)[0].update(networks=["10.0.1.128/25"]), "network 10.0.1.128/25 of a overlaps 10.0.1.0/24 of b",
    ),
    "every address": (lambda v: pods(v)[0].update(networks=["0.0.0.0/0"]), "overlaps 0.0.0.0/0 of a"),
    "every IPv6 address": (lambda v: pods(v)[0].update(networks=["::/0"]), "network 2001:db8::/64 of b overlaps ::/0 of a"),
    "an id with a path in it": (lambda v: pods(v)[0].update(id="../a"), "id"),
    "an id of 129 characters": (lambda v: v.update(id="x" * 129), "id"),
    "an empty location": (lambda v: site(v).update(location=""), "location"),
}  # fmt: skip


@pytest.mark.parametrize(("edit", "problem"), BAD.values(), ids=BAD)
def test_bad_declarations_are_refused(edit: Callable[[dict[str, Any]], Any], problem: str, tmp_path: Path) -> None:
    """The same fault is the operator's in a YAML file, and the other party's in a signed payload."""
    value = edited(edit)
    with pytest.raises(EvidenceError) as signed:
        parse(value)
    path = tmp_path / "d.yaml"
    path.write_text(json.dumps(value))
    with pytest.raises(InputError) as written:
        load_declaration(path)
    for caught in (signed, written):
        assert problem in caught.value.problem
        assert len(str(caught.value)) < 2000
    assert written.value.where == str(path)


def test_two_networks_of_one_pod_may_overlap() -> None:
    declaration = parse(edited(lambda v: pods(v)[0].update(networks=["10.0.0.0/24", "10.0.0.0/28"])))
    assert len(declaration.pods[0].networks) == 2


NETWORKS = st.builds(
    lambda address, length: str(ip_network((address & ~((1 << (32 - length)) - 1), length))),
    st.integers(0, 2**12 - 1).map(lambda low: 0x0A000000 + low),
    st.integers(20, 32),
)


@given(st.lists(st.tuples(st.sampled_from("ab"), NETWORKS), min_size=2, max_size=7))
@settings(max_examples=200)
def test_overlaps_are_found_exactly(owned: list[tuple[str, str]]) -> None:
    """Every pair compared with every other is the oracle."""
    networks = {pod: [n for owner, n in owned if owner == pod] or [f"192.168.{i}.0/24"] for i, pod in enumerate("ab")}
    overlap = any(ip_network(one).overlaps(ip_network(other)) for one in networks["a"] for other in networks["b"])
    value = edited(lambda v: [pods(v)[i].update(networks=networks[pod]) for i, pod in enumerate("ab")])
    if overlap:
        with pytest.raises(EvidenceError, match="overlaps"):
            parse(value)
    else:
        assert parse(value).pods


def test_many_pods_are_checked_quickly_and_too_many_refused() -> None:
    def fill(count: int) -> Callable[[dict[str, Any]], Any]:
        def edit(value: dict[str, Any]) -> None:
            one = {"chips": [{"model": "l4", "count": 1}]}
            many = [{**one, "id": f"p{i}", "networks": [f"10.{i >> 8}.{i & 255}.0/24"]} for i in range(count)]
            value["sites"][0] = {"id": "s", "location": "x", "clusters": [{"id": "k", "pods": many}]}
            value["claims"] = []

        return edit

    assert len(parse(edited(fill(5_000))).pods) == 5_000
    with pytest.raises(EvidenceError, match="20001 pods are more than 20000"):
        parse(edited(fill(20_001)))


def test_two_pods_of_two_sites_may_not_share_a_network_either() -> None:
    def add_site(value: dict[str, Any]) -> None:
        other = copy.deepcopy(value["sites"][0])
        other.update(id="s2", links=[], sensors=[])
        other["clusters"][0]["pods"] = [{**pods(value)[0], "id": "z", "peers": []}]
        value["sites"].append(other)

    with pytest.raises(EvidenceError, match="overlaps"):
        parse(edited(add_site))


PLAIN = (
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
)
JSON = st.recursive(
    PLAIN | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_declaration_or_an_evidence_error(data: bytes) -> None:
    with pytest.raises(EvidenceError):
        parse_declaration(data, where="fuzz")


@given(st.data())
@settings(max_examples=300)
def test_any_value_in_any_place_is_a_declaration_or_an_evidence_error(data: st.DataObject) -> None:
    value = copy.deepcopy(GOOD)
    node: Any = value
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(node[key], (dict, list)) or not node[key] or data.draw(st.integers(0, 3)) == 0:
            node[key] = data.draw(JSON)
            break
        node = node[key]
    with contextlib.suppress(EvidenceError):
        assert parse(value).pods


def test_all_pairs_of_pods_in_the_good_one_are_apart() -> None:
    declared = [(pod.id, ip_network(n)) for pod in parse(GOOD).pods for n in pod.networks]
    assert not any(x.version == y.version and x.overlaps(y) for (p, x), (q, y) in combinations(declared, 2) if p != q)
