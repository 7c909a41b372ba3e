"""Random scenarios: pods, limit and job over many orders of magnitude."""

from __future__ import annotations

from hypothesis import strategies as st

from inspectorate.mechanisms.interconnect.plan.types import Job, LinkLimit, Pods, job_of


def decades(low: float, high: float) -> st.SearchStrategy[float]:
    """A number between 10^low and 10^high, even in its logarithm."""
    return st.floats(low, high).map(lambda x: 10.0**x)


def pods(most: int = 48) -> st.SearchStrategy[Pods]:
    return st.builds(Pods, count=st.integers(1, most), flop_per_s=decades(9, 18), memory_bytes=decades(9, 14))


def limits() -> st.SearchStrategy[LinkLimit]:
    return st.builds(
        LinkLimit,
        sent_bytes_per_s=decades(0, 13),
        received_bytes_per_s=decades(0, 13),
        round_trip_s=st.sampled_from([0.0, 1e-4, 0.1, 1.0]),
        duty=st.sampled_from([1.0, 0.3]),
        window_bytes=st.one_of(st.just(0.0), decades(3, 15)),
        window_every_s=decades(3, 6),
    )


@st.composite
def jobs(draw: st.DrawFn) -> Job:
    parameters = draw(decades(5, 13))
    tokens = parameters * draw(decades(-1, 3))
    batch = min(tokens, draw(decades(2, 9)))
    job = job_of(parameters, tokens, batch_tokens=batch)
    return job.model_copy(update={"sequence_tokens": draw(st.sampled_from([64.0, 8192.0]))})
