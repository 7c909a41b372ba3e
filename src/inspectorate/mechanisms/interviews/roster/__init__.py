"""Who is interviewed: drawn from a roster that was fixed before, by what neither side could choose.

    people        the operator's list of people, under pseudonyms, from a table; what it keeps
    listed        RosterList and Openings: salted leaves and strata; what is shown of drawn entries
    selection     how many of each stratum: a number, or the chance of reaching somebody who knows
    sizes         the smallest draws for that chance, exactly; what refusals cost
    draw          from a seed to entries, to replacements, to the order of visits; `replacing` has how many may be replaced
    judge         check_roster, check_draw; `opening` has check_opening, `held` check_held: faults as data, by name
    uses          what one draw alone does not show: second rosters, second draws, secrets used twice
    acts          the statements of both sides, each made only after the other's were checked
    changes       who joined, left or moved between rosters; badges that no entry stands for
    visits        everybody is due at the verifier's house: order, slots, attendance; `calendar` writes iCalendar

What each side is protected from:

- The operator cannot foresee who is drawn, nor take a name off the roster afterwards: the draw names the roster by digest, and a
  second roster for the same time is named.
- The verifier cannot aim: secret and selection are fixed before the roster, whose digest nobody foresees. Replacements for those
  who were not heard come next in the same order, as many as were promised, and never by choice.
- People: no name stands in any statement; the roster holds salted digests in an order that says nothing. Who was not drawn is
  never shown.

It is fooled by: a roster that leaves out those who know, or that is filled up with people who do not exist (`changes` names
what can be seen of that); pressure on those who were drawn, between the draw and the interview.
"""
