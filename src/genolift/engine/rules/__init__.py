"""The rules: how much of an activation's change each of its arguments is given."""
