"""Algorithms of classifiers, clusterers and confusion matrices.

In go tables of samples, and images to classify.
Out come trained models, and images and tables with their predictions.
Importing the package above registers them; the models themselves are in ``emulator/learning``.
"""
