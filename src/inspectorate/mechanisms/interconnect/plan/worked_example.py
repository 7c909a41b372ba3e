"""The interconnect example of arXiv 2506.15867 (A3), recomputed from its own inputs, beside what the report prints.

Where our number and the printed one differ by more than a per cent, the report rounded on the way; `exact` says so.
"""

from __future__ import annotations

from inspectorate.canonical import Record, Text
from inspectorate.mechanisms.interconnect.plan import arithmetic as a

PARAMETERS, BITS = 405e9, 16.0
GPUS, FLOP_PER_S_EACH = 128, 400e12
BATCH_TOKENS = 16 * 8_192.0
TOKEN_BITS = float(a.bits_per_token(128_000))
PREFILL_TOKENS_PER_S, DECODE_TOKENS_PER_S, SERVER_GPUS = 5_000.0, 1_000.0, 16
RUN_TOKENS, STEP_TOKENS = 15.6e12, 16e6
FEWER_SYNCHRONISATIONS = COMPRESSION = 100.0
CAP_BYTES_PER_S = 125e3
PIPELINE_WIDTH = 5_000.0


class Row(Record):
    """One number of the example."""

    name: Text
    value: float
    printed: float
    unit: Text
    note: Text = "-"


def rows() -> tuple[Row, ...]:
    """Every number of the example, in the order of the report."""
    gradient = a.gradient_bytes(PARAMETERS, BITS)
    step = a.step_s(BATCH_TOKENS, PARAMETERS, GPUS * FLOP_PER_S_EACH)
    need = gradient / step
    prefill = a.token_bytes_per_s(PREFILL_TOKENS_PER_S / SERVER_GPUS * GPUS, TOKEN_BITS)
    decode = a.token_bytes_per_s(DECODE_TOKENS_PER_S / SERVER_GPUS * GPUS, TOKEN_BITS)
    batch = BATCH_TOKENS * TOKEN_BITS / 8
    low = a.low_communication_bytes_per_s(
        PARAMETERS, BITS, inner_steps=FEWER_SYNCHRONISATIONS, compression=COMPRESSION, inner_step_s=step
    )
    pipeline = a.pipeline_tokens_per_s(CAP_BYTES_PER_S, PIPELINE_WIDTH, BITS)
    llama = STEP_TOKENS / step
    days = RUN_TOKENS / STEP_TOKENS * step / 86_400
    return (
        Row(name="gradient", value=gradient, printed=810e9, unit="B", note="the report also prints 812 GB"),
        Row(name="time of a step", value=step, printed=6.22, unit="s"),
        Row(name="training need", value=need, printed=130.2e9, unit="B/s", note="printed as 131 GB/s"),
        Row(name="prefill need", value=prefill, printed=85e3, unit="B/s"),
        Row(name="decode need", value=decode, printed=17e3, unit="B/s"),
        Row(name="tokens of a batch", value=batch, printed=278_528, unit="B"),
        Row(name="feeding tokens in training", value=batch / step, printed=44.8e3, unit="B/s"),
        Row(name="gap", value=need / prefill, printed=1.53e6, unit="times", note="'1.5 million'"),
        Row(name="low-communication need", value=low, printed=13.1e6, unit="B/s", note="8.12 GB in 620 s"),
        Row(name="slowdown at the cap", value=low / CAP_BYTES_PER_S, printed=104.5, unit="times", note="104 to 105"),
        Row(name="head-room over serving", value=CAP_BYTES_PER_S / prefill, printed=1.47, unit="times"),
        Row(
            name="loading through the cap",
            value=a.load_s(PARAMETERS, BITS, CAP_BYTES_PER_S) / 86_400,
            printed=75.0,
            unit="days",
        ),
        Row(name="pipeline at the cap", value=pipeline, printed=12.5, unit="tokens/s"),
        Row(name="pipeline, compressed", value=pipeline * COMPRESSION, printed=1_250, unit="tokens/s"),
        Row(name="Llama 3.1 405B", value=llama, printed=2.58e6, unit="tokens/s", note="printed as 2.6e6"),
        Row(name="pipeline against Llama", value=llama / (pipeline * COMPRESSION), printed=2_064, unit="times"),
        Row(name="length of the run", value=days, printed=70, unit="days", note="about 60 reported"),
    )
