"""Recording: live sources of telemetry, polled on a steady grid, into signed and chained segments.

- `source`: what a source is; `fetch`: bounded HTTP for those that are asked over a network.
- `linux`, `processes`, `nvml`, `amdgpu`, `exporter`, `redfish`, `snmp`: one source each. `nvml` and `snmp` need an extra.
- `declared`: whether a source shows what its meter was declared to show, no more and no less.
- `grid`, `recorder`: when polls are due, and how answers are cut into segments. Both are pure.
- `running`: one thread for each meter, so that a slow source holds up no other; the clock is read here.

What it can establish: what a sensor said, when, to whoever holds the recorder's key, and that nothing was left out of it
afterwards. What it cannot: that the sensor told the truth. A driver, a controller or an exporter of the prover's can say
anything; second meters of another holder, and `integrity`, stand against that.
"""
