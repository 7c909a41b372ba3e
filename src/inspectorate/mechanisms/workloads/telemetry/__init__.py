"""Telemetry from whoever reports it, brought into one shape.

- `signals`: the signals that are known, each with one name and unit. `names`: what exporters call them.
- `frame`: samples as they came, and the dense frame in which everything is computed. `tidy` makes the one from the other.
- `payload`: signed segments and streams to samples. Behind it `table`, our own Parquet form, and `prometheus`, scrapes as exporters
  showed them (`lines` slowly, `pages` and `numbers` fast, `book` what was learned).
- `smi`, `public`: logs of `nvidia-smi`, and public data sets as they are published.
- `report`: what was not read, by reason.

Nothing is put right on the way to samples; what `tidy` leaves out on the way to a frame it counts. Not done here: whether series
are copies or contradict one another (`integrity`), and how samples are taken (`record`).
"""
