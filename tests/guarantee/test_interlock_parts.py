"""The parts of the path that touch no socket: limits, content, events, sampling, the store of samples."""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspectorate.errors import EvidenceError
from inspectorate.mechanisms.guarantee.events import EventKind
from inspectorate.mechanisms.guarantee.interlock.answering import Events, Lost
from inspectorate.mechanisms.guarantee.interlock.asking import CHAT, COMPLETIONS, TEMPLATE_TOKENS, parse_content
from inspectorate.mechanisms.guarantee.interlock.bucket import Bucket
from inspectorate.mechanisms.guarantee.interlock.gate import MESSAGE, STATUS, Fault, Outcome, error_body, error_event
from inspectorate.mechanisms.guarantee.interlock.reference import EVENT_BYTES_MAX, TOKENS_MAX
from inspectorate.mechanisms.guarantee.interlock.samples import Sample, SampleStore
from inspectorate.mechanisms.guarantee.interlock.sampling import Chain, Sampler, drawn_of, follows

# --- limits ------------------------------------------------------------------------------------------------------------


@given(
    steps=st.lists(st.tuples(st.integers(0, 100), st.floats(0, 3)), min_size=1, max_size=30),
    rate=st.sampled_from([1.0, 10.0, 33.0]),
)
def test_no_stretch_of_time_lets_more_pass_than_burst_and_rate(steps: list[tuple[int, float]], rate: float) -> None:
    """The oracle looks at every stretch between two pieces."""
    burst = 100
    bucket = Bucket(bytes_per_s=rate, burst_bytes=burst)
    now, passed = 0.0, []
    for size, pause in steps:
        now += pause
        passed.append((now + bucket.reserve(size, now), size))
    for first, (start, _) in enumerate(passed):
        for last in range(first, len(passed)):
            total = sum(size for _, size in passed[first : last + 1])
            assert total <= burst + rate * (passed[last][0] - start) + 1e-6


def test_a_bucket_lets_pass_what_is_allowed() -> None:
    """It is not merely slow: the burst at once, then the rate."""
    bucket = Bucket(bytes_per_s=10, burst_bytes=100)
    assert bucket.reserve(100, 0.0) == 0
    assert bucket.reserve(10, 0.0) == pytest.approx(1.0)
    assert bucket.delay_s(0, 1.0) == pytest.approx(0.0)
    assert bucket.delay_s(1000, 1e6) == pytest.approx(90.0)
    with pytest.raises(ValueError, match="larger than the burst"):
        bucket.reserve(101, 1e9)
    with pytest.raises(ValueError, match="rate above zero"):
        Bucket(bytes_per_s=0, burst_bytes=1)


# --- content -----------------------------------------------------------------------------------------------------------


def test_content_is_written_anew_and_bounded_in_tokens() -> None:
    parsed = parse_content(COMPLETIONS, ' {"prompt" :"hé\\ud83d\\ude00", "max_tokens": 5, "stream":false}'.encode())
    assert json.loads(parsed.data) == {"prompt": "hé😀", "max_tokens": 5, "stream": False}
    assert parsed.tokens_max == 5
    assert parsed.tokens_in_max == len("hé😀".encode()) + 2 * TEMPLATE_TOKENS
    assert not parsed.streamed
    chat = {"messages": [{"role": "user", "content": "abc"}] * 2, "max_completion_tokens": 7, "stop": ["x"], "n": 1}
    assert parse_content(CHAT, json.dumps(chat).encode()).tokens_in_max == 6 + 3 * TEMPLATE_TOKENS


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"\xff",
        b'{"prompt": "a"}',
        b'{"prompt": "", "max_tokens": 1}',
        b'{"prompt": ["a", "b"], "max_tokens": 1}',
        b'{"prompt": "\\ud800", "max_tokens": 1}',
        b'{"prompt": "a", "max_tokens": 0}',
        b'{"prompt": "a", "max_tokens": true}',
        b'{"prompt": "a", "max_tokens": 1.0}',
        b'{"prompt": "a", "max_tokens": 1, "max_completion_tokens": 1}',
        b'{"prompt": "a", "max_tokens": 1, "max_tokens": 99}',
        b'{"prompt": "a", "max_tokens": 1, "n": 2}',
        b'{"prompt": "a", "max_tokens": 1, "n": true}',
        b'{"prompt": "a", "max_tokens": 1, "best_of": 2}',
        b'{"prompt": "a", "max_tokens": 1, "temperature": NaN}',
        b'{"prompt": "a", "max_tokens": 1, "temperature": "hot"}',
        b'{"prompt": "a", "max_tokens": 1, "stream": 1}',
        b'{"prompt": "a", "max_tokens": 1, "stop": [""]}',
        b'{"prompt": "a", "max_tokens": 1, "messages": []}',
        b'{"prompt": "a", "max_tokens": %d}' % (TOKENS_MAX + 1),
        b'{"prompt": ' + b"[" * 100_000,
        b'{"prompt": "a", "seed": ' + b"9" * 5000 + b', "max_tokens": 1}',
        b'{"prompt": "a", "temperature": 1e999, "max_tokens": 1}',
    ],
)
def test_content_of_another_form_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - json's own errors are among them
        parse_content(COMPLETIONS, data)


@given(data=st.binary(max_size=60), at=st.integers(0, 60), cut=st.integers(0, 8))
def test_mutated_content_is_refused_or_still_means_the_same_to_the_server(data: bytes, at: int, cut: int) -> None:
    good = b'{"prompt": "abc", "max_tokens": 12, "seed": 1}'
    place = at % len(good)
    try:
        parsed = parse_content(COMPLETIONS, good[:place] + data + good[place + cut :])
    except ValueError:
        return
    again = parse_content(COMPLETIONS, parsed.data)
    assert again == parsed
    assert json.loads(parsed.data)["max_tokens"] == parsed.tokens_max


# --- events ------------------------------------------------------------------------------------------------------------


@given(
    events=st.lists(
        st.sampled_from([b"data: a\n\n", b"data: {}\r\n\r\n", b": still here\n\n", b"event: x\ndata: y\n\n"])
    ),
    cuts=st.lists(st.integers(1, 7), min_size=1),
    rest=st.sampled_from([b"", b"data: half", b"data: half\n"]),
)
def test_events_pass_whole_whatever_the_cuts(events: list[bytes], cuts: list[int], rest: bytes) -> None:
    stream = b"".join(events) + rest
    splitter, out, place, turn = Events(), b"", 0, 0
    while place < len(stream):
        size = cuts[turn % len(cuts)]
        whole = splitter.feed(stream[place : place + size])
        assert not whole or whole.endswith((b"\n\n", b"\r\n\r\n"))
        out += whole
        place, turn = place + size, turn + 1
    assert out == b"".join(events)
    assert splitter.is_between == (not rest)
    assert splitter.count <= sum(b"data:" in one for one in events)
    assert not splitter.is_done


def test_only_the_last_event_ends_a_stream() -> None:
    splitter = Events()
    splitter.feed(b"data: a\n\ndata: [DONE]\n\n")
    assert splitter.is_done
    assert splitter.count == 1
    splitter.feed(b"data: b\n\n")
    assert not splitter.is_done
    splitter.feed(b"x" * EVENT_BYTES_MAX)
    with pytest.raises(Lost, match="larger"):
        splitter.feed(b"x")


def test_every_refusal_has_a_status_and_a_form() -> None:
    assert set(STATUS) == set(EventKind) | set(Fault)
    assert all(400 <= status < 600 for status in STATUS.values())
    assert set(MESSAGE) <= set(STATUS)
    for kind in STATUS:
        assert json.loads(error_body(kind))["error"]["kind"] == kind.value
        assert error_event(kind).startswith(b"event: error\ndata: {")
        assert error_event(kind).endswith(b"}\n\n")


# --- sampling ----------------------------------------------------------------------------------------------------------


def test_the_secret_of_a_period_is_committed_to_before_and_opened_after() -> None:
    chain = Chain(b"s" * 32, periods=4)
    commitment = chain.commitment
    for period in range(4):
        opened = chain.opened(period)
        assert follows(opened, commitment)
        assert not follows(b"x" * 32, commitment)
        assert not follows(opened[:-1], commitment)
        sampler = chain.sampler(period, 0.25)
        assert drawn_of(opened, 0.25, 400) == sum(sampler.draws(index) for index in range(400))
        commitment = opened
    assert len({chain.opened(period) for period in range(4)}) == 4
    with pytest.raises(ValueError, match="4 periods"):
        chain.opened(4)
    with pytest.raises(ValueError, match="32 bytes"):
        Chain(b"short", periods=1)


def test_the_share_drawn_is_the_share_asked_for() -> None:
    assert not any(Sampler(b"a" * 32, 0.0).draws(index) for index in range(1000))
    assert all(Sampler(b"a" * 32, 1.0).draws(index) for index in range(1000))
    drawn = drawn_of(b"a" * 32, 0.1, 20_000)
    assert abs(drawn - 2000) < 5 * (20_000 * 0.1 * 0.9) ** 0.5
    with pytest.raises(ValueError, match="share"):
        Sampler(b"a" * 32, 1.5)


def test_drawing_is_as_it_is_written_down() -> None:
    """The definition of docs/interlock.md, spelled out again."""
    secret = b"z" * 32
    sampler = Sampler(secret, 0.5)
    for index in range(64):
        message = b"inspectorate guard sampling v1\0" + index.to_bytes(8, "big")
        first = hmac.new(secret, message, hashlib.sha256).digest()[:8]
        assert sampler.draws(index) == (int.from_bytes(first, "big") < 2**63)


# --- the store of samples ----------------------------------------------------------------------------------------------


def sample(ticket: int, answer: bytes = b"secret answer") -> Sample:
    return Sample(
        ticket=ticket,
        model="sha256:" + "0" * 64,
        path=COMPLETIONS,
        at="2026-01-01T00:00:00+00:00",
        outcome=Outcome.COMPLETE,
        request=b"secret question",
        answer=answer,
    )


def nonce(number: int) -> bytes:
    return number.to_bytes(12, "big")


def test_samples_are_sealed_and_survive_a_restart(tmp_path: Path) -> None:
    store = SampleStore(tmp_path, b"k" * 32)
    store.keep(sample(7), nonce(1))
    file = tmp_path / "7.sample"
    assert b"secret" not in file.read_bytes()
    assert file.stat().st_mode & 0o777 == 0o600
    (tmp_path / "9.part").write_bytes(b"half")
    again = SampleStore(tmp_path, b"k" * 32)
    assert again.waiting == (7,)
    assert again.read(7) == sample(7)
    assert not (tmp_path / "9.part").exists()
    again.done(7)
    assert again.waiting == ()
    assert not file.exists()


def test_a_changed_renamed_or_foreign_sample_is_noticed(tmp_path: Path) -> None:
    store = SampleStore(tmp_path, b"k" * 32)
    store.keep(sample(1), nonce(1))
    good = (tmp_path / "1.sample").read_bytes()
    (tmp_path / "2.sample").write_bytes(good)
    for ticket, data in ((2, good), (1, good[:-1] + b"?"), (1, b""), (1, good[:20])):
        (tmp_path / f"{ticket}.sample").write_bytes(data)
        with pytest.raises(EvidenceError, match="not as it was sealed"):
            store.read(ticket)
    (tmp_path / "1.sample").write_bytes(good)
    with pytest.raises(EvidenceError):
        SampleStore(tmp_path, b"l" * 32).read(1)


def test_a_full_store_has_no_room_until_something_was_recomputed(tmp_path: Path) -> None:
    store = SampleStore(tmp_path, b"k" * 32, samples_max=2, bytes_max=100_000)
    assert not store.has_room(100_000)
    store.reserve(1, 100)
    store.reserve(2, 100)
    assert not store.has_room(1)
    store.release(2)
    store.keep(sample(1), nonce(1))
    assert store.has_room(1)
    store.keep(sample(2), nonce(2))
    assert not store.has_room(1)
    store.done(1)
    assert store.has_room(1)
