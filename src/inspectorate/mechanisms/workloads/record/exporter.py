"""The page of an exporter (DCGM's, or any that speaks Prometheus text), kept as it came.

The text itself is the evidence. What it says is read by whoever appraises it; here it is only made sure that it is a page at
all, and `declared` looks into the first one. An exporter may keep values for longer than a poll's step: DCGM's default is 30 s.
"""

from __future__ import annotations

from collections.abc import Callable

from inspectorate.declaration import MeasuringPoint
from inspectorate.errors import EvidenceError
from inspectorate.mechanisms.workloads.record.fetch import Fetcher, HttpAccess
from inspectorate.mechanisms.workloads.record.reference import SCRAPE_BYTES_MAX
from inspectorate.mechanisms.workloads.record.source import Facts, Scrape
from inspectorate.mechanisms.workloads.telemetry.signals import SIGNALS


class ExporterSource:
    """One page that is scraped. `point` is what the declaration says of it: a page does not tell."""

    def __init__(
        self,
        url: str,
        *,
        point: MeasuringPoint,
        clock_ns: Callable[[], int],
        access: HttpAccess | None = None,
        anywhere: bool = False,
    ) -> None:
        self._fetcher = Fetcher(url, access=access, anywhere=anywhere, accept="text/plain; version=0.0.4")
        self._clock_ns = clock_ns
        self.facts = Facts(
            name=f"exporter {url}",
            point=point,
            signals=tuple(SIGNALS),
            bandwidth_hz=None,
            note="shows values as old as its own interval (DCGM exporter: 30 s unless set)",
        )

    def poll(self) -> Scrape:
        """Raises `EnvironmentError_` where there is no page, `EvidenceError` where it holds no sample."""
        asked_ns = self._clock_ns()
        text = self._fetcher.get(bytes_max=SCRAPE_BYTES_MAX)
        there_ns = self._clock_ns()
        if not any(line.strip() and not line.lstrip().startswith(b"#") for line in text.splitlines()):
            raise EvidenceError("the page holds no sample", where=self._fetcher.url)
        return Scrape(time_ns=asked_ns, took_ns=max(0, there_ns - asked_ns), text=text)

    def close(self) -> None:
        """Nothing is kept open between scrapes."""
