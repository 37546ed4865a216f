"""`authData`: logging in by an account elsewhere (rest-api 10.2)."""

import asyncio

import pytest

from imcore.accounts.models import AccountSettings
from tests.imcore.accounts.asking import Api, Json
from tests.messaging.signing_in import ObeySettings

DEVICE: Json = {"anonymous": {"id": "8f0c1d2e"}}
WEIXIN: Json = {"weixin": {"openid": "OPENID", "access_token": "secret", "expires_in": 7200}}


async def test_an_anonymous_account_signs_up_once_and_then_logs_in(api: Api) -> None:
    """201 with a name that was made up, then 200 with the whole user."""
    first = await api.ask("POST", "users", {"authData": DEVICE})
    again = await api.ask("POST", "users", {"authData": DEVICE})

    assert (first.status, again.status) == (201, 200)
    assert first.body["authData"] == DEVICE
    assert first.body.keys() >= {"username", "sessionToken", "objectId", "createdAt"}
    assert again.body == first.body


async def test_whoever_must_exist_is_not_made(api: Api) -> None:
    refused = await api.ask("POST", "users", {"authData": DEVICE}, failOnNotExist="true")
    await api.ask("POST", "users", {"authData": DEVICE})
    entered = await api.ask("POST", "users", {"authData": DEVICE}, failOnNotExist="true")

    assert refused.code == (400, 211)
    assert entered.status == 200


async def test_a_platform_is_not_believed_by_a_client(api: Api, obey_settings: ObeySettings) -> None:
    """An id there is no secret: 251, unless the developer vouches for it or the application believes everybody."""
    assert (await api.ask("POST", "users", {"authData": WEIXIN})).code == (400, 251)
    made = await api.ask("POST", "users", {"authData": WEIXIN}, master=True)
    assert made.status == 201
    assert (await api.ask("POST", "users", {"authData": WEIXIN})).code == (400, 251)

    await obey_settings(AccountSettings, third_party_logins=True)

    entered = await api.ask("POST", "users", {"authData": WEIXIN})
    assert (entered.status, entered.body["objectId"]) == (200, made.body["objectId"])


async def test_an_account_elsewhere_is_linked_and_unlinked(api: Api, obey_settings: ObeySettings) -> None:
    await obey_settings(AccountSettings, third_party_logins=True)
    tom = await api.sign_up("tom")
    path = f"classes/_User/{tom['objectId']}"

    linked = await api.ask("PUT", path, {"authData": WEIXIN}, token=tom["sessionToken"])
    entered = await api.ask("POST", "users", {"authData": WEIXIN})
    unlink = {"authData.weixin": {"__op": "Delete"}}
    unlinked = await api.ask("PUT", path, unlink, token=tom["sessionToken"])
    later = await api.ask("POST", "users", {"authData": WEIXIN}, failOnNotExist="true")

    assert (linked.status, unlinked.status) == (200, 200)
    assert entered.body["objectId"] == tom["objectId"]
    assert entered.body["authData"] == WEIXIN
    assert later.code == (400, 211)
    assert "authData" not in (await api.ask("GET", "users/me", token=tom["sessionToken"])).body


async def test_one_account_elsewhere_is_linked_beside_another(api: Api) -> None:
    """JavaScript sends the new one only; Python sends both, and null for one that is to go."""
    tom = await api.sign_up("tom", authData=DEVICE)
    path = f"users/{tom['objectId']}"

    await api.ask("PUT", path, {"authData": WEIXIN}, master=True)
    both = await api.ask("GET", path, master=True)
    await api.ask("PUT", path, {"authData": {**DEVICE, "weixin": None}}, token=tom["sessionToken"])
    one = await api.ask("GET", path, master=True)

    assert both.body["authData"] == {**DEVICE, **WEIXIN}
    assert one.body["authData"] == DEVICE


async def test_an_account_elsewhere_belongs_to_one_user(api: Api) -> None:
    """rest-api 4.1: 208."""
    await api.sign_up("tom", authData=DEVICE)
    jerry = await api.sign_up("jerry")

    linked = await api.ask("PUT", f"users/{jerry['objectId']}", {"authData": DEVICE}, token=jerry["sessionToken"])
    signed_up = await api.ask("POST", "users", {"username": "spike", "password": "bone", "authData": DEVICE})

    assert linked.code == signed_up.code == (400, 208)
    assert (await api.ask("POST", "login", {"username": "spike", "password": "bone"})).code == (400, 211)


async def test_no_password_is_the_one_of_who_has_none(api: Api) -> None:
    made = await api.ask("POST", "users", {"authData": DEVICE})

    for password in ("!", "None", made.body["username"]):
        body = {"username": made.body["username"], "password": password}
        assert (await api.ask("POST", "login", body)).code == (400, 210)


async def test_who_comes_twice_at_a_time_is_one_user(api: Api) -> None:
    answers = await asyncio.gather(*(api.ask("POST", "users", {"authData": DEVICE}) for _ in range(4)))

    assert {answer.status for answer in answers} <= {200, 201}
    assert len({answer.body["objectId"] for answer in answers}) == 1


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ({"anonymous": {}}, 250),
        ({"anonymous": {"id": ""}}, 250),
        ({"anonymous": {"id": ["x"]}}, 250),
        ({"anonymous": {"id": "x" * 256}}, 250),
        ({"anonymous": 7}, 111),
        ([1], 111),
        ({"p" * 65: {"id": "x"}}, 105),
        ({"": {"id": "x"}}, 111),
        ({"weixin.x": {"id": "x"}}, 250),
        ({"anonymous": None}, 250),
        ({"anonymous": {"__op": "Delete"}}, 250),
        ({"__op": "Delete"}, 250),
    ],
)
async def test_a_bad_account_elsewhere_is_refused(api: Api, data: object, code: int) -> None:
    assert (await api.ask("POST", "users", {"authData": data})).code == (400, code)
