"""What a dataset answers: all that determines its values, so that the same plan is known again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from eedask.items.item import WorkItem


class Recipe(Protocol):
    """Where the expression of each item comes from."""

    @property
    def fields(self) -> frozenset[str] | None:
        """Fields of an item that the expression may depend on; None: all that it has."""

    @property
    def template(self) -> str | None:
        """A hash of the graph that all items share; None if each item has its own."""

    def hash_for(self, item: WorkItem) -> str | None:
        """Return a hash of an item's expression; None if it cannot be built."""


@dataclass(frozen=True)
class Question:
    """What is asked about each item.

    Attributes
    ----------
    terms : mapping
        The verb and its arguments, as values that JSON can hold.
    recipes : mapping of str to Recipe
        Where expressions come from, by the name of the argument.
    uses : frozenset of str
        Fields of an item (see :meth:`WorkItem.fields`) on which results depend besides those
        that recipes use, such as the column that names subfolders.
    """

    terms: Mapping[str, Any]
    recipes: Mapping[str, Recipe] = field(default_factory=dict)
    uses: frozenset[str] = frozenset()

    def fields(self, columns: Iterable[str]) -> list[str]:
        """Return the fields on which results depend, of items with some columns, sorted."""
        found = set(self.uses)
        for recipe in self.recipes.values():
            used = recipe.fields
            every = {"geometry", *(f"column:{name}" for name in columns)}
            found |= every if used is None else used
        # Both are told by the geometry and the index.
        if "utm_crs" in found:
            found.add("geometry")
        return sorted(found - {"utm_crs", "id"})

    def signatures(self, items: Sequence[WorkItem]) -> dict[str, dict[str, Any]]:
        """Return what recipes are known again by, as values that JSON can hold.

        Parameters
        ----------
        items : sequence of WorkItem
            A few, whose expressions are kept as hashes, by which a changed function is noticed.
        """
        return {
            name: {
                "template": recipe.template,
                "samples": {str(item.id): recipe.hash_for(item) for item in items},
            }
            for name, recipe in self.recipes.items()
        }

    def changed_recipe(self, there: Mapping[str, Any], items: Mapping[str, WorkItem]) -> str | None:
        """Return the name of a recipe that gives other expressions than it did; None if none does.

        Parameters
        ----------
        there : mapping
            What :meth:`signatures` gave.
        items : mapping of str to WorkItem
            Those of the samples, by their id as text, that are the same items now.
        """
        for name in sorted({*there, *self.recipes}):
            if name not in there or name not in self.recipes:
                return name
            recipe, before = self.recipes[name], there[name]
            if recipe.template is not None and before["template"] is not None:
                if recipe.template != before["template"]:
                    return name
                continue
            known = [id_ for id_ in before["samples"] if id_ in items]
            # Without a sample that is still the same, nothing shows that the function is.
            if not known or any(
                recipe.hash_for(items[id_]) != before["samples"][id_] for id_ in known
            ):
                return name
        return None
