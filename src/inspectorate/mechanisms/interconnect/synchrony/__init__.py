"""Lock-step: do two pods work in step, through whatever stands between them, whether or not amounts match?

Pods that train together compute, exchange and wait together. Whoever relays, pads or delays, what happens to one pod's
traffic *against expectation* then happens to the other's too. Load that is common to all pods, timetables, and what a pod
does out of its own past are not against expectation. Procedure, per pair (p, q), direction and grid of intervals:

1. y(t) = log(1 + rate / floor). Health checks and canaries stay below the floor.
2. *Common load.* The other pods are split into two disjoint groups A and B, without declared peers of p or q, and with pods
   that are each other's declared peers in one group. p is compared with A and q with B: r_p = y_p - w_p mean_A(y), with
   w_p = Cov(y_p, mean_B) / Cov(mean_A, mean_B) over the past. The instrument B keeps the noise of A out of the weight.
3. *Timetables.* What p did before at the same place of a minute, an hour, a day (`reference.TIMETABLE_S`) is taken off.
4. *Own past.* What a linear prediction from the last intervals expects is taken off. What is left is the surprise u_p(t).
5. Surprises that amount to less than the floor in bytes per second are none.
6. v_p(t) in [-1, 1] is the rank of u_p(t) among the 64 before it.
7. *Bets.* A stake s is multiplied by 1 + s (v_p v_q - d) / (1 + d), d = `TOLERANCE`; and on peaks by 1 - s + s [both are
   peaks] / m, m = `PEAK_TOLERANCE` x `PEAK_SHARE`^2. Capital is spread beforehand, in fixed shares, over seven signals (which
   direction against which, and which pod leads), five grids, the stakes, and betting throughout or starting and stopping
   between rounds (the rare synchronisation that an average hides). The evidence is the sum of all of it: a mean of
   e-processes with fixed weights. Nothing is chosen after it was seen.

**The hypothesis**, given F(t-1), all that was seen of the site before interval t, for every interval that is compared:

    E[v_p(t) v_q(t) | F(t-1)] <= d      v_p(t-1) E[v_q(t) | F(t-1)] <= d, where p leads, and likewise where q does
    P(v_p(t) and v_q(t) are peaks | F(t-1)) <= m, and likewise where one leads

in each combination of directions. **Validity**: weights, predictions and ranks for t are functions of F(t-1), t's own traffic
and nothing later, so each factor is known after t; it is at least 0, since v v' >= -1; and by the hypothesis its
expectation given F(t-1) is at most 1. Products of such factors are supermartingales that start at 1, and so are sums of them
with weights that sum to 1 and moves of capital that are settled before the bet. Hence E[e] <= 1 at any stopping time, and e
reaches 1/alpha with probability at most alpha (Ville 1939). That intervals of one pair depend on each other does not matter: every
bet is fair given its past. Which intervals are compared must not depend on the surprises, as in `statistics.betting`.

**When honest pods fulfil it.** If y_k = a_k + w_k c(t) + e_k(t) with one common load c of any shape per direction, and the e_k
of pods that are no declared peers are independent given F(t-1), then r_p depends on e_p and the e_k of A alone, r_q on e_q and
those of B: independent, as these are disjoint. So E[v_p v_q | F] = E[v_p | F] E[v_q | F], and ranks among the last 64 have means
near zero; d allows 0.14 for both at once. What breaks it: load that p and q share and the rest does not (a balancer of
their own, a client of theirs with a timetable not listed); two pods that answer to the common load in another way than the
rest (filled up to a constant rate with other work, say); undeclared pipelines. Pods of which that is true must be declared,
as peers of one another. How far simulated honest sites keep within the hypothesis, and that these do not, is measured in
tests/synchrony/test_level.py and docs/synchrony.md.

Not found: pods of which more than half of the site are in step (that is a common load); exact timetables with constant
amounts; traffic padded to a constant rate. With fewer than two groups of other pods nothing is compared.

- `process`: steps 1 to 7; `kernels`: their loops; `reference`: every constant.
- `shape`: period, coherence and lag, to be looked at. `power`: how much padding and jitter defeat the test.
"""

from __future__ import annotations

ASSUMPTIONS = (
    "pods that share load which others do not, or answer to common load unlike the others, are declared as peers",
    "fewer than half of the pods of the site are in step",
)
"""Beside those of the sensors; stated in every assessment."""
