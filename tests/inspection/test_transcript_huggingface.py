"""The callback in a real Trainer of Hugging Face: needs transformers and accelerate (`pip install transformers accelerate`)."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
transformers = pytest.importorskip("transformers", reason="transformers is not installed")
pytest.importorskip("accelerate", reason="accelerate is not installed")

from transcript_cases import SETTINGS, options  # noqa: E402

from inspectorate.mechanisms.inspection.transcripts.folder import FolderReader  # noqa: E402
from inspectorate.mechanisms.inspection.transcripts.huggingface import TranscriptCallback  # noqa: E402
from inspectorate.mechanisms.inspection.transcripts.lists import check_folder  # noqa: E402
from inspectorate.mechanisms.inspection.transcripts.torch_state import Generators  # noqa: E402
from inspectorate.mechanisms.inspection.transcripts.training import State, read_batch  # noqa: E402


def model() -> torch.nn.Module:
    config = transformers.GPT2Config(
        vocab_size=32,
        n_positions=8,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        n_embd=16,
        n_layer=1,
        n_head=2,
        bos_token_id=0,
        eos_token_id=0,
    )
    return transformers.GPT2LMHeadModel(config)


def test_a_run_of_the_trainer_is_recorded_and_gives_the_same_bits_again(tmp_path: Path) -> None:
    data = [{"input_ids": torch.arange(8) + n % 5, "labels": torch.arange(8) + n % 5} for n in range(32)]
    arguments = transformers.TrainingArguments(
        output_dir=str(tmp_path / "out"), per_device_train_batch_size=4, gradient_accumulation_steps=2, max_steps=5,
        use_cpu=True, report_to=[], save_strategy="no", eval_strategy="steps", eval_steps=2, learning_rate=1e-2,
        disable_tqdm=True, dataloader_pin_memory=False,
    )  # fmt: skip
    callback = TranscriptCallback(tmp_path / "run", SETTINGS, steps_per_packet=2, options=options())
    trained = model()
    transformers.Trainer(trained, arguments, train_dataset=data, eval_dataset=data[:4], callbacks=[callback]).train()
    reader = FolderReader(tmp_path / "run")
    assert check_folder(reader, deep=True).faults == ()
    packets = list(reader.packets())
    assert [packet.content.steps for packet in packets] == [2, 2, 1]
    assert packets[0].content.tokens == 2 * 2 * 4 * 8

    again = model()
    trainer = transformers.Trainer(again, arguments, train_dataset=data, eval_dataset=data[:4])
    optimizer = trainer.create_optimizer()
    scheduler = trainer.create_scheduler(5, optimizer)
    state = State(again, optimizer, scheduler, Generators(python=True, numpy=True))
    again.train()
    for packet in packets:
        state.restore(reader, packet.content.before)
        for digest in packet.content.batches:
            batch = read_batch(reader, digest)
            for part in ("0", "1"):
                names = {name.partition(".")[2]: one for name, one in batch.items() if name.startswith(f"{part}.")}
                again(**names).loss.backward()
            torch.nn.utils.clip_grad_norm_(again.parameters(), arguments.max_grad_norm)
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad()
        assert state.checkpoint().weights == packet.content.after.weights
        assert state.checkpoint().optimiser == packet.content.after.optimiser
