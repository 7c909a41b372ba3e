"""The causal ledger of FLOP of one processor: what its own runs used, and what lies behind the models that came in.

Every run of the processor is a source of its own, with an upper bound that only rises. A listed model counts with the FLOP that its
entry says lie behind it; where the ruleset does not say, the ledger does not know, and its total is no bound on that model's past.
"""

from __future__ import annotations

from dataclasses import dataclass

from inspectorate.mechanisms.guarantee.machine.serving import Looked
from inspectorate.mechanisms.guarantee.metering.flop_ledger import FlopLedger, content_source
from inspectorate.mechanisms.guarantee.metering.types import MeterKind
from inspectorate.mechanisms.guarantee.rulesets.types import ListedModel


@dataclass(kw_only=True)
class Causes:
    """One run's ledger."""

    ledger: FlopLedger
    session: bytes
    """The source that this run is."""
    used_flop: float = 0.0

    def add(self, looked: Looked) -> None:
        """Work was metered."""
        reading = looked.readings.get(MeterKind.FLOP)
        if reading is None:
            return
        self.used_flop += reading.used
        self.ledger = self.ledger.with_at_least(self.session, self.used_flop)

    def loaded(self, model: ListedModel) -> None:
        """A model came in."""
        if model.flop_behind is not None:
            self.ledger = self.ledger.with_at_least(content_source(model.content), model.flop_behind)
