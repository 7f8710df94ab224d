"""Run commands at the same time, and fail if one does: ``python together.py COMMAND COMMAND …``.

The first one's output is seen as it comes, that of the others when they have ended with an error.
"""

import shlex
import subprocess
import sys


def together(commands: list[list[str]]) -> int:
    """Run commands; return 0 if all have ended with 0, and otherwise the exit status of one."""
    first, *others = commands
    piped = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    started = [subprocess.Popen(command, **piped) for command in others]
    status = subprocess.run(first, check=False).returncode
    for process in started:
        output, _ = process.communicate()
        if process.returncode:
            print(shlex.join(process.args), output, sep="\n")
            status = status or process.returncode
    return status


if __name__ == "__main__":
    sys.exit(together([shlex.split(command) for command in sys.argv[1:]]))
