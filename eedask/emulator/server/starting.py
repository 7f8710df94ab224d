"""Starting the command and waiting until it answers, with progress messages on both sides."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from queue import Empty, Queue
from threading import Thread, Timer
from typing import IO

logger = logging.getLogger(__name__)

PATIENT_S = 5.0
"""Seconds of starting after which a person is told what is waited for."""

READY = "eedask-emulator listening on "
"""The prefix of the line with its URL that the command prints once it answers."""

STARTING = "eedask-emulator starting: "
"""The prefix of the line that the command prints for each step of starting before that."""

_STILL_S = 600.0
_END_S = 5.0


class EmulatorFailed(RuntimeError):
    """The emulator did not start; the message holds what it wrote to standard error."""


class Steps:
    """Reports the steps of starting, inside the command's process.

    Parameters
    ----------
    to_program : bool
        Whether a program reads standard output, which then gets a line for every step. Otherwise
        the step is written to standard error once starting takes longer than ``patient_s``.
    patient_s : float
        Seconds after which a person is told.
    """

    def __init__(self, to_program: bool, patient_s: float = PATIENT_S) -> None:
        self._to_program = to_program
        self._step = ""
        self._timer = Timer(patient_s, self._tell)
        self._timer.daemon = True
        if not to_program:
            self._timer.start()

    def begin(self, step: str) -> None:
        """Begin a step. The phrase ``step`` follows "starting: " in messages."""
        self._step = step
        if self._to_program:
            print(f"{STARTING}{step}", flush=True)

    def end(self) -> None:
        """Stop reporting, because the last step has ended or failed."""
        self._timer.cancel()

    def _tell(self) -> None:
        print(f"{STARTING}{self._step} ...", file=sys.stderr, flush=True)


class Command:
    """Starts the command in a process of its own, and waits until it answers requests.

    The command ends when this process does, however it ends: its standard input is a pipe from
    this process.

    Parameters
    ----------
    arguments : sequence of str
        The program and its arguments.
    patient_s : float
        Seconds after which a line on standard error says what is being waited for.
    still_s : float
        Seconds without progress to the next step after which waiting ends with an error.

    Attributes
    ----------
    url : str
        Where it answers.
    process : subprocess.Popen

    Raises
    ------
    EmulatorFailed
        It ended, or there was no next step for too long. The message says which step it was at,
        and has the last lines that it wrote to standard error.
    """

    def __init__(
        self, arguments: Sequence[str], patient_s: float = PATIENT_S, still_s: float = _STILL_S
    ) -> None:
        self._still_s = still_s
        self._step = "its process is starting"
        self._is_up = False
        self._lines: Queue[str | None] = Queue()
        self._complaints: deque[str] = deque(maxlen=100)
        # A program of its own, so that a plain script needs no __main__ guard.
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(arguments, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        self._readers = [
            Thread(target=self._read_output, args=(self.process.stdout,), daemon=True),
            Thread(target=self._read_complaints, args=(self.process.stderr,), daemon=True),
        ]
        for reader in self._readers:
            reader.start()
        told = Timer(patient_s, self._tell, (patient_s,))
        told.daemon = True
        told.start()
        try:
            self.url = self._wait_for_url()
        except BaseException:
            self.close()
            raise
        finally:
            told.cancel()

    def close(self) -> None:
        """End the process. A second call does nothing."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(_END_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()
        for reader in self._readers:
            reader.join(_END_S)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()

    def _wait_for_url(self) -> str:
        gives_up_at = time.monotonic() + self._still_s
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, gives_up_at - time.monotonic()))
            except Empty:
                what = f"is not ready after {self._still_s:g} s without a next step"
                raise self._failure(what) from None
            if line is None:
                self.process.wait()
                self._readers[1].join(_END_S)
                raise self._failure(f"ended with status {self.process.returncode} at its start")
            if line.startswith(READY):
                self._is_up = True
                return line.removeprefix(READY).strip()
            if line.startswith(STARTING):
                self._step = line.removeprefix(STARTING).strip()
                gives_up_at = time.monotonic() + self._still_s

    def _tell(self, seconds: float) -> None:
        # Not logged: at its usual level nobody would see it.
        print(
            f"Waiting for the Earth Engine emulator, {seconds:g} s so far: {self._step} ...",
            file=sys.stderr,
            flush=True,
        )

    def _failure(self, what: str) -> EmulatorFailed:
        words = f"the emulator {what} ({self._step})"
        last = "".join(self._complaints).strip()
        return EmulatorFailed(f"{words}:\n{last}" if last else words)

    def _read_output(self, stream: IO[str]) -> None:
        for line in stream:
            self._lines.put(line)
        self._lines.put(None)

    def _read_complaints(self, stream: IO[str]) -> None:
        for line in stream:
            self._complaints.append(line)
            # What is said before it is up goes into the error, if there is one.
            if self._is_up:
                logger.warning("%s", line.rstrip("\n"))
