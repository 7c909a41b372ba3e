"""Constants of the accounting of FLOP, each with its source."""

from __future__ import annotations

from types import MappingProxyType

from inspectorate.declaration.catalogue import FORMAT_BITS as CATALOGUE_BITS

# --- limits on what is read from outside -------------------------------------------------------------------------------------

TRACE_BYTES_MAX = 32 << 20
ACCOUNT_BYTES_MAX = 4 << 20
PACKETS_MAX = 100_000
"""Of one trace: a longer run writes several."""
OPERATORS_MAX = 4_096
"""Different (operator, format, phase) of one packet. A training step of a large model has below two hundred."""
UNCOUNTED_MAX = 256
LAYERS_MAX = 4_096
PARTS_MAX = 64
SOURCES_MAX = 16
ENERGY_MAX = 64

# --- the rule on formats -----------------------------------------------------------------------------------------------------

FORMAT_BITS = MappingProxyType(
    {**CATALOGUE_BITS, "int4": 4, "fp6": 6, "int16": 16, "int32": 32, "int64": 64, "other": 64}
)
"""Bit length by which an operation counts as FP16-equivalent. TF32 counts as 32, as in TPP. What a trace cannot name is `other`,
and counts as the longest: not to be named is never an advantage."""
FP16_BITS = 16
SPARSE_FACTOR = 2.0
"""A 2:4 sparse product does half of the multiplications of its dense shape (arXiv 2104.08378). The agreement rates chips without
sparsity (arXiv 2511.10783, Art. II para. 15: non-sparse MacTOPS), and counts operations that are done. What is done is the lower
bound; the dense shape is the upper one, because a trace shows shapes and not kernels."""

# --- training ----------------------------------------------------------------------------------------------------------------

FORWARD_PER_PARAMETER = 2.0
TRAIN_PER_PARAMETER = 6.0
"""FLOP per parameter and token: 2 forward, 4 backward (arXiv 2001.08361, section 2.1)."""
FROZEN_PER_PARAMETER = 4.0
"""With frozen weights the products for their gradients are left out: 2 forward, 2 backward."""
RECOMPUTED_FORWARDS_FULL = 1.0
"""Full recomputation repeats each forward pass once: 8/6 of the plain run (arXiv 2205.05198, section 4)."""
RECOMPUTED_FORWARDS_MAX = 1.5
"""Credited where nothing is known: nested checkpoints repeat some passes twice. (6 + 2 x 1.5) / 6 = 1.5 is the case that Scher &
Thiergart name: 1e25 FLOP declared may have been 1.5e25 (arXiv 2506.15867)."""
ATTENTION_BACKWARD_MIN = 2.0
ATTENTION_BACKWARD_MAX = 2.5
"""Backward to forward of the two products of attention: four products, and five where the scores are computed again inside the
kernel (arXiv 2205.14135, appendix B; so counts torch)."""
OPTIMISER_PER_PARAMETER = MappingProxyType(
    {"sgd": (1.0, 6.0), "adam": (9.0, 20.0), "muon": (30.0, 20_000.0), "other": (1.0, 20_000.0)}
)
"""FLOP per trained parameter and step, least and most. Adam: ten element-wise operations, of which lerp, addcmul and addcdiv are
two or three FLOP (torch.optim, the list of operators that a trace shows). Muon: five Newton-Schulz steps of three products of a
square matrix, 30 x its width per parameter, for widths to 16,384 and clipped for wider ones."""
ELEMENTWISE_PER_TOKEN = MappingProxyType({"width": 40.0, "feed_forward": 30.0, "scores": 30.0, "vocabulary": 20.0})
"""Most FLOP outside of products, per token and layer and number in each of these, forward and backward together; the loss per
number of the vocabulary. Norms, activations, softmax, rotary positions, dropout and residuals of a plain torch layer take about
half of it (`test_flop_analytic`)."""
ELEMENTWISE_PER_OUTPUT = 16.0
"""The same for each number that a convolution or linear layer puts out: bias, norm, activation, pooling."""

# --- time and energy ---------------------------------------------------------------------------------------------------------

IDLE_SHARE_MIN = 0.05
"""Of the thermal design power, what a chip draws when it does nothing, at least. A choice, on the safe side: data centre chips that
are switched on idle at about a tenth of it; lower only makes the upper bound looser."""
ENERGY_MARGIN = 0.5
"""Least energy per FLOP, as a share of thermal design power over peak rate. At that quotient a chip would do its peak at its design
power. Below it lie lower clocks and operands with few changing bits, which make the same product cheaper. A choice, on the safe
side, and not a measurement: the bound from energy is therefore no sharper than about a factor of two."""
UTILISATION_OF_TRAINING_MIN = 0.15
"""Below this share of its peak hardly any published training run lies (INTELLECT-1 had 36 to 41 %, over the internet). With it a
meter's energy gives a lower bound, under the assumption that the energy went into training."""

# --- memory ------------------------------------------------------------------------------------------------------------------

TRAINED_BYTES_MIN = 4.0
"""Bytes per trained parameter at the very least: weight and gradient in 16 bits, an optimiser without state."""
