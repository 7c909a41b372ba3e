"""Sources that are polled on a gateway without extras: its own interfaces, and an exporter's Prometheus page.

- Programs are started from argument lists, with a time limit; answers are bounded in size.
- A page is fetched by HTTP without redirects and without proxies. What is not on loopback must be asked for by name.
"""

from __future__ import annotations

import ipaddress
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path

from inspectorate.errors import EnvironmentError_, EvidenceError, InputError
from inspectorate.mechanisms.interconnect.counters.linux import boot_time_ns, read_ip_link
from inspectorate.mechanisms.interconnect.counters.prometheus import (
    TEXT_BYTES_MAX,
    PrometheusReport,
    read_prometheus,
)
from inspectorate.mechanisms.interconnect.counters.readings import Reading

TIMEOUT_S = 5.0
IP_LINK = ("ip", "-j", "-s", "link", "show")


class LinkSource:
    """`ip -j -s link` of this machine, or of one of its network namespaces."""

    def __init__(
        self, node: str, *, clock_ns: Callable[[], int], speeds: Mapping[str, int] | None = None, namespace: str = ""
    ) -> None:
        self._node = node
        self._clock_ns = clock_ns
        self._speeds = dict(speeds or {})
        self._command = (IP_LINK[0], "-n", namespace, *IP_LINK[1:]) if namespace else IP_LINK
        try:
            self._boot_ns = boot_time_ns(Path("/proc/stat").read_bytes())
        except OSError as fault:
            raise EnvironmentError_(f"cannot be read: {fault.strerror}", where="/proc/stat") from None

    def poll(self) -> tuple[Reading, ...]:
        """Raises `EnvironmentError_` where the program fails, `EvidenceError` where it prints something else."""
        asked_ns = self._clock_ns()
        try:
            done = subprocess.run(self._command, capture_output=True, timeout=TIMEOUT_S, check=True)
        except (OSError, subprocess.SubprocessError) as fault:
            raise EnvironmentError_(
                f"failed: {str(fault)[:200]}", where=" ".join(self._command), remedy="iproute2 must be installed"
            ) from None
        return read_ip_link(
            done.stdout,
            node=self._node,
            asked_ns=asked_ns,
            answered_ns=self._clock_ns(),
            boot_ns=self._boot_ns,
            speeds=self._speeds,
        )


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """An exporter answers itself or not at all."""

    def redirect_request(self, *_: object, **__: object) -> None:
        return None


class PageSource:
    """The Prometheus page of an exporter."""

    def __init__(self, url: str, node: str, *, clock_ns: Callable[[], int], anywhere: bool = False) -> None:
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InputError("is not http://HOST:PORT/PATH", where=url)
        if not anywhere and not _is_loopback(parts.hostname):
            raise InputError("is not on loopback", where=url, remedy="--anywhere allows an exporter on another machine")
        self._url = url
        self._node = node
        self._clock_ns = clock_ns
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirects())

    def poll(self) -> tuple[Reading, ...]:
        """Raises `EnvironmentError_` where the page cannot be had, `EvidenceError` where it holds no interface."""
        asked_ns = self._clock_ns()
        try:
            with self._opener.open(self._url, timeout=TIMEOUT_S) as answer:
                data = answer.read(TEXT_BYTES_MAX + 1)
        except (OSError, urllib.error.URLError, ValueError) as fault:
            raise EnvironmentError_(f"cannot be fetched: {str(fault)[:200]}", where=self._url) from None
        report = PrometheusReport()
        answered_ns = self._clock_ns()
        found = read_prometheus(
            data.decode("utf-8", "replace"),
            node=self._node,
            scraped_ns=answered_ns,
            report=report,
            age_ns=max(0, answered_ns - asked_ns),
        )
        if not found:
            raise EvidenceError(
                f"holds no counters of interfaces ({report.samples} samples, {report.refused} refused)", where=self._url
            )
        return found


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
