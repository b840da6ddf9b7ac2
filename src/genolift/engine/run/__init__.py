"""A plan carried out: forward, backward, batches, sums over references, and the memory that they take."""
