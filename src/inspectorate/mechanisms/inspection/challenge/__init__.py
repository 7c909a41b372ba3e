"""Promise, draw, opening: the sample is drawn after the commitment, by what both sides can check.

    promise         Selection, Promise, Randomness: what is fixed before, what is revealed
    draw            from a seed to packets, by hashes
    opening         Openings: what the prover shows of the drawn packets
    judge           check_draw, check_uses; `opened` has check_opening: faults as data, by name

What each side is protected from:

- The prover cannot foresee the sample: the secret is known to the verifier only, or the beacon's round is not yet made.
- The verifier cannot aim it: its secret and its selection are fixed by digest before the commitment, whose digest
  nobody foresees.
- Neither can go back: the draw names the commitment, and the commitment names the promise, by digest. Each thus came
  after what it names, whatever clocks say. Where a commitment names no promise, the ledger's order is believed; without
  one, signed times, each from the side that would gain by the other answer (`judge`).
- What is not opened in time is refused, whatever the reason, and is never replaced by another draw or another
  commitment.

It is fooled by: a verifier that tells the prover its secret; a beacon most of whose members collude; hashes that break.
"""
