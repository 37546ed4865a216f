"""`/1.1/login`: by user name, address or phone number; and who is locked out (rest-api 10.2, 4.1)."""

import asyncio
from typing import Any

import pytest

from imcore.accounts.models import User
from imcore.accounts.services import sessions
from imcore.appsettings import applications
from imcore.bridge import in_database
from imcore.models import Application
from tests.imcore.accounts.asking import Api, Json

TOM: Json = {"email": "tom@example.com", "mobilePhoneNumber": "18200008888", "nick": "T"}
MINUTE_MS = 60_000


@pytest.mark.parametrize(
    "named",
    [
        {"username": "tom"},
        {"email": "tom@example.com"},
        {"mobilePhoneNumber": "18200008888"},
        {"username": "tom", "email": "somebody@example.com"},
        {"username": "", "email": "tom@example.com"},
        {"username": None, "email": None, "mobilePhoneNumber": "18200008888"},
        {"username": "tom", "ACL": {"*": {"read": True}}, "className": "_User", "__type": "Object"},
    ],
)
@pytest.mark.parametrize("path", ["login", "/1.2/login", "/1.1//login/"])
async def test_a_log_in_answers_the_user_and_the_same_session(api: Api, named: Json, path: str) -> None:
    """Checklist 47: the user name wins over the address, as Python relies on; what else is sent is ignored."""
    made = await api.sign_up("tom", "cheese!", **TOM)

    answer = await api.ask("POST", path, {**named, "password": "cheese!"})

    assert (answer.status, answer.body) == (200, made)


async def test_old_scripts_log_in_by_get(api: Api) -> None:
    made = await api.sign_up("tom", "cheese!")

    answer = await api.ask("GET", "login", username="tom", password="cheese!")

    assert answer.body == made


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"username": "tom", "password": "mouse"}, 210),
        ({"username": "tom", "password": "Cheese!"}, 210),
        ({"username": "Tom", "password": "cheese!"}, 211),
        ({"email": "jerry@example.com", "password": "cheese!"}, 211),
        ({"mobilePhoneNumber": "1", "password": "cheese!"}, 211),
        ({"username": "to\0m", "password": "cheese!"}, 211),
        ({"username": "t" * 10_000, "password": "cheese!"}, 211),
        ({"password": "cheese!"}, 200),
        ({"username": "", "password": "cheese!"}, 200),
        ({"username": "tom"}, 201),
        ({"username": "tom", "password": ""}, 201),
        ({"username": "tom", "password": "  "}, 218),
        ({"username": ["tom"], "password": "cheese!"}, 111),
        ({"username": "tom", "password": ["cheese!"]}, 111),
        ({"mobilePhoneNumber": "18200008888", "smsCode": "123456"}, 119),
    ],
)
async def test_a_bad_log_in_is_refused(api: Api, body: Json, code: int) -> None:
    """Checklist 47; rest-api 4.1: 200, 201, 210, 211, 218."""
    await api.sign_up("tom", "cheese!", **TOM)

    assert (await api.ask("POST", "login", body)).code == (400, code)


async def fails(api: Api, times: int) -> list[int]:
    """Log in wrongly and return the codes."""
    wrong = {"username": "tom", "password": "mouse"}
    return [(await api.ask("POST", "login", wrong)).body["code"] for _ in range(times)]


async def log_in(api: Api) -> int:
    """Log in rightly and return the status, or the code of the refusal."""
    answer = await api.ask("POST", "login", {"username": "tom", "password": "cheese!"})
    code: int = answer.body.get("code", answer.status)
    return code


async def age_failures(application: Application, minutes: float) -> None:
    """Let time go by since the wrong passwords."""
    user = await in_database(User.objects.get, application=application, username="tom")
    user.failures_ms = [int(at_ms - minutes * MINUTE_MS) for at_ms in user.failures_ms]
    await in_database(user.save)


async def test_seven_wrong_passwords_lock_an_account(api: Api, application: Application) -> None:
    """Checklist 47: for a quarter of an hour after the last one, for the right password too."""
    await api.sign_up("tom", "cheese!")

    assert await fails(api, 7) == [210] * 6 + [219]
    assert await log_in(api) == 219
    assert (await api.ask("POST", "login", {"username": "tom", "password": "cheese!"})).status == 400

    await age_failures(application, 14.5)
    assert await fails(api, 1) == [219]
    assert await log_in(api) == 219
    await age_failures(application, 0.6)
    assert await log_in(api) == 200
    assert await fails(api, 1) == [210]


async def test_six_wrong_passwords_do_not_and_a_right_one_forgives_them(api: Api) -> None:
    """Checklist 47."""
    await api.sign_up("tom", "cheese!")

    assert await fails(api, 6) == [210] * 6
    assert await log_in(api) == 200
    assert await fails(api, 6) == [210] * 6


async def test_wrong_passwords_that_are_long_ago_count_no_more(api: Api, application: Application) -> None:
    """Checklist 47: more than six within a quarter of an hour."""
    await api.sign_up("tom", "cheese!")
    await fails(api, 6)
    await age_failures(application, 15.1)

    assert await fails(api, 1) == [210]
    assert await log_in(api) == 200


async def test_of_guesses_that_come_at_a_time_six_are_judged(api: Api) -> None:
    """Checklist 47: whoever asks a hundred times at once finds out no more."""
    await api.sign_up("tom", "cheese!")
    wrong = {"username": "tom", "password": "mouse"}

    answers = await asyncio.gather(*(api.ask("POST", "login", wrong) for _ in range(20)))

    assert sorted(answer.body["code"] for answer in answers) == [210] * 6 + [219] * 14


async def test_other_users_are_not_locked(api: Api) -> None:
    await api.sign_up("tom", "cheese!")
    await api.sign_up("jerry", "hole!")
    await fails(api, 7)

    answer = await api.ask("POST", "login", {"username": "jerry", "password": "hole!"})

    assert answer.status == 200


async def test_many_log_ins_at_a_time_are_all_let_in(api: Api) -> None:
    made = await api.sign_up("tom", "cheese!")
    right = {"username": "tom", "password": "cheese!"}

    answers = await asyncio.gather(*(api.ask("POST", "login", right) for _ in range(10)))

    assert {answer.body["sessionToken"] for answer in answers} == {made["sessionToken"]}


async def test_more_passwords_than_the_server_takes_on_are_refused(api: Api, settings: Any) -> None:
    await api.sign_up("tom", "cheese!")
    settings.PASSWORD_BACKLOG = 0

    answer = await api.ask("POST", "login", {"username": "tom", "password": "cheese!"})

    assert answer.code == (429, 429)


async def test_a_new_master_key_ends_sessions_until_the_next_log_in(api: Api, application: Application) -> None:
    """The help text of the key promises it."""
    made = await api.sign_up("tom", "cheese!")
    application.master_key = "another-master-key-of-the-test!!"
    await in_database(application.save)
    await applications.refresh()
    snapshot = await applications.get(application.app_id)
    assert snapshot is not None
    assert await sessions.user_of(snapshot, made["sessionToken"]) is None

    answer = await api.ask("POST", "login", {"username": "tom", "password": "cheese!"})

    account = await sessions.user_of(snapshot, answer.body["sessionToken"])
    assert account is not None
    assert account.object_id == made["objectId"]
