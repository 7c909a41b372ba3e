"""Bounds on what is read, names of chips in other lists, and figures that the reconciliation assumes where none is given."""

from __future__ import annotations

from types import MappingProxyType

FILE_BYTES_MAX = 16 * 1024 * 1024
FIGURES_MAX = 20_000
FIELD_CHARS_MAX = 4_000
UNITS_MAX = 1e10
"""Chips of one figure. All accelerators ever sold are some 1e8. Ours."""
QUARTER_DAYS_MAX = 105
"""A period longer than this is no quarter: fiscal quarters have 14 weeks at most, which is 98 days. Ours."""

LEVEL = 0.90
"""What a range from low to high holds, unless the file says otherwise: Epoch AI gives the 5th and 95th percentile."""
UNRANGED_FACTOR = 1.5
"""A figure without a range is taken to be known within this factor, each way, at `LEVEL`: never as exact. Ours."""
FACTOR_MAX = 1e3
"""A range that spans more than this factor on one side says nothing. Ours."""

RATIO_TOLERANCE = 0.15
"""A figure's H100-equivalents per chip may differ from the catalogue's by this share: Epoch AI counts one B200 as 2.53, the
catalogue as 2.27. Ours."""
TOTALS_TOLERANCE = 0.10
"""Medians of parts may differ from the median of a total by this share before it is reported. Ours."""

LOSS_PER_YEAR = (0.01, 0.03, 0.09)
"""Chips that fail or are scrapped in a year: low, median, high. Llama 3 saw 148 faulty GPUs and 72 faults of memory in 54 days of
16,384 H100 (arXiv 2407.21783, Table 5): some 9 % in a year if none of them came back, and many do. The range is ours."""

SAME = MappingProxyType({"H100": "H100/H200", "H200": "H100/H200", "GB200": "B200", "GB300": "B300"})
"""Names that lists use for one kind of chip: those of owners put H100 and H200 together."""
CATALOGUE = MappingProxyType(
    {
        "A100": ("a100-40", "a100-80"), "A800": ("a800-sxm",), "H100/H200": ("h100-sxm", "h100-pcie", "h200-sxm", "gh200"),
        "H800": ("h800-sxm",), "H20": ("h20",), "B200": ("b200",), "B300": ("b300",), "TPU v4": ("tpu-v4",),
        "TPU v5e": ("tpu-v5e",), "TPU v5p": ("tpu-v5p",), "TPU v6e": ("tpu-v6e",), "TPU v7": ("tpu-v7",),
        "Instinct MI300X": ("mi300x",), "Instinct MI355X": ("mi355x",), "Trainium2": ("trainium2",),
    }
)  # fmt: skip
"""Models of the catalogue that a kind of chip stands for: they give its H100-equivalents and rates, the highest of them."""
