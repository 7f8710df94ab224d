"""One exchange over real sockets: what is sent, and what every fault turns into."""

import gzip
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate

import pytest
from google.auth import exceptions as google_exceptions
from google.auth.credentials import Credentials
from google.oauth2.credentials import Credentials as UserCredentials
from loopback import reply, serving

from eedask.earthengine.connection import Connection, user_agent
from eedask.earthengine.endpoint import Endpoint, Request
from eedask.errors import (
    AuthorizationError,
    PermanentError,
    QuotaError,
    TransientError,
)
from eedask.quota.limiter import Limiter

ASK = Request("POST", "projects/p/value:compute", body={"expression": {"a": "é"}})


class Token(Credentials):
    """Credentials that count how often they are renewed."""

    def __init__(self, works=True):
        super().__init__()
        self.renewed = 0
        self._works = works

    def refresh(self, request):
        self.renewed += 1
        if not self._works:
            raise google_exceptions.RefreshError("invalid_grant: token was revoked")
        self.token = f"token-{self.renewed}"


def exchange(answer, request=ASK, deadline=5.0, credentials=None):
    with serving(answer) as url:
        auth = "anonymous" if credentials is None else "default"
        connection = Connection(Endpoint(url, "p", auth=auth, deadline=deadline), credentials)
        try:
            return connection.send(request)
        finally:
            connection.close()


def test_what_is_sent():
    seen = {}

    def answer(handler):
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        seen.update(path=handler.path, body=json.loads(body), headers=dict(handler.headers))
        reply_to = handler.headers
        reply_to.replace_header("Content-Length", "0")
        reply(handler, 200, b"{}")

    request = Request("POST", "projects/p/thumbnails", {"fields": "name"}, ASK.body)
    assert exchange(answer, request) == b"{}"
    assert seen["path"] == "/v1/projects/p/thumbnails?fields=name"
    assert seen["body"] == ASK.body
    assert seen["headers"]["User-Agent"] == user_agent()
    assert "gzip" in user_agent(), "some of Google's services pack their answers only then"
    assert "Authorization" not in seen["headers"]


def test_gzipped_answers_are_unpacked():
    packed = gzip.compress(b"x" * 1000)
    headers = {"Content-Encoding": "gzip"}
    assert exchange(lambda h: reply(h, 200, packed, headers)) == b"x" * 1000


def test_connections_are_kept():
    ports = set()

    def answer(handler):
        ports.add(handler.client_address[1])
        reply(handler, 200, b"ok")

    with serving(answer) as url:
        connection = Connection(Endpoint(url, "p", auth="anonymous"))
        for _ in range(5):
            connection.send(ASK)
        connection.close()
    assert len(ports) == 1


def test_refusals_keep_their_words():
    body = json.dumps({"error": {"code": 400, "message": "Image.select: no such band"}}).encode()
    with pytest.raises(PermanentError, match=r"HTTP 400: Image\.select: no such band"):
        exchange(lambda h: reply(h, 400, body))


def test_redirects_are_not_followed():
    with pytest.raises(TransientError, match=r"HTTP 302: .* leads to http://127\.0\.0\.1:9/"):
        exchange(lambda h: reply(h, 302, b"", {"Location": "http://127.0.0.1:9/"}))


def test_a_short_body_is_a_fault_that_passes():
    with pytest.raises(TransientError, match="connection broke"):
        exchange(lambda h: reply(h, 200, b"half", {"Connection": "close"}, length=100))


def test_a_connection_that_is_dropped_is_a_fault_that_passes():
    def answer(handler):
        handler.close_connection = True

    with pytest.raises(TransientError, match="connection broke"):
        exchange(answer)


def test_a_server_that_is_not_there_is_a_fault_that_passes():
    with serving(lambda h: None) as url:
        pass
    connection = Connection(Endpoint(url, "p", auth="anonymous"))
    with pytest.raises(TransientError, match="cannot be reached"):
        connection.send(ASK)
    connection.close()


def test_a_hang_ends_at_the_deadline():
    started = time.monotonic()
    with pytest.raises(TransientError, match="no whole answer within"):
        exchange(lambda h: time.sleep(2), deadline=0.3)
    assert time.monotonic() - started < 5


def drip(handler, body=b"x" * 100, pause=0.05):
    reply(handler, 200, b"", length=len(body))
    for k in range(len(body)):
        handler.wfile.write(body[k : k + 1])
        time.sleep(pause)


def test_a_slow_drip_ends_at_the_deadline_and_its_connection_is_not_used_again():
    ports = []

    def answer(handler):
        ports.append(handler.client_address[1])
        drip(handler) if len(ports) == 1 else reply(handler, 200, b"whole")

    with serving(answer) as url:
        connection = Connection(Endpoint(url, "p", auth="anonymous", deadline=0.5), connections=1)
        started = time.monotonic()
        with pytest.raises(TransientError, match=r"no whole answer within"):
            connection.send(ASK)
        assert time.monotonic() - started < 4  # it drips for five
        # The pool has its one place back.
        assert connection.send(ASK) == b"whole"
        connection.close()
    assert ports[0] != ports[1]


def test_a_stall_within_the_body_ends_at_the_same_deadline():
    def answer(handler):
        drip(handler, b"xxx", 0.2)
        time.sleep(1)

    def stall(handler):
        reply(handler, 200, b"half", length=100)
        time.sleep(2)

    assert exchange(answer, deadline=20.0) == b"xxx"
    started = time.monotonic()
    with pytest.raises(TransientError, match="no whole answer within"):
        exchange(stall, deadline=0.4)
    assert time.monotonic() - started < 3


def test_a_connection_closed_when_idle_says_so_and_is_not_sent_again():
    seen = []

    def answer(handler):
        seen.append(1)
        if len(seen) == 2:
            handler.close_connection = True
        else:
            reply(handler, 200, b"ok")

    with serving(answer) as url:
        connection = Connection(Endpoint(url, "p", auth="anonymous"), connections=1)
        assert connection.send(ASK) == b"ok"
        with pytest.raises(TransientError, match="kept open for reuse"):
            connection.send(ASK)
        assert len(seen) == 2
        assert connection.send(ASK) == b"ok"
        connection.close()


def test_restricted_mode_is_handed_on():
    heard = []
    headers = {"x-earth-engine-quota-status": "parallelism_restricted=true"}
    answers = [headers, {}, headers]

    with serving(lambda h: reply(h, 200, b"ok", answers.pop())) as url:
        endpoint = Endpoint(url, "p", auth="anonymous")
        connection = Connection(endpoint, on_restricted=lambda: heard.append(1))
        for _ in range(3):
            connection.send(ASK)
        connection.close()
    assert len(heard) == 2


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("7", 7), ("0.5", 0.5), ("date", 90), ("soon", None)],
)
def test_retry_after_is_seconds_or_a_date(value, seconds):
    if value == "date":
        value = formatdate(time.time() + seconds, usegmt=True)
    with pytest.raises(QuotaError) as caught:
        exchange(lambda h: reply(h, 429, b"{}", {"Retry-After": value}))
    assert caught.value.retry_after == (seconds and pytest.approx(seconds, abs=5))


def test_tokens_that_end_early_cost_no_request_and_are_renewed_once_for_all_threads():
    lock, uses = threading.Lock(), {}

    def answer(handler):
        token = handler.headers["Authorization"]
        with lock:
            uses[token] = uses.get(token, 0) + 1
            is_over = uses[token] > 50
        reply(handler, 401 if is_over else 200, b"{}")

    token = Token()
    with serving(answer) as url, ThreadPoolExecutor(8) as threads:
        connection = Connection(Endpoint(url, "p"), token)
        answers = list(threads.map(connection.send, [ASK] * 200))
        connection.close()
    assert answers == [b"{}"] * 200
    assert token.renewed == 4


def test_credentials_are_renewed_once_and_sent_with_the_project():
    seen = []

    def answer(handler):
        seen.append((handler.headers["Authorization"], handler.headers["X-Goog-User-Project"]))
        reply(handler, 200, b"ok")

    token = Token()
    assert exchange(answer, credentials=token) == b"ok"
    assert seen == [("Bearer token-1", "p")]
    assert token.renewed == 1


def test_credentials_that_cannot_be_renewed_say_what_to_do():
    with pytest.raises(AuthorizationError, match=r"token was revoked.*earthengine authenticate"):
        exchange(lambda h: reply(h, 200, b"ok"), credentials=Token(works=False))


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (503, b"busy", TransientError),
        (200, b"<html>", TransientError),
        (200, b'{"access_token": "a", "expires_in": []}', TransientError),
        (400, b'{"error": "temporarily_unavailable"}', TransientError),
        (400, b'{"error": "invalid_grant"}', AuthorizationError),
    ],
)
def test_a_token_server_that_is_busy_is_not_one_that_refuses(status, body, kind, monkeypatch):
    # google-auth waits seconds between its own tries.
    monkeypatch.setattr(time, "sleep", lambda _: None)
    with serving(lambda handler: reply(handler, status, body)) as url:
        held = {"refresh_token": "r", "client_id": "i", "client_secret": "s"}
        credentials = UserCredentials(None, token_uri=f"{url}/token", **held)
        with pytest.raises(kind, match="credentials"):
            exchange(lambda handler: reply(handler, 200, b"{}"), credentials=credentials)


def test_a_refused_token_is_renewed_and_then_reported():
    token = Token()
    body = json.dumps({"error": {"message": "Request had invalid credentials."}}).encode()
    with pytest.raises(AuthorizationError, match="invalid credentials"):
        exchange(lambda h: reply(h, 401, body), credentials=token)
    assert token.renewed == 3


def test_each_exchange_takes_a_slot_also_one_that_only_repeats_with_another_token():
    slots, token = Limiter(1), Token()
    statuses = [401, 200, 401, 401, 200]
    with serving(lambda h: reply(h, statuses.pop(0), b"{}")) as url:
        connection = Connection(Endpoint(url, "p"), token)
        for _ in range(2):
            assert connection.send(ASK, slots.slot) == b"{}"
        connection.close()
    assert not statuses
    usage = slots.next_usage()
    assert (usage.done, usage.in_flight, usage.throttled) == (2, 0, 0)


def test_a_repeated_exchange_waits_for_a_token_of_the_rate():
    slots, token = Limiter(4, rate=5), Token()
    times, statuses = [], [401, 401, 200]

    def answer(handler):
        times.append(time.monotonic())
        reply(handler, statuses.pop(0), b"{}")

    with serving(answer) as url:
        connection = Connection(Endpoint(url, "p"), token)
        connection.send(ASK, slots.slot)
        connection.close()
    assert times[2] - times[0] >= 2 / 5 - 0.05
