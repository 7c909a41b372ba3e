"""Coverage-guided fuzzing of the readers of plans and surveys with atheris.

`python tests/topology/fuzz_topology.py -max_total_time=600 [CORPUS]`. The first byte chooses the reader; FUZZ_ONLY=dot|json|access|
lldp|ib|all keeps to one. What is read is then compared and cut, too. Anything raised but a `Fault` is a finding.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import atheris

# First, and not instrumented: numba does not compile what atheris has instrumented.
from inspectorate.mechanisms.interconnect.topology import flow

with atheris.instrument_imports(include=["inspectorate.mechanisms.interconnect.topology"]):
    from inspectorate.mechanisms.interconnect.topology.around import look_around
    from inspectorate.mechanisms.interconnect.topology.compare import compare
    from inspectorate.mechanisms.interconnect.topology.dot import read_dot
    from inspectorate.mechanisms.interconnect.topology.graph import Fault, Topology
    from inspectorate.mechanisms.interconnect.topology.infiniband import read_ibnetdiscover
    from inspectorate.mechanisms.interconnect.topology.lldp import read_lldp
    from inspectorate.mechanisms.interconnect.topology.plan import read_access_list, read_plan_json
    from inspectorate.mechanisms.interconnect.topology.seen import join
    from inspectorate.mechanisms.interconnect.topology.survey import Survey

RECORDED = Path(__file__).parent / "recorded"
PLAN = read_dot((RECORDED / "plan.dot").read_bytes())


def of_plan(plan: Topology) -> None:
    around = look_around(plan)
    assert isinstance(around.pairs.bytes_per_s, flow.np.ndarray)
    for pod in plan.pods[:3]:
        around.largest_of(pod)
        around.ways(pod)


def of_survey(survey: Survey) -> None:
    seen = join([survey], PLAN)
    for difference in compare(PLAN, seen):
        assert difference.text
    look_around(PLAN, [seen])


def dot(data: bytes) -> None:
    of_plan(read_dot(data))


def json(data: bytes) -> None:
    of_plan(read_plan_json(data))


def access(data: bytes) -> None:
    of_plan(read_access_list(data))


def lldp(data: bytes) -> None:
    of_survey(read_lldp(data, node="pod-a"))


def ib(data: bytes) -> None:
    of_survey(read_ibnetdiscover(data))


TARGETS = {f.__name__: f for f in (dot, json, access, lldp, ib)}
WIRE = b'{"node":"a","port":"1","other_node":"b","other_port":"2","bytes_per_s_max":5}'
SEEDS = {
    "dot": [
        (RECORDED / "plan.dot").read_bytes(),
        b'strict graph { subgraph { a:"1" -- b:"2" [speed="1G"]; node [kind=pod] c } }',
    ],
    "json": [b'{"format":"inspectorate-cabling/v1","nodes":[{"id":"a","kind":"pod"}],"wires":[' + WIRE + b"]}"],
    "access": [b"accessport,switchname,sysname,nicname\nTwoHundredGigE1/0/1,s,h,n\n"],
    "lldp": [path.read_bytes() for path in sorted(RECORDED.glob("*.json*"))],
    "ib": [(RECORDED / "ibnetdiscover.txt").read_bytes()],
}


def one_input(data: bytes) -> None:
    only = os.environ.get("FUZZ_ONLY")
    try:
        if only in TARGETS:
            TARGETS[only](data)
        elif data:
            list(TARGETS.values())[data[0] % len(TARGETS)](data[1:])
    except Fault:
        return


def write_seeds(folder: str) -> None:
    only = os.environ.get("FUZZ_ONLY")
    for number, name in enumerate(TARGETS):
        for n, content in enumerate(SEEDS[name] if only in (None, "all", name) else []):
            with open(os.path.join(folder, f"{name}-{n}"), "wb") as out:
                out.write(content if only in TARGETS else bytes([number]) + content)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as corpus:
        write_seeds(corpus)
        atheris.Setup([*sys.argv, corpus], one_input)
        atheris.Fuzz()
