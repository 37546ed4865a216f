"""What there is not, and how that is told (rest-api 10.1, 9.4)."""

import pytest

from imcore.models import Application
from tests.restclient import app_of, call, master_of


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


@pytest.mark.parametrize("path", ["classes/Todo", "classes/Todo/1", "scan/classes/Todo"])
async def test_a_class_that_there_is_not_is_named(application: Application, path: str) -> None:
    """SDKs drop `detail`, and the text alone could be about an object."""
    answer = await call("GET", f"/1.1/{path}", master_of(application))

    assert answer.json()["error"] == "Class or object doesn't exists: Todo"


async def test_the_columns_of_classes_are_told_to_the_developer(application: Application) -> None:
    """rest-api 10.1."""
    whole = (await call("GET", "/1.1/schemas", master_of(application))).json()

    assert whole.keys() >= {"_User", "_Conversation", "_Installation", "_SysMessage"}
    assert whole["_User"]["username"] == {"type": "String"}
    assert (await call("GET", "/1.1/schemas/_Conversation", master_of(application))).json() == whole["_Conversation"]
    unknown = await call("GET", "/1.1/schemas/Todo", master_of(application))
    assert (unknown.status_code, unknown.json()["code"]) == (404, 101)
    assert (await call("GET", "/1.1/schemas", app_of(application))).status_code == 403


async def test_live_query_is_named(application: Application) -> None:
    answer = await call("POST", "/1.1/LiveQuery/subscribe", master_of(application), {})

    assert answer.json() == {"code": 1, "error": "LiveQuery is not enabled."}
