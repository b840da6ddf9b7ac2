"""genolift: which bases made the model say that."""
