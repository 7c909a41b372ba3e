"""What the training pod of an inspected site trains: declared as data."""

from __future__ import annotations

from inspectorate.mechanisms.inspection.rerun.program import DecoderProgram

PROGRAM = DecoderProgram(
    vocabulary=256, width=96, layers=2, heads=4, context=64, rows=16, learning_rate=1.5e-3, clip=1.0
)
"""The shape of the bench's model (`work_lm`): about 260,000 parameters."""
