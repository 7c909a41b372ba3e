"""Supply reconciliation: what was made or sold, against what was declared; what could be missing, and what run that could hide.

It establishes: an upper bound on chips that no register has, at a stated confidence, as far as the figures of supply can be
believed; which figure would narrow it most.

It cannot establish: that chips are missing. A gap between an estimate and a register is an estimate's error or a diversion, and the
figures do not say which. Where the missing chips are, or what they do.

It is fooled by: makers that no figure knows of; figures that all rest on one wrong source; chips declared that do not exist
(counting finds those).

    figures      one figure with its range          own, epoch    read from plain files, and from Epoch AI's tables
    checks       what is wrong with figures         ranges        sums of ranges under three assumptions on dependence
    reconcile    the balance                        exhibits      tables for a report
"""

from inspectorate.mechanisms.custody.supply.epoch import read_epoch
from inspectorate.mechanisms.custody.supply.exhibits import exhibits_of
from inspectorate.mechanisms.custody.supply.figures import Figure, FigureKind, Figures, Issue
from inspectorate.mechanisms.custody.supply.own import read_declared, read_own
from inspectorate.mechanisms.custody.supply.ranges import Dependence, Range
from inspectorate.mechanisms.custody.supply.reconcile import Losses, Reconciliation, SupplyTerms, reconcile

__all__ = [
    "Dependence",
    "Figure",
    "FigureKind",
    "Figures",
    "Issue",
    "Losses",
    "Range",
    "Reconciliation",
    "SupplyTerms",
    "exhibits_of",
    "read_declared",
    "read_epoch",
    "read_own",
    "reconcile",
]
