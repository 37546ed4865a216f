"""What back ends read over HTTP, as short calls (rest-api 8.8)."""

from typing import Any

from imcore.bridge import in_database
from imcore.models import Application
from messaging.models import Message
from tests.messaging.api.saying import ask
from tests.messaging.storage.drafts import T

HISTORY, LOGS, ALL = "/1.1/rtm/messages/history", "/1.1/rtm/messages/logs", "/1.2/rtm/messages"


def path_of(cid: str, family: str = "conversations") -> str:
    """Return the path of a conversation's messages."""
    return f"/1.2/rtm/{family}/{cid}/messages"


async def read(application: Application, path: str, **query: Any) -> list[dict[str, Any]]:
    """Read a page as the developer."""
    answer = await ask(application, "GET", path, **query)
    assert answer.status_code == 200, answer.content
    found = answer.json()
    assert isinstance(found, list)
    return found


async def texts(application: Application, path: str, **query: Any) -> list[str]:
    """Read the bodies of a page as the developer."""
    return [entry["data"] for entry in await read(application, path, **query)]


async def all_pages(application: Application, path: str, *, limit: int, **query: Any) -> list[str]:
    """Read page after page, each from the last message of the one before, and return all ids."""
    found: list[str] = []
    while page := await read(application, path, limit=limit, **query):
        found += [entry["msg-id"] for entry in page]
        query |= {"timestamp": page[-1]["timestamp"], "msgid": page[-1]["msg-id"]}
    return found


async def stamp(application: Application, times: dict[str, int]) -> None:
    """Give messages, by their texts, the times that they are to have, in milliseconds after T."""

    def write() -> None:
        for text, after_ms in times.items():
            Message.objects.filter(application=application, text=text).update(timestamp_ms=T + after_ms)

    await in_database(write)
