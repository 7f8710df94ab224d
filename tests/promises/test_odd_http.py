"""Whatever a server sends in place of an answer costs the item that it was for, and no other."""

import gzip
import json
from functools import partial

import ee
import geopandas as gpd
import pytest
from fire import initialized
from loopback import reply, serving
from proxying import Proxy

import eedask

pytestmark = pytest.mark.usefixtures("threads")

TRIES, FINE = 2, 6
RETRY = eedask.RetryPolicy(tries=TRIES, delay=0, max_delay=0, jitter=(0, 0))
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
ERROR = b'{"error": {"code": 400, "message": "User memory limit exceeded."}}'
VALUE = b'{"result": [7]}'


def whole(body, head=OK, length=None):
    """Return an answer whose length may be a lie."""
    said = str(len(body)).encode() if length is None else length
    return head + b"Content-Length: " + said + b"\r\n\r\n" + body


def headed(*lines):
    return OK + b"".join(line + b"\r\n" for line in lines)


ANSWERS = {
    "nothing": b"",
    "no HTTP": b"<html>hello</html>",
    "SSH": b"SSH-2.0-OpenSSH_9.0\r\n",
    "TLS": b"\x15\x03\x01\x00\x02\x02\x46",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/9.9": whole(VALUE, b"HTTP/9.9 200 OK\r\n"),
    "status 000": whole(VALUE, b"HTTP/1.1 000 Zero\r\n"),
    "status -1": whole(VALUE, b"HTTP/1.1 -1 Minus\r\n"),
    "status 999": whole(b"no", b"HTTP/1.1 999 Denied\r\n"),
    "status 204": b"HTTP/1.1 204 No Content\r\n\r\n",
    "status 206": whole(VALUE[:4], b"HTTP/1.1 206 Partial\r\nContent-Range: bytes 0-3/15\r\n"),
    "another protocol": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n",
    "another host": whole(b"", b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\n"),
    "a local file": whole(b"", b"HTTP/1.1 307 There\r\nLocation: file:///etc/hostname\r\n"),
    "itself": whole(b"", b"HTTP/1.1 308 There\r\nLocation: /v1/projects/p/value:compute\r\n"),
    "an error as success": whole(ERROR),
    "a refusal cut off": whole(b"no", b"HTTP/1.1 400 Bad\r\n", b"100"),
    "a refusal that is not packed": whole(b"no", b"HTTP/1.1 400 Bad\r\nContent-Encoding: gzip\r\n"),
    "not packed": whole(VALUE, headed(b"Content-Encoding: gzip")),
    "packed, not said": whole(gzip.compress(VALUE)),
    "packed, cut off": whole(gzip.compress(VALUE)[:-12], headed(b"Content-Encoding: gzip")),
    "packed, damaged": whole(
        gzip.compress(VALUE)[:-8] + bytes(8), headed(b"Content-Encoding: gzip")
    ),
    "packed fifty times": whole(VALUE, headed(b"Content-Encoding: " + b"gzip, " * 50)),
    "too short": whole(VALUE, length=b"3"),
    "too long": whole(VALUE, length=b"9" * 30),
    "two lengths": whole(VALUE, headed(b"Content-Length: 3")),
    "chunks of another length": CHUNKED + b"5\r\nabcdefgh\r\n0\r\n\r\n",
    "a negative chunk": CHUNKED + b"-5\r\nabcde\r\n0\r\n\r\n",
    "a huge chunk": CHUNKED + b"f" * 300 + b"\r\nabcde\r\n0\r\n\r\n",
    "a chunk without size": CHUNKED + b"zz\r\nabcde\r\n0\r\n\r\n",
    "no last chunk": CHUNKED + b"f\r\n" + VALUE + b"\r\n",
    "many headers": whole(VALUE, headed(*(b"X-%d: y" % k for k in range(5000)))),
    "a long header": whole(VALUE, headed(b"X: " + b"y" * 100_000)),
    "a long status": whole(VALUE, b"HTTP/1.1 200 " + b"O" * 100_000 + b"\r\n"),
    "deep": whole(b'{"result": ' + b"[" * 100_000),
    "long digits": whole(b'{"result": [' + b"1" * 5000 + b"]}"),
    "two values": whole(VALUE + VALUE),
}


def send(handler, data):
    handler.close_connection = True
    handler.wfile.write(data)


def lengths(emulator, out, names, instead, **options):
    """Return what is computed of names by id, where some requests have another answer."""
    items = gpd.GeoDataFrame({"name": [*names.values()]}, index=[*names])
    proxy = Proxy(emulator.url)
    proxy.instead = instead
    with serving(proxy.answer) as url, initialized(url, emulator.project):
        result = eedask.compute(
            items,
            lambda item: ee.String(item["name"]).length(),
            schema={"value": int},
            out=out,
            **options,
        ).run(progress=False)
    proxy.http.clear()
    return result


def test_odd_answers_cost_their_items_alone(emulator, tmp_path):
    fine = [f"fine {k}" for k in range(FINE)]
    names = {id_: f"item of {id_};" for id_ in (*ANSWERS, *fine)}
    instead = {names[id_]: partial(send, data=data) for id_, data in ANSWERS.items()}
    alone = {"batch_size": 1, "partition_size": len(names), "deadline": 20, "retry": RETRY}
    result = lengths(emulator, tmp_path / "out", names, instead, **alone)
    odd = result.manifest.loc[[*ANSWERS]]
    assert odd["status"].eq("failed").all(), odd.index[odd["status"] == "ok"].tolist()
    assert odd["error_kind"].eq("transient").all(), odd["error_kind"].to_dict()
    assert odd["attempts"].eq(TRIES).all()
    assert result.table()["value"][fine].tolist() == [len(names[id_]) for id_ in fine]


def test_an_asset_that_is_not_shared_costs_its_item_alone(emulator, tmp_path):
    words = "Permission 'earthengine.assets.get' denied on resource 'projects/q/assets/theirs'."
    body = json.dumps({"error": {"code": 403, "status": "PERMISSION_DENIED", "message": words}})
    names = {f"p{k}": f"item {k};" for k in range(10)}
    instead = {names["p6"]: partial(reply, status=403, body=body.encode())}
    result = lengths(emulator, tmp_path / "out", names, instead, batch_size=5)
    assert result.failed.index.tolist() == ["p6"]
    assert result.failed["error_kind"].item() == "permanent"
    assert words in result.failed["error"].item()
    assert result.table()["value"].drop("p6").eq(len("item 0;")).all()
