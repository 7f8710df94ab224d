"""The command line ``python -m eedask``. Its only command is ``doctor``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from eedask.checkup.doctor import doctor
from eedask.errors import EedaskError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, and print what it finds.

    Parameters
    ----------
    arguments : sequence of str, optional
        The words after ``python -m eedask``; those of the running program when not given.

    Returns
    -------
    int
        The exit status: 0 if the checkup found nothing that stops a run; 1 if something must be
        mended before a run; 2 if the checkup could not begin, or its file could not be written.
    """
    options = _parser().parse_args(arguments)
    try:
        checkup = doctor(options.project, url=options.url, burst=options.burst)
        print(checkup)
        if options.json:
            checkup.to_json(options.json)
    except (EedaskError, OSError) as error:
        print(f"eedask: {error}", file=sys.stderr)
        return 2
    return 0 if checkup.ok else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m eedask")
    commands = parser.add_subparsers(required=True)
    add = commands.add_parser(
        "doctor",
        help="check what a run needs, and ask Earth Engine what its documentation does not tell",
        description="Check this machine, the credentials and the project, and ask Earth Engine"
        " what its documentation does not tell, by some forty small requests. The exit status is"
        " 1 if something must be mended before a run.",
    ).add_argument
    add("--project", required=True, help="the Earth Engine project")
    add("--url", help="address of an emulator to ask (default: the live service)")
    add("--json", metavar="FILE", help="also write what was found to a file")
    add(
        "--burst",
        action="store_true",
        help="also send 80 requests at once, to see how Earth Engine refuses some",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
