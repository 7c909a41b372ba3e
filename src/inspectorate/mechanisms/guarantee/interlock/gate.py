"""What the path asks of the machine that decides, and how each answer looks to a client.

The path (`path.py`) moves bytes and knows HTTP; the machine behind a `Gate` knows rules, licences and modes. Rules between the two:

- Every call is short and synchronous, made from the path's own event loop. A gate that raises ends the path: it never lets
  anything through by default.
- What goes to the server was admitted; what was admitted is settled exactly once, whatever becomes of it.
- The path reads `mode` before each piece that it lets through. `watch` only makes it quicker: a machine that halts calls its
  listeners at once, and open streams are cut with a word to their clients.
- Refusals of the path's own (limits of rate and size, a server that is gone, malformed requests that reached it) are told to the
  gate by `note`, so that one place counts.

The answer to a refusal is `STATUS[kind]` with the body `{"error": {"kind": KIND, "message": ..., "type": "guarantee"}}`. The words
of a refusal stay on the machine: a client learns the kind, and a fixed sentence for it. Requests that could not even be asked about
have kinds of their own (`Fault`), and are the client's matter: the path counts them, the gate does not.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from inspectorate.mechanisms.guarantee.events import EventKind, Mode, Refusal
from inspectorate.mechanisms.guarantee.rulesets.types import Limits, ListedModel


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request as it would go to the server: whole, parsed, and within the path's own limits."""

    path: str
    request_bytes: int
    """Bytes of its head and content, as the client sent them."""
    tokens_in_max: int
    """At most so many tokens are read: one per byte of the prompt, and one per field for what a server adds."""
    tokens_max: int
    """At most so many tokens are written, over all choices that it asks for."""
    at: datetime


@dataclass(frozen=True, kw_only=True)
class Admitted:
    """A request that may go to the server."""

    ticket: int
    """By which it is settled: never used twice by one gate."""
    sampled: bool = False
    """Whether request and answer are kept for re-execution."""


class Outcome(StrEnum):
    """What became of an admitted request."""

    COMPLETE = "complete"
    """The whole answer of the server reached the client's connection."""
    CUT = "cut"
    """An error was sent to the client instead of an answer, or in the middle of one."""
    CLIENT_GONE = "client-gone"
    """The client closed its connection, or did not read, before the answer was whole."""


@dataclass(frozen=True, kw_only=True)
class Answered:
    """What an admitted request came to. The two counts of tokens bound what the server did for it."""

    outcome: Outcome
    bytes_in: int
    """As `Asked.request_bytes`."""
    bytes_out: int
    """Bytes of heads and content that went towards the client, of an error as well."""
    tokens_at_least: int
    """Events with data that the server sent."""
    tokens_at_most: int
    """What was asked for, prompt included: a server may compute what it does not send. 0 if it was never reached."""
    duration_s: float
    status: int
    """The status that the client was given."""
    kind: EventKind | None = None
    """Why it was cut."""


Listener = Callable[[Mode, Refusal | None], None]
"""Called with the mode, and why nothing passes in it, whenever one of them changes. It returns at once and raises nothing."""


class Gate(Protocol):
    """The machine, as the path sees it."""

    @property
    def mode(self) -> Mode: ...

    @property
    def halted_by(self) -> Refusal | None:
        """Why the mode is `halted` or `locked`, or why work is held although it is `serving`; none: nothing is against it."""
        ...

    @property
    def limits(self) -> Limits | None:
        """Of the ruleset in force; none without one, and then nothing passes."""
        ...

    def begin_upload(self, content: str, size_bytes: int) -> ListedModel | Refusal:
        """Ask before the first byte of a model. If it is a `ListedModel`, the mode is `uploading` when this returns."""
        ...

    def end_upload(self, complete: bool, content_seen: str, bytes_seen: int) -> Refusal | None:
        """Tell what arrived. None: it is the listed model, the server is being started on it, and the mode is `serving`.

        Whatever it answers, the mode is no longer `uploading`. `content_seen` is of the bytes that arrived, `complete` whether
        they were all that was declared and nothing followed.
        """
        ...

    def admit(self, asked: Asked) -> Admitted | Refusal: ...

    def settle(self, ticket: int, answered: Answered) -> None: ...

    def note(self, refusal: Refusal) -> None:
        """Count something that the path refused or could not do."""
        ...

    def unloaded(self, why: str) -> None:
        """Tell that the server did not start on the model, or is gone for good: nothing is served until the next upload."""
        ...

    def watch(self, listener: Listener) -> None:
        """Call `listener` at every change of mode, from the event loop of the path."""
        ...


@dataclass(frozen=True, kw_only=True)
class Upstream:
    """Where the server listens: an address that only the path can reach."""

    host: str = "127.0.0.1"
    port: int = 0
    socket: Path | None = None
    """A Unix domain socket, in the place of host and port."""


class Loader(Protocol):
    """What starts the server on a committed model, and stops it."""

    async def load(self, model: ListedModel, file: Path) -> Upstream:
        """Start the server on exactly these bytes; return when it answers. Raises `EnvironmentError_`."""
        ...

    async def unload(self) -> None:
        """Stop the server, if one runs. Called before every upload, and at a halt."""
        ...


class Fault(StrEnum):
    """Why a request never came before the gate."""

    BAD_REQUEST = "bad-request"
    """Not HTTP/1.1 as the path takes it, or content of another form than the endpoint has."""
    TOO_SLOW = "too-slow"
    NOT_FOUND = "not-found"
    NOT_SERVING = "not-serving"
    """No model is loaded, or one is being loaded."""
    NO_ROOM = "no-room"
    """The disk has no room for the model."""
    SERVER = "server"
    """The server itself answered with an error, in another form than JSON."""


STATUS: dict[EventKind | Fault, int] = {
    Fault.BAD_REQUEST: 400,
    Fault.TOO_SLOW: 408,
    Fault.NOT_FOUND: 404,
    Fault.NOT_SERVING: 503,
    Fault.NO_ROOM: 507,
    Fault.SERVER: 502,
    EventKind.MODEL_REFUSED: 403,
    EventKind.UPLOAD_EXCEEDED: 413,
    EventKind.LIMIT_REACHED: 429,
    EventKind.RULE_FAILED: 403,
    EventKind.RECOMPUTATION_DIFFERED: 503,
    EventKind.LICENCE_REFUSED: 503,
    EventKind.LICENCE_REPLAYED: 503,
    EventKind.LICENCE_EXHAUSTED: 503,
    EventKind.LICENCE_EXPIRED: 503,
    EventKind.RULESET_REFUSED: 503,
    EventKind.RULESET_ROLLED_BACK: 503,
    EventKind.RULESET_EXPIRED: 503,
    EventKind.QUORUM_SHORT: 503,
    EventKind.SIGNER_REPEATED: 503,
    EventKind.STATE_ROLLED_BACK: 503,
    EventKind.TAMPERED: 503,
    EventKind.GUARD_LOST: 503,
    EventKind.HALTED_BY_HAND: 503,
    EventKind.RESUME_REFUSED: 503,
    EventKind.RESUMED: 503,
    EventKind.REQUEST_DROPPED: 502,
}
"""The status of an answer that says no. 403: never as it stands. 413, 429: too much, of one or of all. 502, 503: not now."""

MESSAGE: dict[EventKind | Fault, str] = {
    Fault.BAD_REQUEST: "the request is not one that is taken here",
    Fault.TOO_SLOW: "the request did not arrive in time",
    Fault.NOT_FOUND: "there is no such endpoint",
    Fault.NO_ROOM: "there is no room for the model",
    Fault.SERVER: "the server answered with an error",
    EventKind.MODEL_REFUSED: "the model is not one that may be served",
    EventKind.UPLOAD_EXCEEDED: "more bytes were offered than the model has",
    EventKind.LIMIT_REACHED: "a limit of the path was reached",
    EventKind.RULE_FAILED: "a rule in force does not allow this",
    EventKind.LICENCE_EXHAUSTED: "the licence is used up",
    EventKind.LICENCE_EXPIRED: "the licence has expired",
    EventKind.RULESET_EXPIRED: "the ruleset has expired",
    EventKind.HALTED_BY_HAND: "the processor was halted",
    EventKind.REQUEST_DROPPED: "the server gave no whole answer",
}
"""What a client is told beside the kind; for the rest that nothing is served."""
_NOTHING_SERVED = "nothing is served at present"


def error_body(kind: EventKind | Fault) -> bytes:
    """The content of an answer that says no: the same bytes for the same kind."""
    message = MESSAGE.get(kind, _NOTHING_SERVED)
    return json.dumps({"error": {"kind": kind.value, "message": message, "type": "guarantee"}}).encode()


def error_event(kind: EventKind | Fault) -> bytes:
    """The last event of a stream of server-sent events that was cut."""
    return b"event: error\ndata: " + error_body(kind) + b"\n\n"
