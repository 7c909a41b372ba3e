"""Inference as it is recorded: long prompts, long answers, requests that arrive at random, embeddings, scoring, images."""

# mypy: disable-error-code="misc, no-untyped-call, no-any-return, unused-ignore"

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from inspectorate.lab.accelerator_models import Cache, Transformer
from inspectorate.lab.accelerator_work import Arrivals, Bench, Done, Work

PROMPT, ANSWER, ROWS = 256, 48, 16


class Server:
    """A decoder with a cache of keys and values, whose step for one more symbol is a captured graph where that goes."""

    def __init__(self, bench: Bench, model: Transformer, *, rows: int, length: int) -> None:
        self.bench, self.model, self.shape, self.rows, self.length = bench, model, model.shape, rows, length
        self.cache = Cache(model.shape, rows, length, device=bench.device, dtype=next(model.parameters()).dtype)
        self.symbol = torch.zeros(rows, 1, dtype=torch.long, device=bench.device)
        self.place = torch.zeros(1, dtype=torch.long, device=bench.device)
        with torch.no_grad():
            self._next, self.graph = bench.captured(self.one_more)

    def one_more(self) -> None:
        """One more symbol of every row, the likeliest."""
        logits = self.model.cached(self.symbol, self.cache, self.place)
        self.symbol.copy_(logits.argmax(dim=-1, keepdim=True))
        self.place.add_(1).remainder_(self.length)

    def one_more_flop(self) -> float:
        return self.shape.forward_flop(self.rows, 1, seen=self.length)

    def read(self, prompt: int) -> float:
        """Prompts of all rows into the cache; FLOP."""
        given = self.bench.symbols(self.shape, self.rows, prompt)
        places = torch.arange(prompt, device=self.bench.device)
        self.symbol.copy_(self.model.cached(given, self.cache, places).argmax(dim=-1, keepdim=True))
        self.place.fill_(prompt)
        return self.shape.forward_flop(self.rows, prompt, seen=self.length, heads_of=1)

    def answer(self, *, prompt: int, count: int) -> float:
        """Read prompts, write answers; FLOP."""
        flop = self.read(prompt)
        for _ in range(count):
            self._next()
        return flop + count * self.one_more_flop()

    def more(self, count: int) -> float:
        """Write on; FLOP."""
        for _ in range(count):
            self._next()
        return count * self.one_more_flop()

    def facts(self) -> dict[str, object]:
        return {
            "parameters": sum(one.numel() for one in self.model.parameters()), "rows": self.rows, "length": self.length,
            "graph": self.graph, "dtype": str(next(self.model.parameters()).dtype).removeprefix("torch."),
        }  # fmt: skip


def server_of(bench: Bench, name: str, *, rows: int, length: int) -> Server:
    return Server(
        bench, bench.model(name).requires_grad_(False), rows=bench.size(rows, 2), length=bench.size(length, 24)
    )


def prefill(bench: Bench) -> Work:
    """Long prompts and short answers."""
    model = bench.model("large").requires_grad_(False)
    rows, length = bench.size(4, 2), bench.size(2048, 16)

    def step() -> Done:
        with torch.no_grad():
            assert model.head is not None
            model.head(model.hidden(bench.symbols(model.shape, rows, length))[:, -1]).argmax(dim=-1)
        return Done(other=model.shape.forward_flop(rows, length, heads_of=1))

    return Work(step=step, probe=step, facts={"parameters": model.shape.parameters, "rows": rows, "length": length})


def _decode(bench: Bench, rows: int) -> Work:
    server = server_of(bench, "large", rows=rows, length=1024)

    def step() -> Done:
        with torch.no_grad():
            other = server.more(bench.size(64, 2))
        bench.wait()
        return Done(other=other)

    def probe() -> Done:
        with torch.no_grad():
            server.one_more()
        return Done(other=server.one_more_flop())

    return Work(step=step, probe=probe, facts=server.facts())


def decode_one(bench: Bench) -> Work:
    return _decode(bench, 1)


def decode_some(bench: Bench) -> Work:
    return _decode(bench, 16)


def decode_many(bench: Bench) -> Work:
    return _decode(bench, 64)


class Service:
    """Requests that arrive at random are answered in batches."""

    def __init__(self, bench: Bench, rate_hz: float) -> None:
        self.bench, self.rate_hz = bench, rate_hz
        self.server = server_of(bench, "large", rows=ROWS, length=PROMPT + ANSWER)
        self.arrivals = Arrivals(bench, rate_hz)
        self.answered = 0

    def step(self) -> Done:
        """The next requests, or a second without one."""
        taken = self.arrivals.take(ROWS)
        if not taken:
            return Done()
        with torch.no_grad():
            other = self.server.answer(prompt=self.bench.size(PROMPT, 8), count=self.bench.size(ANSWER, 4))
        self.bench.wait()
        self.answered += taken
        return Done(other=other)

    def probe(self) -> Done:
        with torch.no_grad():
            return Done(other=self.server.read(self.bench.size(PROMPT, 8)))

    def facts(self) -> dict[str, object]:
        return self.server.facts() | {"rate_hz": self.rate_hz, "prompt": PROMPT, "answer": ANSWER}


def _serve(bench: Bench, rate_hz: float) -> Work:
    service = Service(bench, rate_hz)
    return Work(step=service.step, probe=service.probe, facts=service.facts(), warm_steps=1)


def serve_low(bench: Bench) -> Work:
    return _serve(bench, 2.0)


def serve_middle(bench: Bench) -> Work:
    return _serve(bench, 8.0)


def serve_high(bench: Bench) -> Work:
    return _serve(bench, 60.0)


def embed(bench: Bench) -> Work:
    model = bench.model("encoder").requires_grad_(False)
    rows, length = bench.size(256, 2), bench.size(128, 16)

    def step() -> Done:
        with torch.no_grad():
            found = model.hidden(bench.symbols(model.shape, rows, length)).mean(dim=1).float().cpu()
        assert len(found) == rows
        return Done(other=model.shape.forward_flop(rows, length, heads_of=0))

    return Work(step=step, probe=step, facts={"parameters": model.shape.parameters, "rows": rows, "length": length})


def score(bench: Bench) -> Work:
    """An evaluation: the likelihood of given texts, no update."""
    model = bench.model("middle").requires_grad_(False)
    rows, length = bench.size(16, 2), bench.size(1024, 16)

    def step() -> Done:
        given = bench.symbols(model.shape, rows, length)
        with torch.no_grad():
            torch.nn.functional.cross_entropy(model(given).flatten(0, 1), given.flatten()).item()
        return Done(other=model.shape.forward_flop(rows, length))

    return Work(step=step, probe=step, facts={"parameters": model.shape.parameters, "rows": rows, "length": length})


def sample_images(bench: Bench) -> Work:
    """An image out of noise by repeated passes, as diffusion models make them."""
    model = bench.model("patches").requires_grad_(False)
    rows, length, passes = bench.size(32, 2), bench.size(1024, 16), bench.size(20, 2)

    def step() -> Done:
        x = bench.normal(rows, length, model.shape.width)
        with torch.no_grad():
            for _ in range(passes):
                x = x - 0.05 * model(x)
        x.float().cpu()
        return Done(other=passes * model.shape.forward_flop(rows, length))

    return Work(step=step, probe=step, facts={"parameters": model.shape.parameters, "rows": rows, "length": length,
                                              "passes": passes}, warm_steps=1)  # fmt: skip


def loaded(bench: Bench) -> Work:
    """A model that is held in memory, and asked for nothing."""
    server = server_of(bench, "large", rows=ROWS, length=PROMPT + ANSWER)

    def step() -> Done:
        time.sleep(0.2)
        return Done()

    return Work(step=step, facts=server.facts(), warm_steps=0)


SERVING: dict[str, Callable[[Bench], Work]] = {
    "prefill": prefill,
    "decode-one": decode_one,
    "decode-some": decode_some,
    "decode-many": decode_many,
    "serve-low": serve_low,
    "serve-middle": serve_middle,
    "serve-high": serve_high,
    "embed": embed,
    "score": score,
    "sample-images": sample_images,
    "loaded": loaded,
}
