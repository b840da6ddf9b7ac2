"""Small Keras models of every layer and setting: written by Keras on TensorFlow, read by genolift, compared.

`write` and `cases` run in Keras's environments and do not import genolift; the rest runs in genolift's.
"""
