"""Session tokens of users: whose they are, how they end, and what they sign (rest-api 2.4, 8.13, 10.2)."""

import asyncio
import re
from collections.abc import Awaitable, Callable

import pytest

from imcore.accounts.models import AccountSettings
from imcore.identifiers import now_ms
from imcore.protocol.message_pb2 import CommandType, GenericCommand, OpType
from messaging.models import MessagingSettings
from tests.imclient import InProcess, open_session
from tests.imcore.accounts.asking import Api, Json
from tests.messaging.signing_in import ObeySettings

Connect = Callable[..., Awaitable[InProcess]]

LOST = (400, 211)


async def is_good(api: Api, token: str) -> bool:
    """Say whether a token still opens a session, as the SDKs ask."""
    answer = await api.ask("GET", "users/me", token=token)
    assert answer.status == 200 or answer.code == LOST
    return answer.status == 200


async def test_a_token_tells_who_its_user_is(api: Api) -> None:
    """Checklist 46: by header, as JavaScript asks, and in the query, as most others do."""
    made = await api.sign_up("tom", nick="T")

    for answer in (
        await api.ask("GET", "users/me", token=made["sessionToken"]),
        await api.ask("GET", "users/me", session_token=made["sessionToken"]),
        await api.ask("GET", "users/me", token="", session_token=made["sessionToken"]),
        await api.ask("GET", "classes/_User/me", token=made["sessionToken"]),
    ):
        assert (answer.status, answer.body) == (200, made)


async def test_the_token_that_is_asked_about_counts_and_not_the_one_of_who_asks(api: Api) -> None:
    """Checklist 45: Python sends the header of its current user when it asks about another token."""
    tom, jerry = await api.sign_up("tom"), await api.sign_up("jerry")

    become = await api.ask("GET", "users/me", token=tom["sessionToken"], session_token=jerry["sessionToken"])
    stale = await api.ask("GET", "users/me", token=tom["sessionToken"], session_token="0" * 25)
    signed = await api.ask("POST", "rtm/sign", {"session_token": jerry["sessionToken"]}, token=tom["sessionToken"])

    assert become.body == jerry
    assert stale.code == LOST
    assert signed.body["client_id"] == jerry["objectId"]


@pytest.mark.parametrize("token", [None, "", " ", "0" * 25, "\u00e9", "x" * 5000])
async def test_a_token_that_is_none_is_told_by_211(api: Api, token: str | None) -> None:
    """Checklist 5, 46: JavaScript and Python take exactly this code for a session that is over."""
    await api.sign_up("tom")

    assert (await api.ask("GET", "users/me", token=token)).code == LOST


async def test_a_new_token_ends_the_old_one(api: Api) -> None:
    """Checklist 46: refreshSessionToken, with the body `null` that SDKs send."""
    made = await api.sign_up("tom", nick="T")
    path = f"users/{made['objectId']}/refreshSessionToken"

    answer = await api.ask("PUT", path, raw=b"null", token=made["sessionToken"])

    assert answer.status == 200
    assert re.fullmatch(r"[0-9a-z]{25}", answer.body["sessionToken"])
    assert {**answer.body, "sessionToken": "", "updatedAt": ""} == {**made, "sessionToken": "", "updatedAt": ""}
    assert not await is_good(api, made["sessionToken"])
    assert await is_good(api, answer.body["sessionToken"])
    assert (await api.ask("PUT", path, raw=b"null", token=made["sessionToken"])).code == (403, 403)
    logged_in = await api.ask("POST", "login", {"username": "tom", "password": "cheese!"})
    assert logged_in.body["sessionToken"] == answer.body["sessionToken"]


async def test_the_developer_ends_anybodys_session(api: Api) -> None:
    made = await api.sign_up("tom")

    answer = await api.ask("PUT", f"users/{made['objectId']}/refreshSessionToken", master=True)

    assert answer.status == 200
    assert not await is_good(api, made["sessionToken"])


@pytest.mark.parametrize("ends", [False, True])
async def test_a_new_password_takes_the_place_of_the_old_one(api: Api, obey_settings: ObeySettings, ends: bool) -> None:
    """Checklist 46: updatePassword; other devices stay logged in unless the application wants otherwise."""
    await obey_settings(AccountSettings, password_change_ends_sessions=ends)
    made = await api.sign_up("tom", "cheese!")
    body = {"old_password": "cheese!", "new_password": "mouse!"}

    answer = await api.ask("PUT", f"users/{made['objectId']}/updatePassword", body, token=made["sessionToken"])

    assert answer.status == 200
    assert answer.body.keys() >= {"objectId", "sessionToken", "updatedAt"}
    assert await is_good(api, answer.body["sessionToken"])
    assert await is_good(api, made["sessionToken"]) is not ends
    assert (await api.ask("POST", "login", {"username": "tom", "password": "cheese!"})).code == (400, 210)
    assert (await api.ask("POST", "login", {"username": "tom", "password": "mouse!"})).status == 200


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"old_password": "mouse!", "new_password": "x"}, 210),
        ({"old_password": "cheese!"}, 201),
        ({"new_password": "x"}, 201),
        ({"old_password": "cheese!", "new_password": " "}, 218),
        ({"old_password": "cheese!", "new_password": {}}, 111),
    ],
)
async def test_a_bad_change_of_password_changes_nothing(api: Api, body: Json, code: int) -> None:
    made = await api.sign_up("tom", "cheese!")

    answer = await api.ask("PUT", f"users/{made['objectId']}/updatePassword", body, token=made["sessionToken"])

    assert answer.code == (400, code)
    assert (await api.ask("POST", "login", {"username": "tom", "password": "cheese!"})).status == 200


async def test_guessing_the_old_password_locks_the_account(api: Api) -> None:
    """Checklist 47: who has found a device must not find out the password with it."""
    made = await api.sign_up("tom", "cheese!")
    body = {"old_password": "mouse!", "new_password": "x"}
    path = f"users/{made['objectId']}/updatePassword"

    codes = [(await api.ask("PUT", path, body, token=made["sessionToken"])).body["code"] for _ in range(7)]

    assert codes == [210] * 6 + [219]


SIGN_PATHS = [("POST", "rtm/sign"), ("GET", "/1.2/rtm/clients/sign"), ("GET", "rtm/sign"), ("POST", "/1.2/rtm/sign/")]


@pytest.mark.parametrize(("method", "path"), SIGN_PATHS)
@pytest.mark.parametrize("enforced", [True, False])
async def test_a_user_logs_in_to_messaging_with_what_the_server_signs(
    api: Api,
    obey_settings: ObeySettings,
    connect: Connect,
    method: str,
    path: str,
    enforced: bool,
) -> None:
    """Checklist 41: whether or not the application wants signatures; in milliseconds; another nonce each time."""
    await obey_settings(MessagingSettings, sign_login=enforced)
    made = await api.sign_up("tom")
    said: Json = {"session_token": made["sessionToken"]}

    before = now_ms()
    first, second = [
        await (api.ask(method, path, said) if method == "POST" else api.ask(method, path, **said)) for _ in range(2)
    ]

    assert first.status == 200
    assert first.body.keys() == {"signature", "nonce", "client_id", "timestamp"}
    assert first.body["client_id"] == made["objectId"]
    assert re.fullmatch(r"[0-9a-f]{40}", first.body["signature"])
    assert before <= first.body["timestamp"] <= now_ms()
    assert first.body["timestamp"] > 10**12
    assert first.body["nonce"] != second.body["nonce"]
    assert (await opened(connect, api, made["objectId"], first.body)).op == OpType.opened
    # Somebody else cannot use it, where it counts.
    stolen = await opened(connect, api, "somebody", first.body)
    assert (stolen.cmd == CommandType.error) is enforced


async def opened(connect: Connect, api: Api, client_id: str, signed: Json) -> GenericCommand:
    """Open a session of messaging with a signature, and return the reply."""
    fields = {"s": signed["signature"], "t": signed["timestamp"], "n": signed["nonce"]}
    return await open_session(await connect(), api.application.app_id, client_id, **fields)


@pytest.mark.parametrize(("method", "path"), SIGN_PATHS)
async def test_nothing_is_signed_for_who_has_no_session(api: Api, method: str, path: str) -> None:
    """Checklist 41; rest-api 8.13: 211."""
    await api.sign_up("tom")
    said: list[Json] = [{}, {"session_token": "0" * 25}, {"session_token": ""}]

    for one in said:
        answer = await (api.ask(method, path, one) if method == "POST" else api.ask(method, path, **one))
        assert answer.code == LOST
    assert (await api.ask("POST", "rtm/sign", {"session_token": 7})).code == LOST


async def test_renewing_many_times_at_once_leaves_one_good_token(api: Api) -> None:
    made = await api.sign_up("tom")
    path = f"users/{made['objectId']}/refreshSessionToken"

    answers = await asyncio.gather(*(api.ask("PUT", path, master=True) for _ in range(5)))

    good = [await is_good(api, answer.body["sessionToken"]) for answer in answers]
    assert sum(good) == 1
