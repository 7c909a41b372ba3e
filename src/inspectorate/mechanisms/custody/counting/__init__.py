"""Counting: places that nobody could choose are opened, every serial in them is read, and held against the register.

It establishes: at a stated confidence, how many of the registered chips can be missing, however they are spread; and, by an
e-value, that more are missing than honest keepers misplace.

It cannot establish: that a chip was never registered; that what carries a serial is the chip (see "how it is read" below); where a
chip was between two counts (seals and cameras say).

    reference     bounds and constants
    selection     how many units, fixed before the register is seen: by site, by chip, or by what must be found
    draw          from a seed to units
    sizes         what a draw finds: closed forms, worst over every spread of what is missing; fakes; allocation over sites in
                  `allocation`
    shown         what a count showed: the upper bound on missing chips, and the e-value for more than the honest share
    checklist     what was read, unit by unit, as JSON or on paper; `page` makes the offline page
    judge         check_draw; `held` has check_held, `uses` check_uses: faults as data, by name in `faults`
    acts          the statements: promise, draw, held

How it is read (`Reading`), and what it is worth:

- `label`: the serial on the board or its label. An empty slot or another serial is seen; a dummy with a copied label is not.
- `device`: the serial that the device gives by its management interface. A dead board with a copied label is seen; firmware that
  lies, or another chip with a changed serial, is not.
- `signed`: the device signed a nonce with a key that was enrolled. Seen unless the key left the chip.

A serial that is copied onto two boards is seen twice only if both are opened. A count of labels therefore bounds missing *labels*:
the assumption stands in what it shows.

Sources: R. Avenhaus, M. Canty, "Compliance Quantified", 1996 (attribute sampling for inspections); the hypergeometric distribution;
D. Horvitz, D. Thompson, JASA 47, 1952; K. Joag-Dev, F. Proschan, Annals of Statistics 11, 1983 (samples without replacement are
negatively associated).
"""
