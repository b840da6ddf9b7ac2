"""The kinds of operation, one file each, with all that is peculiar to one.

A kind is a frozen object of a subclass of `kind.Kind`. It says

- ``label``, ``passes``, ``note()``: what it is called in a plan and in docs/operations.md;
- ``keeps()``, ``forward()``: which values of the forward pass it needs again, and what else it keeps of it;
- ``back()``: how multipliers pass from its result to its arguments, and ``spread()`` the parts of a value;
- ``rule()``: the rule that it gets, if it is one that takes one;
- ``numbers_at_once()``, ``numbers_kept()``: what it costs in memory;
- ``reached()``, ``window``: what of its result some positions reach, for the receptive field;
- ``window``, ``sizes``, ``adds_up``: how it is computed where only some positions differ, for mutagenesis.

The runner calls these and never asks which kind it has. What a kind sees of a run is `pairs.Pairs`.
Imports the rules, the graph and the backends; knows no plan and no runner.
"""
