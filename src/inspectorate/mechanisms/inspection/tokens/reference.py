"""Constants of the checks of answers, and the published figures they are shown beside, each with its source."""

from __future__ import annotations

from typing import NamedTuple

# --- bounds on what is read from outside ---------------------------------------------------------------------------------

PROOFS_MAX = 1 << 16
"""Proofs of one answer: two million tokens at 32 a proof."""
TOPK_MAX = 4096
TOKENS_MAX = 1 << 16
"""Prompt and answer of one request together."""
VOCABULARY_MAX = 1 << 20
CONFIG_BYTES_MAX = 1 << 20
WEIGHTS_BYTES_MAX = 1 << 34
"""Weights that are read into memory, all files together: 16 GiB."""
FILES_MAX = 256
WIDTH_MAX = 1 << 16
LAYERS_MAX = 1024
HEADS_MAX = 1024
FINGERPRINT_WIDTH_MAX = 1 << 12
CELLS_MAX = 1 << 28
"""Numbers in one array of an evaluation: 1 GiB in float32."""

# --- TOPLOC, as the package of version 0.1.6 writes it -------------------------------------------------------------------

FIELD = 65497
"""The prime of the field: coefficients fit 16 bits. The package names it `MOD_N`; often said to be 65,537, it is not."""
TOPK = 128
BATCHING = 32
"""Decoded tokens per proof."""

# --- DiFR ----------------------------------------------------------------------------------------------------------------

MARGIN_CLIP = 0.5
"""Logits. A margin counts up to this, far above what honest stacks differ by (see `docs/inference-checks.md`). A smaller clip
makes an honest mean known sooner; a token that the rule cannot give counts in full."""
PROJECTION = 32
"""Numbers kept per token by Activation-DiFR here."""
DISTANCE_CLIP = 1.0
"""Of activations, relative to their own length: two that have nothing to do with each other lie sqrt(2) apart."""

# --- rates at which figures are stated -----------------------------------------------------------------------------------

FALSE_ACCUSATION_RATE = 0.01
"""Of one packet. The agreement's own rate is used where there is one."""
CONFIDENCE = 0.95
DETECTION = 0.99
TOKENS_PER_S = 10_000.0
"""Of the example rate in figures of GB a day."""
PARTIAL_FPR = 0.01
"""The area under the ROC curve is taken over false alarm rates below this (arXiv 2511.20621)."""

# --- published figures ---------------------------------------------------------------------------------------------------


class Published(NamedTuple):
    """What a paper states, in its own terms."""

    method: str
    against: str
    states: str
    source: str


PUBLISHED = (
    Published(
        "toploc", "other model, prompt or precision", "100 % found, no false results in its tests", "arXiv 2501.16007"
    ),
    Published("token-difr", "weights in 4 bits", "AUC > 0.999 in 300 tokens", "arXiv 2511.20621"),
    Published("token-difr", "cache in fewer bits", "about 10,000 tokens", "arXiv 2511.20621"),
    Published("token-difr", "honest stack", "> 98 % of tokens equal under one seed", "arXiv 2511.20621"),
    Published("activation-difr", "weights in 4 bits", "AUC > 0.999 in 2 tokens", "arXiv 2511.20621"),
    Published("exact", "any", "distance 0 where the stack and every batch size are equal", "arXiv 2606.00279"),
)

# --- exfiltration --------------------------------------------------------------------------------------------------------

SERVED_BYTES_PER_DAY = 1e12
"""A server of a large model emits about 1 TB a day (arXiv 2511.02620)."""
VERIFIED_SHARE = 0.005
"""Of it, at most, where answers are verified: 5 GB a day, 200 times slower (arXiv 2511.02620)."""
INFLATED_SLOWDOWN = (60.0, 118.0)
"""Where prompts are chosen for their entropy (arXiv 2608.23375)."""
