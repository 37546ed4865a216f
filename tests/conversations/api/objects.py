"""Requests about objects of classes, as back ends make them."""

import json
from typing import Any

from imcore.models import Application
from tests.restclient import call, master_of

CLASS = "/1.1/classes/_Conversation"


async def ask(application: Application, method: str, path: str, body: Any = None, /, **query: Any) -> Any:
    """Make a request as the developer, and return the body of the answer, which must be a success."""
    answer = await call(method, path, master_of(application), body, **query)
    assert answer.status_code in (200, 201), answer.json()
    return answer.json()


async def refused(
    application: Application, method: str, path: str, body: Any = None, /, **query: Any
) -> tuple[int, int]:
    """Make a request as the developer, and return the status and the code it fails with."""
    answer = await call(method, path, master_of(application), body, **query)
    found = answer.json()
    assert found.keys() <= {"code", "error", "detail"}, found
    return answer.status_code, found["code"]


async def made(application: Application, /, **columns: Any) -> str:
    """Make a conversation and return its id."""
    object_id: str = (await ask(application, "POST", CLASS, columns))["objectId"]
    return object_id


async def row(application: Application, object_id: str, /, **query: Any) -> Any:
    """Return a conversation as a row."""
    return await ask(application, "GET", f"{CLASS}/{object_id}", **query)


async def names(application: Application, /, **query: Any) -> list[str]:
    """Return the names of the conversations that a list has; `where` is JSON."""
    if "where" in query:
        query["where"] = json.dumps(query["where"])
    return [one["name"] for one in (await ask(application, "GET", CLASS, **query))["results"]]
