"""Recomputing kept samples: transcripts, one sample by itself, and the process with limits, against hostile content."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from graph_models import FREE, SEEDED, answer_greedily, encoder, evaluator, file_of
from hypothesis import given
from hypothesis import strategies as st

from inspectorate.canonical import digest_of
from inspectorate.cli.guard_graph import graph as command
from inspectorate.errors import EnvironmentError_, EvidenceError, InspectorateError
from inspectorate.mechanisms.guarantee.graph.noise import seed_of, seeded_choice
from inspectorate.mechanisms.guarantee.graph.recheck import (
    Bounds,
    Job,
    Rechecked,
    Sample,
    drawn_places,
    recheck,
    recheck_apart,
)
from inspectorate.mechanisms.guarantee.graph.tolerance import Tolerance
from inspectorate.mechanisms.guarantee.graph.transcript import Malformed, transcript_of
from inspectorate.mechanisms.guarantee.graph.types import Outcome

GRAPH = encoder()
MODEL = evaluator(GRAPH)
DRAW = bytes(range(32))
TIME_S = 2.0
"""Of a processor: starting takes one second of it."""
ANSWER = answer_greedily(MODEL, list(b"a prompt"), 20)


def request(prompt: object = "a prompt", count: object = 20) -> bytes:
    return json.dumps({"prompt": prompt, "max_tokens": count}).encode()


def event(text: str) -> bytes:
    choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": None}
    return b"data: " + json.dumps({"id": "cmpl-1", "choices": [choice]}).encode() + b"\n\n"


def streamed(tokens: list[int]) -> bytes:
    """An answer as the completion service of the lab streams it."""
    return b"".join(event(chr(token)) for token in tokens) + b"data: [DONE]\n\n"


def one(answer: bytes, asked: bytes = request(), **changes: float) -> Rechecked:
    return recheck(
        Sample(number=7, request=asked, answer=answer),
        GRAPH,
        MODEL,
        spread_max=1e-4,
        draw=DRAW,
        bounds=Bounds.model_validate(changes),
    )


def test_a_streamed_answer_and_a_whole_one_are_read_alike() -> None:
    whole = json.dumps({"choices": [{"text": "".join(map(chr, ANSWER))}]}).encode()
    numbered = json.dumps({"choices": [{"index": 0, "token_ids": ANSWER, "text": "?"}]}).encode()
    for answer in (streamed(ANSWER), whole, numbered, streamed(ANSWER).replace(b"\n", b"\r\n")):
        assert transcript_of(request(), answer).answer == tuple(ANSWER)
    assert transcript_of(request(list(b"a prompt")), whole).prompt == tuple(b"a prompt")
    assert transcript_of(request("é"), whole).prompt == tuple("é".encode())


def test_an_answer_that_was_cut_counts_as_far_as_it_is_whole() -> None:
    cut = streamed(ANSWER)[: len(event("a")) * 5 + 30]
    found = one(cut)
    assert found.outcome is Outcome.CONSISTENT
    assert 0 < found.tokens < 20
    failed = event(chr(ANSWER[0])) + b'event: error\ndata: {"error": {"kind": "limit-reached"}}\n\n'
    assert one(failed).tokens == 1


def test_the_declared_model_passes_and_another_does_not() -> None:
    found = one(streamed(ANSWER))
    assert (found.outcome, found.checked, found.tokens) == (Outcome.CONSISTENT, 20, 20)
    wrong = one(streamed([*ANSWER[:10], ANSWER[10] ^ 1, *ANSWER[11:]]))
    assert (wrong.outcome, wrong.where) == (Outcome.DIFFERS, 10)


@pytest.mark.parametrize(
    ("answer", "outcome", "words"),
    [
        (b"", Outcome.CANNOT_TELL, "answer are needed"),
        (b"data: [DONE]\n\n", Outcome.CANNOT_TELL, "answer are needed"),
        (b'{"error": {"message": "busy"}}', Outcome.CANNOT_TELL, "answer are needed"),
        (b"data: hidden words\n\n", Outcome.DIFFERS, "not JSON"),
        (b"hidden words\n\n", Outcome.DIFFERS, "not of an event"),
        (b'{"choices": [{"text": "a"}, {"text": "b"}]}', Outcome.DIFFERS, "several"),
        (b'{"choices": [{"index": 1, "text": "a"}]}', Outcome.DIFFERS, "not the first"),
        (b'{"choices": [{"token_ids": [1.5]}]}', Outcome.DIFFERS, "no number of one"),
        (b'{"choices": [{"token_ids": [true]}]}', Outcome.DIFFERS, "no number of one"),
        ('{"choices": [{"text": "é€"}]}'.encode(), Outcome.DIFFERS, "not in the vocabulary"),
        (streamed(ANSWER + ANSWER), Outcome.DIFFERS, "20 asked for"),
        (b"data: " + b"[" * 100_000 + b"\n\n", Outcome.DIFFERS, "not JSON"),
    ],
)
def test_what_a_server_may_send(answer: bytes, outcome: Outcome, words: str) -> None:
    found = one(answer)
    assert found.outcome is outcome
    assert words in found.reason


@pytest.mark.parametrize("asked", [b"", b"[]", b"{}", request(5), request([-1]), request(count=0), request(count=True)])
def test_requests_that_cannot_be_read_are_not_held_against_the_server(asked: bytes) -> None:
    assert one(streamed(ANSWER), asked).outcome is Outcome.CANNOT_TELL


def test_what_takes_too_much_is_not_done() -> None:
    found = one(streamed(ANSWER), flop_max=1e3)
    assert found.outcome is Outcome.CANNOT_TELL
    assert "FLOP" in found.reason


def test_of_long_answers_places_are_drawn() -> None:
    assert drawn_places(20, 20, DRAW, 1) is None
    places = drawn_places(1000, 50, DRAW, 1)
    assert places is not None
    assert len(set(places)) == 50
    assert places != drawn_places(1000, 50, DRAW, 2)
    assert one(streamed(ANSWER), places_max=5).checked == 5
    with pytest.raises(ValueError, match="32 bytes"):
        drawn_places(1000, 50, b"", 1)


def test_the_seed_comes_from_the_request() -> None:
    seeded = encoder(SEEDED)
    model = evaluator(seeded)
    sequence = list(b"a prompt")
    for place in range(20):
        scores = model.answer_scores(sequence, [0])[0]
        sequence.append(seeded_choice(scores, seed_of(request()), place, temperature=0.8, top_k=20))
    for asked, outcome in ((request(), Outcome.CONSISTENT), (request(count=21), Outcome.DIFFERS)):
        sample = Sample(number=1, request=asked, answer=streamed(sequence[8:]))
        found = recheck(sample, seeded, model, spread_max=1e-4, draw=DRAW, bounds=Bounds())
        assert found.outcome is outcome


def test_free_sampling_carries_its_e_value() -> None:
    free = encoder(FREE)
    sample = Sample(number=1, request=request(), answer=streamed(ANSWER))
    found = recheck(sample, free, evaluator(free), spread_max=1e-4, draw=DRAW, bounds=Bounds())
    assert found.log_e is not None
    assert found.covert_bits > 1
    assert one(streamed(ANSWER)).log_e is None


@given(st.binary(max_size=300))
def test_noise_never_raises_anything_else(data: bytes) -> None:
    for asked, answer in ((data, streamed(ANSWER)), (request(), data), (request(), b"data: " + data + b"\n\n")):
        try:
            transcript_of(asked, answer)
        except Malformed:
            assert asked == request()
        except EvidenceError:
            assert asked == data


# --- the process of its own -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("graph")
    (folder / "graph.json").write_bytes(GRAPH.canonical_bytes())
    (folder / "weights.safetensors").write_bytes(file_of(GRAPH, 1))
    return folder / "graph.json", folder / "weights.safetensors"


def job(files: tuple[Path, Path], **bounds: float) -> Job:
    made = Job.of(GRAPH, files, digest_of(files[1].read_bytes()), spread_max=1e-4, draw=DRAW)
    return made.model_copy(update={"bounds": Bounds.model_validate(bounds)})


def test_a_process_gives_what_the_function_gives(files: tuple[Path, Path]) -> None:
    answers = (streamed(ANSWER), b"data: x\n\n", streamed([*ANSWER[:5], 1, 2]))
    samples = [Sample(number=n, request=request(), answer=answer) for n, answer in enumerate(answers)]
    alone = [recheck(one, GRAPH, MODEL, spread_max=1e-4, draw=DRAW, bounds=Bounds()) for one in samples]
    assert [x.outcome for x in recheck_apart(job(files), samples)] == [x.outcome for x in alone]
    assert [x.where for x in alone] == [None, None, 5]


def test_a_sample_that_takes_too_long_costs_only_itself(files: tuple[Path, Path]) -> None:
    numbers = [1] * 60_000
    endless = Sample(
        number=1, request=request("x", len(numbers)), answer=json.dumps({"choices": [{"token_ids": numbers}]}).encode()
    )
    other = Sample(number=2, request=request(), answer=streamed(ANSWER))
    bounds = job(files, seconds=TIME_S, places_max=65_536, flop_max=1e30)
    found = recheck_apart(bounds, [endless, other])
    assert [one.outcome for one in found] == [Outcome.CANNOT_TELL, Outcome.CONSISTENT]
    assert "longer than" in found[0].reason or "ended with" in found[0].reason


def test_other_weights_or_another_graph_are_no_word_on_the_server(files: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(file_of(GRAPH, 2))
    sample = Sample(number=1, request=request(), answer=streamed(ANSWER))
    swapped = job(files).model_copy(update={"weights": str(tmp_path / "other")})
    with pytest.raises(EnvironmentError_, match="cannot be used"):
        recheck_apart(swapped, [sample])


def test_nothing_to_recompute_is_a_fault_of_the_caller(files: tuple[Path, Path]) -> None:
    with pytest.raises(ValueError, match="different numbers"):
        recheck_apart(job(files), [])


# --- the command line -----------------------------------------------------------------------------------------------------


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(command, [str(one) for one in arguments])
    if isinstance(result.exception, InspectorateError):
        return result.exception.exit_code, str(result.exception)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def test_show_and_check(files: tuple[Path, Path], tmp_path: Path) -> None:
    path, weights = files
    code, said = run("show", path, "--json")
    assert code == 0
    assert json.loads(said)["digest"] == GRAPH.digest
    assert "attention" in run("show", path)[1]
    code, said = run(
        "check", path, weights, "--content", digest_of(weights.read_bytes()), "--listed-flop", "1e9", "--json"
    )
    assert (code, json.loads(said)["problems"]) == (0, [])
    assert run("check", path, weights, "--listed-flop", "10")[0] == 20
    assert run("check", path, weights, "--content", "sha256:" + "0" * 64)[0] == 30
    (tmp_path / "bad").write_bytes(b"{}")
    assert run("show", tmp_path / "bad")[0] == 30


def test_new_writes_what_the_function_makes(tmp_path: Path) -> None:
    sizes = ("--width", 16, "--layers", 2, "--heads", 4, "--feed-forward", 32, "--vocabulary", 256, "--context", 24)
    how = ("--sampling", "greedy", "--slides", "--keeps-nothing")
    code, said = run("new", tmp_path / "g", "--name", "small", "--layout", "encoder", *sizes, *how)
    assert (code, said.strip()) == (0, GRAPH.digest)
    assert run("new", tmp_path / "g", "--name", "small", "--layout", "encoder", "--width", 15, *sizes[2:], *how)[0] == 2
    gated = ("new", tmp_path / "h", "--name", "small", "--layout", "gated", *sizes, *how, "--quantised-group", 8)
    assert run(*gated)[0] == 0


def test_recheck_over_files(files: tuple[Path, Path], tmp_path: Path) -> None:
    path, weights = files
    measured = Tolerance(graph=GRAPH.digest, spread_max=1e-4, spread_measured=2e-5, places=10, stacks=("test",))
    (tmp_path / "tolerance").write_bytes(measured.canonical_bytes())
    (tmp_path / "request").write_bytes(request())
    (tmp_path / "right").write_bytes(streamed(ANSWER))
    (tmp_path / "wrong").write_bytes(streamed([*ANSWER[:3], ANSWER[3] ^ 1]))
    base = (
        "recheck",
        path,
        weights,
        "--content",
        digest_of(weights.read_bytes()),
        "--tolerance",
        tmp_path / "tolerance",
    )
    pairs = [("--sample", tmp_path / "request", tmp_path / which) for which in ("right", "wrong")]
    code, said = run(*base, *pairs[0], *pairs[1], "--json")
    assert code == 20
    assert [one["outcome"] for one in json.loads(said)["samples"]] == ["consistent", "differs"]
    other = measured.model_copy(update={"graph": "sha256:" + "0" * 64})
    (tmp_path / "tolerance").write_bytes(other.canonical_bytes())
    assert run(*base, *pairs[0])[0] == 2
