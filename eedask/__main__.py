"""The command ``python -m eedask doctor``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from eedask.checkup.doctor import doctor
from eedask.errors import EedaskError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 1 if something must be mended."""
    parser = argparse.ArgumentParser(prog="python -m eedask")
    commands = parser.add_subparsers(dest="command", required=True)
    asked = commands.add_parser("doctor", help="check what a run needs, before the first one")
    asked.add_argument("--project", required=True)
    asked.add_argument("--url", help="of an emulator, in place of the live service")
    asked.add_argument("--json", metavar="FILE", help="write what was found to a file too")
    asked.add_argument("--thorough", action="store_true", help="ask what spends quota too")
    options = parser.parse_args(arguments)
    try:
        checkup = doctor(options.project, url=options.url, thorough=options.thorough)
        print(checkup)
        if options.json:
            checkup.to_json(options.json)
    except (EedaskError, OSError) as error:
        print(f"eedask: {error}", file=sys.stderr)
        return 1
    return 0 if checkup.ok else 1


if __name__ == "__main__":
    sys.exit(main())
