"""`/1.1/users/{id}`, the same as `/1.1/classes/_User/{id}`: reading, changing, deleting, listing (rest-api 10.2)."""

import asyncio
import json
from typing import Any

import pytest

from imcore.accounts.models import AccountSettings, User
from imcore.bridge import in_database
from imcore.models import Application
from tests.imcore.accounts.asking import Api, Json
from tests.messaging.signing_in import ObeySettings

PATHS = pytest.mark.parametrize("path", ["users/{}", "classes/_User/{}", "/1.2//users/{}/"])
PRIVATE = {"email", "emailVerified", "mobilePhoneNumber", "mobilePhoneVerified", "sessionToken"}


async def changed(api: Api, made: Json, body: object, **query: Any) -> Json:
    """Change a user on his own behalf, and return him as he is then."""
    answer = await api.ask("PUT", f"users/{made['objectId']}", body, token=made["sessionToken"], **query)
    assert answer.status == 200, answer.body
    found: Json = (await api.ask("GET", f"users/{made['objectId']}", token=made["sessionToken"])).body
    return found


@PATHS
async def test_others_see_what_is_not_private(api: Api, path: str) -> None:
    tom = await api.sign_up("tom", email="tom@example.com", mobilePhoneNumber="18200008888", nick="T")
    jerry = await api.sign_up("jerry")
    address = path.format(tom["objectId"])

    public = {key: value for key, value in tom.items() if key not in PRIVATE}
    assert (await api.ask("GET", address)).body == public
    assert (await api.ask("GET", address, token=jerry["sessionToken"])).body == public
    assert (await api.ask("GET", address, token="void")).body == public
    whole = {key: value for key, value in tom.items() if key != "sessionToken"}
    assert (await api.ask("GET", address, token=tom["sessionToken"])).body == whole
    assert (await api.ask("GET", address, master=True)).body == whole


@pytest.mark.parametrize("object_id", ["0" * 24, "x", "%C3%A9", "x" * 500])
async def test_a_user_that_is_not_there_is_told_by_211(api: Api, object_id: str) -> None:
    """rest-api 10.1: not an empty object, as of other classes."""
    assert (await api.ask("GET", f"users/{object_id}")).code == (400, 211)
    assert (await api.ask("PUT", f"users/{object_id}", {}, master=True)).code == (400, 211)
    assert (await api.ask("DELETE", f"users/{object_id}", master=True)).code == (400, 211)


async def test_an_acl_hides_a_user(api: Api) -> None:
    """rest-api 5: it is told only to who may see everything, and asks for it."""
    tom, jerry, spike = [await api.sign_up(name) for name in ("tom", "jerry", "spike")]
    acl = {tom["objectId"]: {"read": True, "write": True}, jerry["objectId"]: {"read": True}, "*": {"read": False}}
    found = await changed(api, tom, {"ACL": acl})
    path = f"users/{tom['objectId']}"

    assert "ACL" not in found
    assert (await api.ask("GET", path, token=tom["sessionToken"], returnACL="true")).body["ACL"] == acl
    assert (await api.ask("GET", path, token=jerry["sessionToken"])).status == 200
    assert "ACL" not in (await api.ask("GET", path, token=jerry["sessionToken"], returnACL="true")).body
    assert (await api.ask("GET", path, token=spike["sessionToken"])).code == (403, 403)
    assert (await api.ask("GET", path)).code == (403, 403)
    assert (await api.ask("GET", path, master=True)).status == 200


@PATHS
async def test_a_user_changes_himself(api: Api, path: str) -> None:
    """Checklist 46: JavaScript updates by `PUT /classes/_User/{id}`."""
    tom = await api.sign_up("tom", nick="T", lives=9, tags=["cat"])
    body = {
        "nick": "Thomas",
        "lives": {"__op": "Decrement", "amount": 1},
        "tags": {"__op": "AddUnique", "objects": ["cat", "grey"]},
        "home.city": "Paris",
        "email": "tom@example.com",
    }

    answer = await api.ask("PUT", path.format(tom["objectId"]), body, token=tom["sessionToken"])

    assert answer.status == 200
    assert answer.body.keys() == {"objectId", "updatedAt"}
    found = (await api.ask("GET", "users/me", token=tom["sessionToken"])).body
    assert found == {
        **tom,
        "nick": "Thomas",
        "lives": 8,
        "tags": ["cat", "grey"],
        "home": {"city": "Paris"},
        "email": "tom@example.com",
        "updatedAt": answer.body["updatedAt"],
    }


async def test_changed_columns_are_answered_if_wanted(api: Api) -> None:
    """rest-api 6.1: `fetchWhenSave`, which JavaScript writes as `new`."""
    tom = await api.sign_up("tom", lives=9, nick="T")
    body = {"lives": {"__op": "Increment", "amount": 1}, "nick": {"__op": "Delete"}}

    answer = await api.ask("PUT", f"users/{tom['objectId']}", body, token=tom["sessionToken"], new="true")

    assert answer.body == {"objectId": tom["objectId"], "updatedAt": answer.body["updatedAt"], "lives": 10}


@pytest.mark.parametrize("ends", [False, True])
async def test_a_password_is_set_by_an_update(api: Api, obey_settings: ObeySettings, ends: bool) -> None:
    """rest-api 10.2: and if that ends sessions, the answer has the token of the new one."""
    await obey_settings(AccountSettings, password_change_ends_sessions=ends)
    tom = await api.sign_up("tom", "cheese!")

    answer = await api.ask("PUT", f"users/{tom['objectId']}", {"password": "mouse!"}, token=tom["sessionToken"])

    assert ("sessionToken" in answer.body) is ends
    logged_in = await api.ask("POST", "login", {"username": "tom", "password": "mouse!"})
    assert logged_in.body["sessionToken"] == answer.body.get("sessionToken", tom["sessionToken"])
    assert (await api.ask("POST", "login", {"username": "tom", "password": "cheese!"})).code == (400, 210)


async def test_what_is_written_anew_is_not_verified(api: Api) -> None:
    tom = await api.sign_up("tom", email="tom@example.com", mobilePhoneNumber="18200008888")
    verified = {"emailVerified": True, "mobilePhoneVerified": True}
    await api.ask("PUT", f"users/{tom['objectId']}", verified, master=True)

    found = await changed(api, tom, {"email": "tom@example.com", "mobilePhoneNumber": "18200009999"})

    assert found["emailVerified"] is True
    assert found["mobilePhoneVerified"] is False


async def test_an_address_can_be_taken_away(api: Api) -> None:
    tom = await api.sign_up("tom", email="tom@example.com", mobilePhoneNumber="18200008888")

    found = await changed(api, tom, {"email": {"__op": "Delete"}, "mobilePhoneNumber": None})

    assert not found.keys() & {"email", "mobilePhoneNumber"}
    await api.sign_up("jerry", email="tom@example.com", mobilePhoneNumber="18200008888")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"username": "jerry"}, 202),
        ({"email": "jerry@example.com"}, 203),
        ({"mobilePhoneNumber": "18200009999"}, 214),
        ({"username": ""}, 200),
        ({"username": {"__op": "Delete"}}, 200),
        ({"username": "  "}, 217),
        ({"password": ""}, 201),
        ({"password": "  "}, 218),
        ({"email": "nowhere"}, 125),
        ({"mobilePhoneNumber": "x"}, 127),
        ({"emailVerified": True}, 117),
        ({"emailVerified.x": True}, 117),
        ({"username.x": 1}, 111),
        ({"nick": {"__op": "Increment", "amount": 1}}, 111),
        ({"n ick": 1}, 105),
        ({"ACL": {"*": True}}, 123),
        ({"a." * 70 + "a": 1}, 111),
        ({"nick": "N", "email": 1}, 125),
    ],
)
async def test_a_bad_change_changes_nothing(api: Api, body: Json, code: int) -> None:
    await api.sign_up("jerry", email="jerry@example.com", mobilePhoneNumber="18200009999")
    tom = await api.sign_up("tom", nick="T")

    answer = await api.ask("PUT", f"users/{tom['objectId']}", body, token=tom["sessionToken"])

    assert answer.code == (400, code)
    assert (await api.ask("GET", "users/me", token=tom["sessionToken"])).body == tom


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "users/{}"),
        ("DELETE", "users/{}"),
        ("PUT", "classes/_User/{}"),
        ("DELETE", "classes/_User/{}"),
        ("PUT", "users/{}/refreshSessionToken"),
        ("PUT", "users/{}/updatePassword"),
    ],
)
async def test_nobody_else_changes_a_user(api: Api, method: str, path: str) -> None:
    """rest-api 2.4, 4.1: 206 without a session, 403 with one that is over or somebody else's."""
    tom, jerry = await api.sign_up("tom", "cheese!"), await api.sign_up("jerry")
    body = {"nick": "stolen", "old_password": "cheese!", "new_password": "stolen"}
    address = path.format(tom["objectId"])

    assert (await api.ask(method, address, body)).code == (400, 206)
    assert (await api.ask(method, address, body, token="")).code == (400, 206)
    assert (await api.ask(method, address, body, token="0" * 25)).code == (403, 403)
    assert (await api.ask(method, address, body, token=jerry["sessionToken"])).code == (403, 403)
    assert (await api.ask("POST", "login", {"username": "tom", "password": "cheese!"})).body == tom


async def test_the_developer_changes_anybody(api: Api) -> None:
    tom = await api.sign_up("tom")

    answer = await api.ask("PUT", f"users/{tom['objectId']}", {"nick": "T"}, master=True)

    assert answer.status == 200
    assert (await api.ask("GET", f"users/{tom['objectId']}")).body["nick"] == "T"


async def test_a_conditional_update_is_refused(api: Api) -> None:
    """Rather than done without its condition."""
    tom = await api.sign_up("tom")

    answer = await api.ask("PUT", f"users/{tom['objectId']}", {"nick": "T"}, token=tom["sessionToken"], where="{}")

    assert answer.code == (400, 1)


async def test_of_changes_at_a_time_none_is_lost(api: Api) -> None:
    tom = await api.sign_up("tom", lives=0)
    body = {"lives": {"__op": "Increment", "amount": 1}}

    await asyncio.gather(
        *(api.ask("PUT", f"users/{tom['objectId']}", body, token=tom["sessionToken"]) for _ in range(8))
    )

    assert (await api.ask("GET", f"users/{tom['objectId']}")).body["lives"] == 8


async def test_numbers_are_kept_as_they_are(api: Api) -> None:
    """On either engine, and able to be written again."""
    numbers = [1e300, 0.1, 2**63, -(2**63), 1, True, None]
    tom = await api.sign_up("tom", numbers=numbers)

    found = await changed(api, tom, {"other": 1})

    assert json.dumps(found["numbers"]) == json.dumps(numbers)


async def test_who_is_deleted_is_gone(api: Api, application: Application) -> None:
    tom = await api.sign_up("tom", authData={"anonymous": {"id": "a-device"}})

    answer = await api.ask("DELETE", f"users/{tom['objectId']}", raw=b"null", token=tom["sessionToken"])

    assert (answer.status, answer.body) == (200, {})
    assert (await api.ask("GET", "users/me", token=tom["sessionToken"])).code == (400, 211)
    assert (await api.ask("POST", "login", {"username": "tom", "password": "cheese!"})).code == (400, 211)
    assert not await in_database(User.objects.filter(application=application).exists)
    await api.sign_up("tom")


async def test_the_list_of_users_is_for_the_developer(api: Api) -> None:
    """rest-api 10.1: closed to clients, whoever they are."""
    tom = await api.sign_up("tom")

    assert (await api.ask("GET", "users")).code == (403, 403)
    assert (await api.ask("GET", "classes/_User", token=tom["sessionToken"])).code == (403, 403)


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({}, ["a", "b", "c"]),
        ({"limit": 2}, ["a", "b"]),
        ({"limit": 2, "skip": 2}, ["c"]),
        ({"limit": 0}, []),
        ({"limit": -1}, ["a", "b", "c"]),
        ({"where": {"username": "b"}}, ["b"]),
        ({"where": {"username": {"$in": ["c", "a", "x"]}}}, ["a", "c"]),
        ({"where": {"email": "a@example.com", "username": "b"}}, []),
        ({"where": {"email": "a@example.com"}}, ["a"]),
        ({"where": {}}, ["a", "b", "c"]),
        ({"where": {"email": {"$exists": False}}}, []),
        ({"where": {"username": {"$gt": "a"}, "emailVerified": False}}, ["b", "c"]),
        ({"where": {"createdAt": {"$gt": {"__type": "Date", "iso": "2020-01-01T00:00:00.000Z"}}}}, ["a", "b", "c"]),
    ],
)
async def test_users_are_listed_in_pages(api: Api, query: Json, names: list[str]) -> None:
    made = {name: await api.sign_up(name, email=f"{name}@example.com") for name in ("a", "b", "c")}
    order = sorted(made, key=lambda name: str(made[name]["objectId"]))
    where = {"where": json.dumps(query["where"])} if "where" in query else {}

    answer = await api.ask("GET", "users", master=True, count=1, **{**query, **where})

    assert answer.status == 200
    found = [user["username"] for user in answer.body["results"]]
    skip, limit = query.get("skip", 0), query.get("limit", -1)
    if query.get("where"):
        assert sorted(found) == names
        assert answer.body["count"] == len(names)
    else:
        assert found == (order[skip : skip + limit] if limit >= 0 else order)
        assert answer.body["count"] == 3
    assert all("sessionToken" not in user for user in answer.body["results"])


@pytest.mark.parametrize(
    "where", ["{", "[1]", '{"nick": "x"}', '{"username": 1}', '{"username": {"$regex": "x"}}', '{"email": {"$in": 1}}']
)
async def test_users_are_not_searched_by_anything_else(api: Api, where: str) -> None:
    assert (await api.ask("GET", "users", master=True, where=where)).code == (400, 1)


async def test_users_are_listed_as_any_class_is(api: Api) -> None:
    """Checklist 14, 16: in an order, cut down by `keys`, with what they point to; `returnACL` tells the ACL."""
    cat = (await api.sign_up("cat"))["objectId"]
    pointer = {"__type": "Pointer", "className": "_User", "objectId": cat}
    await api.sign_up("tom", friend=pointer, nick="T", ACL={"*": {"read": True}})
    where = json.dumps([{"username": {"$ne": "x"}}])

    listed = await api.ask("GET", "classes/_User", master=True, order="-username", where=where, keys="friend.username")
    whole = await api.ask("GET", "users", master=True, order="-username", include="friend", limit=1, returnACL="true")

    assert [user.get("friend") for user in listed.body["results"]] == [pointer, None]
    assert all("nick" not in user for user in listed.body["results"])
    [tom] = whole.body["results"]
    assert (tom["friend"]["username"], tom["nick"], tom["ACL"]) == ("cat", "T", {"*": {"read": True}})
    assert (await api.ask("GET", "users", master=True, order="nick")).code == (400, 1)


async def test_a_user_is_answered_with_what_is_asked_for(api: Api) -> None:
    """Checklist 16: `fetch` of JavaScript takes `keys` and `include`; what others may not see stays away."""
    cat = await api.sign_up("cat", email="cat@example.com")
    pointer = {"__type": "Pointer", "className": "_User", "objectId": cat["objectId"]}
    tom = await api.sign_up("tom", friend=pointer, nick="T")

    answer = await api.ask("GET", f"classes/_User/{tom['objectId']}", keys="friend,email", include="friend")

    assert answer.body.keys() == {"objectId", "createdAt", "updatedAt", "friend"}
    assert answer.body["friend"]["username"] == "cat"
    assert "email" not in answer.body["friend"]


async def test_users_are_scanned_part_by_part(api: Api) -> None:
    """Checklist 18; 45: Python's `Query(User).scan()`."""
    made = [(await api.sign_up(name))["objectId"] for name in ("a", "b", "c")]

    first = (await api.ask("GET", "scan/classes/_User", master=True, limit=2)).body
    rest = (await api.ask("GET", "scan/classes/_User", master=True, limit=2, cursor=first["cursor"])).body
    backwards: Json = {"master": True, "scan_key": "-objectId", "limit": 2}
    turned = (await api.ask("GET", "scan/classes/_User", **backwards)).body
    turned_rest = (await api.ask("GET", "scan/classes/_User", **backwards, cursor=turned["cursor"])).body

    assert [user["objectId"] for user in (*first["results"], *rest["results"])] == sorted(made)
    assert rest["cursor"] is None
    assert [user["objectId"] for user in (*turned["results"], *turned_rest["results"])] == sorted(made, reverse=True)
    assert (await api.ask("GET", "scan/classes/_User")).code == (403, 403)


async def test_the_developer_deletes_several_users_at_a_time(api: Api) -> None:
    """rest-api 10.1: JavaScript's `destroyAll`. A user deletes himself and, with others, nobody."""
    tom, jerry, spike = [await api.sign_up(name) for name in ("tom", "jerry", "spike")]
    both = f"{tom['objectId']},{jerry['objectId']}"

    assert (await api.ask("DELETE", f"classes/_User/{both}", token=tom["sessionToken"])).code == (403, 403)
    assert (await api.ask("DELETE", f"classes/_User/{both}", master=True, where='{"nick": "x"}')).code == (400, 1)
    assert (await api.ask("GET", "users", master=True, count=1)).body["count"] == 3
    assert (await api.ask("DELETE", f"classes/_User/{both},nobody", master=True)).body == {}

    [left] = (await api.ask("GET", "users", master=True)).body["results"]
    assert left["objectId"] == spike["objectId"]


UNSERVED = [
    ("POST", "usersByMobilePhone"),
    ("POST", "requestSmsCode"),
    ("POST", "requestLoginSmsCode"),
    ("POST", "requestMobilePhoneVerify"),
    ("POST", "verifyMobilePhone/123456"),
    ("POST", "requestPasswordResetBySmsCode"),
    ("PUT", "resetPasswordBySmsCode/123456"),
    ("POST", "requestChangePhoneNumber"),
    ("POST", "changePhoneNumber"),
    ("POST", "verifySmsCode/123456"),
]


@pytest.mark.parametrize(("method", "path"), UNSERVED)
async def test_no_text_messages_are_sent(api: Api, method: str, path: str) -> None:
    """rest-api 10.2: code 119 while the module is off."""
    assert (await api.ask(method, path, {"mobilePhoneNumber": "18200008888"})).code == (400, 119)


@pytest.mark.parametrize("path", ["requestPasswordReset", "requestEmailVerify"])
@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"email": "tom@example.com"}, 119),
        ({"email": "jerry@example.com"}, 205),
        ({"email": "\0"}, 205),
        ({}, 125),
        ({"email": 7}, 125),
    ],
)
async def test_no_mail_is_sent(api: Api, path: str, body: Json, code: int) -> None:
    """rest-api 4.1: 205 for an address that nobody has."""
    await api.sign_up("tom", email="tom@example.com")

    assert (await api.ask("POST", path, body)).code == (400, code)


@pytest.mark.parametrize("key", ["sessionToken", "password", "objectId", "createdAt", "className"])
async def test_a_child_of_a_batch_becomes_no_column_that_the_server_writes(api: Api, key: str) -> None:
    """`__children` names a column of the parent after all other columns were read."""
    made = await api.sign_up("tom")
    path, children = f"/1.1/classes/_User/{made['objectId']}", [{"className": "_File", "cid": "cat", "key": key}]
    cat = {"__internalId": "cat", "url": "https://example.com/cat.png"}
    tom = {"__internalId": made["objectId"], "__children": children}
    requests = [
        {"method": "POST", "path": "/1.1/classes/_File", "body": cat},
        {"method": "PUT", "path": path, "body": tom},
    ]

    await api.ask("POST", "batch/save", {"requests": requests}, token=made["sessionToken"])

    seen = (await api.ask("GET", f"users/{made['objectId']}")).body
    assert seen.keys() <= {"objectId", "username", "createdAt", "updatedAt"}
    assert seen["objectId"] == made["objectId"]
