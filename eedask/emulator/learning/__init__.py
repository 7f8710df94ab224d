"""Machine learning: decision trees, forests, nearest neighbours, nearest class means, k-means.

In go arrays of samples and their classes.
Out come models that predict classes, probabilities or numbers, and confusion matrices.
``functions/learning`` imports it.
"""
