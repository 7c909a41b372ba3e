"""The agreement's rule on formats: FP16-equivalent, or total operations in the format used, whichever is higher.

Rules (arXiv 2511.10783, Art. II para. 4):

- Operations are multiplications and additions; a multiply-add is two.
- *Total operations* of a format that the agreement counts are its operations, whatever their length. *FP16-equivalent* of any
  format is operations x bits / 16, as TPP has it (para. 15). FP8 work so counts by its operations, FP32 work by its equivalents.
- A format that the agreement does not count still counts by its FP16-equivalent: to leave it out would make it free.
- For a run in several formats "whichever is higher" may be read of the run as a whole or operation by operation. The first is
  never above the second. Both are kept: the first is the lower bound, the second the upper.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import Field

from inspectorate.canonical import Identifier, Record
from inspectorate.declaration import ChipModel
from inspectorate.mechanisms.inspection.flop.reference import FORMAT_BITS, FP16_BITS, SPARSE_FACTOR
from inspectorate.quantities import NonNegative


@dataclass(frozen=True, kw_only=True)
class Operations:
    """Operations in one number format; `sparse` of them by 2:4 kernels, counted at their dense shape."""

    format: str
    dense: float
    sparse: float = 0.0


class Counted(Record):
    """Operations under both halves of the rule. `low` and `high` bound what counts."""

    operations: NonNegative = Field(description="that were done, in the formats used, 2:4 sparse ones by what is done")
    fp16_equivalent: NonNegative
    low: NonNegative
    high: NonNegative


@dataclass(frozen=True)
class Rule:
    """The rule of one agreement: the formats whose operations count as such."""

    counted_formats: tuple[str, ...]

    def per_operation(self, name: str) -> float:
        """What one operation in a format counts, taken by itself."""
        equivalent = bits(name) / FP16_BITS
        return max(1.0, equivalent) if name in self.counted_formats else equivalent

    def count(self, operations: Iterable[Operations]) -> Counted:
        """Operations of a run in any formats, counted."""
        total = equivalent = each = dense = 0.0
        for one in operations:
            done = one.dense + one.sparse / SPARSE_FACTOR
            total += done * min(1.0, self.per_operation(one.format))
            equivalent += done * bits(one.format) / FP16_BITS
            each += done * self.per_operation(one.format)
            dense += one.sparse * (1 - 1 / SPARSE_FACTOR) * self.per_operation(one.format)
        return Counted(
            operations=total,
            fp16_equivalent=equivalent,
            low=max(total, equivalent),
            high=max(total, equivalent, each) + dense,
        )

    def peak_per_s(self, chip: ChipModel) -> float:
        """The most that a chip can do of what counts [FLOP/s]: never below any format's rate under this rule."""
        return max(rate * self.per_operation(name) for name, rate in chip.flop_per_s.items())


def bits(name: str) -> int:
    """Bit length of a format. Raises `ValueError` on a name that is not known: there is `other` for those."""
    found = FORMAT_BITS.get("fp16" if name == "bf16" else name)
    if found is None:
        raise ValueError(f"{name!r} is no number format that is known here")
    return found


class FormatShare(Record):
    """A share of the products of some work that is done in one format."""

    format: Identifier
    share: float = Field(gt=0, le=1)
