"""Messages between the server and its render processes, over a pair of sockets.

A message is its length followed by its pickle. Requests and answers alternate, so that a reader
never receives part of a next message. The server's end runs in its event loop, and never blocks to
read the rest of a message or to write one. Sockets are used instead of multiprocessing's pipes
because event loops can watch sockets on every system.
"""

from __future__ import annotations

import asyncio
import pickle
import socket
import struct
from typing import Any, Self, cast

_LENGTH = struct.Struct("!Q")
# Most messages fit, and so come with one call of the system.
_USUAL = 65536


def packed(message: Any) -> bytes:
    """Return the bytes of a message; built-in types pickle fastest."""
    body = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    return _LENGTH.pack(len(body)) + body


class _Inbox:
    """The buffer of a message that is being received."""

    def __init__(self) -> None:
        self._usual = self._view = memoryview(bytearray(_USUAL))
        self._filled = 0

    @property
    def room(self) -> memoryview:
        """Where the next bytes go; never empty."""
        return self._view[self._filled :]

    def is_whole(self, more: int) -> bool:
        """Note that so many bytes came, and return whether that is all."""
        self._filled += more
        if self._filled < _LENGTH.size:
            return False
        end = _LENGTH.size + _LENGTH.unpack_from(self._view)[0]
        if end > len(self._view):
            larger = memoryview(bytearray(end))
            larger[: self._filled] = self._view[: self._filled]
            self._view = larger
        return self._filled == end

    def take(self) -> Any:
        """Return the message, and be ready for another."""
        message = pickle.loads(self._view[_LENGTH.size : self._filled])
        self._view, self._filled = self._usual, 0
        return message


class Blocking:
    """One end of the connection, for code that may block.

    Parameters
    ----------
    end : socket
        A stream; with a timeout, :meth:`receive` raises TimeoutError after it.
    """

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._inbox = _Inbox()

    def send(self, message: Any) -> None:
        """Send a message."""
        self._socket.sendall(packed(message))

    def receive(self) -> Any:
        """Return the next message; EOFError if the other end is gone."""
        while True:
            count = self._socket.recv_into(self._inbox.room)
            if not count:
                raise EOFError
            if self._inbox.is_whole(count):
                return self._inbox.take()


class Channel(asyncio.BufferedProtocol):
    """The server's end of the connection, in its event loop: it sends a request, gets an answer."""

    def __init__(self) -> None:
        self._inbox = _Inbox()
        self._loop = asyncio.get_running_loop()
        self._answer: asyncio.Future[Any] | None = None
        self._is_lost = False

    @classmethod
    async def over(cls, end: socket.socket) -> Self:
        """Return a channel over a connected socket, which is the channel's from now on."""
        end.setblocking(False)
        loop = asyncio.get_running_loop()
        _, channel = await loop.create_connection(cls, sock=end)
        return channel

    async def ask(self, message: Any, seconds: float) -> Any:
        """Send a message and return its answer.

        Whatever goes wrong, and if it is cancelled, the channel is of no use afterwards: the
        answer may still come.

        Raises
        ------
        TimeoutError
            No answer came within the time.
        EOFError
            The other end is gone.
        """
        if self._is_lost:
            raise EOFError
        answer = self._answer = self._loop.create_future()
        timer = self._loop.call_later(seconds, self._be_late)
        try:
            self._transport.write(packed(message))
            return await answer
        finally:
            timer.cancel()
            self._answer = None

    def close(self) -> None:
        """Give the socket back to the system, within the same event loop."""
        self._transport.abort()

    def _be_late(self) -> None:
        self._fail(TimeoutError())

    def _fail(self, error: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self._transport = cast(asyncio.WriteTransport, transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where bytes that came are to go."""
        return self._inbox.room

    def buffer_updated(self, nbytes: int) -> None:
        """Take note of bytes that came."""
        if not self._inbox.is_whole(nbytes):
            return
        answer = self._inbox.take()
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let the coroutine that waits for an answer fail with EOFError, as none will come."""
        self._is_lost = True
        # Whatever the reason was, even a lack of memory for a message: the other end is gone.
        self._fail(EOFError())
