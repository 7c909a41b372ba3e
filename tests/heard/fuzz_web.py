"""Fuzz what a visitor can reach of an intake: python tests/heard/fuzz_web.py -max_total_time=600

The first byte chooses: a connection, a form in pieces, or a form without files. Refusals are `Refused` and `Gone`; anything else is
a finding. So is a form that reads otherwise when it is cut otherwise, and content beyond what the form may have.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time

import atheris

with atheris.instrument_imports(include=["inspectorate.mechanisms.whistleblowing.web", "h11", "python_multipart"]):
    from inspectorate.mechanisms.whistleblowing.web.limits import Limits, Visit
    from inspectorate.mechanisms.whistleblowing.web.pages import REPORT_FIELDS, RETURN_FIELDS
    from inspectorate.mechanisms.whistleblowing.web.upload import FileBegins, FormReader, boundary_of, read_text_form
    from inspectorate.mechanisms.whistleblowing.web.wire import Client, Gone, Refused

LIMITS = Limits(upload_bytes=2048, files=3, linger_bytes=0)
BOUNDARY = b"----b0"
FORM = (
    b'------b0\r\nContent-Disposition: form-data; name="seen"\r\n\r\nwords\r\n'
    b'------b0\r\nContent-Disposition: form-data; name="files"; filename="a.bin"\r\nContent-Type: image/png\r\n\r\n\r\n--\r\n'
    b"------b0--\r\n"
)
TEXT = b"phrase=one+two&part=1"
REQUEST = (
    b"POST /en/report HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=----b0\r\n"
    b"Content-Length: 3\r\n\r\nabc"
)
LOOP = asyncio.new_event_loop()


class Sink(asyncio.Transport):
    """A transport that takes everything."""

    def write(self, data: bytes | bytearray | memoryview) -> None: ...

    def abort(self) -> None: ...

    def close(self) -> None: ...

    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...


def one_input(data: bytes) -> None:
    way, edit = data[:1], data[1:]
    if way < b"\x60":
        LOOP.run_until_complete(connection(splice(REQUEST, edit)))
    elif way < b"\xd0":
        body = splice(FORM, edit)
        assert form(body, len(body) or 1) == form(body, 1 + len(edit) % 7)
    else:
        with contextlib.suppress(Refused):
            read_text_form(splice(TEXT, edit), RETURN_FIELDS)


async def connection(data: bytes) -> None:
    reader = asyncio.StreamReader(limit=1 << 16)
    protocol = asyncio.StreamReaderProtocol(reader)
    sink = Sink()
    protocol.connection_made(sink)
    client = Client((reader, asyncio.StreamWriter(sink, protocol, reader, LOOP)), LIMITS, Visit(), time.monotonic)
    reader.feed_data(data)
    reader.feed_eof()
    with contextlib.suppress(Refused, Gone):
        head = await client.head()
        boundary_of(head.content_type)
        came = 0
        async for piece in client.content(head):
            came += len(piece)
        assert came == head.length


def form(body: bytes, step: int) -> object:
    reader = FormReader(BOUNDARY, REPORT_FIELDS, LIMITS)
    files: list[tuple[str, str, bytes]] = []
    try:
        for start in range(0, len(body), step):
            for event in reader.feed(body[start : start + step]):
                if isinstance(event, FileBegins):
                    files.append((event.name, event.media_type, b""))
                else:
                    name, kind, data = files[-1]
                    files[-1] = (name, kind, data + event.data)
        reader.end()
    except Refused as refused:
        return refused.status
    assert sum(len(data) for _, _, data in files) <= LIMITS.upload_bytes
    assert len(files) <= LIMITS.files
    return reader.sent, files


def splice(seed: bytes, edit: bytes) -> bytes:
    """The seed with a stretch replaced: where, how much, and by what stand in the edit."""
    if len(edit) < 3:
        return edit
    at = int.from_bytes(edit[:2]) % (len(seed) + 1)
    return seed[:at] + edit[3:] + seed[at + edit[2] % 64 :]


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
