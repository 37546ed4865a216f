"""What back ends say, edit, recall and delete over HTTP (rest-api 8.7, 8.9)."""

from typing import Any

from imcore.bridge import in_database
from imcore.models import Application
from imcore.protocol.message_pb2 import AckCommand
from messaging.models import ServiceMessage
from tests.restclient import call, master_of

CONVERSATIONS, CHAT_ROOMS, SERVICES = "conversations", "chatrooms", "service-conversations"


async def ask(application: Application, method: str, path: str, body: Any = None, **query: Any) -> Any:
    """Ask as the developer and return the answer, whatever it is."""
    return await call(method, path, master_of(application), body, **query)


async def attempt(
    application: Application,
    cid: str,
    sender: str = "tom",
    message: Any = "hello",
    *,
    of: str = CONVERSATIONS,
    **more: Any,
) -> Any:
    """Send a message and return the answer, whatever it is."""
    body = {"from_client": sender, "message": message, **more}
    return await ask(application, "POST", f"/1.2/rtm/{of}/{cid}/messages", body)


async def send(
    application: Application, cid: str, sender: str = "tom", message: Any = "hello", **more: Any
) -> AckCommand:
    """Send a message, which must succeed, and return id and time as a client is told those of its own."""
    answer = await attempt(application, cid, sender, message, **more)
    assert answer.status_code == 200, answer.content
    return acknowledgement(answer)


def acknowledgement(answer: Any) -> AckCommand:
    """Return id and time of what was sent."""
    body = answer.json()
    assert body.keys() == {"msg-id", "timestamp"}
    return AckCommand(uid=body["msg-id"], t=body["timestamp"])


async def to_subscribers(application: Application, cid: str, message: Any = "news", **more: Any) -> Any:
    """Say something to all subscribers and return the answer."""
    body = {"from_client": "tom", "message": message, **more}
    return await ask(application, "POST", f"/1.2/rtm/{SERVICES}/{cid}/broadcasts", body)


async def to_everybody(application: Application, cid: str, message: Any = "for all", **more: Any) -> Any:
    """Say something to everybody and return the answer."""
    body = {"from_client": "tom", "conv_id": cid, "message": message, **more}
    return await ask(application, "POST", "/1.2/rtm/broadcasts", body)


def path_of(cid: str, ack: AckCommand, of: str = CONVERSATIONS) -> str:
    """Return the path of a message."""
    return f"/1.2/rtm/{of}/{cid}/messages/{ack.uid}"


async def edit(
    application: Application, cid: str, ack: AckCommand, message: Any, *, of: str = CONVERSATIONS, **more: Any
) -> Any:
    """Edit a message of tom's and return the answer."""
    body = {"from_client": "tom", "timestamp": ack.t, "message": message, **more}
    return await ask(application, "PUT", path_of(cid, ack, of), body)


async def recall(application: Application, cid: str, ack: AckCommand, *, of: str = CONVERSATIONS, **more: Any) -> Any:
    """Recall a message of tom's and return the answer."""
    body = {"from_client": "tom", "timestamp": ack.t, **more}
    return await ask(application, "PUT", f"{path_of(cid, ack, of)}/recall", body)


async def delete(application: Application, cid: str, ack: AckCommand, *, of: str = CONVERSATIONS, **more: Any) -> Any:
    """Delete a message of tom's and return the answer."""
    query = {"from_client": "tom", "timestamp": ack.t, **more}
    said = {name: value for name, value in query.items() if value is not None}
    return await ask(application, "DELETE", path_of(cid, ack, of), **said)


def code(answer: Any) -> tuple[int, int]:
    """Return the status and the code of an error."""
    return answer.status_code, answer.json()["code"]


async def stored(application: Application) -> list[ServiceMessage]:
    """Return the rows of what services have said."""
    return await in_database(lambda: list(ServiceMessage.objects.filter(application=application)))
