"""Check that an agreement on AI development is being kept.

The question is always the same: given what was declared and what was observed, what is the largest AI training run
that could have been hidden here, and is that below what the agreement allows?

The map of the package is `docs/architecture.md`; the one pass through it is `review.py`.
"""

__version__ = "0.1.0"
