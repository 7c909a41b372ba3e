"""Conservation on a switch whose traffic is known; cables, and flows against counters."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from inspectorate.mechanisms.interconnect.counters.conservation import Balance, balance, cable, contradictions
from inspectorate.mechanisms.interconnect.counters.increase import increases
from inspectorate.mechanisms.interconnect.counters.readings import Port, Reading, readings_of

START_NS = 1_700_000_000_000_000_000
S = 10**9
SECONDS = 600


def switch(
    ports: int = 4, *, drop_share: float = 0.0, skew_s: float = 0.0, seed: int = 1, uncounted: float = 0.0
) -> list[Reading]:
    """Port 0 sends to the others in turn, busy for 8 of every 10 s, and some come back. Read once a second, port by port late."""
    rng = np.random.default_rng(seed)
    fine = 10
    total_in, total_out = np.zeros((ports, SECONDS * fine + 1)), np.zeros((ports, SECONDS * fine + 1))
    for t in range(SECONDS * fine):
        moved_in, moved_out = np.zeros(ports), np.zeros(ports)
        if t % (10 * fine) < 8 * fine:
            for port in range(1, ports):
                size = float(rng.integers(10**5, 10**6))
                moved_in[0] += size
                moved_out[port] += size * (1 - drop_share)
                moved_in[port] += size / 4
                moved_out[0] += size / 4
        moved_out[0] += uncounted / fine
        total_in[:, t + 1], total_out[:, t + 1] = total_in[:, t] + moved_in, total_out[:, t] + moved_out
    rows = []
    for second in range(SECONDS):
        for port in range(ports):
            at_s = second + skew_s * port / ports
            place = int(at_s * fine)
            rows.append(
                Reading(
                    port=Port("sw", f"p{port}"),
                    time_ns=START_NS + round(at_s * S),
                    in_octets=int(total_in[port, place]),
                    out_octets=int(total_out[port, place]),
                    speed_bits_per_s=10**10,
                )
            )
    return rows


def balanced(rows: list[Reading], **rest: object):  # type: ignore[no-untyped-def]
    return balance("sw", increases(readings_of(rows)).values(), **rest)  # type: ignore[arg-type]


@pytest.mark.parametrize("skew_s", [0.0, 0.5, 0.9])
def test_a_sound_switch_is_balanced_however_late_its_ports_are_read(skew_s: float) -> None:
    found = balanced(switch(skew_s=skew_s))
    assert found.verdict is Balance.BALANCED
    # The truth is zero, up to the fractions of a byte that each reading leaves out.
    assert ((found.net_lower <= 16) & (found.net_upper >= -16)).all()


def test_the_tolerance_is_what_passes_between_readings() -> None:
    """Never more than skew x rate; nothing where the node is quiet at the edges."""
    found = balanced(switch(skew_s=0.9))
    assert (found.net_upper - found.net_lower).max() == pytest.approx(0, abs=16)
    always_busy = [row for row in switch(skew_s=0.9) if (row.time_ns - START_NS) // S % 10 < 7]
    wide = balanced(always_busy)
    assert wide.verdict is Balance.BALANCED
    assert (wide.net_upper - wide.net_lower).max() > 10**6


@pytest.mark.parametrize("gone", [0, 2])
def test_a_missing_port_is_a_lasting_imbalance(gone: int) -> None:
    rows = [row for row in switch() if row.port.name != f"p{gone}"]
    found = balanced(rows, declared=[Port("sw", f"p{n}") for n in range(4)])
    assert found.verdict is Balance.LASTING_IMBALANCE
    assert found.missing == (f"sw/p{gone}",)
    assert found.one_port_fits
    assert found.unbalanced.all()


def test_an_imbalance_beyond_the_fastest_port_is_more_than_one_port() -> None:
    rows = [
        Reading(
            port=Port("sw", f"p{port}"),
            time_ns=START_NS + t * S,
            in_octets=10**6 * t,
            out_octets=0,
            speed_bits_per_s=10**7,
        )
        for t in range(SECONDS)
        for port in range(2)
    ]
    assert not balanced(rows).one_port_fits, "2 MB/s are missing, and a port carries 1.25 MB/s"
    assert balanced([replace(row, speed_bits_per_s=0) for row in rows]).one_port_fits, "unknown speed excludes nothing"
    assert balanced(rows).verdict is Balance.LASTING_IMBALANCE


def test_dropping_a_little_is_the_nodes_own_affair_and_dropping_much_is_not() -> None:
    assert balanced(switch(drop_share=1e-4)).verdict is Balance.BALANCED
    lossy = balanced(switch(drop_share=2e-2))
    assert lossy.verdict is Balance.LASTING_IMBALANCE
    assert "entered and did not leave" in lossy.explanation()


def test_traffic_that_comes_from_nowhere_is_an_imbalance_the_other_way() -> None:
    found = balanced(switch(uncounted=2e5))
    assert found.verdict is Balance.LASTING_IMBALANCE
    assert "left and did not enter" in found.explanation()
    assert found.net_bytes_per_s == pytest.approx(2e5, rel=0.1)


def test_too_little_time_or_no_port_is_not_balanced_but_not_asked() -> None:
    assert balanced([row for row in switch() if row.time_ns < START_NS + 100 * S]).verdict is Balance.NOT_ASKED
    nothing = balance("sw", [], declared=[Port("sw", "p0")])
    assert nothing.verdict is Balance.NOT_ASKED
    assert nothing.missing == ("sw/p0",)


# --- two witnesses -----------------------------------------------------------------------------------------------------


def ends(lost: float = 0.0) -> tuple[list[Reading], list[Reading]]:
    """Both ends of one cable; the far end does not count a share of what was sent after 300 s."""
    near, far = [], []
    for t in range(SECONDS):
        sent, back = 10**6 * t, 10**4 * t
        seen = sent - int(lost * 10**6 * max(0, t - 300))
        near.append(Reading(port=Port("a", "1"), time_ns=START_NS + t * S, in_octets=back, out_octets=sent))
        far.append(Reading(port=Port("b", "9"), time_ns=START_NS + t * S + S // 3, in_octets=seen, out_octets=back))
    return near, far


@pytest.mark.parametrize("lost", [0.0, 0.2])
def test_both_ends_of_a_cable_agree_or_the_intervals_are_named(lost: float) -> None:
    near, far = (next(iter(increases(readings_of(rows)).values())) for rows in ends(lost))
    edges = START_NS + S * np.arange(30, 571, 60, dtype=np.int64)
    found = cable(near, far, edges, share=0.001)
    if not lost:
        assert found == ()
        return
    assert {one.what for one in found} == {"a/1 sent, b/9 received"}
    assert [(one.start_ns - START_NS) // S for one in found] == [270, 330, 390, 450, 510]
    assert found[-1].bytes_apart == pytest.approx(0.2 * 60e6, rel=0.3)


def test_contradictions_have_interval_and_size() -> None:
    edges = np.arange(4, dtype=np.int64) * S
    flows = (np.array([0.0, 50.0, 10.0]), np.array([10.0, 60.0, np.inf]))
    counted = (np.array([5.0, 100.0, 0.0]), np.array([8.0, 110.0, 9.0]))
    (first, second) = contradictions("sent", edges, flows, counted, np.ones(3, bool), share=0.0)
    assert (first.start_ns, first.end_ns, first.bytes_apart) == (S, 2 * S, 40.0)
    assert (second.start_ns, second.bytes_apart) == (2 * S, 1.0)
    assert contradictions("sent", edges, flows, counted, np.zeros(3, bool), share=0.0) == ()
