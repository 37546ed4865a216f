"""Files as values of other objects: an SDK says which, and is told all of it (rest-api 5)."""

from typing import Any

import pytest

from imcore import limits
from imcore.models import Application
from tests.imcore.accounts.asking import Api, Json
from tests.imcore.files.asking import uploaded
from tests.restclient import app_of, call, master_of

FULL = {"__type", "objectId", "name", "url", "mime_type", "metaData", "key", "bucket", "createdAt", "updatedAt"}
LOST = "0" * 24


@pytest.fixture
def api(application: Application) -> Api:
    """The application's API."""
    return Api(application)


@pytest.fixture
def other() -> Application:
    """Another application on the same server."""
    return Application.objects.create(name="neighbour of values")


async def cat_of(application: Application) -> Json:
    """Upload a file, and return it as it is answered."""
    made = await uploaded(application, b"meow", name="cat.png", metaData={"width": 3})
    cat: Json = (await call("GET", f"/1.1/files/{made['objectId']}", app_of(application))).json()
    assert cat.keys() == FULL
    return cat


def said_of(cat: Json) -> list[Json]:
    """Return how SDKs say a file: Python and C#; Java, whose `id` is the name; the least of it."""
    object_id = cat["objectId"]
    return [
        {"__type": "File", "id": object_id, "name": "old", "url": "https://example.com/old"},
        {"__type": "File", "objectId": object_id, "id": "cat.png", "className": "_File"},
        {"__type": "File", "id": object_id},
    ]


async def test_a_user_has_his_picture_in_full(api: Api) -> None:
    """Python reads a user by none of these calls if a key is missing, so that it can no longer log him in."""
    cat = await cat_of(api.application)
    tom = await api.sign_up("tom", avatar=said_of(cat)[0])
    token, path = tom["sessionToken"], f"users/{tom['objectId']}"

    answers = [
        await api.ask("POST", "login", {"username": "tom", "password": "cheese!"}),
        await api.ask("GET", "users/me", token=token),
        await api.ask("GET", path),
        await api.ask("PUT", path, {"avatar": said_of(cat)[2]}, token=token, fetchWhenSave="true"),
        await api.ask("PUT", f"{path}/updatePassword", {"old_password": "cheese!", "new_password": "x"}, token=token),
        await api.ask("PUT", f"{path}/refreshSessionToken", token=token),
    ]
    listed = (await api.ask("GET", "users", master=True)).body["results"]

    assert tom["avatar"] == cat
    assert [answer.body["avatar"] for answer in answers] == [cat] * 6
    assert [one["avatar"] for one in listed] == [cat]


async def test_files_are_told_in_full_wherever_they_are(application: Application) -> None:
    """In attributes and lists, in what is included, and as every SDK says them."""
    cat, headers = await cat_of(application), master_of(application)
    place = "/1.1/classes/_Conversation"
    columns = {"icon": said_of(cat)[1], "attr": {"of": [*said_of(cat), {"__type": "Date", "iso": "x"}]}}
    made = (await call("POST", place, headers, columns, fetchWhenSave="true")).json()
    object_id = made["objectId"]
    changed = await call("PUT", f"{place}/{object_id}", headers, {"x": said_of(cat)[2]}, fetchWhenSave="true")
    pointer = {"__type": "Pointer", "className": "_Conversation", "objectId": object_id}
    device = {"installationId": "i", "room": pointer, "icon": said_of(cat)[0]}
    installation = (await call("POST", "/1.1/installations", headers, device, fetchWhenSave="true")).json()

    found = [
        made,
        (await call("GET", f"{place}/{object_id}", headers)).json(),
        (await call("GET", place, headers)).json()["results"][0],
        (await call("GET", "/1.1/scan/classes/_Conversation", headers)).json()["results"][0],
        (await call("GET", f"/1.2/rtm/conversations/{object_id}", headers)).json(),
        (await call("GET", "/1.1/classes/_Installation", headers, include="room")).json()["results"][0]["room"],
    ]

    for one in found:
        assert one["icon"] == cat
        assert one["attr"]["of"] == [cat, cat, cat, {"__type": "Date", "iso": "x"}]
    assert changed.json()["x"] == cat
    assert installation["icon"] == cat


async def test_what_is_saved_together_is_told_with_its_files(application: Application) -> None:
    cat = await cat_of(application)
    body = {"__internalId": "a", "icon": said_of(cat)[0], "installationId": "i"}
    item = {"method": "POST", "path": "/1.1/classes/_Installation", "body": body, "params": {"fetchWhenSave": True}}

    saved = await call("POST", "/1.1/batch/save", app_of(application), {"requests": [item]})

    assert saved.json()["a"]["icon"] == cat


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"id": LOST}, {"objectId": LOST, "name": "", "url": ""}),
        ({"id": LOST, "name": "x", "url": "u", "size": 1}, {"objectId": LOST, "name": "x", "url": "u", "size": 1}),
        ({"objectId": 5, "id": None, "name": 5}, {"objectId": "", "name": "", "url": ""}),
        ({"id": "\0"}, None),
        ({}, {"objectId": "", "name": "", "url": ""}),
    ],
)
async def test_a_file_that_is_not_here_is_still_readable(api: Api, said: Json, told: Json | None) -> None:
    """It was deleted, or never was; the rest of the object is none the worse."""
    columns: dict[str, Any] = {"avatar": {"__type": "File", **said}}
    if told is None:
        assert (await api.ask("POST", "users", {"username": "tom", "password": "x", **columns})).status == 400
        return

    tom = await api.sign_up("tom", **columns)

    assert tom["avatar"] == {"__type": "File", **told}


async def test_files_of_another_application_are_not_told(api: Api, other: Application) -> None:
    cat = await cat_of(other)

    tom = await api.sign_up("tom", avatar={"__type": "File", "id": cat["objectId"]})

    assert tom["avatar"] == {"__type": "File", "objectId": cat["objectId"], "name": "", "url": ""}


async def test_what_is_told_of_files_is_bounded(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """A column may name a file that says much of itself a thousand times."""
    monkeypatch.setattr(limits, "REST_INCLUDED_MAX_BYTES", 1000)
    cat = await cat_of(api.application)

    tom = await api.sign_up("tom", avatars=[{"__type": "File", "id": cat["objectId"]}] * 1000)

    told = [one for one in tom["avatars"] if one == cat]
    assert 1 <= len(told) <= 10
    assert all(one["objectId"] == cat["objectId"] for one in tom["avatars"])


async def test_a_pointer_to_a_file_is_followed(application: Application) -> None:
    cat = await cat_of(application)
    pointer = {"__type": "Pointer", "className": "_File", "objectId": cat["objectId"]}
    body = {"installationId": "i", "icon": pointer}
    made = (await call("POST", "/1.1/installations", app_of(application), body)).json()

    found = await call("GET", f"/1.1/installations/{made['objectId']}", app_of(application), include="icon")

    assert found.json()["icon"]["url"] == cat["url"]
