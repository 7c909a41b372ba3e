"""The processor as it runs: one process that joins machine, path, device and outlet.

- `config`: the file that says what it guards, measured at its start.
- `keeper`: the one place where the state changes: a transition, the save that it needs, then its effects.
- `gate`: the machine as the path sees it.
- `metered`: what was used since the last look, by every source that there is.
- `reports`: the checkpoint of a period, its quote, and the statement that goes to the outlet.
- `control`: the socket by which an operator hands in documents and asks for the status.
- `daemon`: all of it, until it is told to end.
"""
