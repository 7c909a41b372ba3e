"""Payloads that the other side has altered: a fault or an error of ours, never a traceback, never a pass."""

from __future__ import annotations

from datetime import timedelta

from draw_cases import HEADER, START, Exchange, listed, packets
from hypothesis import given, settings
from hypothesis import strategies as st

from inspectorate.canonical import canonical_bytes, parse_json
from inspectorate.errors import EvidenceError
from inspectorate.mechanisms.inspection.challenge.judge import Statements, check_draw
from inspectorate.mechanisms.inspection.challenge.opening import Openings, check_opening, parse_openings
from inspectorate.mechanisms.inspection.challenge.payloads import parse_packet_list
from inspectorate.mechanisms.inspection.challenge.promise import parse_promise, parse_randomness

EXCHANGE = Exchange()
STATEMENTS = EXCHANGE.statements()
ASKED = check_draw(STATEMENTS, payload=EXCHANGE.payload).asked
assert ASKED is not None
SHOWN = tuple(p for p in EXCHANGE.packets if p.number in ASKED.drawn.packets)
GOOD = {
    "randomness": EXCHANGE.randomness().canonical_bytes(),
    "promise": EXCHANGE.promise.canonical_bytes(),
    "openings": Openings(sequence=0, header=HEADER, packets=SHOWN).canonical_bytes(),
    "packets": listed(packets()).canonical_bytes(),
}
PARSERS = {
    "randomness": parse_randomness, "promise": parse_promise, "openings": parse_openings, "packets": parse_packet_list,
}  # fmt: skip

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def altered(draw: st.DrawFn, name: str) -> bytes:
    """A good payload with bytes exchanged, cut off, or with another value somewhere in its tree."""
    good = GOOD[name]
    way = draw(st.sampled_from(["bytes", "cut", "tree", "drop"]))
    if way == "bytes":
        place = draw(st.integers(0, len(good) - 1))
        return good[:place] + draw(st.binary(min_size=1, max_size=3)) + good[place + 1 :]
    if way == "cut":
        return good[: draw(st.integers(0, len(good) - 1))]
    value = parse_json(good, where="test")
    node = value
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        key = draw(st.sampled_from(keys))
        if isinstance(node[key], dict | list) and node[key] and draw(st.booleans()):
            node = node[key]
            continue
        break
    if way == "drop":
        del node[key]
    else:
        node[key] = draw(JSON)
    try:
        return canonical_bytes(value)
    except ValueError:
        return b"{}"


@settings(max_examples=80, deadline=None)
@given(data=st.data(), name=st.sampled_from(sorted(GOOD)))
def test_parsers_raise_only_errors_of_ours(data: st.DataObject, name: str) -> None:
    payload = data.draw(altered(name))
    try:
        record = PARSERS[name](payload, where="test")
    except EvidenceError:
        return
    # The same record in another form: only where a default was left out of a long payload, which its digest pins anyhow.
    same = record.canonical_bytes() == GOOD[name]
    assert not same or payload == GOOD[name] or (name in ("openings", "packets") and len(payload) < len(GOOD[name]))


@settings(max_examples=40, deadline=None)
@given(data=st.data(), name=st.sampled_from(["randomness", "packets"]))
def test_an_altered_draw_is_never_fair(data: st.DataObject, name: str) -> None:
    payload = data.draw(altered(name).filter(lambda one: one != GOOD[name]))
    if name == "packets":
        commitment = EXCHANGE.committed(payload)
        drawn = EXCHANGE.drawn(commitment)
    else:
        commitment = STATEMENTS.commitment
        drawn = EXCHANGE.drawn(commitment, randomness=payload, packets=ASKED.drawn.packets)  # type: ignore[union-attr]
    judged = check_draw(
        Statements(commitment=commitment, drawn=drawn, promise=STATEMENTS.promise), payload=EXCHANGE.payload
    )
    if judged.asked is not None:
        # Another list may be committed to honestly: with other times or leaves, or without a default.
        assert name == "packets"
    else:
        assert judged.faults


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_an_altered_opening_shows_no_packet_that_was_not_committed_to(data: st.DataObject) -> None:
    payload = data.draw(altered("openings"))
    assert ASKED is not None
    answer = EXCHANGE.opened(STATEMENTS.drawn, ASKED.drawn.packets, openings=payload)
    opened = check_opening(ASKED, [answer], payload=EXCHANGE.payload, as_of=START + timedelta(days=9))
    assert set(opened.packets) | set(opened.refused) == set(ASKED.drawn.packets)
    for number, packet in opened.packets.items():
        assert packet == EXCHANGE.packets[number]
