"""The register: which chips there are, where they stand, whose they are, how they are wired; and every change of that.

It establishes: that the party's own signed words fit together. Every chip is in exactly one place at any time; each register is the
one before with all stated changes; transfers were notified, approved and arrived; chips ended only by a certificate.

It cannot establish: that chips stand where the register says (counting, seals, cameras, location), or that it is complete (supply).

It is fooled by: a register that was short from the first day, and by changes that are stated as they should be and did not happen.

    table, wiring, serials   the tables, read under bounds       parquet, pages   how
    reading, judge           statements in order; double entry    faults           the closed list
    clocks                   deadlines for any date               acts             statements about to be made
    inventory, compare       inventories of operators; against a declaration
"""

from inspectorate.mechanisms.custody.register.parquet import Column
from inspectorate.mechanisms.custody.register.reference import COLUMNS
from inspectorate.mechanisms.custody.register.serials import read_serials, serials_of, write_serials
from inspectorate.mechanisms.custody.register.table import (
    Chip,
    Register,
    Units,
    read_register,
    register_of,
    units,
    write_register,
)
from inspectorate.mechanisms.custody.register.wiring import Wiring, read_wiring, wiring_of, write_wiring

__all__ = [
    "COLUMNS",
    "Chip",
    "Column",
    "Register",
    "Units",
    "Wiring",
    "read_register",
    "read_serials",
    "read_wiring",
    "register_of",
    "serials_of",
    "units",
    "wiring_of",
    "write_register",
    "write_serials",
    "write_wiring",
]
