"""The project's own enforcing gateway on the bench: it holds pods to a limit, and lets go of them again."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from inspectorate.lab.gateway import EnforcingGateway
from inspectorate.lab.network import Network
from inspectorate.lab.shaping import PodLimit

RATE = 400_000.0
SECONDS = 4

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
    pytest.mark.skipif(
        any(shutil.which(tool) is None for tool in ("ip", "nft", "tc", "iperf3", "ethtool")),
        reason="needs nft, tc, iperf3",
    ),
]


def carried(network: Network, one: str, other: str) -> float:
    """Content bytes per second that TCP gets from one pod to another."""
    address = network.links[other].ipv4
    server = subprocess.Popen(
        network.inside(other, ["timeout", "30", "iperf3", "-s", "-1", "-B", address]), stdout=subprocess.DEVNULL
    )
    time.sleep(0.4)
    done = subprocess.run(
        network.inside(one, ["timeout", "30", "iperf3", "-J", "-c", address, "-t", str(SECONDS)]),
        capture_output=True,
        text=True,
        check=False,
    )
    server.wait(timeout=30)
    report = json.loads(done.stdout)
    assert "error" not in report, report
    return float(report["end"]["sum_received"]["bits_per_second"]) / 8


def test_it_limits_attests_and_lets_go(tmp_path: Path) -> None:
    """No run gets more than the rate; a busy machine may cost one run much of it, but not each of three."""
    pods = ("pod-a", "pod-b")
    limited: list[float] = []
    with Network(pods) as network, EnforcingGateway(tmp_path) as enforce:
        free = carried(network, *pods)
        enforce(network, {pod: PodLimit.both(RATE) for pod in pods})
        while len(limited) < 3 and max(limited, default=0.0) < 0.8 * RATE:
            limited.append(carried(network, *pods))
        enforce(network, dict.fromkeys(pods))
        again = carried(network, *pods)
    runs = ", ".join(f"{one:,.0f}" for one in limited)
    print(f"free {free:,.0f}, limited {runs} against {RATE:,.0f}, again {again:,.0f} bytes/s")
    assert free > 20 * RATE
    assert max(limited) < 1.05 * RATE
    assert max(limited) > 0.8 * RATE
    assert again > 20 * RATE
    assert list((tmp_path / "spool-1" / "statements").glob("*.json")), "what ran was attested"
