"""`POST /1.1/users`: somebody signs up (rest-api 10.2)."""

import asyncio
import re
from typing import Any

import pytest

from imcore.accounts.models import User
from imcore.bridge import in_database
from tests.imcore.accounts.asking import Api, Json


@pytest.mark.parametrize("path", ["users", "users/", "/1.2/users", "classes/_User", "//1.1//users"])
async def test_a_sign_up_answers_an_id_and_a_session(api: Api, path: str) -> None:
    """Checklist 46: JavaScript signs up at `/users`, Python at `/classes/_User`."""
    answer = await api.ask("POST", path, {"username": "tom", "password": "cheese!"}, fetchWhenSave="false")

    assert answer.status == 201
    assert answer.body.keys() == {"objectId", "createdAt", "sessionToken"}
    assert re.fullmatch(r"[0-9a-f]{24}", answer.body["objectId"])
    assert re.fullmatch(r"[0-9a-z]{25}", answer.body["sessionToken"])
    assert answer.headers["Location"].endswith(f"/1.1/users/{answer.body['objectId']}")


async def test_columns_are_kept_and_the_password_is_told_to_nobody(api: Api, application: Any) -> None:
    """Checklist 46: operators act on a value that is not there yet."""
    made = await api.sign_up(
        email="tom@example.com",
        mobilePhoneNumber="+8618200008888",
        nick="猫",
        lives={"__op": "Increment", "amount": 9},
        home={"city": "Paris"},
    )

    kept = {key: made[key] for key in ("username", "email", "mobilePhoneNumber", "nick", "lives", "home")}
    assert kept == {
        "username": "tom",
        "email": "tom@example.com",
        "mobilePhoneNumber": "+8618200008888",
        "nick": "猫",
        "lives": 9,
        "home": {"city": "Paris"},
    }
    assert made["emailVerified"] is made["mobilePhoneVerified"] is False
    assert "password" not in made
    row = await in_database(User.objects.get, application=application)
    stored = {field.name: str(getattr(row, field.attname)) for field in User._meta.fields}
    assert not [name for name, value in stored.items() if "cheese!" in value or made["sessionToken"] in value]


async def test_what_sdks_send_along_is_passed_over(api: Api) -> None:
    """rest-api 3.9, 10.2: residues of SDKs, and the session of somebody who was logged in before."""
    made = await api.sign_up("somebody")
    body: Json = {
        "username": "tom",
        "password": "cheese!",
        "className": "_User",
        "__type": "Object",
        "__ignore_hooks": [],
        "objectId": "mine",
        "sessionToken": "mine",
        "createdAt": "2020-01-01T00:00:00.000Z",
        "email": None,
    }

    answer = await api.ask("POST", "users", body, token=made["sessionToken"], new="true")

    assert answer.status == 201
    assert answer.body.keys() == {
        "objectId", "username", "emailVerified", "mobilePhoneVerified", "createdAt", "updatedAt", "sessionToken",
    }  # fmt: skip
    assert answer.body["objectId"] not in ("mine", made["objectId"])


GOOD = {"username": "jerry", "password": "hole"}
REFUSED: dict[str, tuple[Json, int]] = {
    "no user name": ({"password": "hole"}, 200),
    "an empty user name": ({**GOOD, "username": ""}, 200),
    "a deleted user name": ({**GOOD, "username": {"__op": "Delete"}}, 200),
    "no password": ({"username": "jerry"}, 201),
    "an empty password": ({**GOOD, "password": ""}, 201),
    "a taken user name": ({**GOOD, "username": "tom"}, 202),
    "a taken address": ({**GOOD, "email": "tom@example.com"}, 203),
    "a taken number": ({**GOOD, "mobilePhoneNumber": "18200008888"}, 214),
    "a blank user name": ({**GOOD, "username": " \t"}, 217),
    "a user name with a NUL": ({**GOOD, "username": "je\0rry"}, 111),
    "a long user name": ({**GOOD, "username": "j" * 256}, 217),
    "a blank password": ({**GOOD, "password": "  "}, 218),
    "a number for a user name": ({**GOOD, "username": 7}, 111),
    "a number for a password": ({**GOOD, "password": 7}, 111),
    "an operator for a password": ({**GOOD, "password": {"__op": "Delete"}}, 111),
    "no address": ({**GOOD, "email": "jerry"}, 125),
    "a number for an address": ({**GOOD, "email": 7}, 125),
    "no number": ({**GOOD, "mobilePhoneNumber": "jerry"}, 127),
    "a verified address": ({**GOOD, "email": "jerry@example.com", "emailVerified": True}, 117),
    "a verified number": ({**GOOD, "mobilePhoneVerified": True}, 117),
    "an ACL that is none": ({**GOOD, "ACL": {"*": {"read": 1}}}, 123),
    "an ACL of nothing": ({**GOOD, "ACL": []}, 123),
    "a key with a blank": ({**GOOD, "nick name": "x"}, 105),
    "a key with one underscore": ({**GOOD, "_nick": "x"}, 105),
    "a key that stands for failure": ({**GOOD, "error": "x"}, 105),
    "a step without a name": ({**GOOD, "home.": "x"}, 111),
    "an unknown operator": ({**GOOD, "nick": {"__op": "Shout"}}, 111),
    "an operator that does not fit": ({**GOOD, "username": {"__op": "Increment", "amount": 1}}, 111),
    "too much": ({**GOOD, "nick": "x" * 131_072}, 116),
    "a NUL": ({**GOOD, "nick": "\0"}, 111),
    "authData that is none": ({**GOOD, "authData": 1}, 111),
    "authData of nobody": ({**GOOD, "authData": {"anonymous": {}}}, 250),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_a_bad_sign_up_is_refused_and_makes_nobody(api: Api, application: Any, name: str) -> None:
    """rest-api 4.1: 105, 111, 116, 117, 123, 125, 127, 200 to 203, 214, 217, 218, 250."""
    await api.sign_up("tom", email="tom@example.com", mobilePhoneNumber="18200008888")
    body, code = REFUSED[name]

    answer = await api.ask("POST", "users", body)

    assert answer.code == (400, code)
    assert await in_database(User.objects.filter(application=application).count) == 1


@pytest.mark.parametrize(
    ("raw", "code"),
    [(b"{", 107), (b"[]", 107), (b'"\\ud800"', 107), (b"\xff", 107), (b"null", 200), (b"", 200), (b"[" * 2000, 107)],
)
async def test_a_body_that_is_no_object_is_refused(api: Api, raw: bytes, code: int) -> None:
    """Checklist 9: `null` is an object without fields."""
    assert (await api.ask("POST", "users", raw=raw)).code == (400, code)


async def test_names_and_addresses_tell_capitals_apart(api: Api) -> None:
    """rest-api 10.2."""
    await api.sign_up("tom", email="tom@example.com")

    made = await api.sign_up("Tom", email="Tom@example.com")

    assert made["username"] == "Tom"


async def test_of_many_who_want_one_name_at_a_time_one_gets_it(api: Api) -> None:
    body = {"username": "tom", "password": "cheese!"}

    answers = await asyncio.gather(*(api.ask("POST", "users", body) for _ in range(6)))

    assert sorted(answer.status for answer in answers) == [201, *[400] * 5]
    assert {answer.body["code"] for answer in answers if answer.status == 400} == {202}


async def test_the_developer_says_what_is_verified(api: Api) -> None:
    body = {"username": "tom", "password": "cheese!", "email": "tom@example.com", "emailVerified": True}

    answer = await api.ask("POST", "users", body, master=True, new="true")

    assert answer.body["emailVerified"] is True


def of_swift(**columns: Any) -> Json:
    """Return the body by which Swift signs somebody up: it saves everything so."""
    item = {"method": "POST", "path": "/1.1/users", "body": {"__internalId": "a-user", **columns}, "new": True}
    return {"requests": [item]}


async def test_swift_signs_up_with_what_it_saves_together(api: Api) -> None:
    """rest-api 10.1: `batch/save` is its only way to save; the answer has the session as any sign-up has."""
    answer = await api.ask("POST", "batch/save", of_swift(username="tom", password="cheese!", nick="T"))

    made = answer.body["a-user"]
    assert (answer.status, made.keys()) == (200, {"objectId", "createdAt", "sessionToken"})
    me = (await api.ask("GET", "users/me", token=made["sessionToken"])).body
    assert (me["objectId"], me["nick"]) == (made["objectId"], "T")
    assert (await api.ask("POST", "login", {"username": "tom", "password": "cheese!"})).body == me


@pytest.mark.parametrize(
    ("columns", "code"),
    [
        ({"username": "jerry", "password": "cheese!"}, 202),
        ({"username": "tom"}, 201),
        ({"password": "cheese!"}, 200),
        ({"username": "tom", "password": "cheese!", "emailVerified": True}, 117),
        ({"username": "tom", "password": "cheese!", "authData": {"weixin": {"openid": "1"}}}, 251),
    ],
)
async def test_a_bad_sign_up_of_swift_is_refused_and_makes_nobody(api: Api, columns: Json, code: int) -> None:
    await api.sign_up("jerry")

    assert (await api.ask("POST", "batch/save", of_swift(**columns))).code == (400, code)
    assert (await api.ask("GET", "users", master=True, limit=0, count=1)).body["count"] == 1
