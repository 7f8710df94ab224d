"""Plausible names of places that do not exist."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

_SAINTS = "João Pedro Miguel Francisco Antônio Rafael Luis Martín Carlos José Isidro Ramón"
_LATIN_START = "Ara Ita Gua Para Tucu Cata Cara Pira Mara Jagua Uru Pinda Cocha Huan Anta Chu"
_LATIN_MIDDLE = "ra ti ca na mi ru bu pa ma qui le so po la"
_LATIN_END = "ba tinga mirim guá ca nga pé ri ní ma rana puca bamba marca"
_LATIN_BEFORE = "Nova Santa Campo Villa Puerto Boa Alto Porto Rio Monte"
_START = "Bal Kar Mon Tor Vel Dan Sol Mar Ker Nor Tal Ham Lin Ost Bre Ven Sar Dor Gal Rad"
_MIDDLE = "a e i o u an en ar el or in as"
_END = "berg stan ton ville mar dor ka gora nik land burg sk ta wa den ria polis no"
_ADDITIONS = ("", " do Norte", " do Sul", " de Cima", " Novo")


def names(rng: np.random.Generator, count: int, latin: bool) -> list[str]:
    """Return ``count`` distinct names, which sound South American if ``latin``."""
    made = _latin(rng) if latin else _other(rng)
    seen: dict[str, None] = {}
    while len(seen) < count:
        name = next(made)
        # If a name is taken, a word is added to it, as real places do that share a name.
        free = [name + end for end in _ADDITIONS[: 5 if latin else 1] if name + end not in seen]
        if free:
            seen[free[0]] = None
    return list(seen)


def _latin(rng: np.random.Generator) -> Iterator[str]:
    while True:
        name = _draw(rng, _LATIN_START)
        name += "".join(_draw(rng, _LATIN_MIDDLE) for _ in range(rng.integers(0, 3)))
        name += _draw(rng, _LATIN_END)
        kind = rng.random()
        if kind < 0.25:
            name = f"{_draw(rng, _LATIN_BEFORE)} {name}"
        elif kind < 0.4:
            name = f"São {_draw(rng, _SAINTS)} de {name}"
        yield name


def _other(rng: np.random.Generator) -> Iterator[str]:
    while True:
        name = _draw(rng, _START)
        name += "".join(_draw(rng, _MIDDLE) for _ in range(rng.integers(1, 3)))
        if rng.random() < 0.5:
            name += _draw(rng, _START).lower() + _draw(rng, _MIDDLE)
        yield name + _draw(rng, _END)


def _draw(rng: np.random.Generator, words: str) -> str:
    choices = words.split()
    return choices[rng.integers(len(choices))]
