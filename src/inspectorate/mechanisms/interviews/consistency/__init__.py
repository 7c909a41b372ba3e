"""Answers held against one another, against the declaration and against machine evidence.

It establishes: that certain sentences cannot all be right, by more than honest memory explains; with a rate at which an honest
group would show any such set at all, whatever the number of people and questions.

It cannot establish: which of them is wrong, or whether anybody lied. Nothing here looks at how somebody spoke, and no person gets a
figure. Where everybody who is heard tells one story and no record or machine speaks against it, there is no contradiction to find.

It is fooled by: a story that all tell alike; people who say that they could not see; a model of memory that is too wide, which
finds nothing; one that is too narrow accuses more often than agreed.

    types       topics, statements, links: what `forms/` makes of answers; and what a check gives back
    memory      the model of honest memory, and draws from it
    rows        statements as linear constraints; excess: how far they must be broken, as linear programs
    null        how far honest memory breaks them: the rate; calibrate: with honest groups beside it
    explain     the fewest sentences that cannot all be right
    alike, knowing   pointers: stories learnt by heart, words beyond what could be known, silence
    reading     what a declaration says of a topic
    check       the one pass
"""
