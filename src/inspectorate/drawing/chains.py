"""The chains of drand that are believed. A reviewer may pass others; none is ever taken from evidence."""

from __future__ import annotations

from typing import Final

from inspectorate.drawing.chain import Chain

QUICKNET: Final = Chain(
    name="quicknet",
    chain_hash="52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971",
    public_key=(
        "83cf0f2896adee7eb8b5f01fcad3912212c437e0073e911fb90022d3e760183c8c4b450b6a0a6c3ac6a5776a2d1064510d1fec758c921cc2"
        "2b0e17e63aaf4bcb5ed66304de9cf809bd274ca73bab4af5a6e9c76a4bc09e76eae8991ef5ece45a"
    ),
    group_hash="f477d5c89f21a17c863a7f937c6a6d15859414d2be09cd448d4279af331c5d3e",
    genesis_s=1_692_803_367,
    period_s=3,
)
"""drand's quicknet, run by the League of Entropy since 23 August 2023 (drand.love/blog/2023/10/16/quicknet-is-live; the
keys as its HTTP API gives them at /info). The hash covers all other values, and `Chain` computes it anew."""

CHAINS: Final = {QUICKNET.chain_hash: QUICKNET}
"""The chains that are believed. A reviewer may pass others; none is ever taken from evidence."""
