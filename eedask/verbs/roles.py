"""Reads the arguments of ``chips`` that are one value for all images, or a dictionary by role."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from eedask.dataset.file_names import differ_only_by_case, safe_name
from eedask.errors import InputError
from eedask.pixels.chip_image import of_role
from eedask.verbs.chip_extent import ChipExtent
from eedask.verbs.image_request import ImageRequest


def image_requests(image: Any, extent: ChipExtent, **options: Any) -> tuple[ImageRequest, ...]:
    """Return the checked arguments about each image: one, or one for each role.

    Parameters
    ----------
    image : ee.Image, callable, or mapping of str to them
        By role.
    extent : ChipExtent
    **options
        The other fields of :class:`ImageRequest`. By role, each may be a dictionary; roles that it
        does not name have the default.

    Raises
    ------
    InputError
        If the roles cannot be used, or an argument; then it names the role.
    """
    by_role = {name: value for name, value in options.items() if _is_by_role(name, value)}
    if not isinstance(image, Mapping):
        for name, value in by_role.items():
            raise InputError(
                f"{name}={value!r} is a dictionary by role, but there is only one image: give"
                " images by role as well, as {'image': …, 'label': …}"
            )
        return (ImageRequest(image, extent, **options),)
    _check_roles(image)
    for name, value in by_role.items():
        if unknown := [role for role in value if role not in image]:
            raise InputError(
                f"{name}= names the roles {unknown}, and the images' roles are {list(image)}: give"
                " values for these"
            )
    found = []
    for role, own in image.items():
        given = {name: by_role.get(name, {role: value}) for name, value in options.items()}
        chosen = {name: values[role] for name, values in given.items() if role in values}
        with of_role(role):
            found.append(ImageRequest(own, extent, role, **chosen))
    return tuple(found)


def _is_by_role(name: str, value: Any) -> bool:
    """Return whether an argument is a dictionary by role.

    ``vis_params`` is a dictionary in any case; by role, it holds dictionaries.
    """
    if not isinstance(value, Mapping):
        return False
    return name != "vis_params" or any(isinstance(one, Mapping) for one in value.values())


def _check_roles(roles: Iterable[Any]) -> None:
    """Raise InputError unless the roles can be used as names of folders, columns and variables."""
    names = list(roles)
    right = all(isinstance(n, str) and n.isidentifier() and n.isascii() for n in names)
    if not names or not right or any(safe_name(name) != name for name in names):
        raise InputError(
            "images by role have names of letters, digits and _, such as {'image': …, 'label': …},"
            f" at least one; got {names}"
        )
    if differ_only_by_case(names):
        raise InputError(f"roles name folders, and must differ by more than case; got {names}")
