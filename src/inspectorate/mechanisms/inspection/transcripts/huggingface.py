"""Records a run of the Hugging Face Trainer: `Trainer(..., callbacks=[TranscriptCallback(folder, settings, steps_per_packet=50)])`.

- A step of the Trainer is one packet step; its batch is all micro-batches that were accumulated for it, as the model received them:
  callbacks are not given batches, so a hook on the model's forward pass takes its arguments while it trains.
- Evaluation passes are not part of a step and are not recorded. Random numbers that the Trainer draws between steps (a new epoch
  of a data loader takes one) fall into a packet: with dropout, whoever runs that packet again must draw them too.
- One process only: of a run on several, each would have to record its own batches, which is refused rather than done by half.

Needs torch and transformers (extra `transformers`), which the core does not install.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor, nn
from transformers import TrainerCallback

from inspectorate.errors import InputError
from inspectorate.mechanisms.inspection.transcripts.torch_state import Generators
from inspectorate.mechanisms.inspection.transcripts.training import (
    RecorderOptions,
    State,
    TrainingRecorder,
    TrainingSettings,
)


class TranscriptCallback(TrainerCallback):  # type: ignore[misc, unused-ignore]
    """Writes a transcript of what a Trainer does; see the top of this module. One callback records one run."""

    def __init__(
        self, folder: Path, settings: TrainingSettings, *, steps_per_packet: int, options: RecorderOptions | None = None
    ) -> None:
        self._folder = folder
        self._settings = settings
        self._steps_per_packet = steps_per_packet
        self._options = options
        self._recorder: TrainingRecorder | None = None
        self._hooks: list[Any] = []
        self._batches: list[dict[str, Any]] = []
        self._losses: list[Tensor] = []

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Take the first checkpoint, and follow the model."""
        if args.world_size != 1:
            raise InputError(f"runs in {args.world_size} processes, and only one is recorded", where="Trainer")
        if self._recorder is not None:
            raise InputError("one callback records one run", where="Trainer", remedy="make a new one")
        model: nn.Module = kwargs["model"]
        optimizer = getattr(kwargs["optimizer"], "optimizer", kwargs["optimizer"])
        scheduler = kwargs.get("lr_scheduler")
        scheduler = getattr(scheduler, "scheduler", scheduler)
        self._recorder = TrainingRecorder(
            self._folder,
            self._settings,
            State(model, optimizer, scheduler, Generators(python=True, numpy=True)),
            steps_per_packet=self._steps_per_packet,
            options=self._options,
        )
        self._hooks = [
            model.register_forward_pre_hook(self._forward, with_kwargs=True),
            model.register_forward_hook(self._forwarded, with_kwargs=True),
        ]

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """After the optimiser and the scheduler."""
        assert self._recorder is not None
        loss = sum(self._losses) / len(self._losses) if self._losses else None
        batch: object = self._batches[0] if len(self._batches) == 1 else list(self._batches)
        ids = [one["input_ids"] for one in self._batches if isinstance(one.get("input_ids"), Tensor)]
        self._recorder.step(batch, loss, tokens=sum(one.numel() for one in ids))
        self._batches, self._losses = [], []

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Close the run."""
        assert self._recorder is not None
        for hook in self._hooks:
            hook.remove()
        self._recorder.close()

    def _forward(self, model: nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> None:
        if model.training:
            batch = {f"argument-{number}": value for number, value in enumerate(given)} | named
            self._batches.append({key: value for key, value in batch.items() if not isinstance(value, str)})

    def _forwarded(self, model: nn.Module, given: Any, named: Any, output: Any) -> None:
        loss = output.get("loss") if hasattr(output, "get") else None
        if model.training and isinstance(loss, Tensor):
            self._losses.append(loss.detach().clone())
