"""What is asked of Earth Engine's REST API, and the limits that are known before asking.

The methods and limits are those of https://developers.google.com/earth-engine/reference/rest.
"""

from __future__ import annotations

import json
from typing import Any

from eedask.earthengine.endpoint import Endpoint, Request
from eedask.earthengine.nodes import Encoded
from eedask.errors import TransientError

PAGE_SIZE = 1000


def compute_value(endpoint: Endpoint, expression: Encoded) -> Request:
    """Return the request that answers with the value of any expression."""
    body = tagged(endpoint, {"expression": expression})
    return Request("POST", f"{endpoint.parent}/value:compute", body=body)


def check_json(answer: bytes) -> None:
    """Raise unless an answer is JSON.

    Raises
    ------
    TransientError
    """
    try:
        json.loads(answer)
    except ValueError as error:
        raise TransientError(
            f"the answer ({len(answer)} bytes, starting with {answer[:40]!r}) is no JSON"
        ) from error


def compute_features(
    endpoint: Endpoint, expression: Encoded, page_token: str | None = None
) -> Request:
    """Return the request for a page of a feature collection."""
    body = tagged(endpoint, {"expression": expression, "pageSize": PAGE_SIZE})
    if page_token:
        body["pageToken"] = page_token
    return Request("POST", f"{endpoint.parent}/table:computeFeatures", body=body)


def tagged(endpoint: Endpoint, body: dict[str, Any]) -> dict[str, Any]:
    """Return a request's body with the endpoint's workload tag, if it has one."""
    if endpoint.workload_tag:
        body["workloadTag"] = endpoint.workload_tag
    return body
