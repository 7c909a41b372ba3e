"""A tiny declared model with random weights, and the folder of a run that an honest server wrote with it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from inspectorate.mechanisms.inspection.tokens import difr, judge, toploc
from inspectorate.mechanisms.inspection.tokens.decoder import Decoder, Precision
from inspectorate.mechanisms.inspection.tokens.exact import own_stack
from inspectorate.mechanisms.inspection.tokens.floats import to_bits
from inspectorate.mechanisms.inspection.tokens.sampling import SamplingRule
from inspectorate.mechanisms.inspection.tokens.serve import by_rule, serve
from inspectorate.mechanisms.inspection.tokens.weights import DeclaredModel, DecoderShape, model_of
from inspectorate.mechanisms.inspection.transcripts.folder_writer import FolderWriter
from inspectorate.mechanisms.inspection.transcripts.types import (
    InferenceContent,
    InferenceHeader,
    Packet,
    Request,
)

SHAPE = DecoderShape(
    vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
    max_position_embeddings=256,
)  # fmt: skip
RULE = SamplingRule(temperature=1.0, top_k=20)
PROOFS = toploc.ProofSettings(topk=16, batching=8)
PROJECTION = difr.ProjectionSettings(size=8, seed=3)
ROWS, PROMPT, ANSWER = 3, 6, 25


def weights(seed: int = 1) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        name: np.ones(size, np.float32)
        if len(size) == 1
        else (rng.standard_normal(size) * (3 if "head" in name else 1) / np.sqrt(size[1])).astype(np.float32)
        for name, size in SHAPE.tensors()
    }


@cache
def model(seed: int = 1) -> DeclaredModel:
    return model_of(weights(seed), SHAPE)


def write_model(folder: Path, tensors: dict[str, np.ndarray] | None = None, **stated: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    config = SHAPE.model_dump(exclude_none=True) | {"model_type": "llama"} | stated
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    save_file(weights() if tensors is None else tensors, folder / "model.safetensors")
    return folder


def token_bytes(tokens: np.ndarray) -> bytes:
    return tokens.astype("<u4").tobytes()


def header(kind: str | None, **more: object) -> InferenceHeader:
    settings = {"toploc": PROOFS.model_dump(), "activation-difr": PROJECTION.model_dump(), None: {}}[kind]
    return InferenceHeader(
        work="inference",
        run="run-1",
        code="sha256:" + "0" * 64,
        stack=own_stack("float32"),
        model=model().digest,
        sampling=RULE.model_dump() | {"seed": "prompt"},
        proofs=({"kind": kind} if kind else {}) | settings,
        **more,
    )


@dataclass(frozen=True)
class Run:
    """A folder as written, and its packets."""

    folder: Path
    header: InferenceHeader
    packets: dict[int, Packet]


def write_run(folder: Path, kind: str | None, *, served_by: DeclaredModel | None = None, seed_shift: int = 0) -> Run:
    """One packet of `ROWS` answers in one batch. `served_by` is the model that answered in truth."""
    stated = header(kind)
    writer = FolderWriter.create(folder, stated, durable=False)
    prompts = np.random.default_rng(5).integers(0, SHAPE.vocab_size, (ROWS, PROMPT))
    seeds = [judge.seed_from_prompt(token_bytes(prompt)) for prompt in prompts]
    decoder = Decoder(served_by or model(), precision=Precision.FLOAT32)
    served = serve(decoder, prompts, ANSWER, by_rule(RULE, [seed + seed_shift for seed in seeds]), top=RULE.top_k)
    requests = []
    for row, prompt in enumerate(prompts):
        proof = None
        if kind == "toploc":
            chunks = toploc.chunks_of(to_bits(served.prefill[row]), to_bits(served.decoded[row]), PROOFS)
            proof = toploc.write_proofs(toploc.build_proofs(chunks, PROOFS))
        elif kind is not None:
            proof = difr.write_fingerprint(difr.fingerprint(served.decoded[row], PROJECTION))
        requests.append(
            Request(
                prompt=writer.add_bytes(token_bytes(prompt)),
                answer=writer.add_bytes(token_bytes(served.tokens[row])),
                prompt_tokens=PROMPT,
                answer_tokens=ANSWER,
                seed=seeds[row],
                batch_sizes=((ROWS, ANSWER),),
                proof=None if proof is None else writer.add_bytes(proof),
            )
        )
    packet = packet_of(tuple(requests))
    writer.add_packet(packet)
    writer.close()
    return Run(folder, stated, {0: packet})


def packet_of(requests: tuple[Request, ...]) -> Packet:
    content = InferenceContent(work="inference", requests=requests)
    return Packet(number=0, start_ns=0, end_ns=10**9, flop=1e6, salt="ab" * 32, content=content)
