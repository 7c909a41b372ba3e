"""The state machine of the guarantee processor: pure transitions, and the state that it keeps on disk.

- `state`: all that the processor knows of itself, in one frozen record with one byte form.
- `transitions`: one function per thing that can happen: state in; state, refusals and what is to be said out. No clock, no disk, no
  randomness but what is passed in.
- `invariants`: what must hold of every state and every step, as functions; the explorer and the daemon both ask them.
- `store`: the state on disk under a counter that only rises.

What the model checks is what runs: `inspectorate worlds guard-model` explores these same functions.
"""
