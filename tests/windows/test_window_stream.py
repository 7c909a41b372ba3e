"""Windows of a stream are those of a frame, to the last bit; a lane's place in a tile does not matter."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from inspectorate.mechanisms.workloads.telemetry.frame import Frame
from inspectorate.mechanisms.workloads.windows import StreamingWindows, Windows, window_features, window_statistics

START_NS, STEP_NS = 1_700_000_000_000_000_000, 2_000_000_000
SIGNALS = ("power_w", "busy_share", "pcie_sent_bytes_per_s")


def frame_of(units: int, times: int, gaps: float = 0.05, seed: int = 1) -> Frame:
    rng = np.random.default_rng(seed)
    values = rng.normal(300, 50, (len(SIGNALS), times, units)) + 100 * (np.arange(times) % 9 < 4)[None, :, None]
    values[rng.random(values.shape) < gaps] = np.nan
    names = tuple(f"chip-{n}" for n in range(units))
    return Frame(units=names, signals=SIGNALS, start_ns=START_NS, step_ns=STEP_NS, values=values.astype(np.float32))


def streamed(frame: Frame, stride_s: float | None, pods: NDArray[np.int32] | None = None) -> list[Windows]:
    stream = StreamingWindows(
        units=frame.units,
        signals=frame.signals,
        start_ns=frame.start_ns,
        step_ns=frame.step_ns,
        window_s=40.0,
        stride_s=stride_s,
        pods=pods,
    )
    before = stream.state_bytes
    windows = [stream.push(frame.values[:, t]) for t in range(frame.times)]
    assert stream.state_bytes == before == len(SIGNALS) * 20 * len(frame.units) * 4
    return [w for w in windows if w is not None]


@pytest.mark.parametrize("units", [1, 5, 64, 70])
@pytest.mark.parametrize("stride_s", [None, 2.0, 14.0, 90.0], ids=["end to end", "every step", "overlapping", "apart"])
def test_a_stream_gives_what_a_frame_gives(units: int, stride_s: float | None) -> None:
    frame = frame_of(units, 130)
    whole = window_features(frame, window_s=40.0, stride_s=stride_s)
    parts = streamed(frame, stride_s)
    assert len(parts) == len(whole) > 2
    for index, part in enumerate(parts):
        assert part.names == whole.names
        assert part.units == whole.units
        assert part.window_ns == whole.window_ns
        assert part.start_ns.tolist() == [whole.start_ns[index]]
        assert part.values.tobytes() == whole.values[index : index + 1].tobytes()
        assert part.observed.tobytes() == whole.observed[index : index + 1].tobytes()


def test_pods_are_computed_apart() -> None:
    frame = frame_of(12, 40)
    pods = np.array([0, 1, 2] * 4, np.int32)
    whole = window_features(frame, window_s=40.0, pods=pods)
    for pod in range(3):
        own = np.flatnonzero(pods == pod)
        alone = Frame(
            units=tuple(frame.units[n] for n in own),
            signals=frame.signals,
            start_ns=frame.start_ns,
            step_ns=frame.step_ns,
            values=np.ascontiguousarray(frame.values[:, :, own]),
        )
        assert window_features(alone, window_s=40.0).values.tobytes() == whole.values[:, own].tobytes()
    (first, second) = streamed(frame, None, pods)
    assert first.values.tobytes() + second.values.tobytes() == whole.values.tobytes()


def test_the_order_of_units_does_not_matter_beyond_rounding_of_synchrony() -> None:
    frame = frame_of(70, 20)
    order = np.random.default_rng(3).permutation(70)
    turned = Frame(
        units=tuple(frame.units[n] for n in order),
        signals=frame.signals,
        start_ns=frame.start_ns,
        step_ns=frame.step_ns,
        values=np.ascontiguousarray(frame.values[:, :, order]),
    )
    one, other = window_features(frame, window_s=40.0), window_features(turned, window_s=40.0)
    exact = [n for n, name in enumerate(one.names) if "synchrony" not in name]
    np.testing.assert_array_equal(one.values[:, order][..., exact], other.values[..., exact])
    np.testing.assert_allclose(one.values[:, order], other.values, rtol=1e-5, atol=1e-6)


def test_statistics_alone_are_those_among_the_features() -> None:
    frame = frame_of(70, 65)
    few, all_of_them = (
        window_statistics(frame, window_s=40.0, stride_s=2.0),
        window_features(frame, window_s=40.0, stride_s=2.0),
    )
    for name in few.names:
        assert few.of(name).tobytes() == all_of_them.of(name).tobytes()
    assert few.observed.tobytes() == all_of_them.observed.tobytes()
