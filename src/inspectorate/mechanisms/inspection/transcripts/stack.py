"""What decides the last bits of a result on this machine, as torch tells it: the `Stack` of a header.

Only what torch and the kernel say is recorded; a prover could record anything. A verifier compares it with its own stack, to know
whether results may be held against each other bit by bit, and never takes it for evidence of which hardware was there.

Needs torch, which the core does not install.
"""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

import numpy as np
import torch

from inspectorate.mechanisms.inspection.transcripts.types import Stack

_DECIDING = ("ATEN_CPU_CAPABILITY", "CUBLAS_WORKSPACE_CONFIG", "MKL_CBWR", "NVIDIA_TF32_OVERRIDE")
"""Environment variables that change which kernel runs, or in which order it sums."""


def stack_of(
    device: str = "cpu", *, quantisation: str | None = None, tensor_parallel: int = 1, attention: str | None = None
) -> Stack:
    """The stack of this process for work on `device`: `cpu`, or `cuda` and a number."""
    kind = torch.device(device)
    backends: Any = torch.backends
    versions = {"python": platform.python_version(), "torch": str(torch.__version__), "numpy": np.__version__}
    versions["matmul-precision"] = torch.get_float32_matmul_precision()
    versions |= {name.lower().replace("_", "-"): os.environ[name][:200] for name in _DECIDING if os.environ.get(name)}
    if kind.type == "cuda":
        properties = torch.cuda.get_device_properties(kind)
        hardware = f"{properties.name}, compute {properties.major}.{properties.minor}"
        versions |= {"cuda": str(torch.version.cuda), "cudnn": str(backends.cudnn.version())}
        versions["tf32"] = f"matmul {torch.backends.cuda.matmul.allow_tf32}, cudnn {torch.backends.cudnn.allow_tf32}"
        attention = attention or _attention()
    else:
        hardware = f"{_processor()}, {torch.backends.cpu.get_cpu_capability()}"
        versions["mkl"] = "yes" if backends.mkl.is_available() else "no"
        versions["mkldnn"] = "yes" if backends.mkldnn.is_available() else "no"
    return Stack(
        hardware=hardware[:200],
        threads=torch.get_num_threads(),
        versions=versions,
        attention=attention,
        quantisation=quantisation,
        tensor_parallel=tensor_parallel,
        deterministic=torch.are_deterministic_algorithms_enabled(),
    )


def _attention() -> str | None:
    cuda: Any = torch.backends.cuda
    enabled = {
        "flash": cuda.flash_sdp_enabled(),
        "efficient": cuda.mem_efficient_sdp_enabled(),
        "math": cuda.math_sdp_enabled(),
        "cudnn": cuda.cudnn_sdp_enabled(),
    }
    return "+".join(name for name, used in enabled.items() if used) or None


def _processor() -> str:
    """The model of the processor, as the kernel names it."""
    place = Path("/proc/cpuinfo")
    if place.is_file():
        for line in place.read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()
