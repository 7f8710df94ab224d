"""Whose credentials workers use, that tokens are renewed, and that nothing lasting leaves home."""

import contextlib
import json
import logging
import os
import pickle
import re
import select
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import cloudpickle
import dask
import distributed
import ee
import pytest
import urllib3
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from ee import _state
from google.oauth2.credentials import Credentials
from loopback import reply, serving
from mounted import SCENE

import eedask
from eedask.earthengine import credentials as sources
from eedask.earthengine import token_sharing, tokens
from eedask.earthengine.connection import Connection
from eedask.earthengine.endpoint import (
    Endpoint,
    Request,
    endpoint_of_client,
    ensure_client,
    sharing_tokens,
)
from eedask.emulator import Emulator
from eedask.errors import AuthorizationError, InputError, PermanentError, RunStopped

SECRETS = ("1//a-lasting-refresh-token", "a-client-secret-of-some-length")
LIFE_S = 2.0


@pytest.fixture(scope="module")
def nobody(tmp_path_factory):
    """A machine where nobody has logged in, for this process and those that it starts."""
    home = str(tmp_path_factory.mktemp("home"))
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HOME", "USERPROFILE", "CLOUDSDK_CONFIG", "APPDATA"):
            patch.setenv(name, home)
        patch.setenv("NO_GCE_CHECK", "true")
        patch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
        yield home


@pytest.fixture(scope="module")
def guarded(rasters):
    """An emulator whose tokens live two seconds."""
    mounts = {SCENE: rasters.scene}
    with Emulator(mounts=mounts, processes=1, token_seconds=LIFE_S) as running:
        yield running


@pytest.fixture
def user(guarded):
    """The ``ee`` client of a user with a refresh token."""
    ee.Initialize(credentials_of(guarded), url=guarded.url, project=guarded.project)
    yield guarded
    if session := _state.get_state().requests_session:
        session.close()
    ee.Reset()


@pytest.fixture(scope="module")
def cluster(nobody):
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=2, dashboard_address="127.0.0.1:0"
        ) as running,
        distributed.Client(running, set_as_default=False) as client,
    ):
        yield SimpleNamespace(cluster=running, client=client)


def credentials_of(emulator, refresh_token=SECRETS[0]):
    return Credentials(
        None,
        refresh_token=refresh_token,
        client_id="an-id",
        client_secret=SECRETS[1],
        token_uri=f"{emulator.url}/emulator/token",
    )


def asking(project):
    graph = {"result": "0", "values": {"0": {"constantValue": 1}}}
    return Request("POST", f"projects/{project}/value:compute", body={"expression": graph})


def compute(endpoint, _=None):
    """Return one answer from this process."""
    connection = Connection(endpoint)
    try:
        return connection.send(asking(endpoint.project))
    finally:
        connection.close()


def add_by_client(endpoint):
    """Return what the ``ee`` client of this process computes."""
    ensure_client(endpoint)
    return ee.Number(1).add(1).getInfo()


def plan_of(points, out, count=40, **more):
    items = points.loc[points.index.repeat(-(-count // len(points)))][:count]
    items.index = [f"i{k:03d}" for k in range(count)]
    return eedask.chips(
        items, ee.Image(SCENE).select("R"), out=out, shape=(8, 8), scale=5, format="npy", **more
    )


def run(plan, client):
    with client.as_current(), sharing_tokens(plan.task.endpoint, client):
        return plan.run(progress=False)


# What is asked for, and what is found.


def test_what_can_be_asked_for(user):
    assert endpoint_of_client().auth == "auto"
    assert endpoint_of_client(credentials="client").auth == "client"
    assert endpoint_of_client(credentials=Path("/keys/a.json")).auth == "key:/keys/a.json"
    with pytest.raises(InputError, match="absolute path"):
        endpoint_of_client(credentials="key.json")


def test_the_users_own_process_uses_the_users_own_object(user):
    endpoint, own = endpoint_of_client(), _state.get_state().credentials
    assert sources.find(endpoint.auth, endpoint.origin).credentials is own
    # Even when the user has become somebody else since.
    ee.Initialize(credentials_of(user, "another"), url=user.url, project=user.project)
    assert sources.find(endpoint.auth, endpoint.origin).credentials is own
    assert endpoint_of_client().origin != endpoint.origin
    assert json.loads(compute(endpoint)) == {"result": 1}


def test_a_process_without_credentials_says_what_to_do(nobody):
    with pytest.raises(AuthorizationError, match=r"earthengine authenticate.*credentials='client'"):
        compute(Endpoint("http://127.0.0.1:9", "p", auth="default", origin="elsewhere"))
    with pytest.raises(AuthorizationError, match="no Dask worker"):
        compute(Endpoint("http://127.0.0.1:9", "p", auth="client", origin="elsewhere"))


def write_key(path, token_uri, **more):
    """Write a service account's key file."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    account = {"type": "service_account", "client_email": "a@b.iam", "private_key": key.decode()}
    path.write_text(json.dumps(account | {"token_uri": token_uri} | more))


def test_a_key_file_is_used_where_it_lies(guarded, tmp_path):
    path, token_uri = tmp_path / "key.json", f"{guarded.url}/emulator/token"
    write_key(path, token_uri)
    endpoint = Endpoint(guarded.url, guarded.project, auth=f"key:{path}")
    assert json.loads(compute(endpoint)) == {"result": 1}
    assert b"PRIVATE" not in pickle.dumps(endpoint)
    write_key(path, token_uri, private_key="not-a-key-but-secret")
    with pytest.raises(AuthorizationError, match=r"key\.json cannot be used") as caught:
        compute(endpoint)
    assert "not-a-key" not in repr(caught.value)
    with pytest.raises(AuthorizationError, match="No such file"):
        compute(Endpoint(guarded.url, guarded.project, auth="key:/nowhere/key.json"))


def test_what_holds_a_token_hides_it_and_is_not_pickled(guarded):
    own = credentials_of(guarded)
    bearer, granted = tokens.Bearer(lambda: own), token_sharing.ClientTokens("origin")
    grant = token_sharing.Grant("origin", bearer.token(), 1.0)
    granted.receive(grant)
    found = sources.Found(own, "whose", "remedy")
    for holder in (bearer, granted, grant, found):
        assert not any(secret in repr(holder) for secret in (*SECRETS, own.token))
    for holder in (bearer, granted):
        with pytest.raises(TypeError, match="stay in their process"):
            pickle.dumps(holder)
    bearer.close()


@pytest.mark.parametrize(
    ("address", "is_clear"),
    [
        ("tcp://10.1.2.3:8786", True),
        ("tcp://node7:8786", True),
        ("tcp://127.0.0.1:8786", False),
        ("tcp://[::1]:8786", False),
        ("tls://10.1.2.3:8786", False),
        ("inproc://10.1.2.3/1/2", False),
    ],
)
def test_clear_text_to_another_host_warns_once(guarded, caplog, address, is_clear):
    sent = []
    client = SimpleNamespace(
        id=address,
        scheduler=SimpleNamespace(address=address),
        subscribe_topic=lambda *_: None,
        unsubscribe_topic=lambda *_: None,
        run=lambda _, grant, **__: sent.append(grant),
    )
    with token_sharing.sharing(client, "origin", lambda: credentials_of(guarded)):
        sharer = token_sharing._SHARERS[address, "origin"]
        for _ in range(2):
            sharer._answer(address, "")
    assert len(sent) == 2
    warnings = [r.message for r in caplog.records if "unencrypted" in r.message]
    assert len(warnings) == is_clear
    assert not is_clear or "TLS" in warnings[0]


# On a cluster.


@pytest.mark.slow
def test_two_hundred_items_outlive_their_tokens(user, cluster, points, tmp_path):
    user.set_quotas(latency=0.3)
    user.reset_stats()
    started = time.monotonic()
    try:
        result = run(plan_of(points, tmp_path / "out", 200, concurrency=10), cluster.client)
    finally:
        user.set_quotas(latency=0)
    assert time.monotonic() - started > 2 * LIFE_S
    assert (result.manifest["status"] == "ok").all()
    assert len(result.manifest) == 200
    assert (result.manifest["attempts"] == 1).all()
    assert user.stats()["by_status"].get("200", 0) >= 200


@pytest.mark.slow
def test_late_and_restarted_workers_get_tokens(user, cluster):
    client, endpoint = cluster.client, endpoint_of_client()
    before = set(client.scheduler_info()["workers"])
    cluster.cluster.scale(2)
    client.wait_for_workers(2, timeout=90)
    try:
        with sharing_tokens(endpoint, client):
            (late,) = set(client.scheduler_info()["workers"]) - before
            assert json.loads(client.submit(compute, endpoint, workers=[late]).result(20))
            client.restart_workers([late])
            client.wait_for_workers(2, timeout=90)
            futures = client.map(compute, [endpoint] * 3, range(3), pure=False)
            assert all(json.loads(f) == {"result": 1} for f in client.gather(futures))
            # Else what the leaving worker holds of them would be computed anew, unshared.
            del futures
    finally:
        cluster.cluster.scale(1)


def test_the_client_of_a_worker_is_initialised_with_tokens(user, cluster):
    endpoint = endpoint_of_client()
    with sharing_tokens(endpoint, cluster.client):
        assert cluster.client.submit(add_by_client, endpoint, pure=False).result(30) == 2


def test_sharing_twice_ends_with_the_last(user, cluster):
    client, endpoint = cluster.client, endpoint_of_client()
    with sharing_tokens(endpoint, client):
        with sharing_tokens(endpoint, client):
            pass
        assert client.submit(compute, endpoint, pure=False).result(20)
    assert (client.id, endpoint.origin) not in token_sharing._SHARERS
    assert token_sharing.topic(endpoint.origin) in client._event_handlers


def test_a_revoked_credential_stops_the_run_and_says_what_to_do(guarded, cluster, points, tmp_path):
    user = credentials_of(guarded, "to-be-revoked")
    ee.Initialize(user, url=guarded.url, project=guarded.project)
    try:
        plan = plan_of(points, tmp_path / "out", 200)
        guarded.revoke("to-be-revoked")
        started = time.monotonic()
        with pytest.raises(RunStopped, match=r"earthengine authenticate") as caught:
            run(plan, cluster.client)
        assert time.monotonic() - started < 60
        with pytest.raises(AuthorizationError, match=r"expired or revoked.*authenticate"):
            compute(plan.task.endpoint)
    finally:
        _state.get_state().requests_session.close()
        ee.Reset()
    assert not any(secret in repr(caught.value) for secret in SECRETS)


def table_of(points, out, count, **more):
    items = points.loc[points.index.repeat(3)].set_axis([f"i{k:03d}" for k in range(120)])
    items = items[: 3 * count]
    return eedask.sample_points(items, ee.Image(SCENE), out=out, scale=5, batch_size=3, **more)


@pytest.mark.parametrize("verb", [plan_of, table_of])
@pytest.mark.parametrize("where", ["threads", "cluster"])
@pytest.mark.cross(4)
def test_what_is_revoked_during_a_run_costs_no_item(
    guarded, cluster, points, tmp_path, where, verb
):
    """First the token, then the user, who comes back."""
    held = [f"{where}-{verb.__name__}-{k}" for k in range(2)]
    user, revoked = credentials_of(guarded, held[0]), []

    def revoke(now):
        due = [user.token] if now.done else []
        due += [held[0]] if now.done > now.total / 4 else []
        for one in due[len(revoked) :]:
            guarded.revoke(one)
            revoked.append(one)

    def run(plan, progress):
        if where == "cluster":
            with cluster.client.as_current():
                return plan.run(progress=progress)
        with dask.config.set(scheduler="threads"):
            return plan.run(progress=progress)

    # So slow that much is left when the progress that revokes is told, on a busy machine too.
    plan = {"points": points, "out": tmp_path, "count": 24, "concurrency": 2, "rate": 10}
    guarded.reset_stats()
    ee.Initialize(user, url=guarded.url, project=guarded.project)
    try:
        with pytest.raises(RunStopped, match=r"expired or revoked.*ee.Initialize.*the plan anew"):
            run(verb(**plan), revoke)
        before = eedask.open_result(tmp_path).manifest
        assert before["status"].dropna().eq("ok").all()
        assert before["status"].eq("ok").sum() > len(before) / 4
        _state.get_state().requests_session.close()
        ee.Initialize(credentials_of(guarded, held[1]), url=guarded.url, project=guarded.project)
        manifest = run(verb(**plan), False).manifest
    finally:
        _state.get_state().requests_session.close()
        ee.Reset()
    assert len(revoked) == 2
    assert manifest["status"].eq("ok").all()
    assert manifest["attempts"].eq(1).all()
    # None twice but those under way as it stopped; what is asked of the image comes before.
    assert guarded.stats()["by_status"]["200"] <= 24 + 2 + 10


def test_threads_of_the_users_process_renew_the_users_credentials(user, points, tmp_path):
    with dask.config.set(scheduler="threads"):
        result = plan_of(points, tmp_path / "out", 20).run(progress=False)
    assert (result.manifest["status"] == "ok").all()


# On a cluster whose machines have an account of their own.

NO_ASSET = "Permission 'earthengine.assets.get' denied on resource 'projects/p/assets/a'."


class Gate:
    """Stands before the emulator and refuses the machine's tokens, which it gives out itself."""

    def __init__(self, emulator, status, message):
        self.refused, self.passed = 0, 0
        self.refuses_all = False
        self._url, self._pool = emulator.url, urllib3.PoolManager()
        self._machines = set()
        self._status, self._error = status, {"error": {"code": status, "message": message}}

    def __call__(self, handler):
        token = handler.headers.get("Authorization", "").removeprefix("Bearer ")
        is_refused = self.refuses_all or token in self._machines
        if is_refused and handler.path != "/emulator/token":
            self.refused += 1
            return reply(handler, self._status, json.dumps(self._error).encode())
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        del handler.headers["Content-Length"]
        names = ("Authorization", "Content-Type")
        headers = {name: handler.headers[name] for name in names if name in handler.headers}
        answer = self._pool.request(
            handler.command, self._url + handler.path, body=body, headers=headers
        )
        if handler.path == "/emulator/token":
            self._machines.add(json.loads(answer.data)["access_token"])
        else:
            self.passed += 1
        return reply(handler, answer.status, answer.data)


def set_variable(name, value):
    """Set or remove a variable of the environment of the process that this runs in."""
    if value is None:
        del os.environ[name]
    else:
        os.environ[name] = value


@contextlib.contextmanager
def refusing(guarded, cluster, tmp_path, status, message):
    """Yield a gate, while the user's client and the workers' own account go through it."""
    gate, name = Gate(guarded, status, message), "GOOGLE_APPLICATION_CREDENTIALS"
    with serving(gate) as url:
        write_key(tmp_path / "machine.json", f"{url}/emulator/token")
        ee.Initialize(credentials_of(guarded), url=url, project=guarded.project)
        cluster.client.run(set_variable, name, str(tmp_path / "machine.json"))
        try:
            yield gate
        finally:
            cluster.client.run(set_variable, name, None)
            _state.get_state().requests_session.close()
            ee.Reset()
            gate._pool.clear()


@pytest.mark.parametrize("ask", [compute, add_by_client])
@pytest.mark.parametrize("status", [401, 403])
def test_the_users_tokens_are_tried_where_the_machines_account_is_refused(
    guarded, cluster, tmp_path, status, ask
):
    with refusing(guarded, cluster, tmp_path, status, "Not registered.") as gate:
        endpoint, worker = endpoint_of_client(), min(cluster.client.scheduler_info()["workers"])
        with sharing_tokens(endpoint, cluster.client):
            cluster.client.submit(ask, endpoint, workers=[worker], pure=False).result(30)
            refused = gate.refused
            assert refused
            cluster.client.submit(ask, endpoint, workers=[worker], pure=False).result(30)
        # The second time, the worker knew.
        assert gate.refused == refused


def test_a_run_ends_whole_where_the_machines_account_is_refused(guarded, cluster, points, tmp_path):
    with refusing(guarded, cluster, tmp_path, 403, "Not registered.") as gate:
        manifest = run(plan_of(points, tmp_path / "out", 20), cluster.client).manifest
    assert gate.refused
    assert (manifest["status"] == "ok").all()
    assert (manifest["attempts"] == 1).all()


@pytest.mark.parametrize("ask", [compute, add_by_client])
def test_a_run_stops_where_the_users_tokens_are_refused_too(guarded, cluster, tmp_path, ask):
    with refusing(guarded, cluster, tmp_path, 403, "Not registered.") as gate:
        gate.refuses_all = True
        endpoint = endpoint_of_client()
        with sharing_tokens(endpoint, cluster.client):
            error = cluster.client.submit(ask, endpoint, pure=False).exception(30)
    assert isinstance(error, AuthorizationError)
    assert re.search(r"access tokens from the process.*machine's own.*Not registered", str(error))
    assert gate.refused == 2


@pytest.mark.parametrize(
    ("auth", "message", "kind"),
    [(None, NO_ASSET, PermanentError), ("default", "Not registered.", AuthorizationError)],
)
def test_the_users_tokens_are_not_tried(guarded, cluster, tmp_path, auth, message, kind):
    with refusing(guarded, cluster, tmp_path, 403, message) as gate:
        endpoint = endpoint_of_client(credentials=auth)
        with sharing_tokens(endpoint, cluster.client):
            error = cluster.client.submit(compute, endpoint, pure=False).exception(30)
    assert type(error) is kind
    assert gate.refused == 1


# What is left behind, and what goes over the wire.


class Recorder:
    """A TCP proxy that keeps every byte that passes, both ways."""

    def __init__(self, target=None):
        self.seen = bytearray()
        self.target = target
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self._open = True
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self):
        self._server.settimeout(0.1)
        while self._open:
            with contextlib.suppress(TimeoutError, ConnectionError):
                near = self._server.accept()[0]
                near.settimeout(None)
                far = socket.create_connection(("127.0.0.1", self.target))
                self._threads.append(threading.Thread(target=self._pass_on, args=(near, far)))
                self._threads[-1].start()

    def _pass_on(self, near, far):
        other = {near: far, far: near}
        with near, far, contextlib.suppress(OSError):
            while self._open:
                for end in select.select(list(other), [], [], 0.1)[0]:
                    data = end.recv(1 << 16)
                    if not data:
                        return
                    self.seen += data
                    other[end].sendall(data)

    def close(self):
        self._open = False
        for thread in self._threads:
            thread.join(5)
        self._server.close()


@contextlib.contextmanager
def recorded_cluster(log):
    """Yield a client, and recorders between client, scheduler and one worker."""
    to_scheduler, to_worker = Recorder(), Recorder()
    with socket.create_server(("127.0.0.1", 0)) as free:
        to_worker.target = free.getsockname()[1]
    with contextlib.ExitStack() as stack:
        stack.callback(to_worker.close)
        stack.callback(to_scheduler.close)
        cluster = stack.enter_context(
            distributed.LocalCluster(
                n_workers=0, dashboard_address="127.0.0.1:0", host="127.0.0.1", silence_logs=False
            )
        )
        to_scheduler.target = int(cluster.scheduler_address.rpartition(":")[2])
        address = f"tcp://127.0.0.1:{to_scheduler.port}"
        command = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--no-nanny"]
        command += ["--listen-address", f"tcp://127.0.0.1:{to_worker.target}", "--no-dashboard"]
        command += ["--contact-address", f"tcp://127.0.0.1:{to_worker.port}"]
        debug = {
            "DASK_LOGGING__DISTRIBUTED": "debug",
            "DASK_LOGGING__EEDASK": "debug",
            "DASK_LOGGING__GOOGLE": "debug",
        }
        here = Path(__file__).parent
        env = {**os.environ, **debug, "PYTHONPATH": os.pathsep.join(map(str, (here, here.parent)))}
        with log.open("wb") as stream:
            worker = subprocess.Popen(command, stdout=stream, stderr=stream, env=env)
        stack.callback(worker.wait)
        stack.callback(worker.terminate)
        client = stack.enter_context(distributed.Client(address, set_as_default=False))
        client.wait_for_workers(1, timeout=30)
        yield client, (to_scheduler, to_worker)


@contextlib.contextmanager
def everything_logged(caplog):
    """Log all that this process's libraries have to say; Dask's do not tell the root."""
    with contextlib.ExitStack() as stack:
        for name in ("", "distributed", "google", "urllib3", "eedask"):
            stack.enter_context(caplog.at_level(logging.DEBUG, logger=name))
        dasks = logging.getLogger("distributed")
        dasks.addHandler(caplog.handler)
        stack.callback(dasks.removeHandler, caplog.handler)
        yield


@pytest.mark.slow
def test_no_secret_is_left_behind_or_sent(user, nobody, points, tmp_path, caplog):
    out, log = tmp_path / "out", tmp_path / "worker.log"
    with everything_logged(caplog), recorded_cluster(log) as (client, recorders):
        plan = plan_of(points, out, 40)
        result = run(plan, client)
        assert (result.manifest["status"] == "ok").all()
        endpoint = plan.task.endpoint
        # Before the revocation: the bag's spec is prepared with requests of its own.
        graph = cloudpickle.dumps([plan.task, endpoint, plan.bag()])
        user.revoke(SECRETS[0])
        with sharing_tokens(endpoint, client):
            refused = client.submit(compute, endpoint, pure=False).exception(40)
        assert isinstance(refused, AuthorizationError)
        events = client.run_on_scheduler(_state_of_scheduler)
    wire = [bytes(recorder.seen) for recorder in recorders]
    left = {
        "files": b"".join(p.read_bytes() for p in out.rglob("*") if p.is_file()),
        "worker's log": log.read_bytes(),
        "own log": caplog.text.encode(),
        "graph": graph,
        "errors": repr([refused, refused.__cause__, vars(refused)]).encode(),
        "scheduler": events.encode(),
        "wire": b"".join(wire),
    }
    for place, content in left.items():
        assert content, place
        for secret in SECRETS:
            assert secret.encode() not in content, place
    # The recorders do see what passes: the tokens, which the scheduler does not keep.
    assert all(re.search(rb"ya29\.emulator-[0-9a-f]{32}", content) for content in wire)
    assert "eedask-tokens" in events
    assert "ya29" not in events


def _state_of_scheduler(dask_scheduler):
    return repr([vars(dask_scheduler), dask_scheduler.get_events()])
