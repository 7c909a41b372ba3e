"""OpenCV, an optional extra: loaded where it is first needed, on one thread, so that a comparison gives one number on one machine.

What its versions, and processors, round differently is not made equal here. Whoever states a number names the version with it.
"""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any

from inspectorate.errors import EnvironmentError_


@cache
def opencv() -> Any:
    """The module `cv2`. Raises `EnvironmentError_` naming the extra where it is not installed."""
    try:
        module = importlib.import_module("cv2")
    except ImportError as fault:
        raise EnvironmentError_(
            f"needs OpenCV, which cannot be loaded: {fault}", where="camera", remedy="install inspectorate[camera]"
        ) from None
    module.setNumThreads(1)
    module.ocl.setUseOpenCL(False)
    return module
