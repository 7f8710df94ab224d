"""Counts the requests that an emulator answered, and waits until a condition holds."""

import time


def requests_since(emulator, before):
    """Return how many requests the emulator has answered since an earlier count."""
    return emulator.stats()["requests"] - before["requests"]


def chips_since(emulator, before):
    """Return how many chips the emulator was asked for since an earlier count."""
    pixels = "projects.image.computePixels"
    now = emulator.stats()["by_method"].get(pixels, 0)
    return now - before["by_method"].get(pixels, 0)


def wait_until(condition, seconds=120):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)
    return found
