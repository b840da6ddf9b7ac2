"""DeepLIFT on the graph of a model's operations.

May import nothing of ours but the error types: no files, no DNA, no commands.
"""
