"""Messages between the server's event loop and what renders, and requests that are given up."""

import asyncio
import json
import os
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import pytest

from eedask.emulator.server.channel import Blocking, Channel, packed
from eedask.emulator.server.messages import Request, Settings
from eedask.emulator.server.pool import ProcessPool


@asynccontextmanager
async def asking(answer):
    """Yield a channel to a thread that runs ``answer`` with the other end's socket."""
    ours, theirs = socket.socketpair()
    with theirs, ThreadPoolExecutor(1) as thread:
        channel = await Channel.over(ours)
        done = asyncio.get_running_loop().run_in_executor(thread, answer, theirs)
        try:
            yield channel
            await done
        finally:
            channel.close()


def echo(end):
    other = Blocking(end)
    try:
        while True:
            other.send(other.receive())
    except (EOFError, OSError):
        pass


def ask_all(answer, *messages, seconds=60.0):
    async def ask():
        answers = []
        async with asking(answer) as channel:
            for message in messages:
                answers.append(await channel.ask(message, seconds))
            channel.close()
        return answers

    return asyncio.run(ask())


# Around the size that usually suffices, and far over what the system keeps of a socket.
@pytest.mark.parametrize("size", [0, 1, 65_000, 65_536, 70_000, 20_000_000])
def test_what_is_asked_comes_back_and_so_does_the_next(size):
    message = (size, {"a": None}, bytes(range(256)) * (size // 256))
    assert ask_all(echo, message, "small", message) == [message, "small", message]


def test_large_messages_leave_the_loop_to_others():
    async def ask():
        turns = 0

        async def count():
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        async with asking(echo) as channel:
            counting = asyncio.create_task(count())
            await channel.ask(bytes(20_000_000), 60)
            counting.cancel()
            channel.close()
        return turns

    assert asyncio.run(ask()) > 20


def test_a_message_may_come_byte_by_byte():
    def drip(end):
        Blocking(end).receive()
        for byte in packed(["slow", 1]):
            end.sendall(bytes([byte]))

    assert ask_all(drip, "question") == [["slow", 1]]


def test_an_end_without_an_answer_says_so():
    def leave(end):
        Blocking(end).receive()
        end.sendall(packed("half of it")[:9])
        end.shutdown(socket.SHUT_RDWR)

    async def ask():
        async with asking(leave) as channel:
            for _ in range(2):
                with pytest.raises(EOFError):
                    await channel.ask("question", 60)

    asyncio.run(ask())


def test_what_is_no_message_ends_the_channel(caplog):
    def babble(end):
        Blocking(end).receive()
        end.sendall(b"\0\0\0\0\0\0\0\3" + b"abc")

    with pytest.raises(EOFError):
        ask_all(babble, "question")
    assert "buffer_updated" in caplog.text


def test_an_answer_that_does_not_come_is_late():
    with pytest.raises(TimeoutError):
        ask_all(lambda end: end.recv(1), "question", seconds=0.01)


def value_of(number):
    graph = {"result": "0", "values": {"0": {"constantValue": number}}}
    body = json.dumps({"expression": graph}).encode()
    return Request("POST", "/v1/projects/p/value:compute", {}, body, False)


def test_a_request_that_is_given_up_does_not_answer_the_next(tmp_path):
    async def give_up_one():
        pool = ProcessPool(Settings(tmp_path), 1)
        try:
            assert json.loads((await pool.answer(value_of(1), lambda: True)).body) == {"result": 1}
            process = pool._renderers[0].process
            os.kill(process.pid, signal.SIGSTOP)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(pool.answer(value_of(2), lambda: True), 0.1)
            answer = await pool.answer(value_of(3), lambda: True)
            assert pool._renderers[0].process is not process
            return json.loads(answer.body)
        finally:
            pool.close()

    assert asyncio.run(give_up_one()) == {"result": 3}
