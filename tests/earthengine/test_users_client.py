"""What ``ee.Initialize`` was told, in all of its ways, and where requests go for it."""

import json

import ee
import httplib2
import pandas as pd
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from ee import _state, oauth
from google.auth.credentials import AnonymousCredentials
from mounted import SCENE

import eedask
from eedask.earthengine import credentials as sources
from eedask.earthengine.connection import Connection
from eedask.earthengine.endpoint import Request, endpoint_of_client
from eedask.emulator import Emulator
from eedask.errors import InputError

STANDARD = "https://earthengine.googleapis.com"
HIGH_VOLUME = "https://earthengine-highvolume.googleapis.com"
OWN = "http://127.0.0.1:8080"


@pytest.fixture(scope="module")
def guarded():
    """An emulator that asks for tokens."""
    with Emulator(processes=1, token_seconds=600) as running:
        yield running


@pytest.fixture
def reset():
    """An ``ee`` client that nobody has initialised, before the test and after it."""
    ee.Reset()
    yield
    if session := _state.get_state().requests_session:
        session.close()
    ee.Reset()


@pytest.fixture
def key_file(guarded, tmp_path):
    """A service account's key, whose tokens the emulator gives."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    account = {
        "type": "service_account",
        "project_id": guarded.project,
        "client_email": "a@b.iam",
        "private_key": key.decode(),
        "token_uri": f"{guarded.url}/emulator/token",
    }
    path = tmp_path / "key.json"
    path.write_text(json.dumps(account))
    return path


def one():
    """Return what a request of eedask, sent as ``ee.Initialize`` was told, answers with."""
    endpoint = endpoint_of_client()
    graph = {"result": "0", "values": {"0": {"constantValue": 1}}}
    path = f"{endpoint.parent}/value:compute"
    connection = Connection(endpoint)
    try:
        return json.loads(connection.send(Request("POST", path, body={"expression": graph})))
    finally:
        connection.close()


# Which address.


@pytest.mark.parametrize(
    ("name", "of_client", "used"),
    [
        ("auto", STANDARD, HIGH_VOLUME),
        ("auto", f"{STANDARD}/", HIGH_VOLUME),
        ("auto", None, HIGH_VOLUME),
        ("auto", HIGH_VOLUME, HIGH_VOLUME),
        ("auto", OWN, OWN),
        ("standard", STANDARD, STANDARD),
        ("standard", HIGH_VOLUME, STANDARD),
        ("standard", OWN, OWN),
        ("high-volume", STANDARD, HIGH_VOLUME),
        ("high-volume", OWN, OWN),
    ],
)
def test_the_endpoint_is_what_is_asked_for_and_a_url_of_the_users_own_is_kept(
    monkeypatch, name, of_client, used
):
    state = _state.EEState(
        initialized=True, cloud_api_base_url=of_client, cloud_api_user_project="p"
    )
    state.credentials = AnonymousCredentials()
    state.workload_tag.set("a-tag")
    monkeypatch.setattr(_state, "_state", state)
    endpoint = endpoint_of_client(name=name)
    assert (endpoint.url, endpoint.project, endpoint.workload_tag) == (used, "p", "a-tag")
    assert sources.find(endpoint.auth, endpoint.origin).credentials is state.credentials


VERBS = {
    "chips": lambda points, **more: eedask.chips(
        points, ee.Image(SCENE).select("R"), shape=(8, 8), scale=5, format="npy", **more
    ),
    "sample_points": lambda points, **more: eedask.sample_points(points, ee.Image(SCENE), **more),
    "reduce_regions": lambda points, **more: eedask.reduce_regions(
        points, ee.Image(SCENE), "mean", **more
    ),
    "time_series": lambda points, **more: eedask.time_series(
        points, ee.ImageCollection([ee.Image(SCENE)]), "mean", **more
    ),
    "compute": lambda points, **more: eedask.compute(points, lambda i: ee.Number(1), **more),
    "images": lambda points, **more: eedask.images(
        pd.DataFrame(index=["a"]),
        ee.ImageCollection([ee.Image(SCENE)]),
        region=points.geometry.iloc[0].buffer(0.001),
        **more,
    ),
}


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_takes_an_endpoint_and_its_plan_shows_it(earth_engine, points, tmp_path, verb):
    with pytest.raises(InputError, match=r"endpoint='fast' is not known.*auto, high-volume"):
        VERBS[verb](points, out=tmp_path, endpoint="fast")
    plan = VERBS[verb](points, out=tmp_path, endpoint="standard")
    assert f"endpoint: {earth_engine.url} (the url that ee.Initialize was given)" in repr(plan)
    _state.get_state().cloud_api_base_url = STANDARD
    try:
        for name, url in (("standard", STANDARD), ("high-volume", HIGH_VOLUME)):
            plan = VERBS[verb](points, out=tmp_path, endpoint=name)
            assert f"endpoint: {name} ({url})" in repr(plan)
            assert f"{name} ({url})" in plan._repr_html_()
    finally:
        _state.get_state().cloud_api_base_url = earth_engine.url


@pytest.mark.usefixtures("reset", "threads")
def test_a_dataset_goes_on_at_another_address(emulator, points, tmp_path):
    nobody, out = AnonymousCredentials(), tmp_path / "out"
    ee.Initialize(nobody, url=emulator.url, project=emulator.project)
    VERBS["compute"](points[:5], out=out, endpoint="standard").run(progress=False)
    elsewhere = emulator.url.replace("127.0.0.1", "localhost")
    ee.Initialize(nobody, url=elsewhere, project=emulator.project)
    emulator.reset_stats()
    plan = VERBS["compute"](points[:5], out=out, endpoint="high-volume")
    assert plan.task.endpoint.url == elsewhere
    assert (plan.run(progress=False).manifest["status"] == "ok").all()
    assert "200" not in emulator.stats()["by_status"]


# Ways to initialise the client.


@pytest.mark.usefixtures("reset")
def test_a_client_that_is_not_initialised_is_refused():
    with pytest.raises(InputError, match=r"call ee\.Initialize\(project="):
        endpoint_of_client()


def test_a_project_is_needed(monkeypatch):
    monkeypatch.setattr(_state, "_state", _state.EEState(initialized=True))
    with pytest.raises(InputError, match="without a project"):
        endpoint_of_client()


@pytest.mark.slow
@pytest.mark.usefixtures("reset")
def test_the_old_name_of_the_url_will_do(guarded):
    ee.Initialize(guarded.credentials, opt_url=guarded.url, project=guarded.project)
    assert one() == {"result": 1}


@pytest.mark.usefixtures("reset")
def test_a_service_account_needs_no_project(guarded, key_file):
    account = ee.ServiceAccountCredentials(None, str(key_file))
    # The client lists the algorithms once. Without a project, it would ask for them in the name of
    # a project that the emulator does not have.
    ee.Initialize(account, url=guarded.url, project=guarded.project)
    ee.Initialize(account, url=guarded.url)
    assert _state.get_state().cloud_api_user_project != guarded.project
    assert endpoint_of_client().project == guarded.project
    assert one() == {"result": 1}


@pytest.mark.usefixtures("reset")
def test_what_authenticate_stored_is_used(guarded, tmp_path, monkeypatch):
    stored = tmp_path / "credentials"
    stored.write_text(json.dumps({"refresh_token": "1//stored", "project": guarded.project}))
    monkeypatch.setattr(oauth, "get_credentials_path", lambda: str(stored))
    monkeypatch.setattr(oauth, "TOKEN_URI", f"{guarded.url}/emulator/token")
    ee.Initialize(credentials="persistent", url=guarded.url)
    assert endpoint_of_client().project == guarded.project
    assert one() == {"result": 1}


@pytest.mark.usefixtures("reset")
def test_application_default_credentials_are_used(guarded, tmp_path, key_file, monkeypatch):
    monkeypatch.setattr(oauth, "get_credentials_path", lambda: str(tmp_path / "none"))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key_file))
    ee.Initialize(url=guarded.url, project=guarded.project)
    assert one() == {"result": 1}


@pytest.mark.usefixtures("reset")
@pytest.mark.parametrize("with_credentials", [True, False])
def test_an_api_key_is_refused_with_what_to_do(emulator, with_credentials):
    given = emulator.credentials if with_credentials else None
    ee.Initialize(given, url=emulator.url, project=emulator.project, cloud_api_key="a-key")
    with pytest.raises(InputError, match=r"cloud_api_key.*ee\.Reset\(\)") as caught:
        endpoint_of_client()
    assert "a-key" not in str(caught.value)
    # What the message says to do.
    _state.get_state().requests_session.close()
    ee.Reset()
    ee.Initialize(emulator.credentials, url=emulator.url, project=emulator.project)
    assert one() == {"result": 1}


@pytest.mark.usefixtures("reset")
def test_a_plain_transport_is_taken(guarded):
    transport = httplib2.Http(timeout=10)
    ee.Initialize(
        guarded.credentials, url=guarded.url, project=guarded.project, http_transport=transport
    )
    assert one() == {"result": 1}
    transport.close()


@pytest.mark.usefixtures("reset")
@pytest.mark.parametrize(
    "settings",
    [{"proxy_info": None}, {"ca_certs": "/a.pem"}, {"disable_ssl_certificate_validation": True}],
)
def test_a_transport_with_settings_is_refused_with_what_to_do(emulator, settings):
    transport = httplib2.Http(**settings)
    nobody = AnonymousCredentials()
    ee.Initialize(nobody, url=emulator.url, project=emulator.project, http_transport=transport)
    transport.close()
    with pytest.raises(InputError, match=r"http_transport=.*HTTPS_PROXY.*REQUESTS_CA_BUNDLE"):
        endpoint_of_client()
