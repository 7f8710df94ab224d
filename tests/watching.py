"""What tests watch runs with: counts of requests, a wait for a condition, a terminal for bars."""

import io
import time


def requests_since(emulator, before):
    """Return how many requests the emulator has answered since an earlier count."""
    return emulator.stats()["requests"] - before["requests"]


def chips_since(emulator, before):
    """Return how many chips the emulator was asked for since an earlier count."""
    pixels = "projects.image.computePixels"
    now = emulator.stats()["by_method"].get(pixels, 0)
    return now - before["by_method"].get(pixels, 0)


class Terminal(io.StringIO):
    """A terminal, as far as a bar asks for one."""

    def isatty(self):
        return True


def wait_until(condition, seconds=120):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)
    return found
