"""Starting: a person is told what is waited for, and told it all when it fails."""

import signal
import subprocess
import sys
import time

import psutil
import pytest

from eedask.emulator import EmulatorFailed
from eedask.emulator.server.starting import READY, STARTING, Command, Steps

# What the command does at its start, in a few lines and slower.
_SLOW = f"""
import sys, time
print("some library's warning", file=sys.stderr, flush=True)
for step in ("one", "two", "three"):
    print("{STARTING}" + step, flush=True)
    time.sleep(float(sys.argv[1]))
if len(sys.argv) > 2:
    print("{READY}http://127.0.0.1:1", flush=True)
time.sleep(600)
"""


def command(pause, *more, **times):
    return Command([sys.executable, "-c", _SLOW, str(pause), *more], **times)


def test_a_slow_start_is_told_once_with_what_is_waited_for(capfd):
    child = command(0.5, "ready", patient_s=0.9, still_s=60)
    child.close()
    assert child.url == "http://127.0.0.1:1"
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("Waiting for the Earth Engine emulator, 0.9 s so far: ")


def test_a_quick_start_is_not_told(capfd):
    child = command(0, "ready", patient_s=60, still_s=60)
    child.close()
    assert capfd.readouterr().err == ""


def test_it_is_waited_for_as_long_as_there_are_next_steps():
    # Longer in all than is waited for a step.
    child = command(1.5, "ready", patient_s=60, still_s=4)
    child.close()
    assert child.process.poll() is not None


def test_a_start_that_stands_still_is_given_up_with_what_it_was_at():
    begin = time.monotonic()
    with pytest.raises(EmulatorFailed) as caught:
        command(0, patient_s=60, still_s=3)
    assert time.monotonic() - begin < 60
    assert "3 s without a next step (three)" in str(caught.value)
    assert "some library's warning" in str(caught.value)


def test_a_start_that_ends_says_so_at_once():
    with pytest.raises(EmulatorFailed, match=r"status 7 at its start \(its process.*\):\nno luck"):
        Command([sys.executable, "-c", "import sys; print('no luck', file=sys.stderr); exit(7)"])


def test_the_command_tells_a_person_on_standard_error_and_only_if_slow(capsys):
    steps = Steps(to_program=False, patient_s=0.2)
    steps.begin("importing")
    steps.begin("opening mounts")
    time.sleep(1)
    steps.end()
    said = capsys.readouterr()
    assert said.err == f"{STARTING}opening mounts ...\n"
    assert said.out == ""
    quick = Steps(to_program=False, patient_s=0.2)
    quick.begin("importing")
    quick.end()
    time.sleep(0.4)
    assert capsys.readouterr().err == ""


def test_the_command_tells_a_program_every_step():
    options = ["--port=0", "--processes=1", "--parent-watch", "--quiet"]
    process = subprocess.Popen(
        [sys.executable, "-m", "eedask.emulator", *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process, process.stdout as stream:
        lines = []
        for line in stream:
            lines.append(line)
            if line.startswith(READY):
                process.stdin.close()
                break
    assert lines[0].startswith(f"{STARTING}0 of 1 render processes are ready")
    assert process.wait(60) == 0


def children_of_a_start(process):
    """Return the processes that import what renders, stopped while they do."""
    children = []
    while len(children) < 2:  # the helper, and multiprocessing's tracker of resources
        assert process.poll() is None
        children = psutil.Process(process.pid).children()
    for child in children:
        child.suspend()
    return children


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, None])
def test_the_command_can_be_ended_while_it_starts(end):
    arguments = [sys.executable, "-m", "eedask.emulator", "--port=0", "--processes=1"]
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        [*arguments, "--parent-watch"], stdin=pipe, stdout=pipe, stderr=pipe, text=True
    )
    with process:
        children = children_of_a_start(process)
        if end is None:
            process.stdin.close()
        else:
            process.send_signal(end)
        assert process.wait(30) == 0
        for child in children:
            child.resume()
        output, complaints = process.stdout.read(), process.stderr.read()
    assert READY not in output
    assert complaints == ""
    gone, left = psutil.wait_procs(children, 30)
    assert (len(gone), left) == (2, [])


def run(code):
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_the_server_imports_nothing_that_computes():
    run(
        "import sys, eedask.emulator.__main__;"
        "large = {'numpy', 'shapely', 'scipy', 'rasterio', 'pandas', 'pyarrow', 'ee'};"
        "assert not large & set(sys.modules), large & set(sys.modules)"
    )


@pytest.mark.slow
def test_a_process_that_starts_and_reads_a_table_imports_neither_the_client_nor_pandas():
    run(
        "import sys, eedask.emulator.server.render_process;"
        "from eedask.emulator.catalog.tables import shipped;"
        "from eedask.emulator.expression.signatures import signatures;"
        "from eedask.emulator.protocol.discovery import algorithms_json;"
        "assert shipped.table('TIGER/2018/States').feature(0).geometry;"
        "assert signatures() and algorithms_json();"
        "large = {'ee', 'pandas', 'geopandas', 'scipy.signal', 'scipy.stats'};"
        "assert not large & set(sys.modules), large & set(sys.modules)"
    )
