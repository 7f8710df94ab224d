"""Where the emulator listens. Nothing here listens beyond this machine."""

import json
import socket
import subprocess
import sys
from urllib.parse import urlsplit

import ee
import psutil
import pytest
import urllib3

from eedask.emulator import Emulator, __main__
from eedask.emulator.server.hosts import Callers, is_loopback, url_of, warn_of_host
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


@pytest.mark.parametrize(
    ("listens", "host", "is_own"),
    [
        ("127.0.0.1", "127.0.0.1:8778", True),
        ("127.0.0.1", "LocalHost:8778", True),
        ("127.0.0.1", "[::1]:8778", True),
        ("127.0.0.1", "127.0.0.1.evil.example:8778", False),
        ("127.0.0.1", "localhost.evil.example", False),
        ("127.0.0.1", "evil.example:8778", False),
        ("127.0.0.1", "evil.example@127.0.0.1.evil.example", False),
        ("127.0.0.1", "[::1", False),
        ("127.0.0.1", "", False),
        ("127.0.0.1", "localhost:8778, evil.example", False),
        # A tunnel has a port of its own.
        ("127.0.0.1", "localhost:9999", True),
        ("ee.lab.example", "EE.lab.example:8778", True),
        ("ee.lab.example", "lab.example:8778", False),
        ("0.0.0.0", "192.168.1.5:8778", True),
        ("0.0.0.0", f"{socket.gethostname()}:8778", True),
        ("0.0.0.0", "evil.example:8778", False),
        ("", "evil.example:8778", False),
    ],
)
def test_it_answers_under_addresses_and_its_own_names(listens, host, is_own):
    callers = Callers.of(listens)
    assert (callers.refusal(host, None) is None) == is_own
    # A page is one of its own if it comes from where the request goes.
    assert (callers.refusal(host, f"http://{host}") is None) == is_own
    for origin in ("null", "", "http://evil.example", f"https://{host}", f"http://{host}1"):
        assert callers.refusal(host, origin).code == 403


@pytest.fixture(scope="module")
def thumbnail(emulator):
    """The path of a picture that a program has made."""
    with emulator.initialized():
        url = ee.Image(1).getThumbURL({"dimensions": 4, "region": ee.Geometry.BBox(0, 0, 1, 1)})
    return url.removeprefix(emulator.url)


def test_a_page_of_the_web_is_refused_whatever_it_asks(emulator, thumbnail):
    """As browsers send them: a form or script of a page, and a name that was led here."""
    parts = urlsplit(emulator.url)
    expression = json.dumps({"expression": {"result": "0", "values": {"0": {"constantValue": 1}}}})
    asked = [
        ("POST", f"/v1/projects/{emulator.project}/value:compute", expression),
        ("POST", "/emulator/faults", '{"500": 1}'),
        ("POST", "/emulator/quotas", '{"concurrency": 0}'),
        ("OPTIONS", "/emulator/quotas", None),
        ("GET", "/emulator/stats", None),
        ("GET", "/$discovery/rest?version=v1", None),
        ("GET", thumbnail, None),
    ]
    before = emulator.stats()
    for headers in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": f"http://localhost:{parts.port}", "Host": f"127.0.0.1:{parts.port}"},
        {"Host": f"evil.example:{parts.port}"},
        {"Host": f"evil.example:{parts.port}", "Origin": f"http://evil.example:{parts.port}"},
    ):
        for method, path, body in asked:
            answer = urllib3.request(method, emulator.url + path, body=body, headers=headers)
            assert answer.status == 403
            assert answer.json()["error"].keys() == {"code", "message", "status"}
            assert answer.json()["error"]["status"] == "PERMISSION_DENIED"
            assert not [name for name in answer.headers if name.startswith("Access-Control")]
    assert emulator.stats() == before


def test_an_address_typed_into_a_browser_shows_its_picture(emulator, thumbnail):
    parts = urlsplit(emulator.url)
    headers = {
        "Host": f"localhost:{parts.port}",
        "Accept": "text/html,image/avif,image/webp,*/*;q=0.8",
        "Sec-Fetch-Mode": "navigate",
        "Sec-Fetch-Site": "none",
    }
    for more in ({}, {"Origin": f"http://localhost:{parts.port}"}):
        answer = urllib3.request("GET", emulator.url + thumbnail, headers={**headers, **more})
        assert answer.status == 200
        assert answer.headers["Content-Type"].startswith("image/")


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


@pytest.mark.slow
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
