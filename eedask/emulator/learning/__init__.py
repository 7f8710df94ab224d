"""Models that learn from samples: trees, forests, neighbours, means.

In go arrays of samples and classes.
Out come models that give classes, probabilities and confusion matrices.
``functions/learning`` imports it.
"""
