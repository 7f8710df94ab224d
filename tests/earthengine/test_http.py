"""Proxies and certificates, as the environment has them set."""

import contextlib
import datetime
import ipaddress
import select
import socket
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from eedask.earthengine.connection import Connection
from eedask.earthengine.endpoint import Endpoint, Request
from eedask.errors import AuthorizationError, TransientError

ASK = Request("POST", "projects/p/value:compute", body={"expression": {}})
NAMES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    for name in (*NAMES, *map(str.lower, NAMES), "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


class Answering(BaseHTTPRequestHandler):
    """Answers every request, and passes connections on as a proxy does."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.heard.append((self.path, self.headers.get("Proxy-Authorization")))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def do_CONNECT(self):
        self.server.heard.append((f"CONNECT {self.path}", self.headers.get("Proxy-Authorization")))
        host, port = self.path.rsplit(":", 1)
        with socket.create_connection((host, int(port))) as there:
            self.send_response(200)
            self.end_headers()
            self.pass_on(there)
        self.close_connection = True

    def pass_on(self, there):
        ends = {self.connection: there, there: self.connection}
        while ready := select.select(list(ends), [], [], 5)[0]:
            for end in ready:
                if not (data := end.recv(1 << 16)):
                    return
                ends[end].sendall(data)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def listening(context=None):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    server.daemon_threads, server.heard = True, []
    server.handle_error = lambda *_: None
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate that nobody has signed but itself, and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a test of eedask")])
    now = datetime.datetime.now(datetime.UTC)
    here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(here, critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path = tmp_path_factory.mktemp("certificate") / "server.pem"
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def secure(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with listening(context) as server:
        yield server


def ask(url):
    connection = Connection(Endpoint(url, "p", auth="anonymous", deadline=5.0))
    try:
        return [connection.send(ASK) for _ in range(2)]
    finally:
        connection.close()


def test_a_proxy_of_the_environment_is_used(monkeypatch):
    with listening() as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://me:word@127.0.0.1:{proxy.server_port}")
        assert ask("http://earthengine.invalid") == [b"{}", b"{}"]
    path = "http://earthengine.invalid/v1/projects/p/value:compute"
    assert proxy.heard == [(path, "Basic bWU6d29yZA==")] * 2


def test_hosts_without_a_proxy_are_asked_straight(monkeypatch):
    with listening() as proxy, listening() as server:
        monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{proxy.server_port}")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        assert ask(f"http://127.0.0.1:{server.server_port}") == [b"{}", b"{}"]
    assert not proxy.heard
    assert [path for path, _ in server.heard] == ["/v1/projects/p/value:compute"] * 2


def test_tls_goes_through_a_proxy_unread(monkeypatch, secure, certificate):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    with listening() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"127.0.0.1:{proxy.server_port}")
        assert ask(f"https://127.0.0.1:{secure.server_port}") == [b"{}", b"{}"]
    assert proxy.heard == [(f"CONNECT 127.0.0.1:{secure.server_port}", None)]
    assert [path for path, _ in secure.heard] == ["/v1/projects/p/value:compute"] * 2


@pytest.mark.parametrize("through", [False, True], ids=["straight", "through a proxy"])
def test_a_certificate_that_is_not_trusted_stops_at_once(monkeypatch, secure, through):
    with listening() as proxy:
        if through:
            monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.server_port}")
        with pytest.raises(AuthorizationError, match="name its certificates in REQUESTS_CA_BUNDLE"):
            ask(f"https://127.0.0.1:{secure.server_port}")
    assert not secure.heard


def test_a_proxy_that_is_not_there_is_a_fault_that_may_pass(monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free.getsockname()[1]}")
        with pytest.raises(TransientError):
            ask("http://earthengine.invalid")
