"""Regime strength: layers by subgoals, what fails together, the weakest subgoal, and the cheapest way to mend it.

It can say which layers really looked at which subgoal (out of a review, or as somebody says), how many trust roots must fail
before nothing looks any more, which persons, organisations and suppliers layers share, what is left after everything, and which
additions strengthen the weakest subgoal at least cost.

It cannot say how likely a root is to fail, nor how far anybody is to be believed: layers of people are present or absent,
independent or not, and have no figure. What people say of a site calls for a step of the ladder (`corroboration`).
"""

from inspectorate.planning.strength.layers import Layer, Part, shipped_layers
from inspectorate.planning.strength.regime import (
    Cell,
    Regime,
    Shared,
    State,
    SubgoalStrength,
    regime_exhibits,
    regime_of,
    states_named,
    states_of,
)
from inspectorate.planning.strength.upgrade import Upgrade, fleet_of_account, upgrade_of, with_needs

__all__ = [
    "Cell", "Layer", "Part", "Regime", "Shared", "State", "SubgoalStrength", "Upgrade", "fleet_of_account", "regime_exhibits",
    "regime_of", "shipped_layers", "states_named", "states_of", "upgrade_of", "with_needs",
]  # fmt: skip
