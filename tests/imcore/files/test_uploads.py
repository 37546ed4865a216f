"""From `/fileTokens` to bytes that are found, and everything that keeps them from being."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from django.core import signing
from pytest_django.fixtures import Settings as DjangoSettings

from imcore import limits
from imcore.bridge import in_database
from imcore.files import bytestore
from imcore.files.models import File, FileSettings
from imcore.models import Application, RestSettings
from tests.imcore.accounts.asking import Api
from tests.imcore.files.asking import Json, asgi, ask, code_of, grant, uploaded
from tests.restclient import app_of, call

Obey = Callable[..., Awaitable[None]]
WEAPP = {"X-LC-UA": "LeanCloud-JS-SDK/4.15.2 (Weapp/8.0)"}


async def blocks_of(*blocks: bytes) -> AsyncIterator[bytes]:
    """Send bytes without saying how many there will be."""
    for block in blocks:
        yield block


async def is_found(granted: Json) -> bool:
    """Say whether a file can be downloaded."""
    answer = await ask("GET", granted["url"])
    assert answer.status_code in (200, 404)
    return answer.status_code == 200


def nothing_is_left() -> bool:
    """Say whether no bytes are on their way."""
    return not list(bytestore.incoming_folder().glob("*"))


async def test_a_token_has_what_every_sdk_needs(application: Application) -> None:
    """rest-api 10.4."""
    asked: Json = {"name": "cat.png", "mime_type": None, "metaData": {"size": 4, "owner": "unknown"}, "ACL": None}

    granted = await grant(application, **asked, key="mine", prefix="x", keep_file_name=True, __type="File")

    assert granted.keys() == {
        "objectId", "createdAt", "name", "mime_type", "metaData", "key", "bucket", "provider", "token", "upload_url",
        "url",
    }  # fmt: skip
    assert (granted["name"], granted["mime_type"], granted["provider"]) == ("cat.png", "image/png", "s3")
    assert granted["metaData"] == {"size": 4, "owner": "unknown"}
    folder, name = granted["key"].split("/")
    assert (len(folder), name) == (32, "cat.png")
    assert granted["url"] == f"http://testserver/files/{granted['key']}"
    assert not await is_found(granted)


async def test_the_bytes_of_a_put_are_found_before_any_callback(application: Application) -> None:
    """rest-api 10.4: exactly 200, and a short JSON body."""
    granted = await grant(application, name="cat.png", metaData={"size": 4})

    answer = await ask("PUT", granted["upload_url"], {"Content-Type": "image/png"}, content=b"meow")

    assert answer.status_code == 200
    assert answer.json()["key"] == granted["key"]
    assert (await ask("GET", granted["url"])).content == b"meow"
    found = await call("GET", f"/1.1/files/{granted['objectId']}", app_of(application))
    assert found.json()["url"] == granted["url"]
    assert nothing_is_left()


async def test_a_large_file_comes_in_blocks(application: Application, obey_settings: Obey) -> None:
    """Larger than what other requests may be."""
    await obey_settings(FileSettings, file_max_bytes=50_000_000)
    block = bytes(range(256)) * 4096
    granted = await grant(application, name="film.mp4", metaData={"size": len(block) * 22})

    answer = await ask("PUT", granted["upload_url"], content=blocks_of(*[block] * 22))

    assert answer.status_code == 200
    assert (await ask("GET", granted["url"])).content == block * 22


@pytest.mark.parametrize(
    ("headers", "provider"),
    [
        (WEAPP, "qiniu"),
        ({"X-LC-UA": "LeanCloud-JS-SDK/4.15.2 (ReactNative)"}, "qiniu"),
        ({"User-Agent": "LeanCloud-JS-SDK/4.15.2 (Toutiao; x)"}, "qiniu"),
        ({"X-LC-UA": "LeanCloud-JS-SDK/4.15.2 (Browser)"}, "s3"),
        ({"User-Agent": "LeanCloud-JS-SDK/4.15.2 (Node.js/v20.1.0)"}, "s3"),
        ({"X-LC-UA": "LeanCloud-JS-SDK/4.15.2"}, "s3"),
        ({"X-LC-UA": "LeanCloud-Objc-SDK/13 (Weapp)"}, "s3"),
        ({}, "s3"),
    ],
)
async def test_only_platforms_that_cannot_put_are_told_qiniu(
    application: Application, headers: dict[str, str], provider: str
) -> None:
    """Checklist 50, first half."""
    assert (await grant(application, headers, name="cat.png"))["provider"] == provider


@pytest.mark.parametrize("provider", ["s3", "qiniu"])
async def test_an_application_forces_a_provider(application: Application, obey_settings: Obey, provider: str) -> None:
    await obey_settings(FileSettings, file_provider=provider)

    assert (await grant(application, WEAPP, name="cat.png"))["provider"] == provider
    assert (await grant(application, name="cat.png"))["provider"] == provider


async def test_a_mini_program_sends_a_form(application: Application) -> None:
    """Checklist 50: the file first, and what says which after it; the answer is JSON of `key` and `hash`."""
    granted = await grant(application, WEAPP, name="cat.png", metaData={"size": 300_000})
    content = b"meow\r\n--" * 37_500

    answer = await ask(
        "POST",
        granted["upload_url"],
        files=[
            ("file", ("cat.png", content, "image/png")),
            *(("name", (None, "cat.png")), ("key", (None, granted["key"])), ("token", (None, granted["token"]))),
        ],
    )

    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.json().keys() == {"key", "hash"}
    assert answer.json()["key"] == granted["key"]
    assert (await ask("GET", granted["url"])).content == content
    assert nothing_is_left()


@pytest.mark.parametrize(
    ("content_type", "content"),
    [
        ("multipart/form-data", b"meow"),
        ("multipart/form-data; boundary=x", b"meow"),
        ("multipart/form-data; boundary=x", b""),
        ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="key"\r\n\r\nk\r\n--x--\r\n'),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="other"; filename="a"\r\n\r\nmeow\r\n--x--\r\n',
        ),
        ("multipart/form-data; boundary=" + "x" * 500, b"--x"),
    ],
)
async def test_a_form_without_a_file_leaves_nothing(
    application: Application, content_type: str, content: bytes
) -> None:
    granted = await grant(application, WEAPP, name="cat.png")

    answer = await ask("POST", granted["upload_url"], {"Content-Type": content_type}, content=content)

    assert code_of(answer) == (400, 400)
    assert not await is_found(granted)
    assert nothing_is_left()


@pytest.mark.parametrize("method", ["PUT", "POST"])
@pytest.mark.parametrize("is_announced", [True, False])
async def test_more_than_announced_is_refused_and_nothing_kept(
    application: Application, method: str, is_announced: bool
) -> None:
    """rest-api 10.4, bad input: whether or not the request says how long it is."""
    granted = await grant(application, name="cat.png", metaData={"size": 4})
    content = b"x" * (4 + limits.UPLOAD_SLACK_BYTES + 1)

    answer = await ask(method, granted["upload_url"], content=content if is_announced else blocks_of(b"me", content))

    assert code_of(answer) == (413, 413)
    assert not await is_found(granted)
    assert nothing_is_left()


async def test_more_than_announced_in_a_form_is_refused(application: Application) -> None:
    """Though a form of that size might be one with a smaller file."""
    granted = await grant(application, WEAPP, name="cat.png", metaData={"size": 4})

    answer = await ask("POST", granted["upload_url"], files={"file": ("cat.png", b"x" * 10_000, "image/png")})

    assert code_of(answer) == (413, 413)
    assert not await is_found(granted)
    assert nothing_is_left()


async def test_the_application_bounds_the_size(application: Application, obey_settings: Obey) -> None:
    await obey_settings(FileSettings, file_max_bytes=100)

    announced = await ask("POST", "/1.1/fileTokens", app_of(application), json={"name": "x", "metaData": {"size": 101}})
    silent = await grant(application, name="cat.png")
    answer = await ask("PUT", silent["upload_url"], content=b"x" * 101)

    assert code_of(announced) == (413, 413)
    assert code_of(answer) == (413, 413)
    assert (await ask("PUT", silent["upload_url"], content=b"x" * 100)).status_code == 200


async def test_so_many_uploads_are_announced_in_a_minute(
    application: Application, other: Application, obey_settings: Obey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has a row for a day; and anybody has the App Key."""
    monkeypatch.setattr("imcore.rest.rates.now_ms", lambda: 20_000 * 86_400_000)
    await obey_settings(RestSettings, rest_uploads_per_minute=1)
    granted = await grant(application, name="cat.png")

    refused = await ask("POST", "/1.1/fileTokens", app_of(application), json={"name": "cat.png"})

    assert code_of(refused) == (429, 429)
    assert refused.headers["Retry-After"] == "60"
    assert await in_database(File.objects.filter(application=application).count) == 1
    assert (await ask("PUT", granted["upload_url"], content=b"meow")).status_code == 200
    await grant(other, name="dog.png")


async def test_an_upload_that_breaks_off_leaves_nothing(application: Application) -> None:
    """And may be begun anew."""
    granted = await grant(application, name="cat.png", metaData={"size": 4})
    path = granted["upload_url"].removeprefix("http://testserver")
    scope: Json = {"type": "http", "method": "PUT", "path": path, "headers": [], "query_string": b""}
    came: list[Json] = [{"type": "http.request", "body": b"me", "more_body": True}, {"type": "http.disconnect"}]
    sent: list[Json] = []

    async def receive() -> Json:
        return came.pop(0)

    async def send(message: Json) -> None:
        sent.append(message)

    await asgi(scope, receive, send)

    assert sent[0]["status"] == 400
    assert not await is_found(granted)
    assert nothing_is_left()
    assert (await ask("PUT", granted["upload_url"], content=b"meow")).status_code == 200


async def test_an_upload_that_stands_still_ends(application: Application, settings: DjangoSettings) -> None:
    settings.UPLOAD_IDLE_SECONDS = 0.05
    granted = await grant(application, name="cat.png")

    async def stands_still() -> AsyncIterator[bytes]:
        yield b"me"
        await asyncio.Event().wait()

    answer = await ask("PUT", granted["upload_url"], content=stands_still())

    assert code_of(answer) == (400, 400)
    assert nothing_is_left()


async def test_an_upload_that_comes_byte_by_byte_ends(application: Application, settings: DjangoSettings) -> None:
    """It never stands still, and would hold its place for as long as it likes."""
    settings.UPLOAD_SECONDS = 0.05
    granted = await grant(application, name="cat.png")

    async def drips() -> AsyncIterator[bytes]:
        while True:
            yield b"x"
            await asyncio.sleep(0.01)

    assert code_of(await ask("PUT", granted["upload_url"], content=drips())) == (400, 400)
    assert nothing_is_left()


async def test_a_process_takes_so_many_at_a_time(application: Application, settings: DjangoSettings) -> None:
    settings.UPLOADS_AT_A_TIME = 0
    granted = await grant(application, name="cat.png")

    answer = await ask("PUT", granted["upload_url"], content=b"meow")

    assert code_of(answer) == (429, 429)
    assert int(answer.headers["Retry-After"]) > 0


async def test_the_slow_uploads_of_an_application_leave_places_for_others(
    application: Application, other: Application, settings: DjangoSettings
) -> None:
    """It has as many as are still free, at most."""
    settings.UPLOADS_AT_A_TIME = 4
    may_end = asyncio.Event()
    begun = [asyncio.Event(), asyncio.Event()]

    async def slowly(has_begun: asyncio.Event) -> AsyncIterator[bytes]:
        has_begun.set()
        yield b"meow"
        await may_end.wait()

    places = [(await grant(application, name="cat.png"))["upload_url"] for _ in range(3)]
    theirs = (await grant(other, name="dog.png"))["upload_url"]
    slow = [
        asyncio.create_task(ask("PUT", place, content=slowly(one))) for place, one in zip(places, begun, strict=False)
    ]
    for one in begun:
        await one.wait()

    refused = await ask("PUT", places[2], content=b"meow")
    taken = await ask("PUT", theirs, content=b"woof")
    may_end.set()

    assert code_of(refused) == (429, 429)
    assert taken.status_code == 200
    assert [(await one).status_code for one in slow] == [200, 200]
    assert (await ask("PUT", places[2], content=b"meow")).status_code == 200


def forged(granted: Json) -> str:
    """Return an upload URL that takes more bytes, with the signature of the one that was given."""
    url, _, signed = granted["upload_url"].rpartition("/")
    payload, at, signature = signed.rsplit(":", 2)
    text = signing.b64_decode(payload.encode()).replace(b'"bytes":', b'"bytes":9')
    return f"{url}/{signing.b64_encode(text).decode()}:{at}:{signature}"


@pytest.mark.parametrize("wrong", ["tampered", "cut", "made up", "the token", "expired", "another file's", "no text"])
async def test_an_upload_url_is_good_as_it_was_given_and_for_an_hour(application: Application, wrong: str) -> None:
    """rest-api 10.4, bad input."""
    granted = await grant(application, name="cat.png", metaData={"size": 4})
    url = granted["upload_url"]
    start = url.rpartition("/")[0]
    if wrong == "expired":
        bound = signing.loads(url.rpartition("/")[2], salt="imcore.files.upload")
        signer = AnHourAgo(salt="imcore.files.upload")
        urls = f"{start}/{signer.sign_object(bound)}"
    else:
        urls = {
            "tampered": forged(granted),
            "cut": url[:-1],
            "made up": f"{start}/x",
            "no text": f"{start}/%FF%00",
            "the token": f"{start}/{granted['token']}",
            "another file's": f"{start}/{signing.dumps({'app': 'x', 'file': 'y'}, salt='imcore.files.upload')}",
        }[wrong]

    answer = await ask("PUT", urls, content=b"meow")

    assert code_of(answer) == (403, 403)
    assert not await is_found(granted)


class AnHourAgo(signing.TimestampSigner):
    """Signs as an hour ago."""

    def timestamp(self) -> str:
        """Return the time of an hour ago."""
        return signing.b62_encode(int(time.time()) - limits.UPLOAD_URL_SECONDS - 1)


async def test_a_file_has_its_bytes_once(application: Application) -> None:
    """The same once more are a client that has not heard; others are refused."""
    granted = await uploaded(application, b"meow", name="cat.png")

    again = await ask("PUT", granted["upload_url"], content=b"meow")
    others = await ask("PUT", granted["upload_url"], content=b"woof")

    assert again.status_code == 200
    assert code_of(others) == (403, 403)
    assert (await ask("GET", granted["url"])).content == b"meow"


async def test_of_two_uploads_at_a_time_the_first_that_is_complete_counts(application: Application) -> None:
    """The other was let in while the file had no bytes; what is told and kept of a file stays what it is."""
    granted = await grant(application, name="cat.png")
    is_let_in, may_end = asyncio.Event(), asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        is_let_in.set()
        yield b"woof"
        await may_end.wait()
        yield b"woof"

    slow = asyncio.create_task(ask("PUT", granted["upload_url"], content=slowly()))
    await is_let_in.wait()
    first = await ask("PUT", granted["upload_url"], content=b"meow")
    may_end.set()

    assert first.status_code == 200
    assert code_of(await slow) == (403, 403)
    assert (await ask("GET", granted["url"])).content == b"meow"
    assert nothing_is_left()


async def test_bytes_that_did_not_get_to_their_place_may_come_again(application: Application) -> None:
    """A server died between claim and place: the same bytes are taken, others are not."""
    granted = await grant(application, name="cat.png")
    digest = hashlib.sha256(b"meow").hexdigest()
    await in_database(File.objects.filter(object_id=granted["objectId"]).update, digest=digest)

    assert code_of(await ask("PUT", granted["upload_url"], content=b"woof")) == (403, 403)
    assert (await ask("PUT", granted["upload_url"], content=b"meow")).status_code == 200
    assert (await ask("GET", granted["url"])).content == b"meow"


@pytest.mark.parametrize(
    ("types", "mime_type", "is_taken"),
    [
        ("image/*", "image/png", True),
        ("image/*", "text/html", False),
        ("image/*;text/plain", "text/plain; charset=utf-8", True),
        ("!text/html;application/xml", "text/html", False),
        ("!text/html;application/xml", "TEXT/HTML; charset=utf-8", False),
        ("!text/html;application/xml", "image/png", True),
        ("", "text/html", True),
    ],
)
async def test_an_application_takes_some_types_only(
    application: Application, obey_settings: Obey, types: str, mime_type: str, is_taken: bool
) -> None:
    """rest-api 10.4: when a token is asked for …"""
    await obey_settings(FileSettings, file_types=types)

    answer = await ask("POST", "/1.1/fileTokens", app_of(application), json={"name": "x", "mime_type": mime_type})

    assert answer.status_code == (200 if is_taken else 403)
    assert await in_database(File.objects.filter(application=application).count) == is_taken


async def test_types_are_judged_again_when_the_bytes_come(application: Application, obey_settings: Obey) -> None:
    """… and on arrival, of what the setting is then and of what the request says."""
    page, picture = await grant(application, name="x.html"), await grant(application, name="x.png")
    await obey_settings(FileSettings, file_types="!text/html")

    assert code_of(await ask("PUT", page["upload_url"], content=b"<p>")) == (403, 403)
    said = await ask("PUT", picture["upload_url"], {"Content-Type": "text/html"}, content=b"<p>")
    assert code_of(said) == (403, 403)
    assert (await ask("PUT", picture["upload_url"], content=b"p")).status_code == 200


BAD_NAMES = ["../cat.png", "a/../cat.png", "..\\cat.png", "..", "cat\0.png", "cat\n.png", "x" * 256, "cat\u202egnp.exe"]
# White space around a name is not kept, and what is left must not be a step.
BAD_NAMES += [" .. ", " . ", "..\u2003", "a/ .. ", "\u2028.."]


@pytest.mark.parametrize("name", [*BAD_NAMES, 7, ["cat"], {}, "cats/"])
async def test_a_bad_name_is_refused(application: Application, name: Any) -> None:
    """rest-api 4.1: 122; path traversal."""
    answer = await ask("POST", "/1.1/fileTokens", app_of(application), json={"name": name})

    assert code_of(answer) == (400, 122)
    assert await in_database(File.objects.filter(application=application).count) == 0


@pytest.mark.parametrize(
    ("name", "kept", "in_url"),
    [
        ("猫 1.png", "猫 1.png", "_1.png"),
        ("photos/cat.png", "cat.png", "cat.png"),
        ("", "file", "file"),
        (None, "file", "file"),
        ("x" * 251 + ".png", "x" * 251 + ".png", "x" * 96 + ".png"),
        ("a%2e%2e%2fb?c#d.png", "a%2e%2e%2fb?c#d.png", "a_2e_2e_2fb_c_d.png"),
    ],
)
async def test_a_name_is_kept_and_made_safe_for_the_url(
    application: Application, name: str | None, kept: str, in_url: str
) -> None:
    granted = await uploaded(application, b"meow", name=name)

    assert granted["name"] == kept
    assert granted["url"].rpartition("/")[2] == in_url
    assert (await ask("GET", granted["url"])).content == b"meow"


@pytest.mark.parametrize("mime_type", ["image/png;\r\n a=b", "image/png;\n a=b", "image/png\x0b; a=b", "image/\u00e9"])
async def test_a_type_that_is_no_header_is_guessed_from_the_name(application: Application, mime_type: str) -> None:
    """Header injection: the download says it."""
    granted = await uploaded(application, b"meow", name="film.mp4", mime_type=mime_type)

    assert granted["mime_type"] == "video/mp4"
    assert (await ask("GET", granted["url"])).headers["Content-Type"] == "video/mp4"


@pytest.mark.parametrize("metadata", ["x", [1], {"a": "\0"}, {"a": "x" * 20_000}])
async def test_metadata_that_cannot_be_kept_is_refused(application: Application, metadata: Any) -> None:
    answer = await ask("POST", "/1.1/fileTokens", app_of(application), json={"name": "x", "metaData": metadata})

    assert code_of(answer) == (400, 111)


async def test_a_page_of_another_origin_may_put(application: Application) -> None:
    """Checklist 51, as far as headers go; rest-api 2.8. test_browser.py asks a browser."""
    granted = await grant(application, name="cat.png")
    asked = {
        "Origin": "https://chat.example.com",
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "content-type,cache-control",
    }

    preflight = await ask("OPTIONS", granted["upload_url"], asked)
    refusal = await ask("PUT", "/files/u/x", {"Origin": "https://chat.example.com"}, content=b"meow")

    assert (preflight.status_code, preflight.content) == (200, b"")
    assert preflight.headers["Access-Control-Allow-Origin"] == "*"
    assert {"PUT", "POST"} <= set(preflight.headers["Access-Control-Allow-Methods"].split(", "))
    assert preflight.headers["Access-Control-Allow-Headers"] == "content-type,cache-control"
    assert refusal.headers["Access-Control-Allow-Origin"] == "*"


async def test_other_methods_are_refused(application: Application) -> None:
    granted = await grant(application, name="cat.png")

    assert code_of(await ask("DELETE", granted["upload_url"])) == (405, 405)


async def test_a_callback_is_answered_the_same_whatever_it_says(application: Application) -> None:
    """Checklist 53: twice, and with tokens that are none."""
    granted = await uploaded(application, b"meow", name="cat.png")
    bodies = [
        *[{"token": granted["token"], "result": True}] * 2,
        {"token": granted["token"], "result": False},
        {"token": "unknown", "result": True},
        {"token": 7, "result": []},
        {},
    ]

    for body in bodies:
        answer = await call("POST", "/1.1/fileCallback", app_of(application), body)
        assert (answer.status_code, answer.json()) == (200, {})

    assert await is_found(granted)


async def test_a_callback_of_failure_takes_back_what_has_not_come(application: Application) -> None:
    granted = await grant(application, name="cat.png")

    await call("POST", "/1.1/fileCallback", app_of(application), {"token": granted["token"], "result": False})

    assert code_of(await ask("PUT", granted["upload_url"], content=b"meow")) == (403, 403)
    assert not await is_found(granted)
    assert await in_database(File.objects.filter(object_id=granted["objectId"]).count) == 0


async def test_who_is_logged_in_owns_what_he_uploads(application: Application) -> None:
    """He may delete it; others, and who is nobody, may not."""
    api = Api(application)
    tom, jerry = await api.sign_up("tom"), await api.sign_up("jerry")
    granted = await grant(application, {"X-LC-Session": tom["sessionToken"]}, name="cat.png")
    await ask("PUT", granted["upload_url"], content=b"meow")
    path = f"files/{granted['objectId']}"

    for token in (None, jerry["sessionToken"]):
        assert (await api.ask("DELETE", path, token=token)).code == (403, 403)
    assert await is_found(granted)
    assert (await api.ask("DELETE", path, token=tom["sessionToken"])).body == {}
    assert not await is_found(granted)
    assert (await api.ask("DELETE", path, token=tom["sessionToken"])).code == (404, 101)
