"""Constants of the path and of the latch, each with its reason.

What the parties agree on stands in the ruleset (`Limits`); here stands what protects the path itself, whatever the ruleset says.
"""

from __future__ import annotations

HEAD_BYTES_MAX = 16 * 1024
"""Of one request's or answer's head; servers in common use allow 8 to 64 KiB."""
HEADERS_MAX = 64
HEAD_S_MAX = 10.0
"""From the first byte of a head to its last: a client that trickles is cut off (slow loris)."""
IDLE_S_MAX = 60.0
"""Between two requests on one connection."""
CONTENT_S_MAX = 30.0
"""From the head to the last byte of a request's content."""
CONNECTIONS_MAX = 4096
PENDING_BYTES_MAX = 256 * 1024 * 1024
"""Of content of all requests that are held in memory before they are admitted."""
WAIT_S_MAX = 5.0
"""A request that the limit of its direction would hold longer than this is refused rather than queued."""
CONNECT_S_MAX = 5.0
QUIET_S_MAX = 120.0
"""A server that sends nothing for so long is taken for lost; a long prompt may take a minute before its first token."""
ANSWER_S_MAX = 1800.0
STALL_S_MAX = 30.0
"""A client that reads nothing for so long, while there is something to read, has gone."""
CUT_S_MAX = 0.5
"""After an error was written to a client that is being cut, so much time for it to be taken up."""
EVENT_BYTES_MAX = 1024 * 1024
"""Of one server-sent event, which is held until it is whole."""
WHOLE_BYTES_MAX = 16 * 1024 * 1024
"""Of an answer that is no stream, which is held until it is whole."""
INFORMATIONAL_MAX = 8
"""1xx answers of the server before the real one."""
PIECE_BYTES_MAX = 64 * 1024
"""What is read or let through at once, and the high-water mark towards a client."""
TOKENS_MAX = 2**20
JSON_STRINGS_MAX = 1024
"""Messages of a chat, or strings to stop at."""

UPLOAD_PIECE_BYTES = 1024 * 1024
UPLOAD_QUIET_S_MAX = 30.0
UPLOAD_AFTER_S = 0.1
"""How long the path listens, after the last byte of a model, for one that does not belong to it."""
UPLOAD_ANSWER_BYTES = 256
"""Every answer to an upload has content of exactly this size."""

SAMPLES_MAX = 10_000
SAMPLE_BYTES_MAX = 1024 * 1024 * 1024
"""Of all samples that wait for recomputation, sealed."""

BEATS_PER_LOSS = 5
"""Heartbeats in the time after which the processor counts as lost."""
FREEZE_S_MAX = 0.5
"""A group that the kernel has not frozen by then is killed instead."""
