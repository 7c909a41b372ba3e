"""The peer stack of `bench/windows.py`: prometheus_client, pandas and aeon's MiniRocket, in a process of its own.

    python bench/windows_peer.py FOLDER ROUNDS

Reads the scrapes of each host in FOLDER, and prints CPU seconds per round, of all and of parsing alone, as JSON. It imports
nothing of ours, so that it may run with another interpreter than we do (aeon asks for older versions of numba and numpy).
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from aeon.transformations.collection.convolution_based import MiniRocket
from prometheus_client.parser import text_string_to_metric_families

METRICS = (
    "DCGM_FI_DEV_POWER_USAGE", "DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_DEV_MEM_COPY_UTIL", "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE",
    "DCGM_FI_DEV_SM_CLOCK", "DCGM_FI_DEV_GPU_TEMP", "DCGM_FI_DEV_FB_USED", "DCGM_FI_PROF_PCIE_TX_BYTES",
    "DCGM_FI_PROF_PCIE_RX_BYTES",
)  # fmt: skip
HEADER = "# scraped "


def parse(scrapes: list[str]) -> pd.DataFrame:
    """One row per second, unit and metric."""
    rows = [
        (second, sample.labels["UUID"], sample.name, sample.value)
        for second, text in enumerate(scrapes)
        for family in text_string_to_metric_families(text)
        if family.name in METRICS
        for sample in family.samples
    ]
    return pd.DataFrame(rows, columns=["second", "unit", "metric", "value"])


def windows_of(frame: pd.DataFrame) -> np.ndarray:
    """Shape (units, signals, seconds)."""
    table = frame.pivot_table(index="unit", columns=["metric", "second"], values="value")
    return np.stack([table[metric].to_numpy() for metric in METRICS], axis=1)


def main() -> None:
    folder, rounds = Path(sys.argv[1]), int(sys.argv[2])
    hosts = [path.read_text().split(HEADER)[1:] for path in sorted(folder.glob("host-*.prom"))]
    scrapes = [["# " + text for text in host] for host in hosts]
    rng = np.random.default_rng(1)
    rocket = MiniRocket(random_state=1, n_jobs=1)
    transformed = np.asarray(rocket.fit_transform(windows_of(parse(scrapes[0]))))
    weights, center = rng.normal(size=transformed.shape[1]), transformed.mean(axis=0)
    spread = transformed.std(axis=0) + 1e-3
    seconds, parsing, chips = [], [], 0
    for _ in range(rounds):
        start = time.process_time()
        parsed, chips = 0.0, 0
        for host in scrapes:
            begin = time.process_time()
            frame = parse(host)
            parsed += time.process_time() - begin
            windows = windows_of(frame)
            chips += len(windows)
            off = (np.asarray(rocket.transform(windows)) - center) / spread
            scores, distances = off @ weights, (off**2).sum(axis=1)
            for window, score, distance in zip(windows, scores, distances, strict=True):
                hashlib.sha256(window.tobytes() + np.array([score, distance]).tobytes()).digest()
        seconds.append(time.process_time() - start)
        parsing.append(parsed)
    print(json.dumps({"seconds": seconds, "parsing": parsing, "chips": chips}))


if __name__ == "__main__":
    main()
