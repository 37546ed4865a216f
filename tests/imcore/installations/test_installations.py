"""`/installations`, the same as `/classes/_Installation`: the devices that apps are on (rest-api 10.3)."""

import asyncio
import json
from typing import Any

import pytest

from imcore import limits
from imcore.bridge import in_database
from imcore.identifiers import DAY_MS, now_ms
from imcore.installations import services
from imcore.installations.models import Installation, InstallationSettings
from imcore.models import Application
from tests.messaging.signing_in import ObeySettings
from tests.messaging.support import another_application
from tests.restclient import app_of, call, master_of

PATHS = pytest.mark.parametrize("path", ["/1.1/installations", "/1.1/classes/_Installation"])
PATH = "/1.1/installations"
TOKEN = "0123456789abcdef" * 4


async def post(application: Application, /, **columns: Any) -> str:
    """Say what a device is, as an SDK does, and return the id of its installation."""
    answer = await call("POST", PATH, app_of(application), columns)
    assert answer.status_code in (200, 201), answer.json()
    object_id: str = answer.json()["objectId"]
    return object_id


async def read(application: Application, object_id: str) -> Any:
    """Return an installation."""
    return (await call("GET", f"{PATH}/{object_id}", app_of(application))).json()


async def found(application: Application, **query: Any) -> list[str]:
    """Return the ids of the installations that a list has; `where` is JSON."""
    query = {name: value if isinstance(value, str) else json.dumps(value) for name, value in query.items()}
    answer = await call("GET", PATH, master_of(application), **query)
    assert answer.status_code == 200, answer.json()
    return [one["objectId"] for one in answer.json()["results"]]


@PATHS
async def test_a_device_that_says_twice_what_it_is_is_one(application: Application, path: str) -> None:
    """Checklist 48: 201 first, then 200 with the same id; what it leaves out stays."""
    body = {"deviceType": "android", "installationId": "i-1", "channels": ["a", "中文"], "mood": {"x": 1}}

    first = await call("POST", path, app_of(application), body)
    second = await call("POST", path, app_of(application), {"installationId": "i-1", "vendor": "mi"})

    assert (first.status_code, second.status_code) == (201, 200)
    made, again = first.json(), second.json()
    assert made.keys() == {"objectId", "createdAt"}
    assert first["Location"].endswith(f"{PATH}/{made['objectId']}")
    assert again.keys() == {"objectId", "createdAt", "updatedAt"}
    assert again.items() >= made.items()
    assert await read(application, made["objectId"]) == {**body, **again, "vendor": "mi", "valid": True}
    assert len(await found(application)) == 1


async def test_a_device_is_known_by_the_first_of_three_names(application: Application) -> None:
    """rest-api 10.3: objectId, installationId, deviceToken."""
    by_id = await post(application, installationId="i-1", deviceType="android")
    by_token = await post(application, deviceToken="t-2", deviceType="android")

    assert await post(application, installationId="i-1", deviceToken="t-2") == by_id
    assert await post(application, objectId=by_token, deviceToken="t-3") == by_token
    assert await post(application, installationId="i-3", deviceToken="t-3") == by_token
    assert await post(application, objectId="f" * 24, installationId="i-4") == "f" * 24
    assert await post(application, installationId="i-5", deviceToken="t-5") not in (by_id, by_token)


async def test_devices_that_say_it_at_once_are_one(application: Application) -> None:
    """The constraint decides."""
    ids = await asyncio.gather(*(post(application, installationId="i-1", badge=number) for number in range(8)))

    assert len(set(ids)) == 1
    assert len(await found(application)) == 1


async def test_two_installations_have_not_one_installation_id(application: Application) -> None:
    """rest-api 4.1: 137."""
    await post(application, installationId="i-1")
    other = await post(application, installationId="i-2")

    answer = await call("PUT", f"{PATH}/{other}", app_of(application), {"installationId": "i-1"})

    assert (answer.status_code, answer.json()["code"]) == (400, 137)
    assert (await read(application, other))["installationId"] == "i-2"


@PATHS
async def test_columns_change_by_operators(application: Application, path: str) -> None:
    """rest-api 5.1: subscribing and unsubscribing of SDKs is AddUnique and Remove."""
    object_id = await post(application, installationId="i-1", channels=["a", "b"], badge=1)

    async def put(body: Any, **query: Any) -> Any:
        return (await call("PUT", f"{path}/{object_id}", app_of(application), body, **query)).json()

    written = await put({"channels": {"__op": "AddUnique", "objects": ["b", "c"]}, "mood.x": 1})
    assert written.keys() == {"objectId", "updatedAt"}
    await put({"channels": {"__op": "Remove", "objects": ["a"]}})
    whole = await put({"badge": {"__op": "Increment", "amount": 2}, "valid": False}, fetchWhenSave="true")
    assert (whole["badge"], whole["valid"]) == (3, False)
    now = await read(application, object_id)
    assert (now["channels"], now["mood"]) == (["b", "c"], {"x": 1})
    await put({"channels": {"__op": "Delete"}, "mood": {"__op": "Delete"}, "badge": {"__op": "Delete"}})
    assert (await read(application, object_id)).keys() == {
        *("objectId", "createdAt", "updatedAt", "installationId", "valid", "channels")
    }


@pytest.mark.parametrize(
    ("columns", "code"),
    [
        ({"channels": ["a b"]}, 112),
        ({"channels": [""]}, 112),
        ({"channels": ["a", 5]}, 112),
        ({"channels": ["x" * 129]}, 112),
        ({"channels": ["a\0"]}, 111),
        ({"channels": "a"}, 111),
        ({"channels": [f"c{number}" for number in range(limits.CHANNELS_MAX + 1)]}, 111),
        ({"deviceType": "ios", "deviceToken": "not hexadecimal"}, 114),
        ({"deviceType": "ios", "deviceToken": TOKEN[:-1]}, 114),
        ({"deviceType": "android", "deviceToken": "with a space"}, 114),
        ({"deviceToken": 5}, 114),
        ({"deviceToken": "x" * 513}, 114),
        ({"deviceType": 5}, 111),
        ({"installationId": ["x"]}, 111),
        ({"vendor": "x" * 129}, 111),
        ({"badge": "1"}, 111),
        ({"badge": 2**40}, 111),
        ({"valid": "yes"}, 111),
        ({"1x": 1}, 105),
        ({"error": 1}, 105),
        ({"mood": "x" * limits.INSTALLATION_MAX_BYTES}, 116),
        ({"badge": {"__op": "AddUnique", "objects": [1]}}, 111),
        ({"mood": json.loads("[" * 500 + "]" * 500)}, 111),
    ],
)
async def test_what_no_device_can_say_is_refused(application: Application, columns: Any, code: int) -> None:
    """Checklist 48; rest-api 4.1. Nothing changes."""
    object_id = await post(application, installationId="i-1", channels=["a"])
    before = await read(application, object_id)

    for method, path in (("POST", PATH), ("PUT", f"{PATH}/{object_id}")):
        body = {"installationId": "i-1", "timeZone": "UTC", **columns}
        answer = await call(method, path, app_of(application), body)
        assert (answer.status_code, answer.json()["code"]) == (400, code)

    assert await read(application, object_id) == before


@pytest.mark.parametrize("device_type", ["ios", "macos", "tvos", "watchos"])
async def test_a_token_of_apples_is_hexadecimal(application: Application, device_type: str) -> None:
    object_id = await post(application, deviceType=device_type, deviceToken=TOKEN)

    assert (await read(application, object_id))["deviceToken"] == TOKEN


async def test_an_installation_that_is_not_there(application: Application) -> None:
    """rest-api 10.1: an empty object to read, 101 to write."""
    path = f"{PATH}/{'0' * 24}"

    assert await read(application, "0" * 24) == {}
    answer = await call("PUT", path, app_of(application), {"badge": 1})
    assert (answer.status_code, answer.json()["code"]) == (404, 101)
    assert (await call("DELETE", path, master_of(application))).json() == {}


async def test_lists_and_deletes_are_the_developers(application: Application) -> None:
    """rest-api 10.1: closed to clients."""
    object_id = await post(application, installationId="i-1")

    for method, path in (
        ("GET", PATH),
        ("GET", "/1.1/classes/_Installation"),
        ("GET", "/1.1/scan/classes/_Installation"),
        ("DELETE", f"{PATH}/{object_id}"),
    ):
        assert (await call(method, path, app_of(application))).status_code == 403
    other = await post(application, installationId="i-2")
    assert (await call("DELETE", f"{PATH}/{object_id},{other}", master_of(application))).json() == {}
    assert await found(application) == []


async def test_another_application_sees_nothing(application: Application) -> None:
    other = await another_application()
    object_id = await post(application, installationId="i-1", channels=["a"])

    assert await read(other, object_id) == {}
    assert await found(other, where={"channels": "a"}) == []
    assert await post(other, installationId="i-1") != object_id
    await call("DELETE", f"{PATH}/{object_id}", master_of(other))
    assert (await read(application, object_id))["channels"] == ["a"]


async def test_installations_are_found_by_their_columns(application: Application) -> None:
    """rest-api 6.2, as far as the columns that are documented."""
    one = await post(application, installationId="i-1", deviceType="ios", channels=["a", "b"], badge=1)
    two = await post(application, installationId="i-2", deviceType="android", channels=["b"], vendor="mi")
    three = await post(application, deviceToken="t-3", deviceType="android")
    later = (await read(application, two))["createdAt"]

    async def ids(where: Any) -> set[str]:
        return set(await found(application, where=where))

    assert await ids({"installationId": "i-1"}) == {one}
    assert await ids({"deviceType": "android", "vendor": "mi"}) == {two}
    assert await ids({"deviceType": {"$ne": "ios"}}) == {two, three}
    assert await ids({"vendor": {"$ne": "mi"}}) == {one, three}
    assert await ids({"objectId": {"$in": [one, three]}}) == {one, three}
    assert await ids({"vendor": {"$nin": ["mi"]}}) == {one, three}
    assert await ids({"vendor": {"$exists": True}}) == {two}
    assert await ids({"vendor": None}) == {one, three}
    assert await ids({"vendor": {"$in": ["mi", None]}}) == {one, two, three}
    assert await ids({"badge": {"$gte": 1}}) == {one}
    assert await ids({"valid": True}) == {one, two, three}
    assert await ids({"channels": "b"}) == {one, two}
    assert await ids({"channels": {"$in": ["a", "c"]}}) == {one}
    assert await ids({"channels": {"$all": ["a", "b"]}}) == {one}
    assert await ids({"channels": {"$ne": "a"}}) == {two, three}
    assert await ids({"channels": {"$exists": False}}) == {three}
    assert await ids({"$or": [{"channels": "a"}, {"deviceToken": "t-3"}]}) == {one, three}
    assert await ids({"$or": [{}, {"channels": "a"}]}) == {one, two, three}
    assert await ids({"$nor": [{"channels": "b"}]}) == {three}
    assert await ids({"$nor": [{}]}) == set()
    assert await ids([{"channels": "b"}, {"deviceType": "ios"}]) == {one}
    assert await ids({"createdAt": {"$gte": {"__type": "Date", "iso": later}}}) >= {two, three}
    assert await ids({"updatedAt": {"$lt": "2020-01-01T00:00:00.000Z"}}) == set()
    assert await found(
        application, order="-deviceType,installationId", where={"installationId": {"$exists": True}}
    ) == [
        one,
        two,
    ]


@pytest.mark.parametrize(
    ("where", "named"),
    [
        ({"vendor": {"$regex": "m"}}, "$regex"),
        ({"channels": {"$size": 1}}, "$size"),
        ({"$where": "1"}, "$where"),
        ({"mood": 1}, "mood"),
        ({"vendor": 5}, ""),
        ({"badge": "x"}, ""),
        ({"valid": 1}, ""),
        ({"createdAt": "x"}, ""),
        ({"createdAt": {"__type": "Date", "iso": 5}}, ""),
        ({"channels": [5]}, ""),
        ({"channels": {"$all": "a"}}, ""),
        ({"vendor": {"$in": "x"}}, ""),
        ({"vendor": {"$in": ["x"] * 1001}}, ""),
        ({"$or": []}, ""),
        ({"$or": {}}, ""),
        ({"$and": [5]}, ""),
        (5, ""),
    ],
)
async def test_a_condition_that_cannot_be_read_is_refused(application: Application, where: Any, named: str) -> None:
    """rest-api 6.2: code 1, and the text names what is not known."""
    answer = await call("GET", PATH, master_of(application), where=json.dumps(where))

    assert (answer.status_code, answer.json()["code"]) == (400, 1)
    assert named in answer.json()["error"]


@pytest.mark.parametrize("part", [{"badge": 1}, {}, {"$and": [{"badge": 1}]}])
@pytest.mark.parametrize("key", ["$or", "$nor", "$and"])
async def test_a_condition_has_few_parts(application: Application, key: str, part: Any) -> None:
    """No database takes thousands, and SQLite no thousand."""
    assert await found(application, where=json.dumps({key: [part] * 40})) is not None

    answer = await call("GET", "/1.1/installations", master_of(application), where=json.dumps({key: [part] * 1000}))

    assert (answer.status_code, answer.json()["code"]) == (400, 1)


@pytest.mark.parametrize("order", ["channels", "mood", "a,b", ",".join(["vendor"] * 6)])
async def test_an_order_that_there_is_not_is_refused(application: Application, order: str) -> None:
    answer = await call("GET", PATH, master_of(application), order=order)

    assert (answer.status_code, answer.json()["code"]) == (400, 1)


async def test_a_scan_has_all(application: Application) -> None:
    """Checklist 18, of this class."""
    made = [await post(application, installationId=f"i-{number}") for number in range(5)]
    seen: list[str] = []
    query = {"limit": "2"}
    while True:
        part = (await call("GET", "/1.1/scan/classes/_Installation", master_of(application), **query)).json()
        seen += [one["objectId"] for one in part["results"]]
        if part["cursor"] is None:
            break
        query["cursor"] = part["cursor"]

    assert seen == sorted(made)


async def test_swift_and_objective_c_register_by_a_batch(application: Application) -> None:
    """Checklist 48: always a POST, whole, even of one that is saved; a map keyed by internal id."""
    body = {
        "__internalId": "internal",
        "deviceType": "ios",
        "deviceToken": TOKEN,
        "apnsTeamId": "team",
        "apnsTopic": "com.example.app",
        "timeZone": "Asia/Shanghai",
        "channels": {"__op": "AddUnique", "objects": ["news"]},
    }

    async def save(path: str, item: Any) -> Any:
        requests = [{"method": "POST", "path": path, "body": item, "new": True}]
        answer = await call("POST", "/1.1/batch/save", app_of(application), {"requests": requests})
        assert answer.status_code == 200, answer.json()
        return answer.json()

    first = await save("/1.1/installations", body)
    assert first.keys() == {"internal"}
    assert first["internal"].keys() == {"objectId", "createdAt"}
    object_id = first["internal"]["objectId"]
    again = {**body, "__internalId": object_id, "objectId": object_id, "deviceToken": "f" * 64}
    second = await save("/1.1/classes/_Installation", again)
    assert second[object_id].keys() == {"objectId", "createdAt", "updatedAt"}
    row = await read(application, object_id)
    assert (row["deviceToken"], row["channels"]) == ("f" * 64, ["news"])
    assert len(await found(application)) == 1


async def test_who_uses_an_installation_is_filled_in(application: Application) -> None:
    """`include` shows of a user what anybody may see."""
    user = (
        await call("POST", "/1.1/users", app_of(application), {"username": "t", "password": "x", "nick": "T"})
    ).json()
    pointer = {"__type": "Pointer", "className": "_User", "objectId": user["objectId"]}
    object_id = await post(application, installationId="i-1", user=pointer)

    answer = await call("GET", f"{PATH}/{object_id}", app_of(application), include="user")

    assert answer.json()["user"].items() >= {**pointer, "nick": "T"}.items()


async def test_installations_that_nobody_writes_are_dropped(
    application: Application, obey_settings: ObeySettings
) -> None:
    """rest-api 10.3: after 90 days, or what the application says; 0 keeps them."""
    keeping = await another_application()
    await in_database(lambda: InstallationSettings.objects.create(application=keeping, installations_kept_days=0))
    old, new, kept = [
        await post(of, installationId=name) for of, name in ((application, "i-1"), (application, "i-2"), (keeping, "i"))
    ]
    at_ms = now_ms()
    long_ago = Installation.objects.filter(object_id__in=[old, kept])
    await in_database(lambda: long_ago.update(updated_ms=at_ms - 90 * DAY_MS - 1))

    assert await services.forget(now_ms=at_ms) >= 1
    await services.forget(now_ms=at_ms)

    assert await found(application) == [new]
    assert await found(keeping) == [kept]
