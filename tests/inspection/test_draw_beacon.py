"""The public beacon: published rounds verify, everything else does not, and the rule for the round leaves no choice."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from draw_cases import START, Exchange, hex_of, listed
from pydantic import ValidationError

from inspectorate.drawing.beacon import randomness_of, round_verifies
from inspectorate.drawing.chain import Chain
from inspectorate.drawing.chains import QUICKNET
from inspectorate.evidence.fair import Order
from inspectorate.mechanisms.inspection.challenge.draw import draw
from inspectorate.mechanisms.inspection.challenge.faults import Fault
from inspectorate.mechanisms.inspection.challenge.judge import Believed, Statements, check_draw, round_for
from inspectorate.mechanisms.inspection.challenge.promise import DrandRound, Method, Randomness, Selection

bls = pytest.importorskip("py_arkworks_bls12381", reason="needs the extra `beacon`")

PUBLISHED = (
    # round, signature, randomness
    (
        1000,
        "b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125e342b73a8dd2bacbe47e4b6b63ed5e39",
        "fe290beca10872ef2fb164d2aa4442de4566183ec51c56ff3cd603d930e54fdd",
    ),
    (
        657_413,
        "b713718a38ae728dfd477991af2822e08d2f305e47718cef9f7848ce4050e7be41076862b98fad56e91a6b85b89cd97b",
        "fc1873a13f3545aeade8401532ef5519920652eee6b0d2b19ca12643b87b3587",
    ),
    (
        5_928_395,
        "a5d07c0071b4e386b3ae09206522253c68fefe8490ad59ecc44a7dd0d0745be91da5779e2247a82403fbc0cb9a34cb61",
        "51722dab0761a1ba5b39f653fa87bef41b442d91fc926a4d727a6be87373fc58",
    ),
)
"""Of quicknet, as independent projects quote them (drand-verify's README; tests of clients in other languages). The
randomness of the last is computed here; those of the first two are quoted with it."""

RFC_9380 = {
    b"": "052926add2207b76ca4fa57a8734416c8dc95e24501772c814278700eed6d1e4e8cf62d9c09db0fac349612b759e79a1"
    "08ba738453bfed09cb546dbb0783dbb3a5f1f566ed67bb6be0e8c67e2e81a4cc68ee29813bb7994998f3eae0c9c6a265",
    b"abc": "03567bc5ef9c690c2ab2ecdf6a96ef1c139cc0b2f284dca0a9a7943388a49a3aee664ba5379a7655d3c68900be2f6903"
    "0b9c15f3fe6e5cf4211f346271d7b01c8f3b28be689c8429c85b67af215533311f0b8dfaaa154fa6b88176c229f2885d",
}
"""Appendix J.9.1, x and y."""


@pytest.mark.parametrize(("number", "signature", "randomness"), PUBLISHED)
def test_published_rounds_verify(number: int, signature: str, randomness: str) -> None:
    assert round_verifies(QUICKNET, number, signature)
    assert randomness_of(signature).hex() == randomness
    assert not round_verifies(QUICKNET, number + 1, signature)


def test_hashing_to_the_curve_is_that_of_rfc_9380() -> None:
    for message, expected in RFC_9380.items():
        point = bls.G1Point.hash_to_curve(message, b"QUUX-V01-CS02-with-BLS12381G1_XMD:SHA-256_SSWU_RO_")
        assert bytes(point.to_xy_bytes_be()).hex() == expected


@pytest.mark.parametrize(
    "signature",
    [
        "00" * 48,
        "ff" * 48,  # infinity under flags that say more
        "c0" + "00" * 47,  # infinity
        "80" + "00" * 46 + "04",  # on the curve, and outside of the subgroup
        "b4" * 48,
        "b44679",
        "zz" * 48,
        PUBLISHED[1][1],
        # the same point with the other sign
        "94" + PUBLISHED[0][1][2:],
    ],
)
def test_false_signatures_are_refused(signature: str) -> None:
    assert not round_verifies(QUICKNET, 1000, signature)


@pytest.mark.parametrize("number", [0, -1, 2**53 + 1, 2**64])
def test_rounds_that_do_not_exist(number: int) -> None:
    assert not round_verifies(QUICKNET, number, PUBLISHED[0][1])


def own_chain(secret: int = 12345, period_s: int = 30) -> tuple[Chain, object]:
    """A chain of one's own, to make rounds at any time."""
    scalar = bls.Scalar(secret)
    key = bytes((bls.G2Point() * scalar).to_compressed_bytes()).hex()
    value = {
        "name": "own", "chain_hash": "0" * 64, "public_key": key, "group_hash": hex_of("group"), "genesis_s": 1_700_000_000,
        "period_s": period_s,
    }  # fmt: skip
    covers = Chain.model_construct(**value).computed_hash()  # type: ignore[arg-type]
    return Chain.model_validate(value | {"chain_hash": covers}), scalar


def sign(scalar: object, number: int) -> str:
    message = hashlib.sha256(number.to_bytes(8, "big")).digest()
    point = bls.G1Point.hash_to_curve(message, b"BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_") * scalar
    return bytes(point.to_compressed_bytes()).hex()


def test_a_chain_is_covered_by_its_hash() -> None:
    with pytest.raises(ValidationError, match="does not cover"):
        Chain.model_validate(QUICKNET.model_dump() | {"period_s": 4})
    with pytest.raises(ValidationError, match="does not cover"):
        Chain.model_validate(QUICKNET.model_dump() | {"public_key": own_chain()[0].public_key})


def test_the_round_at_a_time() -> None:
    first = datetime.fromtimestamp(1_692_803_367, UTC)
    assert QUICKNET.round_at(first - timedelta(seconds=1)) == 0
    assert QUICKNET.round_at(first) == QUICKNET.round_from(first) == 1
    assert QUICKNET.round_at(first + timedelta(seconds=2.9)) == 1
    assert QUICKNET.round_from(first + timedelta(microseconds=1)) == 2
    assert QUICKNET.round_from(first - timedelta(days=9)) == 1
    for number in (1, 2, 1000, 10**8):
        assert QUICKNET.round_at(QUICKNET.time_of(number)) == QUICKNET.round_from(QUICKNET.time_of(number)) == number
    for number in (0, 2**53 + 1, 2**53):
        with pytest.raises(ValueError, match="round"):
            QUICKNET.time_of(number)


# --- in a draw ---------------------------------------------------------------------------------------------------------


def drawn_by_beacon(**changed: object) -> tuple[Exchange, Statements, Believed]:
    chain, scalar = own_chain()
    exchange = Exchange(named=False)
    commitment = exchange.committed()
    number = round_for(commitment.predicate, chain)  # type: ignore[arg-type]
    shift = changed.pop("shift", 0)
    assert isinstance(shift, int)
    value = {
        "kind": "drand", "chain": chain.chain_hash, "round": number + shift, "signature": sign(scalar, number + shift),
        "received_at": START + timedelta(minutes=40), "selection": Selection(method=Method.TIME, count=4),
    } | {key: changed.pop(key) for key in ("signature", "received_at", "chain") if key in changed}  # fmt: skip
    randomness = Randomness(source=DrandRound.model_validate(value))
    drawn = exchange.drawn(commitment, randomness=randomness, **({"promise": None} | changed))  # type: ignore[arg-type]
    return exchange, Statements(commitment=commitment, drawn=drawn), Believed(chains={chain.chain_hash: chain})


def faults(**changed: object) -> set[Fault]:
    exchange, statements, believed = drawn_by_beacon(**changed)
    return {found.fault for found in check_draw(statements, payload=exchange.payload, believed=believed).faults}


def test_a_draw_by_the_beacon() -> None:
    exchange, statements, believed = drawn_by_beacon()
    found = check_draw(statements, payload=exchange.payload, believed=believed)
    assert (found.faults, found.order) == ((), Order.BEACON)
    assert found.asked is not None
    assert 1 <= len(found.in_order) <= 4


def test_another_round_than_the_rule_gives() -> None:
    assert faults(shift=1) == {Fault.ROUND_OTHER}
    assert faults(shift=-1) == {Fault.ROUND_OTHER}


def test_a_false_round_and_an_unknown_chain() -> None:
    assert faults(signature=PUBLISHED[0][1]) == {Fault.BEACON_FALSE}
    assert faults(chain=hex_of("unknown")) == {Fault.CHAIN_UNKNOWN}
    exchange, statements, _ = drawn_by_beacon()
    assert {one.fault for one in check_draw(statements, payload=exchange.payload).faults} == {Fault.CHAIN_UNKNOWN}


def test_a_commitment_that_came_when_the_round_was_known() -> None:
    assert faults(received_at=START + timedelta(hours=2)) == {Fault.COMMITTED_LATE}


def test_a_draw_before_its_round_and_a_beacon_beside_a_promise() -> None:
    assert faults(drawn_at=START + timedelta(minutes=50)) == {Fault.DRAW_BEFORE}
    exchange = Exchange()
    assert faults(promise=exchange.promised().digest) == {Fault.PROMISE_OTHER}


def test_the_beacon_of_this_exchange_is_repeatable() -> None:
    exchange, statements, _ = drawn_by_beacon()
    from_payload = Randomness.model_validate_json(exchange.payload(statements.drawn.statement.subject[0].digest_text))
    assert (
        draw(from_payload, statements.commitment.digest, listed(exchange.packets)) == statements.drawn.predicate.packets
    )  # type: ignore[union-attr]
