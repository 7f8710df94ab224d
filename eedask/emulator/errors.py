"""The errors with which the emulator answers instead of a result."""

from __future__ import annotations

from http import HTTPStatus

# Google's RPC names for the HTTP statuses that Earth Engine answers with.
_RPC_NAMES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ALREADY_EXISTS",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


class EarthEngineError(Exception):
    """An answer other than 200.

    Parameters
    ----------
    message : str
        The message of the answer, in Earth Engine's own words where they are known.
    code : int
        HTTP status. It is 400 wherever sending the same request again is useless, since clients
        retry 5xx.
    """

    def __init__(self, message: str, code: int = HTTPStatus.BAD_REQUEST) -> None:
        super().__init__(message)
        self.message = message
        self.code = int(code)

    def body(self) -> dict[str, dict[str, object]]:
        """Return the JSON body, ``{"error": {"code", "message", "status"}}``."""
        status = _RPC_NAMES.get(self.code, "UNKNOWN")
        return {"error": {"code": self.code, "message": self.message, "status": status}}


class NotSupported(EarthEngineError):
    """A feature of Earth Engine that the emulator does not have; its status is always 400.

    ``what`` names the feature.
    """

    def __init__(self, what: str) -> None:
        super().__init__(f"The eedask emulator does not support {what}.")
