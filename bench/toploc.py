"""TOPLOC proofs a core beside the toploc package: `python -m bench toploc [--tokens N] [--peer FOLDER]`. Needs torch for the peer.

The peer is the package of the environment (`pip install --no-deps toploc`). Its wheel is built against an old torch and does not
load in a current one: then the sources that the wheel ships are compiled against the torch that is installed, with g++ (two
minutes, kept in FOLDER). CPU seconds in one process and one run, one thread, median of repetitions; activations of width 4096,
128 numbers a proof, 32 tokens a proof.

Exits 1 where verifying is less than three times as fast as the faster of the peer's two ways, or where no peer is there.
"""

# mypy: disable-error-code="misc, no-untyped-call, no-any-return, unused-ignore"

from __future__ import annotations

import argparse
import importlib
import importlib.util
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from types import ModuleType

import numpy as np
from rich.console import Console
from rich.table import Table

from inspectorate.mechanisms.inspection.tokens import difr, toploc
from inspectorate.mechanisms.inspection.tokens.floats import to_bits
from inspectorate.mechanisms.inspection.tokens.sampling import SamplingRule, TopLogits

WIDTH = 4096
SETTINGS = toploc.ProofSettings(skip_prefill=True)
RATIO_MIN = 3.0
REPETITIONS = 5
OUT = Console(width=130)


def cpu_s(work: Callable[[], object]) -> float:
    found = []
    for _ in range(REPETITIONS):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return median(found)


def peer_of(folder: Path) -> tuple[ModuleType, str] | None:
    """The toploc package, and how it came to be loaded."""
    import torch

    torch.set_num_threads(1)
    if not (folder / "toploc").is_dir():
        spec = importlib.util.find_spec("toploc")
        if spec is None or spec.origin is None:
            return None
        try:
            return importlib.import_module("toploc"), "as installed"
        except ImportError:
            for name in [name for name in sys.modules if name.split(".")[0] == "toploc"]:
                del sys.modules[name]
        _compile(Path(spec.origin).parent, folder, Path(torch.__file__).parent)
    sys.path.insert(0, str(folder))
    return importlib.import_module("toploc"), f"its sources compiled against torch {torch.__version__}"


def _compile(package: Path, folder: Path, torch_at: Path) -> None:
    shutil.copytree(package, folder / "toploc", ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    sources = folder / "toploc" / "C" / "csrc"
    includes = [
        torch_at / "include",
        torch_at / "include/torch/csrc/api/include",
        Path(sysconfig.get_paths()["include"]),
    ]
    for name in ("ndd", "utils", "poly"):
        command = [
            "g++", "-O3", "-std=c++20", "-fPIC", "-shared", "-fopenmp", "-include", "torch/csrc/utils/pybind.h",
            "-include", "thread",
            *[f"-I{one}" for one in includes], f"-DTORCH_EXTENSION_NAME={name}", str(sources / f"{name}.cpp"),
            "-o", str(sources / f"{name}{sysconfig.get_config_var('EXT_SUFFIX')}"),
            f"-L{torch_at / 'lib'}", "-ltorch", "-ltorch_cpu", "-lc10", "-ltorch_python", f"-Wl,-rpath,{torch_at / 'lib'}",
        ]  # fmt: skip
        subprocess.run(command, check=True)


def measure_peer(peer: ModuleType, states: np.ndarray, table: Table) -> tuple[float, float, list[bytes]]:
    """(build, verify) in CPU seconds by its faster way, and its proofs."""
    import torch

    tensor = torch.from_numpy(states.view(np.int16)).view(torch.bfloat16)
    rows = list(tensor)
    count = {"decode_batching_size": SETTINGS.batching, "topk": SETTINGS.topk, "skip_prefill": True}
    proofs = peer.build_proofs_bytes(tensor, **count)
    build = cpu_s(lambda: peer.build_proofs_bytes(tensor, **count))
    whole = cpu_s(lambda: peer.verify_proofs_bytes(tensor, proofs, **count))
    listed = cpu_s(lambda: peer.verify_proofs_bytes(rows, proofs, **count))
    for name, seconds in (
        ("package, build", build),
        ("package, verify (one tensor)", whole),
        ("package, verify (a list)", listed),
    ):
        table.add_row(name, f"{len(states) / seconds:,.0f}")
    return build, min(whole, listed), proofs


def measure_own(states: np.ndarray, table: Table) -> tuple[float, float, list[bytes]]:
    chunks = toploc.chunks_of(None, states, SETTINGS)
    made = toploc.build_proofs(chunks, SETTINGS)
    data = [proof.to_bytes() for proof in made]

    def verify() -> object:
        read = [toploc.read_proof(one, SETTINGS, where="bench") for one in data]
        return toploc.verify_proofs(read, chunks, SETTINGS, where="bench")

    verify()
    build, check = cpu_s(lambda: toploc.build_proofs(chunks, SETTINGS)), cpu_s(verify)
    table.add_row("ours, build", f"{len(states) / build:,.0f}")
    table.add_row("ours, read and verify", f"{len(states) / check:,.0f}")
    return build, check, data


def measure_difr(states: np.ndarray, table: Table) -> None:
    """The other scores, for the same tokens."""
    rng = np.random.default_rng(2)
    tokens = len(states)
    top = TopLogits.of(rng.standard_normal((tokens, 4000)), 50)
    chosen = top.symbols[:, 0]
    rule = SamplingRule()
    difr.token_scores(chosen, top, rule, 1)
    table.add_row(
        "Token-DiFR, from the 50 largest logits",
        f"{tokens / cpu_s(lambda: difr.token_scores(chosen, top, rule, 1)):,.0f}",
    )
    whole = TopLogits.of(rng.standard_normal((8, 1 << 17)), 1 << 17)
    free = SamplingRule(top_k=1 << 17)
    seconds = cpu_s(lambda: difr.token_scores(whole.symbols[:, 0], whole, free, 1))
    table.add_row("Token-DiFR, from 131,072 logits and all of their noise", f"{8 / seconds:,.0f}")
    hidden = rng.standard_normal((tokens, WIDTH)).astype(np.float32)
    for size in (8, 32):
        settings = difr.ProjectionSettings(size=size)
        kept = difr.fingerprint(hidden, settings)
        seconds = cpu_s(lambda kept=kept, settings=settings: difr.activation_scores(kept, hidden, settings))  # type: ignore[misc]
        table.add_row(f"Activation-DiFR, {size} numbers a token", f"{tokens / seconds:,.0f}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=2048)
    parser.add_argument("--peer", type=Path, default=Path(tempfile.gettempdir()) / "inspectorate-bench-toploc")
    args = parser.parse_args()
    states = to_bits(np.random.default_rng(1).standard_normal((args.tokens, WIDTH)).astype(np.float32))
    table = Table("TOPLOC, width 4096, one core", "tokens/s")
    build, check, own = measure_own(states, table)
    measure_difr(states, table)
    try:
        found = peer_of(args.peer)
    except (OSError, subprocess.CalledProcessError) as fault:
        OUT.print(f"the peer could not be compiled: {fault}")
        found = None
    if found is None:
        OUT.print(table)
        OUT.print("[bold red]missed[/]: no peer to compare with (pip install --no-deps toploc)")
        return 1
    peer_build, peer_check, theirs = measure_peer(found[0], states, table)
    OUT.print(table)
    same = sum(one == other for one, other in zip(own, theirs, strict=True))
    OUT.print(
        f"peer: toploc {found[0].__version__}, {found[1]}. Build {peer_build / build:.1f} times, verify {peer_check / check:.1f} "
        f"times as fast; {same} of {len(own)} proofs are the same bytes, the others differ among equal magnitudes at the rim."
    )
    if peer_check / check < RATIO_MIN:
        OUT.print(f"[bold red]missed[/]: verifying at least {RATIO_MIN:g} times as fast")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
