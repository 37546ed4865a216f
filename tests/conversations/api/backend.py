"""What a back end asks of conversations, as the developer, in short calls."""

import json
from typing import Any

from imcore.models import Application
from tests.restclient import call, master_of

ROOT = "/1.2/rtm"
NORMAL = "conversations"
CHAT_ROOMS = "chatrooms"
SERVICES = "service-conversations"

Json = dict[str, Any]


async def ask(application: Application, method: str, path: str, body: Any = None, /, **query: Any) -> Any:
    """Make a request below `/1.2/rtm/` and return the body of its answer, which must be a success."""
    answer = await call(method, f"{ROOT}/{path}", master_of(application), body, **query)
    assert answer.status_code == 200, answer.content
    return answer.json()


async def refused(
    application: Application, method: str, path: str, body: Any = None, /, **query: Any
) -> tuple[int, int]:
    """Make a request below `/1.2/rtm/` and return the status and the code it fails with."""
    answer = await call(method, f"{ROOT}/{path}", master_of(application), body, **query)
    found = answer.json()
    assert found.keys() <= {"code", "error", "detail"}, found
    return answer.status_code, found["code"]


async def made(application: Application, family: str = NORMAL, /, **columns: Any) -> str:
    """Create a conversation and return its id."""
    object_id: str = (await ask(application, "POST", family, columns))["objectId"]
    return object_id


async def names(application: Application, path: str = NORMAL, /, where: Any = None, **query: Any) -> list[str]:
    """Return the names of the conversations that a list has, in its order."""
    if where is not None:
        query["where"] = json.dumps(where)
    return [one.get("name", "") for one in (await ask(application, "GET", path, **query))["results"]]
