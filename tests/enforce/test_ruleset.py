"""Rules and what is read out of them: what a plan gives is read back as that plan, and nothing else is read as one."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

import pytest
from enforce_bench import plan, pod_plan
from hypothesis import given
from hypothesis import strategies as st

from inspectorate.canonical import canonical_bytes
from inspectorate.errors import EvidenceError, InputError
from inspectorate.mechanisms.interconnect.enforce import ruleset
from inspectorate.mechanisms.interconnect.enforce.plan import LimitPlan, Pair, PodPlan, Service, load_plan
from inspectorate.mechanisms.interconnect.enforce.readback import read_locks, read_rules
from inspectorate.mechanisms.interconnect.enforce.ruleset import Object, OpenWindow
from inspectorate.mechanisms.interconnect.enforce.snapshot import Snapshot, judge

PAIR = (Pair(one="pod-a", other="pod-b"),)


def as_given(made: LimitPlan, window: OpenWindow | None = None) -> list[Object]:
    """Rules in the form in which a kernel gives them: with handles and counts, and round numbers in larger units."""
    objects: list[Object] = [{"metainfo": {"version": "1.0.6"}}]
    for handle, item in enumerate(copy.deepcopy(ruleset.render(made, window))):
        ((kind, fields),) = item.items()
        fields["handle"] = handle
        if kind == "counter":
            fields |= {"packets": handle, "bytes": 100 * handle}
        if kind == "quota":
            fields["used"] = 7
        if kind == "limit" and fields["rate"] % 1024 == 0:
            fields |= {"rate": fields["rate"] // 1024, "rate_unit": "kbytes"}
        if kind == "limit" and fields["burst"] == 0:
            del fields["burst"], fields["burst_unit"]
        objects.append(item)
    return objects


def window_of(made: LimitPlan) -> OpenWindow:
    pod = made.pods[0]
    assert pod.loader is not None
    return OpenWindow(pod=pod.pod, loader=pod.loader, bytes_max=5_000)


plans = st.builds(
    lambda rates, extra, outside, pairs, services: LimitPlan(
        gateway="g",
        outside=("uplink", "uplink2")[:outside],
        management=("mgmt",),
        pods=tuple(
            PodPlan(
                pod=f"pod-{place}",
                interface=f"to-{place}",
                networks=(f"10.{place}.0.0/16", f"fd00:0:0:{place:x}::/64", f"192.168.{place}.7/32")[: 1 + place % 3],
                sent_bytes_per_s=sent,
                received_bytes_per_s=received,
                burst_bytes=max(sent, received, 3_028) + extra,
            )
            for place, (sent, received) in enumerate(rates)
        ),
        pairs=(Pair(one="pod-0", other="pod-1"),) if pairs and len(rates) > 1 else (),
        services=(
            Service(pod="pod-0", protocol="udp", port=7, at="pod"),
            Service(pod="pod-0", protocol="tcp", port=9, at="gateway"),
        )[:services],
    ),
    st.lists(st.tuples(st.integers(1_000, 10**9), st.integers(1_000, 10**9)), min_size=1, max_size=4),
    st.integers(0, 10**6),
    st.integers(1, 2),
    st.booleans(),
    st.integers(0, 2),
)


@given(made=plans)
def test_what_is_rendered_is_read_back(made: LimitPlan) -> None:
    running = read_rules(as_given(made))
    assert running.faults == ()
    assert running.limits == made.limits
    assert running.plan is not None
    assert ruleset.normal(ruleset.render(running.plan)) == ruleset.normal(ruleset.render(made))
    assert [(pod.pod, set(pod.networks)) for pod in running.plan.pods] == [(p.pod, set(p.networks)) for p in made.pods]


def test_an_open_window_is_read_back_as_lifted() -> None:
    made = plan()
    running = read_rules(as_given(made, window_of(made)))
    assert running.faults == ()
    assert running.lifted == ("pod-a",)
    assert running.window == window_of(made)


def test_counts_are_read() -> None:
    counted = read_rules(as_given(plan())).counted
    assert [one.pod for one in counted] == ["pod-a", "pod-b"]
    assert len({one.sent_bytes for one in counted} | {one.received_dropped_bytes for one in counted}) == 4


@pytest.mark.parametrize("kind", ["table", "set", "limit", "counter", "chain", "rule"])
def test_any_object_that_is_missing_is_a_fault(kind: str) -> None:
    whole = as_given(plan(pairs=PAIR), window_of(plan()))
    for place, item in enumerate(whole):
        if kind in item:
            running = read_rules(whole[:place] + whole[place + 1 :])
            assert running.faults, item
            assert running.limits == ()


@pytest.mark.parametrize("seed", range(30))
def test_any_change_of_a_rule_is_a_fault_or_changes_what_is_read(seed: int) -> None:
    """Exchange, repeat or alter one thing: never may the same limits be read without a fault."""
    rng = random.Random(seed)
    whole = as_given(plan(pairs=PAIR))
    rules = [place for place, item in enumerate(whole) if "rule" in item]
    one = rng.choice(rules)
    match seed % 3:
        case 0:
            whole.insert(one, whole[one])
        case 1:
            whole[one]["rule"]["expr"].pop()
        case _:
            whole[one]["rule"]["expr"][-1] = (
                {"accept": None} if "accept" not in whole[one]["rule"]["expr"][-1] else {"drop": None}
            )
    running = read_rules(whole)
    assert running.faults
    assert running.limits == ()


def changed(objects: list[Object], kind: str, name: str, **fields: Any) -> list[Object]:
    return [
        {kind: item[kind] | fields} if kind in item and item[kind].get("name") == name else item for item in objects
    ]


@pytest.mark.parametrize(
    "tampered",
    [
        lambda whole: changed(whole, "chain", "forward", policy="accept"),
        lambda whole: changed(whole, "chain", "forward", prio=0),
        lambda whole: changed(whole, "limit", "sent-pod-a", per="minute"),
        lambda whole: changed(whole, "limit", "sent-pod-a", rate_unit="packets"),
        lambda whole: changed(whole, "limit", "sent-pod-a", inv=False),
        lambda whole: changed(whole, "limit", "sent-pod-a", burst=20_001),
        lambda whole: [*whole, {"table": {"family": "ip", "name": "nat"}}],
        lambda whole: [
            *whole,
            {"flowtable": {"family": "inet", "table": "inspectorate", "name": "fast", "hook": "ingress"}},
        ],
        lambda whole: changed(whole, "set", "alive", elem=["ipv4"]),
        lambda whole: changed(whole, "set", "alive", elem=[{"elem": {"val": "ipv4", "timeout": 3600}}]),
    ],
)
def test_ways_around_the_limit_are_faults(tampered: Any) -> None:
    assert read_rules(tampered(as_given(plan()))).faults


def test_a_doubled_limit_is_read_as_doubled() -> None:
    """All of it changed in step is not a fault: it is another limit, and the agreement is held against that."""
    assert (
        read_rules(as_given(plan(rate=1_000_000, burst=1_040_000))).limits
        == plan(rate=1_000_000, burst=1_040_000).limits
    )


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["rule", "limit", "chain", "name", "expr", "set", "elem", "table"]), inner, max_size=4
        )
    ),
    max_leaves=20,
)


@given(value=json_values)
def test_whatever_is_no_ruleset_is_a_fault_and_no_traceback(value: object) -> None:
    running = read_rules(value)
    assert running.faults
    assert running.limits == ()


@given(value=json_values, place=st.integers(0, 200))
def test_nonsense_among_good_rules_is_a_fault_and_no_traceback(value: object, place: int) -> None:
    whole: list[Any] = as_given(plan())
    for kind in ("rule", "set", "limit", "chain"):
        whole.insert(place % len(whole), {kind: value})
        assert read_rules(whole).faults
        whole = as_given(plan())


def test_rules_of_somebody_else_are_a_fault_and_no_traceback() -> None:
    running = read_rules([{"table": {"family": "ip", "name": "filter"}}])
    assert "not of this program's making" in running.faults[0]


def test_queues_and_interfaces_in_no_form_of_the_kernels_are_a_fault_and_no_traceback() -> None:
    queues = [{"dev": ["to-a"], "parent": {}, "kind": "htb"}, "bfifo"]
    links = [{"ifname": "to-a", "flags": 5}]
    running = judge(Snapshot(rules=as_given(plan()), queues=queues, filters={}, links=links, forwarding={}))
    assert any("queue of to-a" in fault for fault in running.faults)
    assert any("in which ip gives them" in fault for fault in running.faults)


SHAPED = [
    "filter parent ffff: protocol ip pref 1 u32 chain 0 fh 800::800 order 2048 key ht 800 bkt 0 terminal flowid not_in_hw",
    "match 00000000/00000000 at 0",
    "action order 1: mirred (Egress Redirect to device shape0) stolen",
    "index 1 ref 1 bind 1",
]


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        ([], False),
        (SHAPED, False),
        ([*SHAPED[:2], "action order 1: mirred (Egress Redirect to device to-b) stolen"], True),
        ([*SHAPED[:3], "action order 2: skbedit priority 1:1 pipe"], True),
        (["filter parent ffff: protocol all pref 49152 bpf chain 0 handle 0x1 some.o:[tc] direct-action"], True),
    ],
)
def test_what_comes_in_may_be_led_to_a_shaper_and_nowhere_else(more: list[str], fault: bool) -> None:
    lines = {"to-a": ["filter parent 1: protocol arp pref 1 u32 chain 0", *more]}
    found = read_locks([], lines, ("to-a",))
    assert any("comes in at to-a" in text for text in found) is fault


def test_a_payload_without_its_parts_is_refused() -> None:
    with pytest.raises(EvidenceError, match="not a snapshot"):
        Snapshot.parse(b"{}", where="payload")
    with pytest.raises(EvidenceError, match="wrong kind"):
        Snapshot.parse(
            canonical_bytes({"rules": {}, "queues": [], "filters": {}, "links": [], "forwarding": {}}), where="payload"
        )


def test_rules_without_locks_do_not_count_as_dropping_everything() -> None:
    made = plan()
    snapshot = Snapshot(rules=as_given(made), queues=[], filters={}, links=[], forwarding={})
    running = judge(snapshot)
    assert running.limits == made.limits
    assert any("queue of to-a" in fault for fault in running.faults)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"burst_bytes": 400_000}, "a second of the rate"),
        ({"interface": "to-*"}, "interface"),
        ({"networks": ["0.0.0.0/0"]}, "all addresses"),
        ({"loader": {"address": "10.99.0.1", "port": 1}}, "in none of the pod's networks"),
        ({"interface": "to-b"}, "an interface is named twice"),
        ({"networks": ["10.77.2.0/25"]}, "overlaps"),
        ({"pod": "pod-b"}, "a pod is planned twice"),
        ({"speed": 1}, "speed"),
    ],
)
def test_a_plan_that_could_not_hold_is_refused_with_its_place(tmp_path: Any, change: dict[str, Any], why: str) -> None:
    value = plan().model_dump(mode="json", exclude_none=True)
    value["services"] = []
    value["pods"][0] |= change
    if "networks" in change:
        value["pods"][0].pop("loader", None)
    path = tmp_path / "plan.yaml"
    path.write_text(json.dumps(value))
    with pytest.raises(InputError, match=why):
        load_plan(path)


def test_pods_share_no_bucket() -> None:
    rendered = ruleset.render(LimitPlan(gateway="g", outside=("up",), pods=(pod_plan("a"), pod_plan("b"))))
    names = [item["limit"]["name"] for item in rendered if "limit" in item]
    assert len(names) == len(set(names)) == 4
