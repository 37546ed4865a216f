"""What there is not, and how that is told (rest-api 10.1, 9.4)."""

import pytest

from imcore.models import Application
from tests.restclient import call, master_of


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/1.1/classes/Todo", 404, 101),
        ("POST", "/1.2/classes/Todo", 404, 101),
        ("PUT", "/1.1/classes/Todo/1", 404, 101),
        ("GET", "/1.1/scan/classes/Todo", 404, 101),
        ("GET", "/1.1/cloudQuery", 400, 300),
        ("POST", "/1.1/LiveQuery/subscribe", 400, 1),
        ("POST", "/1.1/functions/hello", 404, 1),
        ("POST", "/1.1/call/hello", 404, 1),
    ],
)
async def test_what_there_is_not_is_told_as_sdks_know_it(
    application: Application, method: str, path: str, status: int, code: int
) -> None:
    answer = await call(method, path, master_of(application), {})

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.json()["error"]


async def test_live_query_is_named(application: Application) -> None:
    answer = await call("POST", "/1.1/LiveQuery/subscribe", master_of(application), {})

    assert answer.json() == {"code": 1, "error": "LiveQuery is not enabled."}
