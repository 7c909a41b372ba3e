"""Speed of verifying quotes beside the bare ECDSA verification in them, and of quoting with swtpm: `python bench/attestation.py`.

Rates are of CPU seconds in one process, the median of several rounds taken in turn with the peer, which is the P-256
verification of `cryptography` over the same structure and signature: what no verifier can go below. Quotes of many processors
are verified against one root; a certificate is verified once for each of them, as in a review. The latencies are wall time of a
TPM in software on the loopback, and say nothing of hardware: a discrete TPM takes hundreds of milliseconds for a quote. They
are left out where swtpm is missing. Exits 1 where a target is missed.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from rich.console import Console
from rich.table import Table

from inspectorate.keys import PlatformAnchor
from inspectorate.mechanisms.guarantee.attestation.quote import QuotePayload, payload_of
from inspectorate.mechanisms.guarantee.attestation.reference import QUOTE_BYTES
from inspectorate.mechanisms.guarantee.attestation.verify import Platforms, verify_tpm_quote
from inspectorate.mechanisms.guarantee.attestation.wire import Reader

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "guarantee"))

import tpm_forging as forging
import tpm_making as making

DEVICES = 32
QUOTES = 2_048
ROUNDS = 7
LATENCIES = 100
VERIFIED_PER_S_MIN = 1_000
AT = datetime(2026, 11, 26, tzinfo=UTC)


def per_s(count: int, work: Callable[[], object]) -> float:
    """Items per CPU second of one call."""
    start = time.process_time()
    work()
    return count / (time.process_time() - start)


def made() -> tuple[PlatformAnchor, list[tuple[bytes, bytes]]]:
    """A root, and (bound, payload) of many quotes of some devices."""
    root = forging.root("Bench root", AT - 2 * forging.DAY)
    devices = [forging.Forger.certified_by(root, forging.Terms(at=AT - forging.DAY)) for _ in range(DEVICES)]
    quotes = []
    for number in range(QUOTES):
        bound, device = number.to_bytes(32, "big"), devices[number % DEVICES]
        payload = device.payload(replace(device.attested(bound), clock_ms=number))
        quotes.append((bound, payload.encode()))
    return PlatformAnchor(name="root", certificate=root.certificate.public_bytes(Encoding.PEM).decode()), quotes


def ours(anchor: PlatformAnchor, quotes: list[tuple[bytes, bytes]]) -> None:
    """Decode and verify all, certificates included."""
    platforms = Platforms([anchor])
    for bound, data in quotes:
        payload = QuotePayload.decode(data, where="bench")
        verify_tpm_quote(payload, bound=bound, platforms=platforms, at=AT)


def bare(prepared: list[tuple[ec.EllipticCurvePublicKey, bytes, bytes]]) -> None:
    """Verify the signatures only."""
    algorithm = ec.ECDSA(hashes.SHA256())
    for key, signature, message in prepared:
        key.verify(signature, message, algorithm)


def prepare(
    anchor: PlatformAnchor, quotes: list[tuple[bytes, bytes]]
) -> list[tuple[ec.EllipticCurvePublicKey, bytes, bytes]]:
    platforms, found = Platforms([anchor]), []
    for _, data in quotes:
        payload = QuotePayload.decode(data, where="bench")
        key = platforms.certified(payload.certificates, payload.public, at=AT).public.key
        assert isinstance(key, ec.EllipticCurvePublicKey)
        reader = Reader(payload.signature[4:])
        r, s = (int.from_bytes(reader.sized(32), "big") for _ in range(2))
        found.append((key, encode_dss_signature(r, s), payload.attested))
    return found


def latencies_ms(work: Callable[[], object]) -> float:
    """Median of one call, in milliseconds."""
    found = []
    for _ in range(LATENCIES):
        start = time.perf_counter()
        work()
        found.append(1e3 * (time.perf_counter() - start))
    return statistics.median(found)


def of_swtpm(folder: Path) -> list[tuple[str, float]]:
    """Latencies of a TPM in software."""
    (folder / "maker").mkdir()
    (folder / "guard").mkdir()
    with making.running(making.manufacture(folder / "maker"), folder) as swtpm:
        with making.opened(swtpm) as tpm:
            making.provision(tpm)
        with making.device(swtpm, folder / "guard") as device:
            device.measure("build", bytes(32))
            return [
                ("quote, with its PCRs (ms)", latencies_ms(lambda: payload_of(device, bytes(32)))),
                ("counter raised by one (ms)", latencies_ms(device.advance)),
            ]


def main() -> int:
    anchor, quotes = made()
    prepared = prepare(anchor, quotes)
    rates = [
        (per_s(QUOTES, lambda: ours(anchor, quotes)), per_s(QUOTES, lambda: bare(prepared))) for _ in range(ROUNDS)
    ]
    own, peer = statistics.median(rate[0] for rate in rates), statistics.median(rate[1] for rate in rates)
    table = Table("name", "ours", "bare ECDSA", "ratio", "target")
    table.add_row(
        f"quotes of {QUOTE_BYTES:,} bytes verified (1/s)",
        f"{own:,.0f}",
        f"{peer:,.0f}",
        f"{own / peer:.2f}x",
        f">= {VERIFIED_PER_S_MIN:,}/s",
    )
    if missing := making.missing():
        table.add_row(f"latencies: {', '.join(missing)} missing", "", "", "", "")
    else:
        with tempfile.TemporaryDirectory() as folder:
            for name, value in of_swtpm(Path(folder)):
                table.add_row(f"{name}, swtpm", f"{value:.2f}", "", "", "")
    Console().print(table)
    return 0 if own >= VERIFIED_PER_S_MIN else 1


if __name__ == "__main__":
    sys.exit(main())
