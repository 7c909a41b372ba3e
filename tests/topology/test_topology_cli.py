"""`inspectorate topology`, and a real lldpd on real wires: a second, undeclared one between two pods is found."""

from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path
from typing import Any

import network_of_lldpd as real
import pytest
from click.testing import CliRunner, Result

from inspectorate.canonical import digest_of
from inspectorate.cli.topology import topology
from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence import CablingSeen, verify_envelope
from inspectorate.keys import Holder, Role, SigningKey, TrustAnchor, TrustAnchors
from inspectorate.ledger import Log
from inspectorate.submission import read_spool

RECORDED = Path(__file__).parent / "recorded"
PLAN = RECORDED / "plan.dot"


def invoke(*words: str | Path, stdin: bytes | None = None) -> Result:
    result = CliRunner().invoke(topology, [str(word) for word in words], input=stdin)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def check(folder: Path, kind: str, *nodes: str, plan: Path = PLAN) -> tuple[int, dict[str, Any]]:
    seen = [word for node in nodes for word in ("--seen", f"{node}={folder / f'{node}.{kind}'}")]
    result = invoke("check", "--declared", plan, *seen, "--json")
    return result.exit_code, json.loads(result.output)


def test_a_recorded_site_is_as_declared() -> None:
    code, found = check(RECORDED, "declared.json", *real.NODES)
    assert (code, found["result"], found["differences"]) == (0, "consistent", [])
    assert (found["seen_from_both_ends"], found["around_gateway"], found["pairs_around_gateway"]) == (2, [], 0)


def test_a_recorded_hidden_wire_is_found_with_its_rate() -> None:
    code, found = check(RECORDED, "hidden.json", *real.NODES)
    assert (code, found["result"]) == (20, "differs")
    assert [one["kind"] for one in found["differences"]] == ["undeclared-wire"]
    (cut,) = found["around_gateway"]
    assert cut["bytes_per_s"] == real.VETH_BYTES_PER_S
    assert cut["path"] == ["pod-a:eth1 -- pod-b:eth1"]


def test_one_end_that_was_not_asked_is_not_consistent() -> None:
    code, found = check(RECORDED, "declared.json", "gateway")
    assert (code, found["result"]) == (10, "not-surveyed")
    assert {one["kind"] for one in found["differences"]} == {"half-surveyed"}
    # One end suffices to see that a wire is too many.
    assert check(RECORDED, "hidden.json", "pod-b")[0] == 20


def test_what_is_printed_says_what_differs_and_where() -> None:
    names = [word for node in real.NODES for word in ("--seen", RECORDED / f"{node}.hidden.json")]
    result = invoke("check", "--declared", PLAN, *names)
    assert "undeclared-wire: pod-a:eth1 -- pod-b:eth1 was seen from pod-a:eth1 and pod-b:eth1" in result.output
    assert "around the gateway: pod-a to pod-b: 1,250,000,000 B/s" in result.output
    assert result.output.endswith("differs from what was declared\n")


def test_a_way_out_to_a_node_that_nobody_declared(tmp_path: Path) -> None:
    told = json.loads((RECORDED / "pod-a.declared.json").read_text())
    interfaces = told["lldp"]["interface"]
    listed = interfaces if isinstance(interfaces, list) else [interfaces]
    text = json.dumps(listed[0]["eth0"]).replace("gateway", "modem").replace("to-pod-a", "wan")
    text = text.replace(listed[0]["eth0"]["chassis"]["gateway"]["id"]["value"], "02:00:00:00:00:99")
    told["lldp"]["interface"] = [*listed, {"eth5": json.loads(text)}]
    for node in real.NODES:
        shutil.copy(RECORDED / f"{node}.declared.json", tmp_path)
    (tmp_path / "pod-a.declared.json").write_text(json.dumps(told))
    code, found = check(tmp_path, "declared.json", *real.NODES)
    assert code == 20
    assert found["ways_out"] == [{"from": "pod-a", "to": "modem", "path": ["modem:wan -- pod-a:eth5"]}]


def test_cut_between_pods_and_around_the_gateway() -> None:
    def cuts(*words: str | Path) -> list[dict[str, Any]]:
        return list(json.loads(invoke("cut", "--declared", PLAN, *words, "--json").output)["cuts"])

    (found,) = cuts()
    assert (found["from"], found["to"], found["bytes_per_s"]) == ("pod-a", "pod-b", 1_250_000_000)
    assert [wire["name"] for wire in found["wires"]] == ["pod-a:eth0 -- gateway:to-pod-a"]
    assert cuts("--around-gateway") == []
    assert cuts("--gateway-limit", "125000")[0]["bytes_per_s"] == 125_000
    hidden = ["--seen", RECORDED / "pod-a.hidden.json"]
    assert cuts("--around-gateway", *hidden)[0]["bytes_per_s"] == 1_250_000_000
    assert cuts("--gateway-limit", "125000", *hidden)[0]["bytes_per_s"] == 1_250_125_000
    assert [cut["bytes_per_s"] for cut in cuts("--between", "pod-a", "gateway")] == [1_250_000_000] * 2
    assert cuts("--between", "pod-a", "gateway", "--no-relay", *hidden)[0]["bytes_per_s"] == 1_250_000_000
    assert cuts("--between", "pod-a", "gateway", *hidden)[0]["bytes_per_s"] == 2_500_000_000
    assert "no two pods reach each other" in invoke("cut", "--declared", PLAN, "--around-gateway").output


@pytest.mark.parametrize(
    ("words", "fault", "text"),
    [
        (["cut", "--declared", PLAN, "--between", "pod-a", "nobody"], InputError, "nobody is not there"),
        (["cut", "--declared", PLAN, "--between", "pod-a", "pod-a"], InputError, "one pod"),
        (["cut", "--declared", PLAN, "--no-relay"], InputError, "needs --between"),
        (["cut", "--declared", PLAN, "--around-gateway", "--gateway-limit", "1"], InputError, "does not matter"),
        (["check", "--declared", PLAN, "--seen", "a=/absent"], InputError, "cannot be read"),
        (["check", "--declared", PLAN, "--seen", PLAN], EvidenceError, "no line of ibnetdiscover"),
        (["check", "--declared", RECORDED / "ibnetdiscover.txt", "--seen", PLAN], InputError, "no form of a plan"),
    ],
)
def test_wrong_use_is_named(words: list[str | Path], fault: type[Exception], text: str) -> None:
    with pytest.raises(fault, match=text):
        invoke(*words)


def test_a_plan_without_wires_or_pods_is_refused(tmp_path: Path) -> None:
    empty = tmp_path / "plan.dot"
    empty.write_text("graph { a [kind=pod] }")
    with pytest.raises(InputError, match="declares no wire"):
        invoke("cut", "--declared", empty)
    empty.write_text("graph { a:1 -- b:1 }")
    with pytest.raises(InputError, match="fewer than two pods"):
        invoke("cut", "--declared", empty)


# --- attest -------------------------------------------------------------------------------------------------------------


def attest(folder: Path, *words: str | Path, stdin: bytes | None = None) -> dict[str, Any]:
    key = folder / "key.pem"
    if not key.exists():
        SigningKey(b"\x21" * 32).write(key)
    common = ["--reporter", "rounds", "--key", key, "--out", folder / "spool", "--json"]
    return dict(json.loads(invoke("attest", *words, *common, stdin=stdin).output))


def test_attest_signs_what_it_read_into_a_spool(tmp_path: Path) -> None:
    source = tmp_path / "pod-a.json"
    data = (RECORDED / "pod-a.hidden.json").read_bytes()
    source.write_bytes(data)
    with pytest.raises(InputError, match="cannot be opened"):
        attest(tmp_path, source, "--node", "pod-a", "--ledger", tmp_path / "log")
    assert not (tmp_path / "spool").exists(), "nothing is written that no log holds"
    with Log.create(tmp_path / "log", "example.org/log", SigningKey(b"\x21" * 32)):
        pass
    told = attest(tmp_path, source, "--node", "pod-a", "--ledger", tmp_path / "log")
    envelopes, payloads = read_spool(tmp_path / "spool")
    assert payloads == {digest_of(data): data}
    assert told["sightings"] == 2
    (envelope,) = envelopes
    assert told["statement"] == digest_of(envelope)
    public = SigningKey(b"\x21" * 32).public
    predicate = verify_envelope(envelope, anchors=anchors(public.raw), where="test").predicate
    assert isinstance(predicate, CablingSeen)
    assert (predicate.node, predicate.reporter, predicate.format.value) == ("pod-a", "rounds", "lldp-json")
    assert predicate.period.duration_s < 60
    with Log.open(tmp_path / "log", SigningKey(b"\x21" * 32)) as log:
        assert log.entry(0) == bytes.fromhex(digest_of(envelope).removeprefix("sha256:"))
    attest(tmp_path, RECORDED / "ibnetdiscover.txt", "--node", "gateway", "--since", "2026-01-01T00:00:00Z")
    assert len(read_spool(tmp_path / "spool")[0]) == 2


def anchors(raw: bytes) -> TrustAnchors:
    since = "2020-01-01T00:00:00Z"
    anchor = {
        "name": "rounds", "public_key": base64.b64encode(raw).decode(), "holder": Holder.VERIFIER,
        "roles": (Role.SENSOR,), "sensors": ("rounds",), "valid_from": since, "valid_until": "2100-01-01T00:00:00Z",
    }  # fmt: skip
    return TrustAnchors(anchors=(TrustAnchor.model_validate(anchor),))


def test_attest_signs_nothing_that_it_cannot_read(tmp_path: Path) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text('{"lldp": 3}')
    with pytest.raises(EvidenceError, match="lldp is not an object"):
        attest(tmp_path, bad, "--node", "pod-a")
    with pytest.raises(InputError, match="cannot be stated"):
        attest(tmp_path, RECORDED / "pod-a.hidden.json", "--node", "pod a")
    with pytest.raises(InputError, match="future"):
        attest(tmp_path, RECORDED / "pod-a.hidden.json", "--node", "pod-a", "--since", "2199-01-01T00:00:00Z")
    with pytest.raises(InputError, match="of no use"):
        attest(tmp_path, RECORDED / "pod-a.hidden.json", "--node", "pod-a", "--ledger-key", tmp_path / "key.pem")
    assert not (tmp_path / "spool").exists()


# --- a real lldpd -------------------------------------------------------------------------------------------------------


@pytest.mark.root
@pytest.mark.tools
def test_a_second_wire_between_two_pods_is_found(tmp_path: Path) -> None:
    """Pods and a gateway as declared; then a veth that nobody declared; then it is gone again."""
    if why := real.missing():
        pytest.skip(why)
    plan = tmp_path / "plan.dot"
    plan.write_text(real.PLAN)

    def survey(network: real.LldpNetwork, kind: str, form: str = "json") -> None:
        for node in real.NODES:
            (tmp_path / f"{node}.{kind}").write_bytes(network.survey(node, form=form))

    with real.lldp_network() as network:
        survey(network, "before.json")
        code, found = check(tmp_path, "before.json", *real.NODES, plan=plan)
        assert (code, found["differences"], found["around_gateway"]) == (0, [], [])

        network.wire(*real.HIDDEN)
        network.wait_for("pod-a", "eth1", "pod-b")
        network.wait_for("pod-b", "eth1", "pod-a")
        survey(network, "during.json")
        code, found = check(tmp_path, "during.json", *real.NODES, plan=plan)
        assert code == 20
        (difference,) = found["differences"]
        assert (difference["kind"], difference["declared"]) == ("undeclared-wire", None)
        (cut,) = found["around_gateway"]
        assert (cut["from"], cut["to"], cut["bytes_per_s"]) == ("pod-a", "pod-b", real.VETH_BYTES_PER_S)
        assert [wire["name"] for wire in cut["wires"]] == ["pod-a:eth1 -- pod-b:eth1"]
        survey(network, "during.json0", form="json0")
        assert check(tmp_path, "during.json0", *real.NODES, plan=plan) == (code, found)

        network.unwire("pod-a", "eth1")
        network.unwire("pod-a", "eth0")
        for node, port in (("pod-a", "eth0"), ("pod-b", "eth1"), ("gateway", "to-pod-a")):
            network.wait_until_gone(node, port)
        survey(network, "after.json")
        code, found = check(tmp_path, "after.json", *real.NODES, plan=plan)
        assert (code, [one["kind"] for one in found["differences"]]) == (20, ["not-seen"])
    assert not any(Path("/run/netns", network.namespace(node)).exists() for node in real.NODES)


def test_the_plan_that_was_recorded_is_the_one_that_is_tested() -> None:
    assert PLAN.read_text() == real.PLAN
