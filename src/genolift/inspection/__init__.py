"""What a model is: what it takes and gives, its operations, and the config that would explain it."""
