"""Names of a case and of its files, and what may be published of it: all out of the source's thread.

Whoever opened a report of the source can compute them, and nobody else: offices that open the same report, each for itself, come to
the same case, and a later report of the same source comes to it again. A thread is a secret of 32 bytes: the key of
the source's mailbox, or, where it wants no answer, one that follows from what was sealed.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping

from inspectorate.canonical import canonical_bytes
from inspectorate.mechanisms.whistleblowing.sealing.phrases import Mailbox

NAME_CHARACTERS = 20


def thread_of(mailbox: Mailbox | None, sealed: bytes) -> str:
    """The thread of a report with this mailbox. `sealed` is random, stood in the report and is known to nobody outside."""
    if mailbox is not None:
        return mailbox.key
    return hashlib.sha256(b"inspectorate thread\0" + sealed).hexdigest()


def case_of(thread: str) -> str:
    """The name of the case of this source."""
    return f"case-{_derived(thread, b'case')[:NAME_CHARACTERS]}"


def file_name(thread: str, digest: str) -> str:
    """The name under which a file of the case lies sealed."""
    return _derived(thread, b"file", digest.encode())[: 2 * NAME_CHARACTERS]


def heads_commitment(thread: str, heads: Mapping[str, str]) -> str:
    """What is published of the state of a case: the digest that a statement has as its subject, and a line of published heads."""
    return "sha256:" + _derived(thread, b"heads", canonical_bytes(dict(heads)))


def _derived(thread: str, use: bytes, what: bytes = b"") -> str:
    message = b"inspectorate case\0" + use + b"\0" + what
    return hmac.new(bytes.fromhex(thread), message, hashlib.sha256).hexdigest()
