"""Plans whose requests may be smaller than Earth Engine's, so that small chips come in tiles."""

from dataclasses import replace

from eedask.pixels.query import PIXEL_LIMITS


def limited(plan, **limits):
    """Return a plan of chips with other limits of its requests and files."""
    limits = replace(PIXEL_LIMITS, **limits)
    images = tuple(replace(image, limits=limits) for image in plan.task.images)
    return replace(plan, task=replace(plan.task, images=images))
