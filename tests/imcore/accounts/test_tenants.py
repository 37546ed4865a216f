"""Users of one application are unknown to every other one."""

import itertools
from collections.abc import Callable

import pytest

from imcore.models import Application
from tests.imcore.accounts.asking import Api

_numbers = itertools.count(1)


@pytest.fixture
def other() -> Api:
    """The API of another application on the same server."""
    return Api(Application.objects.create(name=f"neighbour {next(_numbers)}"))


async def test_one_name_is_free_in_each_application(api: Api, other: Api) -> None:
    columns = {"email": "tom@example.com", "mobilePhoneNumber": "18200008888", "authData": {"anonymous": {"id": "x"}}}

    ours, theirs = await api.sign_up("tom", "cheese!", **columns), await other.sign_up("tom", "cheese!", **columns)

    assert ours["objectId"] != theirs["objectId"]
    assert ours["sessionToken"] != theirs["sessionToken"]


async def test_a_log_in_finds_users_of_its_application_only(api: Api, other: Api) -> None:
    await api.sign_up("tom", "cheese!", email="tom@example.com", mobilePhoneNumber="18200008888")

    for named in ({"username": "tom"}, {"email": "tom@example.com"}, {"mobilePhoneNumber": "18200008888"}):
        assert (await other.ask("POST", "login", {**named, "password": "cheese!"})).code == (400, 211)


ENDPOINTS: list[tuple[str, str, bool]] = [
    (method, path, master)
    for method, path in [
        ("GET", "users/{}"),
        ("PUT", "users/{}"),
        ("DELETE", "users/{}"),
        ("GET", "classes/_User/{}"),
        ("PUT", "classes/_User/{}"),
        ("DELETE", "classes/_User/{}"),
        ("PUT", "users/{}/refreshSessionToken"),
        ("PUT", "users/{}/updatePassword"),
        ("GET", "users/me"),
        ("POST", "rtm/sign"),
        ("GET", "/1.2/rtm/clients/sign"),
    ]
    for master in (False, True)
]


@pytest.mark.parametrize(("method", "path", "master"), ENDPOINTS)
async def test_no_call_reaches_another_applications_user(
    api: Api, other: Api, method: str, path: str, master: bool
) -> None:
    """With his id and his session token, by clients and by the developer of the other one."""
    tom = await api.sign_up("tom", "cheese!", nick="T")
    body = {"nick": "stolen", "old_password": "cheese!", "new_password": "x", "session_token": tom["sessionToken"]}

    answer = await other.ask(method, path.format(tom["objectId"]), body, token=tom["sessionToken"], master=master)

    assert answer.code in ((400, 211), (403, 403))
    assert (await api.ask("POST", "login", {"username": "tom", "password": "cheese!"})).body == tom


async def test_a_list_has_the_users_of_its_application_only(api: Api, other: Api) -> None:
    tom = await api.sign_up("tom")

    answer = await other.ask("GET", "users", master=True, where=f'{{"objectId": "{tom["objectId"]}"}}', count=1)

    assert answer.body == {"results": [], "count": 0}


async def test_an_account_elsewhere_enters_its_application_only(api: Api, other: Api) -> None:
    data = {"authData": {"anonymous": {"id": "a-device"}}}
    await api.ask("POST", "users", data)

    assert (await other.ask("POST", "users", data, failOnNotExist="1")).code == (400, 211)


async def test_without_a_key_nothing_is_answered(api: Api, obey_settings: Callable[..., object]) -> None:
    """rest-api 2.7."""
    stranger = Api(Application(app_id=api.application.app_id, app_key="wrong", master_key="wrong"))

    for method, path in [("POST", "users"), ("POST", "login"), ("GET", "users/me"), ("POST", "rtm/sign")]:
        assert (await stranger.ask(method, path, {})).code == (401, 401)
