"""Steps that are killed, interrupted and run out of disk at random moments, and then run again.

Not collected by pytest: ``make faults`` runs all, ``.ci/run`` some. `trying` checks what a step guarantees
when it ends, `equal` compares outputs, and `analysis` has the steps with their files.
"""
