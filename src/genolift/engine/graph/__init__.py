"""A model as a graph of operations: captured by torch.export, each operation with its line of the model."""
