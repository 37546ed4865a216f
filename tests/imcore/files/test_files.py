"""Files as objects: of addresses elsewhere, read, listed, deleted; and each application's alone."""

from typing import Any

import pytest

from imcore.appsettings import applications
from imcore.bridge import in_database
from imcore.files.models import File
from imcore.models import Application
from tests.imcore.accounts.asking import Api
from tests.imcore.files.asking import Json, ask, grant, uploaded
from tests.restclient import app_of, call, master_of

PLACES = ["files", "classes/_File", "classes/files", "classes/_file", "classes/Files", "classes/_FILE"]
ELSEWHERE: Json = {
    "__type": "File",
    "name": "cat.png",
    "url": "https://example.com/cat.png",
    "mime_type": "image/png",
    "metaData": {"__source": "external", "size": 0},
    "ACL": None,
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("version", ["1.1", "1.2"])
async def test_a_file_elsewhere_is_made_under_every_name_of_the_class(
    application: Application, place: str, version: str
) -> None:
    """Checklist 54; rest-api 10.1: whatever the capitals."""
    answer = await call("POST", f"/{version}/{place}", app_of(application), ELSEWHERE)

    assert answer.status_code == 201
    made = answer.json()
    assert made.keys() == {"objectId", "createdAt", "url", "name"}
    assert answer["Location"].endswith(f"/1.1/files/{made['objectId']}")
    read = (await call("GET", f"/{version}/{place}/{made['objectId']}", app_of(application))).json()
    assert (read["url"], read["name"], read["__type"]) == (ELSEWHERE["url"], "cat.png", "File")
    assert read["metaData"] == ELSEWHERE["metaData"]
    assert (await call("DELETE", f"/{version}/{place}/{made['objectId']}", master_of(application))).json() == {}
    assert (await call("GET", f"/{version}/{place}/{made['objectId']}", app_of(application))).status_code == 404


async def test_files_elsewhere_are_saved_and_deleted_together(application: Application) -> None:
    """Checklist 54: `batch/save`, as Swift saves them; ids with commas between them."""
    items = [
        {"method": "POST", "path": "/1.1/classes/_File", "body": {**ELSEWHERE, "__internalId": key}} for key in "ab"
    ]

    saved = (await call("POST", "/1.1/batch/save", app_of(application), {"requests": items})).json()

    assert saved.keys() == {"a", "b"}
    ids = ",".join(one["objectId"] for one in saved.values())
    assert (await call("DELETE", f"/1.1/files/{ids}", master_of(application))).json() == {}
    assert await in_database(File.objects.filter(application=application).count) == 0


async def test_of_files_that_are_saved_together_all_are_made_or_none(application: Application) -> None:
    items = [
        {"method": "POST", "path": "/1.1/files", "body": {**ELSEWHERE, "url": url, "__internalId": url}}
        for url in ("https://example.com/a", "javascript:alert(1)")
    ]

    answer = await call("POST", "/1.1/batch/save", app_of(application), {"requests": items})

    assert (answer.status_code, answer.json()["code"]) == (400, 1)
    assert await in_database(File.objects.filter(application=application).count) == 0


BAD_URLS = [
    *(None, "", 7, "cat.png", "javascript:alert(1)", "file:///etc/passwd", "data:text/html,x", "http://", "https://["),
    *("https://x/\n", "https://x/ y", "https://x/\0", "https://x/" + "y" * 2048),
]


@pytest.mark.parametrize("url", BAD_URLS)
async def test_only_addresses_on_the_web_are_taken(application: Application, url: Any) -> None:
    answer = await call("POST", "/1.1/files", app_of(application), {**ELSEWHERE, "url": url})

    assert (answer.status_code, answer.json()["code"]) == (400, 1)
    assert await in_database(File.objects.filter(application=application).count) == 0


async def test_a_bad_name_makes_no_file(application: Application) -> None:
    answer = await call("POST", "/1.1/classes/_File", app_of(application), {**ELSEWHERE, "name": "../cat.png"})

    assert (answer.status_code, answer.json()["code"]) == (400, 122)
    assert await in_database(File.objects.filter(application=application).count) == 0


async def test_a_file_is_told_with_all_that_sdks_look_for(application: Application) -> None:
    """rest-api 5: file reference, output."""
    granted = await uploaded(application, b"meow", name="cat.png", metaData={"width": 3})

    answer = await call("GET", f"/1.1/files/{granted['objectId']}", app_of(application))

    told = answer.json()
    assert told.keys() == {
        "__type", "objectId", "name", "url", "mime_type", "metaData", "key", "bucket", "createdAt", "updatedAt",
    }  # fmt: skip
    assert {key: told[key] for key in granted.keys() & told.keys()} == {
        key: granted[key] for key in granted.keys() & told.keys()
    }


async def test_only_the_developer_lists_files(application: Application) -> None:
    """rest-api 10.1: find is closed. What has not come is not listed."""
    cat = await uploaded(application, b"meow", name="cat.png")
    dog = await uploaded(application, b"woof", name="dog.png")
    await grant(application, name="cow.png")

    refused = await call("GET", "/1.1/files", app_of(application))
    counted = await call("GET", "/1.1/files", master_of(application), count=1)
    named = await call("GET", "/1.1/classes/_File", master_of(application), where='{"name": "dog.png"}')
    paged = await call("GET", "/1.1/classes/files", master_of(application), limit=1, skip=1)
    odd = await call("GET", "/1.1/files", master_of(application), where='{"size": 1}')
    ordered = await call("GET", "/1.1/files", master_of(application), order="-name", keys="name")
    scanned = (await call("GET", "/1.1/scan/classes/_File", master_of(application), limit=1)).json()
    rest = await call("GET", "/1.1/scan/classes/_File", master_of(application), cursor=scanned["cursor"])

    assert (refused.status_code, refused.json()["code"]) == (403, 403)
    assert counted.json()["count"] == 2
    assert {one["objectId"] for one in counted.json()["results"]} == {cat["objectId"], dog["objectId"]}
    assert [one["objectId"] for one in named.json()["results"]] == [dog["objectId"]]
    assert len(paged.json()["results"]) == 1
    assert (odd.status_code, odd.json()["code"]) == (400, 1)
    assert [one["name"] for one in ordered.json()["results"]] == ["dog.png", "cat.png"]
    assert "url" not in ordered.json()["results"][0]
    assert [*scanned["results"], *rest.json()["results"]] == counted.json()["results"]


async def test_who_knows_the_app_key_alone_deletes_nothing(application: Application) -> None:
    granted = await uploaded(application, b"meow", name="cat.png")

    answer = await call("DELETE", f"/1.1/files/{granted['objectId']}", app_of(application))

    assert (answer.status_code, answer.json()["code"]) == (403, 403)
    assert (await ask("GET", granted["url"])).content == b"meow"


@pytest.mark.parametrize("is_theirs", [True, False])
async def test_of_several_files_all_are_deleted_or_none(application: Application, is_theirs: bool) -> None:
    """JavaScript's `destroyAll`; who is told of a failure may try again."""
    tom = {"X-LC-Session": (await Api(application).sign_up("tom"))["sessionToken"]}
    granted = await grant(application, tom, name="cat.png")
    await ask("PUT", granted["upload_url"], content=b"meow")
    other_id = (await uploaded(application, b"woof", name="dog.png"))["objectId"] if is_theirs else "unknown"
    path = f"/1.1/files/{granted['objectId']},{other_id}"

    answer = await call("DELETE", path, app_of(application, **tom))

    assert answer.status_code == (403 if is_theirs else 404)
    assert (await ask("GET", granted["url"])).content == b"meow"
    answer = await call("DELETE", path, master_of(application))
    assert answer.status_code == (200 if is_theirs else 404)
    assert (await ask("GET", granted["url"])).status_code == (404 if is_theirs else 200)


async def test_the_developer_deletes_a_file_with_its_bytes(application: Application) -> None:
    granted = await uploaded(application, b"meow", name="cat.png")

    answer = await call("DELETE", f"/1.1/files/{granted['objectId']}", master_of(application), "null")

    assert (answer.status_code, answer.json()) == (200, {})
    assert (await ask("GET", granted["url"])).status_code == 404
    assert (await ask("PUT", granted["upload_url"], content=b"meow")).status_code == 403
    assert await in_database(File.objects.filter(object_id=granted["objectId"]).count) == 0


@pytest.mark.parametrize("is_master", [False, True])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize("place", PLACES[:3])
async def test_no_call_reaches_another_applications_file(
    application: Application, other: Application, is_master: bool, method: str, place: str
) -> None:
    """A download does, for who was told where: the address is the key."""
    api = Api(application)
    tom = await api.sign_up("tom")
    session = {"X-LC-Session": tom["sessionToken"]}
    granted = await grant(application, session, name="cat.png")
    await ask("PUT", granted["upload_url"], content=b"meow")
    headers = (master_of if is_master else app_of)(other, **session)

    answer = await call(method, f"/1.1/{place}/{granted['objectId']}", headers)
    listed = await call("GET", "/1.1/files", master_of(other), where=f'{{"key": "{granted["key"]}"}}')
    await call("POST", "/1.1/fileCallback", app_of(other), {"token": granted["token"], "result": False})

    assert (answer.status_code, answer.json()["code"]) == (404, 101)
    assert listed.json()["results"] == []
    assert (await ask("GET", granted["url"])).content == b"meow"


async def test_another_applications_callback_does_not_end_what_is_on_its_way(
    application: Application, other: Application
) -> None:
    granted = await grant(application, name="cat.png")

    await call("POST", "/1.1/fileCallback", app_of(other), {"token": granted["token"], "result": False})

    assert (await ask("PUT", granted["upload_url"], content=b"meow")).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "fileTokens"), ("POST", "fileCallback"), ("POST", "files"), ("GET", "files"), ("GET", "files/x")],
)
async def test_without_a_key_nothing_is_answered(application: Application, method: str, path: str) -> None:
    stranger = {"X-LC-Id": application.app_id, "X-LC-Key": "wrong"}

    assert (await call(method, f"/1.1/{path}", stranger, None if method == "GET" else {})).status_code == 401


async def test_an_application_that_is_switched_off_takes_nothing(application: Application, obey_settings: Any) -> None:
    granted = await grant(application, name="cat.png")
    application.is_active = False
    await in_database(application.save)
    await applications.refresh()

    assert (await ask("PUT", granted["upload_url"], content=b"meow")).status_code == 403


FIELDS = {
    "fileTokens": ("name", "mime_type", "metaData", "key", "ACL", "prefix"),
    "fileCallback": ("token", "result"),
    "files": ("url", "name", "mime_type", "metaData"),
}
VALUES: list[Any] = [None, True, 0, -1.5, 10**30, "", "x", "\ud7ff", [], [[1]], {}, {"size": []}, {"size": 1e300}]


@pytest.mark.parametrize("path", FIELDS)
async def test_whatever_json_a_field_has_is_answered(application: Application, path: str) -> None:
    """With an answer of the kind that is described, or the documented error; never with a crash."""
    for field in FIELDS[path]:
        for value in VALUES:
            body = {"name": "x", "url": "https://example.com/x", field: value}
            answer = await call("POST", f"/1.1/{path}", app_of(application), body)
            assert answer.status_code in (200, 201, 400, 413), (field, value, answer.content)
            assert answer.status_code < 300 or answer.json()["code"] in (1, 107, 111, 122, 413), answer.content
