"""Dishonest training packets, as deeds of `training_runs`: what the literature describes, and what a prover with hidden work does.

    skipped            one step less than is claimed, with the counters of the optimiser set as if
    swapped            trained on other data than is shown
    swapped_shown      the same, with the other data shown
    hidden_within      steps on hidden data after those that are claimed
    hidden_between     steps on hidden data between two packets: the next starts from their result
    warm_start         the run begins with weights of an earlier run: a chain of runs, or another seed
    more_hosts         a host that nobody declared adds its part of the batch
    interpolated       a stretch of checkpoints on the straight line to a model that was trained elsewhere
                       ("Adversarial Examples for Proof-of-Learning", arXiv 2108.09454, without its data)
    synthetic          the same, with batches that were searched for so that a step leads along the line (its attack)
    nudged             hidden change as large as a given share of the honest update: what a tolerance lets through

For "Proof-of-Learning is Currently More Broken Than You Think" (arXiv 2208.03567): spoofs whose updates are smaller than any
absolute threshold are `interpolated` with many short strides (`stride`); that only the largest updates are verified is a
property of a verifier, and is evaluated where samples are drawn.

An adversary states no losses where it would have to invent them, and sets everything else as an honest run would have it.
"""

# torch is an optional extra: with it absent its classes are of unknown type, with it present parts of it are untyped.
# mypy: disable-error-code="misc, no-untyped-call, no-any-return, unused-ignore"

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch.nn import functional

from inspectorate.mechanisms.inspection.rerun.decoder import Decoder
from inspectorate.mechanisms.inspection.rerun.tensors import Tensors, numbers, raw, stored
from inspectorate.mechanisms.inspection.transcripts.hashing import RawTensor
from inspectorate.mechanisms.inspection.transcripts.torch_state import torch_of
from inspectorate.worlds.training_runs import At, Deed, Numbers, Shown, State, batch_of, other_batches


def skipped(at: At) -> Shown:
    """All steps but the last."""
    batches, before = at.trainer.setting.due(at.number), at.trainer.state()
    for place, one in enumerate(batches[:-1]):
        at.trainer.step(one, at.first_step + place)
    at.trainer.load(_counted(at.trainer.state(), 1))
    return Shown(before=before, after=at.trainer.state(), batches=batches)


def swapped(at: At) -> Shown:
    batches, before = at.trainer.setting.due(at.number), at.trainer.state()
    for place, one in enumerate(other_batches(at, len(batches))):
        at.trainer.step(one, at.first_step + place)
    return Shown(before=before, after=at.trainer.state(), batches=batches)


def swapped_shown(at: At) -> Shown:
    shown = swapped(at)
    at.trainer.load(shown.before)
    batches = list(other_batches(at, at.trainer.setting.steps))
    for place, one in enumerate(batches):
        at.trainer.step(one, at.first_step + place)
    return Shown(before=shown.before, after=at.trainer.state(), batches=batches)


def hidden_within(at: At) -> Shown:
    """One hidden step after those that are claimed."""
    batches, before = at.trainer.setting.due(at.number), at.trainer.state()
    for place, one in enumerate((*batches, *other_batches(at, 1))):
        at.trainer.step(one, at.first_step + min(place, len(batches) - 1))
    at.trainer.load(_counted(at.trainer.state(), -1))
    return Shown(before=before, after=at.trainer.state(), batches=batches)


def hidden_between(at: At) -> Shown:
    """One hidden step before the packet, which is honest from there."""
    at.trainer.step(other_batches(at, 1)[0], at.first_step)
    at.trainer.load(_counted(at.trainer.state(), -1))
    batches, before = at.trainer.setting.due(at.number), at.trainer.state()
    losses = tuple(at.trainer.step(one, at.first_step + place) for place, one in enumerate(batches))
    return Shown(before=before, after=at.trainer.state(), batches=batches, losses=losses)


def warm_start(at: At) -> Shown:
    """For the first packet: its steps are made from weights that were trained before, and the seed's are shown."""
    batches, before = at.trainer.setting.due(at.number), at.trainer.state()
    hidden = 4 * len(batches)
    for place, one in enumerate((*other_batches(at, hidden), *batches)):
        at.trainer.step(one, place)
    at.trainer.load(_counted(at.trainer.state(), -hidden))
    return Shown(before=before, after=at.trainer.state(), batches=batches)


def more_hosts(at: At) -> Shown:
    """Each step on the batch that is claimed and as many rows again of hidden data, as gradients of two hosts would be added."""
    batches, before = at.trainer.setting.due(at.number), at.trainer.state()
    for place, (one, other) in enumerate(zip(batches, other_batches(at, len(batches)), strict=True)):
        both = np.concatenate([stored(one["tokens"]), stored(other["tokens"])])
        at.trainer.step(batch_of(both), at.first_step + place)
    return Shown(before=before, after=at.trainer.state(), batches=batches)


def nudged(share: float) -> Deed:
    """The honest packet, and then a push of every tensor along a hidden gradient, as long as `share` of its update."""

    def deed(at: At) -> Shown:
        batches, before = at.trainer.setting.due(at.number), at.trainer.state()
        losses = tuple(at.trainer.step(one, at.first_step + place) for place, one in enumerate(batches))
        reached = at.trainer.state()
        direction = hidden_gradient(at, reached)
        pushed = {}
        for name, tensor in reached.weights.items():
            here, start, push = numbers(tensor), numbers(before.weights[name]), direction[name]
            length = share * np.linalg.norm(here - start)
            pushed[name] = raw((here - length * push / max(np.linalg.norm(push), 1e-30)).astype(np.float32))
        at.trainer.load(State(weights=pushed, optimiser=reached.optimiser))
        return Shown(before=before, after=at.trainer.state(), batches=batches, losses=losses)

    return deed


def hidden_gradient(at: At, state: State) -> dict[str, Numbers]:
    """The gradient of the hidden task at a state."""
    model = at.trainer.machine.model
    tokens = torch_of(other_batches(at, 1)[0]["tokens"]).long()
    model.zero_grad(set_to_none=True)
    logits = model(tokens[:, :-1])
    functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten()).backward()
    found = {
        name: one.grad.numpy().astype(np.float64) for name, one in model.named_parameters() if one.grad is not None
    }
    model.zero_grad(set_to_none=True)
    at.trainer.load(state)
    return found


# --- checkpoints on a line ---------------------------------------------------------------------------------------------


def interpolated(stretch: range, *, hidden_steps: int = 16, searched: int = 0) -> Mapping[int, Deed]:
    """Deeds for a stretch of packets: the last reaches a model that was trained elsewhere, the others lie on the line to it.

    `searched`: rounds of search for batches that lead along the line, in place of those that are due; 0: none.
    """
    line: dict[int, State] = {}

    def deed(at: At) -> Shown:
        before = at.trainer.state()
        if at.number == stretch.start:
            line.update(_line(at, before, stretch, hidden_steps))
        after = line[at.number]
        batches = at.trainer.setting.due(at.number)
        if searched:
            batches = _searched(at, before, after, batches, searched)
        at.trainer.load(after)
        return Shown(before=before, after=after, batches=batches)

    return dict.fromkeys(stretch, deed)


def _line(at: At, start: State, stretch: range, hidden_steps: int) -> dict[int, State]:
    """The checkpoints after each packet of the stretch."""
    for place, one in enumerate(other_batches(at, hidden_steps)):
        at.trainer.step(one, at.first_step + place)
    end = at.trainer.state()
    at.trainer.load(start)
    found = {}
    for place, number in enumerate(stretch, 1):
        share = place / len(stretch)
        optimiser = _counted(
            State(weights=end.weights, optimiser=_between(start.optimiser, end.optimiser, share)),
            0,
            to=_count_of(start) + place * at.trainer.setting.steps,
        ).optimiser
        found[number] = State(weights=_between(start.weights, end.weights, share), optimiser=optimiser)
    return found


def _between(start: Tensors, end: Tensors, share: float) -> dict[str, RawTensor]:
    found = {}
    for name, tensor in end.items():
        if tensor.dtype != "F32" or name not in start:
            found[name] = tensor
        else:
            here = numbers(start[name]) * (1 - share) + numbers(tensor) * share
            found[name] = raw(here.astype(np.float32))
    return found


def _searched(
    at: At, before: State, after: State, batches: list[dict[str, RawTensor]], rounds: int
) -> list[dict[str, RawTensor]]:
    """Batches whose gradients point along the way to `after`: greedy search over tokens, the way of adversarial examples in text.

    Each round exchanges, in every row, the token of which the gradient of the alignment says that it helps most.
    """
    model = at.trainer.machine.model
    if not isinstance(model, Decoder):
        raise TypeError("a decoder is searched")
    wanted = {
        name: torch.from_numpy((numbers(before.weights[name]) - numbers(after.weights[name])).astype(np.float32))
        for name in before.weights
    }
    at.trainer.load(before)
    found = []
    for one in batches:
        tokens = torch_of(one["tokens"]).long()
        best, best_value = tokens.clone(), -2.0
        for _ in range(rounds):
            value, gradient = _alignment(model, tokens, wanted)
            if value > best_value:
                best, best_value = tokens.clone(), value
            current = gradient.gather(2, tokens[:, :, None])[:, :, 0]
            gain, token = (gradient - current[:, :, None]).max(dim=2)
            place = gain.argmax(dim=1)
            rows = torch.arange(len(tokens))
            tokens = tokens.clone()
            tokens[rows, place] = token[rows, place]
        found.append(batch_of(best.numpy().astype(np.int32)))
    return found


def _alignment(model: Decoder, tokens: torch.Tensor, wanted: Mapping[str, torch.Tensor]) -> tuple[float, torch.Tensor]:
    """The cosine between the gradient of a batch and the wanted way; and its gradient by the tokens, as one-hot vectors."""
    hot = functional.one_hot(tokens, model.program.vocabulary).float().requires_grad_(True)
    logits = model.of_embedded(hot[:, :-1] @ model.get_parameter("symbol"))
    loss = -(functional.log_softmax(logits, -1) * hot[:, 1:]).sum(-1).mean()
    names = [name for name, _ in model.named_parameters()]
    gradients = torch.autograd.grad(loss, [model.get_parameter(name) for name in names], create_graph=True)
    pairs = list(zip(names, gradients, strict=True))
    inner = torch.stack([(gradient * wanted[name]).sum() for name, gradient in pairs]).sum()
    size = torch.stack([(gradient**2).sum() for _, gradient in pairs]).sum().add(1e-30).sqrt()
    length = torch.stack([(one**2).sum() for one in wanted.values()]).sum().add(1e-30).sqrt()
    value = inner / size / length
    (by_tokens,) = torch.autograd.grad(value, hot)
    return float(value.detach()), by_tokens


# --- counters ----------------------------------------------------------------------------------------------------------


def _count_of(state: State) -> int:
    counts = [int(numbers(one)) for name, one in state.optimiser.items() if name.endswith("/step")]
    return counts[0] if counts else 0


def _counted(state: State, more: int, *, to: int | None = None) -> State:
    """The state with the step counters of the optimiser set as an honest run would have them."""
    optimiser = dict(state.optimiser)
    for name, one in state.optimiser.items():
        if name.endswith("/step"):
            count = (int(numbers(one)) + more) if to is None else to
            optimiser[name] = raw(np.float32(count).reshape(one.shape))
    return State(weights=state.weights, optimiser=optimiser)
