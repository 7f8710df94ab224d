"""Bearer tokens, with google-auth's own credentials on the other side."""

import ee
import google.auth.transport.urllib3
import pytest
import urllib3
from ee import _state
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import RefreshError

from eedask.emulator import Emulator
from eedask.emulator.errors import EarthEngineError
from eedask.emulator.traffic.auth import INVALID, MISSING, Tokens

CONFIG = "/v1/projects/p/config"


@pytest.fixture(scope="module")
def guarded():
    with Emulator(project="p", processes=0, token_seconds=60) as running:
        yield running


@pytest.fixture(scope="module")
def http():
    with urllib3.PoolManager(retries=False) as pool:
        yield pool


def get(http, emulator, path=CONFIG, **headers):
    return http.request("GET", emulator.url + path, headers=headers)


def words(response):
    return response.json()["error"]["message"]


def test_without_a_token_the_answer_is_401_in_googles_words(http, guarded):
    refused = get(http, guarded)
    assert refused.status == 401
    assert refused.json()["error"]["status"] == "UNAUTHENTICATED"
    assert words(refused) == MISSING
    assert words(get(http, guarded, Authorization="Basic abc")) == MISSING


def test_the_discovery_document_is_public(http, guarded):
    assert get(http, guarded, "/$discovery/rest?version=v1").status == 200


def test_the_client_works_with_the_emulators_credentials(guarded):
    ee.Initialize(guarded.credentials, url=guarded.url, project=guarded.project)
    try:
        assert ee.Number(1).add(1).getInfo() == 2
    finally:
        _state.get_state().requests_session.close()
        ee.Reset()


def test_a_revoked_credential_gives_no_tokens_and_those_it_gave_are_refused(http, guarded):
    request = google.auth.transport.urllib3.Request(http)
    lasting = guarded.credentials.with_quota_project("p")
    lasting._refresh_token = "another"
    lasting.refresh(request)
    authorization = f"Bearer {lasting.token}"
    assert get(http, guarded, Authorization=authorization).status == 200
    guarded.revoke("another")
    assert words(get(http, guarded, Authorization=authorization)) == INVALID
    with pytest.raises(RefreshError, match="expired or revoked"):
        lasting.refresh(request)


def test_tokens_end():
    now = 0.0
    tokens = Tokens(5.0, lambda: now)
    tokens.check("a", "Bearer foreign")
    now = 4.9
    tokens.check("a", "Bearer foreign")
    now = 5.0
    with pytest.raises(EarthEngineError, match="invalid authentication") as caught:
        tokens.check("a", "Bearer foreign")
    assert caught.value.code == 401


def test_by_default_nothing_is_checked(http, emulator):
    assert isinstance(emulator.credentials, AnonymousCredentials)
    assert get(http, emulator, f"/v1/projects/{emulator.project}/config").status == 200
    assert http.request("POST", f"{emulator.url}/emulator/token").status == 404


def test_a_time_that_is_none_is_refused():
    with pytest.raises(ValueError, match="token_seconds"):
        Tokens(0.0, lambda: 0.0)
