"""Linear and mixed-integer programs, solved by HiGHS (Huangfu and Hall, Mathematical Programming Computation 10, 2018).

One thread and no time limit: equal programs give equal answers on every run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import highspy
import numpy as np

from inspectorate.highs import run_silently
from inspectorate.planning.inspections.game import Floats

INFINITE: Final = float(highspy.kHighsInf)
MIP_NODES_MAX: Final = 5_000
AGAIN: Final = (("presolve", "off"), ("simplex_strategy", 4), ("solver", "ipm"))
"""What is changed, one after the other, where a linear program ends without a proof."""


@dataclass(frozen=True, kw_only=True)
class Program:
    """min cost' x with lower <= x <= upper, row_low <= rows x <= row_high; columns of `whole` are whole numbers."""

    cost: Floats
    lower: Floats
    upper: Floats
    rows: Floats
    row_low: Floats
    row_high: Floats
    whole: np.ndarray[tuple[int], np.dtype[np.bool_]] | None = None
    gap: float = 1e-9
    """Relative, at which a program in whole numbers may end."""


@dataclass(frozen=True, kw_only=True)
class Solved:
    """An answer, and what no answer is below."""

    values: Floats
    objective: float
    bound: float
    duals: Floats


def solve(program: Program) -> Solved:
    """The optimum; of a program in whole numbers the best found, and its bound. Raises `ArithmeticError` where there is none."""
    model = highspy.HighsLp()
    rows, columns = program.rows.shape
    model.num_col_, model.num_row_ = columns, rows
    model.col_cost_, model.col_lower_, model.col_upper_ = program.cost, program.lower, program.upper
    model.row_lower_, model.row_upper_ = program.row_low, program.row_high
    at_row, at_column = np.nonzero(program.rows)
    model.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    model.a_matrix_.start_ = np.concatenate(([0], np.cumsum(np.bincount(at_row, minlength=rows)))).astype(np.int32)
    model.a_matrix_.index_ = at_column.astype(np.int32)
    model.a_matrix_.value_ = program.rows[at_row, at_column]
    whole = program.whole is not None and bool(program.whole.any())
    if program.whole is not None and whole:
        model.integrality_ = [
            highspy.HighsVarType.kInteger if one else highspy.HighsVarType.kContinuous for one in program.whole
        ]
    solver = highspy.Highs()
    for option, value in (("output_flag", False), ("threads", 1), ("mip_rel_gap", program.gap), ("mip_abs_gap", 1e-12),
                          ("mip_max_nodes", MIP_NODES_MAX)):  # fmt: skip
        solver.setOptionValue(option, value)
    solver.passModel(model)
    run_silently(solver)
    for name, changed in AGAIN:
        if whole or solver.getModelStatus() == highspy.HighsModelStatus.kOptimal:
            break
        solver.clearSolver()
        solver.setOptionValue(name, changed)
        run_silently(solver)
    status, info = solver.getModelStatus(), solver.getInfo()
    if status != highspy.HighsModelStatus.kOptimal and not (whole and info.primal_solution_status == 2):
        raise ArithmeticError(f"the program has no answer: {solver.modelStatusToString(status)}")
    solution = solver.getSolution()
    objective = float(info.objective_function_value)
    return Solved(
        values=np.array(solution.col_value),
        objective=objective,
        bound=float(info.mip_dual_bound) if whole else objective,
        duals=np.array(solution.row_dual),
    )
