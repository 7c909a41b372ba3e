"""The clients outside: they send each pod the requests planned for it and read the streamed answers to the end.

The plan is a JSON file: `{"start_unix_s": T, "pods": {POD: {"addresses": [...], "port": N, "requests":
[[at_s, prompt_bytes, tokens], ...]}}}`. Each request is a connection of its own, from one of the client addresses,
to the pod's addresses in turn (IPv4, IPv6).
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import time
from pathlib import Path
from typing import Any

from inspectorate.lab.network import client_addresses
from inspectorate.lab.work_io import corpus, emit

ANSWER_LIMIT_S = 60.0
ANSWER_BYTES_MAX = 1024 * 1024


async def ask(pod: str, target: tuple[str, int], source: str | None, prompt: str, tokens: int) -> None:
    """Send one request and read its answer; the outcome is a JSON line in every case."""
    started = time.monotonic()
    received, seen, outcome = 0, 0, "ok"
    body = json.dumps({"prompt": prompt, "max_tokens": tokens, "stream": True}).encode()
    host = f"[{target[0]}]" if ":" in target[0] else target[0]
    head = (
        f"POST /v1/completions HTTP/1.1\r\nHost: {host}:{target[1]}\r\nContent-Type: application/json\r\n"
        f"Accept: text/event-stream\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    ).encode()
    try:
        async with asyncio.timeout(ANSWER_LIMIT_S):
            local = (source, 0) if source else None
            reader, writer = await asyncio.open_connection(*target, local_addr=local)
            writer.write(head + body)
            while (part := await reader.read(65536)) and received < ANSWER_BYTES_MAX:
                received += len(part)
                seen += part.count(b"data: {")
            writer.close()
            await writer.wait_closed()
    except (OSError, TimeoutError) as fault:
        outcome = type(fault).__name__
    if outcome == "ok" and seen != tokens:
        outcome = "short"
    emit(
        "request",
        pod=pod,
        outcome=outcome,
        tokens=seen,
        prompt_bytes=len(prompt),
        answer_bytes=received,
        seconds=round(time.monotonic() - started, 3),
    )


async def drive(pod: str, plan: dict[str, Any], start_unix_s: float, text: str) -> None:
    """Send one pod's requests at their times, without waiting for answers."""
    running: set[asyncio.Task[None]] = set()
    addresses = itertools.cycle(plan["addresses"])
    sources = itertools.cycle(client_addresses())
    for number, (at_s, prompt_bytes, tokens) in enumerate(plan["requests"]):
        await asyncio.sleep(max(0.0, start_unix_s + at_s - time.time()))
        address, source = next(addresses), next(sources)
        at = number * 7919 % (len(text) - prompt_bytes)
        task = asyncio.create_task(
            ask(
                pod,
                (address, plan["port"]),
                None if ":" in address else source,
                text[at : at + prompt_bytes],
                tokens,
            )
        )
        running.add(task)
        task.add_done_callback(running.discard)
    if running:
        await asyncio.wait(running)


async def run(plan: dict[str, Any]) -> None:
    text = corpus().decode("ascii", errors="replace")
    emit("ready", pods=len(plan["pods"]))
    await asyncio.gather(*(drive(pod, part, plan["start_unix_s"], text) for pod, part in plan["pods"].items()))
    emit("done")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plan", type=Path, required=True)
    asyncio.run(run(json.loads(parser.parse_args().plan.read_text())))


if __name__ == "__main__":
    main()
