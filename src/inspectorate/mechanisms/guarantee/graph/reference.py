"""Constants of the declared graphs: limits on what is read from outside, and unit roundoffs, each with its source."""

from __future__ import annotations

from enum import StrEnum

GRAPH_BYTES_MAX = 1 << 20
"""Canonical JSON of one graph. A graph of 64 blocks takes some 10 kB: layers are repeated, not written out."""
BLOCKS_MAX = 256
PARAMETERS_MAX = 512
"""Entries; one entry inside a repetition stands for as many tensors as there are layers."""
REPEATS_MAX = 1024
"""Layers of one repetition. The deepest published decoders have below 200."""
DIMENSION_MAX = 1 << 22
CONTEXT_MAX = 1 << 22
HEADS_MAX = 1024
NUMBERS_MAX = 1 << 46
"""Numbers in all parameters of a graph: 70 x 10^12."""

WEIGHTS_BYTES_MAX = 1 << 34
"""A weights file that is read into memory for recomputation: 16 GiB."""
TOKENS_MAX = 1 << 16
"""Prompt and answer of one sample together."""
SAMPLES_MAX = 1024
"""Samples of one run of the worker."""
TRANSCRIPT_BYTES_MAX = 4 << 20
"""One kept request or response."""

MEMORY_BLOCK_BYTES = 1 << 16
"""Of the weights, for memory checks: 64 KiB, so that one read of one block is one page-sized transfer from any chip."""

CELLS_MAX = 1 << 27
"""Numbers in one array of an evaluation: 1 GiB in float64."""
MARGIN_FACTOR = 4.0
"""A tolerance is this multiple of the largest deviation that was measured on honest servers (`tolerance.calibrate`)."""
ROUNDS_DEFAULT = 2
"""Of Freivalds' check: one entry that is wrong beyond the bound is caught in every round, spread-out errors by chance."""


class Format(StrEnum):
    """Number formats of parameters and of arithmetic."""

    FLOAT64 = "float64"
    FLOAT32 = "float32"
    TFLOAT32 = "tfloat32"
    """Arithmetic only: float32 whose factors are rounded to 10 bits before they are multiplied."""
    FLOAT16 = "float16"
    BFLOAT16 = "bfloat16"
    INT8 = "int8"
    INT32 = "int32"


BYTES_OF = {
    Format.FLOAT64: 8,
    Format.FLOAT32: 4,
    Format.TFLOAT32: 4,
    Format.FLOAT16: 2,
    Format.BFLOAT16: 2,
    Format.INT8: 1,
    Format.INT32: 4,
}

UNIT_ROUNDOFF = {
    Format.FLOAT64: 2.0**-53,
    Format.FLOAT32: 2.0**-24,
    Format.TFLOAT32: 2.0**-11,
    Format.FLOAT16: 2.0**-11,
    Format.BFLOAT16: 2.0**-8,
}
"""Half the distance from 1 to the next number (Higham 2002, table 2.1; bfloat16 and TF32: 8 and 11 significant bits)."""

SMALLEST_STEP = {
    Format.FLOAT64: 2.0**-1074,
    Format.FLOAT32: 2.0**-149,
    Format.TFLOAT32: 2.0**-136,
    Format.FLOAT16: 2.0**-24,
    Format.BFLOAT16: 2.0**-133,
}
"""The distance between numbers next to zero, where rounding is absolute (IEEE 754)."""

LARGEST = {
    Format.FLOAT64: 1.7976931348623157e308,
    Format.FLOAT32: 3.4028234663852886e38,
    Format.TFLOAT32: 3.4011621342146535e38,
    Format.FLOAT16: 65504.0,
    Format.BFLOAT16: 3.3895313892515355e38,
}
