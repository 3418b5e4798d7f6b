"""Read files of weights without torch and without running code: what is in them, by names, shapes and types.

`contents.open_weights` reads a file to a tree of mappings with a `TensorPlace` for each tensor; `networks.networks`
finds in it what may be the weights of a network; `matching.match` chooses those that an architecture needs. The checker
and the backend use the same functions, so that both see the same; the backend alone reads the numbers.
"""
