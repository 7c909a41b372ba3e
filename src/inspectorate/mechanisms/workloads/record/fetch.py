"""Bounded HTTP: one request, without redirects and without proxies, with a limit in bytes and in time.

- An answer that ends before the length that it announced is no answer.
- A whole answer must come within `FETCH_S_MAX`, however slowly its bytes trickle.
- A password is never sent in the clear to another machine: that needs https. Certificates are always checked, against the
  machine's authorities or against those of a file, where a controller's own certificate may stand.
- What is not on loopback must be asked for by name (`anywhere`).
"""

from __future__ import annotations

import base64
import http.client
import ipaddress
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from inspectorate.errors import EnvironmentError_, EvidenceError, InputError
from inspectorate.mechanisms.workloads.record.reference import FETCH_S_MAX, SOCKET_S_MAX

_CHUNK_BYTES = 65_536


@dataclass(frozen=True, kw_only=True)
class HttpAccess:
    """How a server is asked: a user with a password, and authorities that vouch for it."""

    user: str | None = None
    password: str | None = None
    authorities: Path | None = None


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A server answers itself or not at all."""

    def redirect_request(self, *_: object, **__: object) -> None:
        return None


class Fetcher:
    """Asks one server. Raises `InputError` on an address that may not be asked."""

    def __init__(
        self, url: str, *, access: HttpAccess | None = None, anywhere: bool = False, accept: str = "*/*"
    ) -> None:
        self.url = url
        access = access or HttpAccess()
        try:
            parts = urllib.parse.urlsplit(url)
            port = parts.port
        except ValueError as fault:
            raise InputError(f"is no address: {fault}", where=url[:200]) from None
        if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
            raise InputError("is not http://HOST:PORT/PATH", where=url[:200])
        if parts.username is not None or parts.password is not None:
            raise InputError(
                "names a user in the address", where=url.partition("//")[0] + "//…", remedy="give access=FILE"
            )
        loopback = is_loopback(parts.hostname)
        if not loopback and not anywhere:
            raise InputError("is not on loopback", where=url, remedy="--anywhere allows a source on another machine")
        self._headers = {"Accept": accept, "User-Agent": "inspectorate"}
        if access.user is not None and access.password is not None:
            if parts.scheme != "https" and not loopback:
                raise InputError("would send a password in the clear", where=url, remedy="use https")
            token = base64.b64encode(f"{access.user}:{access.password}".encode()).decode()
            self._headers["Authorization"] = f"Basic {token}"
        handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({}), _NoRedirects()]
        if parts.scheme == "https":
            handlers.append(urllib.request.HTTPSHandler(context=_context(access.authorities)))
        self._opener = urllib.request.build_opener(*handlers)

    def get(self, path: str = "", *, bytes_max: int) -> bytes:
        """The answer for a path of this server, or for the address itself.

        Raises `EnvironmentError_` where it cannot be had, `EvidenceError` where it is too large.
        """
        url = urllib.parse.urljoin(self.url, path)
        deadline = time.monotonic() + FETCH_S_MAX
        try:
            with self._opener.open(urllib.request.Request(url, headers=self._headers), timeout=SOCKET_S_MAX) as answer:  # noqa: S310 - the scheme was checked
                data = bytearray()
                while chunk := answer.read1(_CHUNK_BYTES):
                    data += chunk
                    if len(data) > bytes_max:
                        raise EvidenceError(f"an answer exceeds {bytes_max} bytes", where=url)
                    if time.monotonic() > deadline:
                        raise TimeoutError(f"did not end within {FETCH_S_MAX:g} s")
                if answer.length:
                    raise http.client.IncompleteRead(b"", answer.length)
        except urllib.error.HTTPError as fault:
            fault.close()
            raise EnvironmentError_(f"answers {fault.code} {str(fault.reason)[:100]}", where=url) from None
        except (OSError, http.client.HTTPException, ValueError) as fault:
            raise EnvironmentError_(
                f"cannot be fetched: {str(fault)[:200]}", where=url, remedy="check that it listens, and its certificate"
            ) from None
        return bytes(data)


def is_loopback(host: str) -> bool:
    """Whether a host, by its name or address, is this machine and nothing else."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _context(authorities: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(authorities) if authorities else None)
    except (OSError, ssl.SSLError) as fault:
        raise InputError(f"holds no certificates: {str(fault)[:200]}", where=str(authorities)) from None
