"""Integrity first: whether telemetry is what meters measured, before anything is concluded from it.

- `series`: one quantity of one unit; the grid and the noise of a sensor.
- `clones`, `near`: copies, exact and near. `replay`: a series' own past, or references, again.
- `frozen`: sensors that do not measure.
- `match`, `two_meters`: do two series measure one load? `sums`: wholes and parts, power and work. `clock`: shifts, drifts, steps.
- `survey`: all of it over the meters of a declaration, for the clause `sound-telemetry` (`appraise.sound`).

Everything here is a pure function of arrays. What it cannot see: series of all meters of a load made up together, consistent
with each other and with physics.
"""
