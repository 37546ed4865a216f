"""How many log-ins and sign-ups an application has in a minute (rest-api 7, though these budgets are ours)."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

from imcore import redis
from imcore.models import RestSettings
from tests.imcore.accounts.asking import Api, Json
from tests.messaging.signing_in import ObeySettings

NOON_MS = 20_000 * 86_400_000 + 12 * 3_600_000


@pytest.fixture(autouse=True)
async def budgets(obey_settings: ObeySettings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of each, in a minute that does not end."""
    monkeypatch.setattr("imcore.rest.rates.now_ms", lambda: NOON_MS)
    await obey_settings(RestSettings, rest_log_ins_per_minute=2, rest_sign_ups_per_minute=2)


async def test_log_ins_above_the_rate_are_refused_whoever_they_are_of(api: Api) -> None:
    """Else one password could be tried with every name; who has a session notices nothing."""
    tom = await api.sign_up("tom", "cheese!")
    tries: list[Json] = [{"username": name, "password": "cheese!"} for name in ("anna", "ben", "tom")]

    codes = [(await api.ask("POST", "login", one)).body["code"] for one in tries]
    refused = await api.ask("GET", "login", username="tom", password="cheese!")

    assert codes == [211, 211, 429]
    assert (refused.code, refused.headers["Retry-After"]) == ((429, 429), "60")
    assert (await api.ask("GET", "users/me", token=tom["sessionToken"])).status == 200


async def test_sign_ups_above_the_rate_are_refused_in_whatever_form(api: Api) -> None:
    """Anonymous ones and Swift's among them; nobody is made."""
    assert (await api.ask("POST", "users", {"authData": {"anonymous": {"id": "a-device"}}})).status == 201
    columns: Json = {"username": "tom", "password": "cheese!"}
    item = {"method": "POST", "path": "/1.1/users", "body": {**columns, "__internalId": "x"}}
    assert (await api.ask("POST", "batch/save", {"requests": [item]})).status == 200

    columns["username"] = item["body"]["username"] = "jerry"  # type: ignore[index]
    for path, body in (("users", columns), ("classes/_User", columns), ("batch/save", {"requests": [item]})):
        refused = await api.ask("POST", path, body)
        assert (refused.code, refused.headers["Retry-After"]) == ((429, 429), "60")

    assert (await api.ask("GET", "users", master=True, count=1)).body["count"] == 2
    assert (await api.ask("POST", "login", {**columns, "username": "tom"})).status == 200


async def test_all_that_count_in_redis_share_a_client(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each loop has one; a sign-up in a `batch/save` had a loop of its own, and left a connection behind."""
    loops: list[asyncio.AbstractEventLoop] = []
    # Its threads know of no loop, as those of a server that has just begun.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor())

    async def counted(*windows: Any) -> int:
        loops.append(asyncio.get_running_loop())
        return 0

    client = SimpleNamespace(eval=counted)
    counting = SimpleNamespace(is_configured=lambda: True, client=lambda: client, rate_key=redis.rate_key)
    # Of the rates alone: presence goes on.
    monkeypatch.setattr("imcore.rest.rates.redis", counting)
    item = {"method": "POST", "path": "/1.1/users", "body": {"username": "tom", "password": "x", "__internalId": "x"}}

    assert (await api.ask("POST", "batch/save", {"requests": [item]})).status == 200
    assert (await api.ask("POST", "users", {"username": "jerry", "password": "cheese!"})).status == 201

    assert loops == [asyncio.get_running_loop()] * 2


async def test_the_developer_signs_up_and_logs_in_as_often_as_he_likes(api: Api) -> None:
    """A back end that brings its users along is no flood, and stands nobody in the way."""
    for number in range(4):
        columns = {"username": f"user-{number}", "password": "cheese!"}
        assert (await api.ask("POST", "users", columns, master=True)).status == 201
        assert (await api.ask("POST", "login", columns, master=True)).status == 200

    await api.sign_up("tom", "cheese!")
    assert (await api.ask("POST", "login", {"username": "tom", "password": "cheese!"})).status == 200
