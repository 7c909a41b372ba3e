"""Put a processor together from its configuration: device, measurements, state, and all that hangs on them.

Nothing here lets anything through. What is missing or wrong ends the start with an error that says what and where.
"""

from __future__ import annotations

import contextlib
import hmac
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from inspectorate.errors import InputError
from inspectorate.files import read_bounded
from inspectorate.keys import SigningKey
from inspectorate.mechanisms.guarantee.attestation.device import Device
from inspectorate.mechanisms.guarantee.attestation.software import SoftwareDevice
from inspectorate.mechanisms.guarantee.attestation.start import measure_start, this_program
from inspectorate.mechanisms.guarantee.attestation.tpm.device import TpmDevice
from inspectorate.mechanisms.guarantee.interlock.samples import SampleStore
from inspectorate.mechanisms.guarantee.interlock.sampling import LINK_BYTES, Chain
from inspectorate.mechanisms.guarantee.machine import transitions
from inspectorate.mechanisms.guarantee.machine.state import GuardState
from inspectorate.mechanisms.guarantee.machine.store import Loaded, Store
from inspectorate.mechanisms.guarantee.machine.transitions import Identity
from inspectorate.mechanisms.guarantee.metering.flop_ledger import of, session_source
from inspectorate.mechanisms.guarantee.metering.types import MeterKind
from inspectorate.mechanisms.guarantee.outlet.outlet import Sink
from inspectorate.mechanisms.guarantee.processor.causes import Causes
from inspectorate.mechanisms.guarantee.processor.config import Chips, GuardConfig
from inspectorate.mechanisms.guarantee.processor.daemon import Parts, Processor
from inspectorate.mechanisms.guarantee.processor.draws import PERIODS, Draws
from inspectorate.mechanisms.guarantee.processor.keeper import Clock, Entropy, Keeper, Surroundings, begin
from inspectorate.mechanisms.guarantee.processor.metered import Meters
from inspectorate.mechanisms.guarantee.processor.rechecking import recheck_with
from inspectorate.mechanisms.guarantee.processor.work import ServerWork
from inspectorate.mechanisms.guarantee.rulesets.types import RULESET_KIND
from inspectorate.mechanisms.guarantee.signing import DOCUMENT_BYTES_MAX, SignedDocument, parse_document

STATE_KEY_BYTES_MAX = 4096
LOOK_S_MAX = 1.0
"""Between two looks at the meters, with the save that may be needed: a tick is 0.25 s apart."""
_LOST_AFTER_S = 1.0
_SAMPLES = b"inspectorate guard samples v1\0"


@dataclass(frozen=True, kw_only=True)
class Outside:
    """What a processor takes from its surroundings."""

    clock: Clock
    monotonic: Callable[[], float]
    entropy: Entropy
    sink: Sink
    log: Callable[..., None]
    """Called with what was asked and a sequence of refusals."""


def open_device(config: GuardConfig) -> Device:
    """The device that a configuration names. Raises `InputError` or `EnvironmentError_`."""
    kind, _, place = config.device.partition(":")
    if kind == "software":
        return SoftwareDevice.open(Path(place))
    if config.device_files is None:
        raise InputError(
            "a TPM needs device_files", where="device", remedy="make them with `inspectorate guard device`"
        )
    return TpmDevice.open(place if kind == "tpm" else config.device, Path(config.device_files))


def read_baseline(config: GuardConfig) -> SignedDocument:
    """The first ruleset. Raises `InputError` or `EvidenceError`."""
    return parse_document(
        read_bounded(Path(config.baseline), DOCUMENT_BYTES_MAX), kind=RULESET_KIND, where=config.baseline
    )


@contextlib.contextmanager
def opened(config: GuardConfig, measured: bytes, outside: Outside) -> Iterator[tuple[Processor, Loaded]]:
    """A processor that is ready to run, and what its state was found to be. `measured` are the bytes of the configuration."""
    key = SigningKey.read(Path(config.statement_key))
    state_key = read_bounded(Path(config.state_key), STATE_KEY_BYTES_MAX)
    baseline = read_baseline(config)
    for folder in (config.run, config.device_files):
        if folder is not None:
            Path(folder).mkdir(mode=0o700, parents=True, exist_ok=True)
    program = this_program()
    device = open_device(config)
    me = Identity(device=device.device_id, build=program.digest, baseline=config.baseline_digest)
    store = Store(Path(config.state), device, key=state_key, born=config.born)
    try:
        around = Surroundings(me=me, store=store, clock=outside.clock, entropy=outside.entropy, log=outside.log)
        loaded = store.load()
        keeper, _ = begin(around, loaded)
        keeper.margin = margin_of(config.chips, keeper.state)
        in_force = keeper.state.ruleset.digest if keeper.state.ruleset else config.baseline_digest
        measure_start(device, program=program, configuration=measured, ruleset=in_force)
        processor = Processor(parts=_parts(config, (keeper, loaded), device, key, state_key, outside))
        if keeper.state.ruleset is None and not keeper.state.distrusted:
            keeper.take("baseline", transitions.install(keeper.state, me, baseline, keeper.moment()))
        yield processor, loaded
    finally:
        store.close()


def margin_of(chips: Chips, state: GuardState) -> dict[MeterKind, float]:
    """The most that chips can use between two looks at them, and until work whose processor is lost is held."""
    lost_after_s = state.ruleset.lost_after_s if state.ruleset is not None else _LOST_AFTER_S
    longest_s = LOOK_S_MAX + lost_after_s
    found = {MeterKind.WALL_S: longest_s, MeterKind.FLOP: longest_s * chips.flop_per_s_max}
    if chips.power_w_max is not None:
        found[MeterKind.ENERGY_J] = longest_s * chips.power_w_max
    return found


def _parts(
    config: GuardConfig,
    found: tuple[Keeper, Loaded],
    device: Device,
    key: SigningKey,
    state_key: bytes,
    outside: Outside,
) -> Parts:
    keeper, loaded = found
    causes = Causes(ledger=of({}), session=session_source(device.device_id, outside.entropy(32)))

    def lost_after_s() -> float:
        ruleset = keeper.state.ruleset
        return ruleset.lost_after_s if ruleset is not None else _LOST_AFTER_S

    def share() -> float:
        ruleset = keeper.state.ruleset
        return ruleset.sampled_share if ruleset is not None else 0.0

    models = Path(config.models)
    work = ServerWork(
        config.server, group=config.group, run=Path(config.run), lost_after_s=lost_after_s, on_loaded=causes.loaded
    )
    return Parts(
        reporter=config.reporter,
        key=key,
        device=device,
        origin=config.origin,
        keeper=keeper,
        sink=outside.sink,
        work=work,
        meters=Meters(
            chips=config.chips,
            group=lambda: work.group,
            monotonic=outside.monotonic,
            clock=outside.clock,
            watched_from=keeper.watched_from,
        ),
        draws=Draws(chain=Chain(outside.entropy(LINK_BYTES), periods=PERIODS), share=share),
        causes=causes,
        anchored=loaded.anchored,
        models=models,
        # Samples outlive the process that drew them, so their key has to.
        samples=SampleStore(Path(config.run) / "samples", hmac.digest(state_key, _SAMPLES, "sha256")),
        state_key=state_key,
        monotonic=outside.monotonic,
        measure=lambda: this_program().digest,
        recheck=recheck_with(
            lambda: keeper.state.ruleset, models, Path(config.graphs) if config.graphs else None, outside.entropy
        ),
    )
