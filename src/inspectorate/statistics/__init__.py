"""Statistics: how strong evidence against a party is, and how much a clean sample assures.

- `evalues`: e-values, alarms, merging under unknown dependence, conversion from and to p-values.
- `naming`: which of several parties, pods or clauses may be named, and at what rate one is named wrongly.
- `betting`: e-processes for bounded observations and for exceedances; `mixture`: the engine, over stakes and starts.
- `conformal`: p-values and e-values from the scores of any model; tests by permutation and shift.
- `sampling`: detection probabilities, sample sizes, and upper bounds on what a sample may have missed.

Pure mathematics on numpy arrays: no clock, no disk, no hidden randomness. Two directions are never mixed: e-values speak
against compliance and never for it; the bounds of `sampling` speak for it and never against.
"""

from inspectorate.statistics.betting import BoundedBetting, best_stake, betting_process, exceedance_process
from inspectorate.statistics.conformal import (
    PValueBetting,
    RunSummary,
    conformal_log_e,
    conformal_p_values,
    conformal_process,
    online_p_values,
    resampling_p_value,
    score_per_run,
    shift_p_value,
)
from inspectorate.statistics.evalues import (
    LOG_E_MAX,
    LOG_E_MIN,
    Calibrator,
    alarm_log_e,
    bounded_log_e,
    e_to_p,
    is_alarm,
    maximum_to_log_e,
    merge_mean,
    merge_product,
    p_to_log_e,
    to_e,
)
from inspectorate.statistics.mixture import BetPlan, EProcess, Span
from inspectorate.statistics.naming import (
    closure_adjusted_log_e,
    named_by_e_bh,
    named_by_e_bonferroni,
    named_by_e_closure,
)
from inspectorate.statistics.sampling import (
    clopper_pearson_lower,
    clopper_pearson_upper,
    detection_over_rounds,
    detection_probability,
    dirty_count_upper,
    dirty_share_upper,
    dirty_share_upper_simple,
    sample_size,
    sample_size_for_share,
)

__all__ = [
    "LOG_E_MAX",
    "LOG_E_MIN",
    "BetPlan",
    "BoundedBetting",
    "Calibrator",
    "EProcess",
    "PValueBetting",
    "RunSummary",
    "Span",
    "alarm_log_e",
    "best_stake",
    "betting_process",
    "bounded_log_e",
    "clopper_pearson_lower",
    "clopper_pearson_upper",
    "closure_adjusted_log_e",
    "conformal_log_e",
    "conformal_p_values",
    "conformal_process",
    "detection_over_rounds",
    "detection_probability",
    "dirty_count_upper",
    "dirty_share_upper",
    "dirty_share_upper_simple",
    "e_to_p",
    "exceedance_process",
    "is_alarm",
    "maximum_to_log_e",
    "merge_mean",
    "merge_product",
    "named_by_e_bh",
    "named_by_e_bonferroni",
    "named_by_e_closure",
    "online_p_values",
    "p_to_log_e",
    "resampling_p_value",
    "sample_size",
    "sample_size_for_share",
    "score_per_run",
    "shift_p_value",
    "to_e",
]
