"""Where the emulator listens. Nothing here listens beyond this machine."""

import socket
import subprocess
import sys

import psutil
import pytest

from eedask.emulator import Emulator, __main__
from eedask.emulator.server.hosts import is_loopback, url_of, warn_of_host
from eedask.emulator.server.options import parse_options

HERE = ["127.0.0.1", "127.3.2.1", "::1", "localhost"]
BEYOND = ["0.0.0.0", "::", "", "192.168.1.5", "10.0.0.1", "fe80::1", "2001:db8::1", "a-name"]


@pytest.mark.parametrize("host", HERE)
def test_there_is_no_warning_of_this_machine(host, capsys):
    assert is_loopback(host)
    warn_of_host(host)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("host", BEYOND)
def test_there_is_a_warning_of_the_network(host, capsys):
    assert not is_loopback(host)
    warn_of_host(host)
    output, complaints = capsys.readouterr()
    assert output == ""
    assert complaints.startswith(f"Warning: listening on {host or 'all addresses'}: whoever")
    assert complaints.count("\n") == 1


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8778"),
        ("localhost", "http://localhost:8778"),
        ("0.0.0.0", "http://127.0.0.1:8778"),
        ("", "http://127.0.0.1:8778"),
        ("::", "http://[::1]:8778"),
        ("::1", "http://[::1]:8778"),
        ("192.168.1.5", "http://192.168.1.5:8778"),
    ],
)
def test_the_url_leads_there_from_this_machine(host, url):
    assert url_of(host, 8778) == url


class NoSocket(OSError):
    """In place of a socket."""


@pytest.fixture
def asked(monkeypatch):
    """Where sockets were asked for; none is made."""
    addresses = []

    def refuse(port, address=None, *_, **__):
        addresses.append(address)
        raise NoSocket("no socket")

    monkeypatch.setattr(__main__, "bind_sockets", refuse)
    # No other way to a socket that listens.
    monkeypatch.setattr(socket.socket, "listen", refuse)
    return addresses


def test_the_command_listens_to_this_machine_alone_unless_told(asked, capsys):
    assert parse_options([]).host == "127.0.0.1"
    assert __main__.main(["--port=0", "--processes=0"]) == 1
    assert asked == ["127.0.0.1"]
    assert "Warning" not in capsys.readouterr().err


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5"])
def test_the_command_warns_before_it_listens_to_others(asked, capsys, host):
    assert __main__.main([f"--host={host}", "--port=0", "--processes=0"]) == 1
    assert asked == [host]
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith(f"Warning: listening on {host}:")
    assert second.startswith(f"eedask-emulator: cannot listen on {host} at port 0 (no socket)")


def test_a_port_that_is_taken_is_told_with_what_to_do():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "eedask.emulator", f"--port={port}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"at port {port} (Address already in use): choose another" in done.stderr


def test_a_running_emulator_listens_to_this_machine_alone():
    """As the operating system has it: every listening socket, of the server and its renderers."""
    with Emulator(processes=1) as emulator:
        server = psutil.Process(emulator._command.process.pid)
        listening = {
            connection.laddr.ip
            for process in (server, *server.children(recursive=True))
            for connection in process.net_connections("inet")
            if connection.status == psutil.CONN_LISTEN
        }
        assert listening == {"127.0.0.1"}
        assert emulator.url.startswith("http://127.0.0.1:")
