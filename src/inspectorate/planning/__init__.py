"""Planning: which mechanisms where, which places to look at next, and how strong the whole is.

- `portfolio`: mechanisms to clusters, at least cost for a required bound, by mixed-integer optimisation; what access buys and what
  technology buys.
- `inspections`: which pods, hours and sites to inspect next, at random, so that who knows the rule gains nothing.
- `strength`: layers by subgoal, what fails together, the weakest subgoal and the cheapest upgrade.

A plan is an answer within a model and no verdict. Planning reads accounts and findings, never evidence.
"""
