"""A model explained on tensors: what `genolift.deeplift` and the other public functions do.

May import `models`, `targets`, `references` and the engine, never the steps' files.
"""
