"""Classification and regression trees, alone and in forests.

Breiman, Friedman, Olshen, Stone: Classification and Regression Trees. Chapman and Hall, 1984.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass
from itertools import count
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eedask.emulator.limits import metering

Floats = NDArray[np.float64]
_LEAST_GAIN = 1e-9  # share of the root's impurity: less may be rounding and makes no split


@dataclass(frozen=True)
class Growth:
    """The limits within which a decision tree is grown.

    Attributes
    ----------
    most_leaves : int, optional
        The largest number of leaves; None for no limit.
    least_in_leaf : int
        The smallest number of training rows in a leaf.
    tried : int, optional
        How many variables, drawn at random, are tried at each split; None for all.
    """

    most_leaves: int | None = None
    least_in_leaf: int = 1
    tried: int | None = None


class _Split(NamedTuple):
    gain: float
    feature: int
    threshold: float


@dataclass(frozen=True)
class Tree:
    """A grown tree, as arrays with one row for each node; node 0 is the root.

    Attributes
    ----------
    feature : ndarray of int, shape (nodes,)
        The variable that the node splits by, -1 in leaves.
    threshold : ndarray, shape (nodes,)
        A row whose variable is at most this goes to the node ``below``, others to ``below + 1``.
    below : ndarray of int, shape (nodes,)
    values : ndarray, shape (nodes, outputs)
        The mean of the targets of the training rows in the node.
    importance : ndarray, shape (variables,)
        The sum of the impurity that the splits by each variable removed.
    """

    feature: NDArray[np.intp]
    threshold: Floats
    below: NDArray[np.intp]
    values: Floats
    importance: Floats

    def predict(self, inputs: Floats) -> Floats:
        """Return the values of the leaves that rows fall into, shape (rows, outputs)."""
        at = np.zeros(len(inputs), np.intp)
        moving = np.arange(len(inputs))
        while moving.size:
            moving = moving[self.feature[at[moving]] >= 0]
            node = at[moving]
            above = inputs[moving, self.feature[node]] > self.threshold[node]
            at[moving] = self.below[node] + above
            metering.charge(moving.size)
        found: Floats = self.values[at]
        return found


def grow(inputs: Floats, targets: Floats, growth: Growth, rng: np.random.Generator) -> Tree:
    """Return a tree grown from training data, the best of all possible splits first.

    Parameters
    ----------
    inputs : ndarray, shape (rows, variables)
    targets : ndarray, shape (rows, outputs)
        1 or 0 for each class (the impurity is Gini's), or one number (it is the variance).
    growth : Growth
    rng : Generator
        Draws the variables that are tried.
    """
    nodes = [(-1, 0.0, 0)]
    values = [targets.mean(axis=0)]
    importance = np.zeros(inputs.shape[1])
    whole = float(((targets - values[0]) ** 2).sum())
    order, open_nodes = count(), list[Any]()

    def look_at(node: int, rows: NDArray[np.intp]) -> None:
        split = _best_split(inputs, targets, rows, growth, rng)
        if split is not None and split.gain > _LEAST_GAIN * whole:
            heapq.heappush(open_nodes, (-split.gain, next(order), node, rows, split))

    look_at(0, np.arange(len(inputs)))
    leaves = 1
    while open_nodes and (growth.most_leaves is None or leaves < growth.most_leaves):
        _, _, node, rows, split = heapq.heappop(open_nodes)
        importance[split.feature] += split.gain
        nodes[node] = (split.feature, split.threshold, len(nodes))
        above = inputs[rows, split.feature] > split.threshold
        for part in (rows[~above], rows[above]):
            nodes.append((-1, 0.0, 0))
            values.append(targets[part].mean(axis=0))
            look_at(len(nodes) - 1, part)
        leaves += 1
    feature, threshold, below = (np.array(column) for column in zip(*nodes, strict=True))
    return Tree(feature.astype(np.intp), threshold, below, np.array(values), importance)


def _best_split(
    inputs: Floats,
    targets: Floats,
    rows: NDArray[np.intp],
    growth: Growth,
    rng: np.random.Generator,
) -> _Split | None:
    """Return the split of rows that leaves the least impurity; None if no split is possible."""
    total, least = len(rows), growth.least_in_leaf
    if total < 2 * least or total < 2:
        return None
    # A variable with the same value in all rows cannot split them: it is not drawn.
    variables = np.flatnonzero(np.ptp(inputs[rows], axis=0) > 0)
    if not variables.size:
        return None
    if growth.tried is not None and growth.tried < len(variables):
        variables = np.sort(rng.choice(variables, growth.tried, replace=False))
    size = total * len(variables) * targets.shape[1]
    metering.charge(size)
    with metering.scope():
        metering.hold(32 * size)
        columns = inputs[np.ix_(rows, variables)]
        order = np.argsort(columns, axis=0, kind="stable")
        columns = np.take_along_axis(columns, order, axis=0)
        sums = np.cumsum(targets[rows][order], axis=0)
        below = np.arange(1, total)[:, None]
        score = (sums[:-1] ** 2).sum(axis=2) / below
        score += ((sums[-1] - sums[:-1]) ** 2).sum(axis=2) / (total - below)
        possible = columns[1:] > columns[:-1]
        possible &= (below >= least) & (total - below >= least)
    if not possible.any():
        return None
    score[~possible] = -np.inf
    row, column = np.unravel_index(int(np.argmax(score)), score.shape)
    gain = float(score[row, column] - (sums[-1, 0] ** 2).sum() / total)
    low, high = columns[row, column], columns[row + 1, column]
    middle = low + (high - low) / 2
    # There is no number between two neighbouring floats: then the lower one is the threshold.
    return _Split(gain, int(variables[column]), float(middle if middle < high else low))


@dataclass(frozen=True)
class Forest:
    """Trees that were grown from different samples of the training rows.

    Attributes
    ----------
    trees : tuple of Tree
    out_of_bag : ndarray, shape (rows, outputs)
        The mean prediction, for each training row, of the trees grown without it; NaN if there
        are none.
    """

    trees: tuple[Tree, ...]
    out_of_bag: Floats

    @property
    def importance(self) -> Floats:
        """The sum of the importances of each variable in all trees, shape (variables,)."""
        found: Floats = np.sum([tree.importance for tree in self.trees], axis=0)
        return found

    def predict(self, inputs: Floats) -> Floats:
        """Return the mean of the trees' values, shape (rows, outputs)."""
        total = np.zeros((len(inputs), self.trees[0].values.shape[1]))
        for tree in self.trees:
            total += tree.predict(inputs)
        return total / len(self.trees)


def grow_forest(
    inputs: Floats, targets: Floats, growth: Growth, trees: int, bag: float, seed: int
) -> Forest:
    """Return a forest whose trees are each grown from a random sample of the rows.

    Parameters
    ----------
    inputs : ndarray, shape (rows, variables)
    targets : ndarray, shape (rows, outputs)
        As :func:`grow` takes them.
    growth : Growth
    trees : int
        The number of trees.
    bag : float
        The size of a sample as a share of the rows; drawn with replacement if it is 1 or more.
    seed : int
    """
    rng = np.random.default_rng(seed % 2**64)
    rows = len(inputs)
    size = max(1, math.ceil(bag * rows))
    sums, seen_by = np.zeros_like(targets), np.zeros(rows)
    grown = []
    for _ in range(trees):
        chosen = rng.choice(rows, size, replace=bag >= 1)
        tree = grow(inputs[chosen], targets[chosen], growth, rng)
        out = np.ones(rows, bool)
        out[chosen] = False
        sums[out] += tree.predict(inputs[out])
        seen_by += out
        grown.append(tree)
    with np.errstate(invalid="ignore", divide="ignore"):
        return Forest(tuple(grown), sums / seen_by[:, None])
