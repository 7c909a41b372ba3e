"""Packets run again: honest ones pass by every method, others differ, and hostile content is never a pass."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tokens_made import (
    ANSWER,
    ROWS,
    Run,
    model,
    packet_of,
    token_bytes,
    weights,
    write_model,
    write_run,
)

from inspectorate.canonical import digest_of
from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence.inspected import ReplayMethod
from inspectorate.mechanisms.inspection.results import Outcome, PacketResult, Tolerance
from inspectorate.mechanisms.inspection.tokens import calibrate, worker
from inspectorate.mechanisms.inspection.tokens.exact import own_stack, unlike
from inspectorate.mechanisms.inspection.tokens.replay import Bounds, InferenceReplayer, ReplayJob
from inspectorate.mechanisms.inspection.tokens.weights import parse_shape, read_model

ABOUT = calibrate.About(id="t", stacks=(own_stack("float32"),), vocabulary=64)


def difr_tolerance() -> Tolerance:
    return calibrate.calibrate_difr([np.zeros(500)] * 4, ABOUT, distances=[np.full(500, 1e-3)] * 4)


def toploc_tolerance() -> Tolerance:
    return calibrate.calibrate_toploc([[_near()] * 100, [_near()] * 100], ABOUT)


def _near() -> calibrate.Comparison:
    return calibrate.Comparison(
        exponent_mismatches=0, sign_mismatches=0, mantissa_mean=0.2, mantissa_median=0.2, compared=16
    )


@pytest.fixture(scope="module")
def declared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return write_run(tmp_path_factory.mktemp("run"), "toploc")


def job(run: Run, declared: Path, method: ReplayMethod, tolerance: Tolerance | None, **more: object) -> ReplayJob:
    return ReplayJob(
        header=run.header, folder=str(run.folder), model=str(declared), method=method, tolerance=tolerance,
        precision="float32", flop_max=1e12, packets=tuple(run.packets.values()), **more,
    )  # fmt: skip


def here(run: Run, declared: Path, method: ReplayMethod, tolerance: Tolerance | None = None) -> PacketResult:
    """In this process: what the process apart does once it has closed itself in."""
    asked = job(run, declared, method, tolerance)
    return worker.run_packet(worker._bench(asked), asked.packets[0])


def changed(run: Run, tmp_path: Path, **request: object) -> Run:
    """The run with its first request changed; `content` is put into the folder first."""
    first, *rest = run.packets[0].content.requests
    put = {name: _put(run.folder, value) if isinstance(value, bytes) else value for name, value in request.items()}
    return replace(run, packets={0: packet_of((first.model_copy(update=put), *rest))})


def _put(folder: Path, data: bytes) -> str:
    digest = digest_of(data)
    (folder / "content" / f"{digest.removeprefix('sha256:')}.bytes").write_bytes(data)
    return digest


# --- apart ---------------------------------------------------------------------------------------------------------------


def test_an_honest_packet_matches_bit_by_bit_in_a_process_apart(kept: Run, declared: Path) -> None:
    replayer = InferenceReplayer(
        folder=kept.folder, model=declared, header=kept.header, packets=kept.packets, method=ReplayMethod.EXACT
    )
    matched, missing = replayer.replay([0, 5])
    assert (matched.outcome, matched.tokens) == (Outcome.MATCHED, ROWS * ANSWER)
    assert matched.covert_bits_per_token == 0.0
    # What a server took: not the copies of rows by which this process gets its bits.
    shape = read_model(declared, digest=None).shape
    requests = kept.packets[0].content.requests
    assert matched.flop_counted == sum(shape.flop(one.prompt_tokens + one.answer_tokens - 1) for one in requests)
    assert (missing.outcome, missing.reason) == (Outcome.NOT_RUN, "the packet was not opened")
    with pytest.raises(ValueError, match="empty"):
        replayer.replay([])
    with pytest.raises(InputError):
        replace(replayer, model=declared / "absent").replay([0])


def test_a_model_that_is_not_the_declared_one_runs_nothing(kept: Run, tmp_path: Path) -> None:
    """Weights with NaN, in a process apart: nothing is run, and nothing passes."""
    tensors = weights()
    tensors["model.norm.weight"][3] = np.nan
    poisoned = write_model(tmp_path / "m", tensors)
    result = InferenceReplayer(
        folder=kept.folder, model=poisoned, header=kept.header, packets=kept.packets, method=ReplayMethod.EXACT
    ).replay([0])[0]
    assert result.outcome is Outcome.NOT_RUN
    assert "finite" in result.reason


def test_what_takes_too_long_is_not_run(kept: Run, declared: Path) -> None:
    stuck = InferenceReplayer(
        folder=kept.folder, model=declared, header=kept.header, packets=kept.packets, method=ReplayMethod.EXACT,
        bounds=Bounds(flop_max=10.0),
    )  # fmt: skip
    assert here_with(stuck).outcome is Outcome.NOT_RUN


def here_with(replayer: InferenceReplayer) -> PacketResult:
    asked = ReplayJob(
        header=replayer.header, folder=str(replayer.folder), model=str(replayer.model), method=replayer.method,
        tolerance=None, precision="float32", flop_max=replayer.bounds.flop_max, packets=tuple(replayer.packets.values()),
    )  # fmt: skip
    return worker.run_packet(worker._bench(asked), asked.packets[0])


# --- methods -------------------------------------------------------------------------------------------------------------


def test_every_method_passes_the_honest_and_finds_another_model(declared: Path, tmp_path: Path) -> None:
    for kind, method, tolerance in (
        ("toploc", ReplayMethod.EXACT, None),
        ("toploc", ReplayMethod.TOPLOC, toploc_tolerance()),
        ("activation-difr", ReplayMethod.DIFR, difr_tolerance()),
        (None, ReplayMethod.DIFR, difr_tolerance()),
    ):
        name = f"{kind}-{method.value}"
        honest = write_run(tmp_path / f"{name}-honest", kind)
        other = write_run(tmp_path / f"{name}-other", kind, served_by=model(2))
        good, bad = here(honest, declared, method, tolerance), here(other, declared, method, tolerance)
        assert (good.outcome, bad.outcome) == (Outcome.MATCHED, Outcome.DIFFERED), (name, good, bad)
        assert good.covert_bits_per_token is not None


def test_a_wrong_seed_is_found_by_tokens_and_not_by_proofs(declared: Path, tmp_path: Path) -> None:
    """TOPLOC holds for any tokens: the residual channel it states is the whole vocabulary."""
    run = write_run(tmp_path, "toploc", seed_shift=1)
    assert here(run, declared, ReplayMethod.DIFR, difr_tolerance()).outcome is Outcome.DIFFERED
    assert here(run, declared, ReplayMethod.EXACT).outcome is Outcome.DIFFERED
    passed = here(run, declared, ReplayMethod.TOPLOC, toploc_tolerance())
    assert (passed.outcome, passed.covert_bits_per_token) == (Outcome.MATCHED, 6.0)


def test_exact_comparison_needs_equal_stacks_and_every_batch_size(kept: Run, declared: Path, tmp_path: Path) -> None:
    own = own_stack("float32")
    other = own.model_copy(update={"hardware": "another"})
    assert unlike(own, own) is None
    assert "hardware" in str(unlike(other, own))
    assert unlike(own.model_copy(update={"deterministic": False}), own) is not None
    replayer = InferenceReplayer(
        folder=kept.folder, model=declared, header=kept.header.model_copy(update={"stack": other}), packets=kept.packets,
        method=ReplayMethod.EXACT,
    )  # fmt: skip
    assert replayer.replay([0])[0].outcome is Outcome.NOT_RUN
    for sizes in ((), ((1, 3),), ((0, ANSWER),)):
        assert here(changed(kept, tmp_path, batch_sizes=sizes), declared, ReplayMethod.EXACT).outcome is Outcome.NOT_RUN


# --- hostile content -----------------------------------------------------------------------------------------------------


def test_hostile_content_is_never_a_pass(kept: Run, declared: Path, tmp_path: Path) -> None:
    proof = kept.packets[0].content.requests[0].proof
    lines = (kept.folder / "content" / f"{proof.removeprefix('sha256:')}.bytes").read_bytes()
    cases = {
        "no proof": ({"proof": None}, Outcome.NOT_RUN),
        "proof missing": ({"proof": "sha256:" + "1" * 64}, Outcome.NOT_RUN),
        "too few": ({"proof": lines.split(b"\n", 1)[1]}, Outcome.DIFFERED),
        "too many": ({"proof": lines + lines.split(b"\n", 1)[0] + b"\n"}, Outcome.DIFFERED),
        "none": ({"proof": b""}, Outcome.DIFFERED),
        "pickle": ({"proof": pickle.dumps([1, 2, 3])}, Outcome.DIFFERED),
        "one flipped": ({"proof": b"AAAA" + lines[4:]}, Outcome.DIFFERED),
        "beyond the vocabulary": ({"answer": token_bytes(np.full(ANSWER, 64))}, Outcome.DIFFERED),
        "half a token": ({"answer": b"\0" * (4 * ANSWER - 1)}, Outcome.DIFFERED),
        "fewer tokens than stated": ({"answer": token_bytes(np.zeros(3))}, Outcome.DIFFERED),
        "no tokens": ({"answer": b"", "answer_tokens": 0}, Outcome.NOT_RUN),
        "another seed": ({"seed": 1}, Outcome.DIFFERED),
        "too long": ({"prompt_tokens": 300, "prompt": token_bytes(np.zeros(300))}, None),
    }
    for name, (update, expected) in cases.items():
        for method, tolerance in ((ReplayMethod.TOPLOC, toploc_tolerance()), (ReplayMethod.EXACT, None)):
            found = here(changed(kept, tmp_path, **update), declared, method, tolerance)
            assert found.outcome is not Outcome.MATCHED, name
            assert expected in (None, found.outcome), (name, found)


def test_a_null_proof_is_not_run(kept: Run, declared: Path, tmp_path: Path) -> None:
    null = b"AAAA" * 11 + b"AA==\n"
    bad = changed(kept, tmp_path, proof=null * 4)
    assert here(bad, declared, ReplayMethod.TOPLOC, toploc_tolerance()).outcome is Outcome.NOT_RUN


def test_a_folder_without_requests_shows_nothing(kept: Run, declared: Path) -> None:
    empty = replace(kept, packets={0: packet_of(())})
    for method, tolerance in ((ReplayMethod.EXACT, None), (ReplayMethod.DIFR, difr_tolerance())):
        assert here(empty, declared, method, tolerance).outcome is Outcome.NOT_RUN


def test_headers_with_unknown_rules_are_refused(kept: Run, declared: Path) -> None:
    for update in (
        {"sampling": {"rule": "mine"}}, {"sampling": {"seed": "mine"}}, {"proofs": {"kind": "mine"}}, {"proofs": {"topk": 4}},
        {"model": "sha256:" + "2" * 64}, {"proofs": {}},
    ):  # fmt: skip
        run = replace(kept, header=kept.header.model_copy(update=update))
        with pytest.raises(EvidenceError):
            here(run, declared, ReplayMethod.TOPLOC, toploc_tolerance())


def test_models_that_are_not_plain_or_not_whole_are_refused(tmp_path: Path) -> None:
    whole = weights()
    for name, stated in (
        ("rope", {"rope_scaling": {"type": "linear"}}),
        ("bias", {"attention_bias": True}),
        ("kind", {"model_type": "x"}),
    ):
        with pytest.raises(EvidenceError):
            read_model(write_model(tmp_path / name, **stated), digest=None)
    for name, tensors in (
        ("missing", {key: value for key, value in whole.items() if "norm" not in key}),
        ("beside", whole | {"extra": np.zeros(2, np.float32)}),
        ("shape", whole | {"model.norm.weight": np.zeros(3, np.float32)}),
    ):
        with pytest.raises(EvidenceError):
            read_model(write_model(tmp_path / name, tensors), digest=None)
    cut = write_model(tmp_path / "cut")
    data = (cut / "model.safetensors").read_bytes()
    (cut / "model.safetensors").write_bytes(data[:-10])
    with pytest.raises(EvidenceError):
        read_model(cut, digest=None)
    (cut / "model.safetensors").write_bytes(pickle.dumps(whole))
    with pytest.raises(EvidenceError):
        read_model(cut, digest=None)
    for stated in (b"[]", b"{", json.dumps({"vocab_size": 10**9}).encode()):
        with pytest.raises(EvidenceError):
            parse_shape(stated, where="config")
