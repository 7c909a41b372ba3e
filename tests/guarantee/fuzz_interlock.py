"""Fuzz what both sides of the path can reach: python tests/guarantee/fuzz_interlock.py -max_total_time=600

The first byte chooses: a client's connection, the content of a request, or a server's answer. Refusals are `Denied`, `Gone`,
`ValueError` and `Lost`; anything else is a finding. So is content that means something else when it is parsed again.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys

import atheris

with atheris.instrument_imports(include=["inspectorate.mechanisms.guarantee.interlock", "h11"]):
    from inspectorate.mechanisms.guarantee.interlock.answering import Answer, Events, Lost
    from inspectorate.mechanisms.guarantee.interlock.asking import CHAT, COMPLETIONS, parse_content
    from inspectorate.mechanisms.guarantee.interlock.desk import Denied
    from inspectorate.mechanisms.guarantee.interlock.wire import Connection, Gone

CLIENT = (
    b"POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n123456789"
)
CONTENT = b'{"prompt": "abc", "max_tokens": 12, "seed": 1, "stop": ["x"], "stream": true}'
CHATTED = b'{"messages": [{"role": "user", "content": "abc"}], "max_completion_tokens": 12}'
SERVER = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n9\r\ndata: a\n\n\r\n0\r\n\r\n"
LOOP = asyncio.new_event_loop()


class Sink(asyncio.Transport):
    """A transport that takes everything."""

    def write(self, data: bytes | bytearray | memoryview) -> None: ...

    def abort(self) -> None: ...

    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...


def one_input(data: bytes) -> None:
    """One connection, one content, or one answer made of `data`."""
    way, edit = data[:1], data[1:]
    if way < b"\x40":
        LOOP.run_until_complete(client(splice(CLIENT, edit)))
    elif way < b"\x80":
        content(COMPLETIONS, splice(CONTENT, edit))
    elif way < b"\xa0":
        content(CHAT, splice(CHATTED, edit))
    else:
        LOOP.run_until_complete(server(splice(SERVER, edit)))


async def client(data: bytes) -> None:
    with contextlib.suppress(Denied, Gone):
        connection = Connection(*streams(data))
        head = await connection.head()
        if head is not None:
            taken = await connection.content(head)
            assert len(taken) == head.size_bytes
            assert 0 < head.head_bytes <= connection.bytes_in <= len(data)


def content(path: str, data: bytes) -> None:
    try:
        parsed = parse_content(path, data)
    except ValueError:
        return
    assert parse_content(path, parsed.data) == parsed


async def server(data: bytes) -> None:
    with contextlib.suppress(Lost):
        answer, events, ended = Answer(*streams(data)), Events(), False
        answer.ask(COMPLETIONS, b"{}")
        await answer.head()
        while not ended:
            piece, ended = await answer.more()
            events.feed(piece)


def streams(data: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader = asyncio.StreamReader(loop=LOOP)
    reader.feed_data(data)
    reader.feed_eof()
    protocol = asyncio.StreamReaderProtocol(reader, loop=LOOP)
    return reader, asyncio.StreamWriter(Sink(), protocol, reader, LOOP)


def splice(good: bytes, edit: bytes) -> bytes:
    """`good` with a stretch replaced: a byte for where, one for how much, the rest for by what."""
    if len(edit) < 2:
        return good
    at = edit[0] % len(good)
    return good[:at] + edit[2:] + good[at + edit[1] % 32 :]


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
