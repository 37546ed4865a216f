"""One of everything an application can have, made over HTTP: for tests that walk all endpoints.

    values = furnished(furniture("tom"), ask)                 `ask` makes a request and returns the JSON of its answer
    values = await furnished_async(furniture("tom"), ask)

What is returned are values for parameters, of paths, queries and bodies alike, by name.
"""

from collections.abc import Awaitable, Callable, Generator, Mapping
from itertools import pairwise
from typing import Any

Made = dict[str, Any]
Furniture = Generator[tuple[str, Mapping[str, Any]], Made, Made]

# The part of a path that says of which kind `conversation_id` is.
FAMILIES = ("conversations", "chatrooms", "service-conversations")


def furniture(client_id: str, marker: str = "furniture") -> Furniture:
    """Yield path and body of one POST after the other, and take what was answered. `marker` is in all that is said."""
    families = {}
    for family in FAMILIES:
        made = yield f"/1.2/rtm/{family}", {"m": [client_id, "jerry"], "name": marker}
        families[family] = made["objectId"]
    normal, _, service = families.values()
    said = yield f"/1.2/rtm/conversations/{normal}/messages", {"from_client": client_id, "message": marker}
    yield f"/1.2/rtm/service-conversations/{service}/subscribers", {"client_id": client_id}
    yield f"/1.2/rtm/service-conversations/{service}/broadcasts", {"from_client": "service", "message": marker}
    in_room = yield (
        f"/1.2/rtm/chatrooms/{families['chatrooms']}/messages",
        {"from_client": client_id, "message": marker},
    )
    told = {"from_client": client_id, "message": marker, "to_clients": [client_id, "jerry"]}
    spoken = yield f"/1.2/rtm/service-conversations/{service}/messages", told
    broadcast = yield "/1.2/rtm/broadcasts", {"from_client": "service", "conv_id": service, "message": marker}
    role = yield f"/1.2/rtm/conversations/{normal}/member-infos", {"clientId": client_id, "role": "Manager"}
    user = yield "/1.1/users", {"username": f"{marker} {client_id}", "password": "a password", "column": marker}
    installation = yield "/1.1/installations", {"deviceType": "android", "deviceToken": marker, "column": marker}
    file = yield "/1.1/files", {"name": marker, "url": f"https://files.example.com/{marker}"}
    return {
        **families,
        # The message of each family.
        "said": {"conversations": said, "chatrooms": in_room, "service-conversations": spoken},
        "client_id": client_id,
        "client_ids": [client_id],
        "clientId": client_id,
        "from_client": client_id,
        "from_peer": client_id,
        "peers": [client_id],
        "m": [client_id, "spike"],
        "message_id": said["msg-id"],
        "msgid": said["msg-id"],
        "msg-id": said["msg-id"],
        "timestamp": said["timestamp"],
        "conversation_id": normal,
        "conv_id": service,
        "convid": normal,
        "cid": normal,
        "gid": families["chatrooms"],
        "mid": broadcast["msg-id"],
        "to_clients": [client_id, "jerry"],
        "to_peers": [client_id, "jerry"],
        "info_id": role["objectId"],
        "session_token": user["sessionToken"],
        "password": "a password",
        "old_password": "a password",
        "username": f"{marker} {client_id}",
        "users": user["objectId"],
        "_User": user["objectId"],
        "installations": installation["objectId"],
        "_Installation": installation["objectId"],
        "deviceToken": marker,
        "files": file["objectId"],
        "_File": file["objectId"],
        "_Conversation": normal,
        "class_name": "_Conversation",
    }


def values_for(path: str, values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the values by name for a path: what an id is of stands before it."""
    ids = {}
    for before, part in pairwise(path.split("/")):
        if part.startswith("{") and before in values:
            ids[part.strip("{}")] = values[before]
    said = next((said for family, said in values["said"].items() if f"/{family}/" in path), None)
    message = {"message_id": said["msg-id"], "timestamp": said["timestamp"]} if said else {}
    if "/patch/" in path:  # which services do not have
        message["conv_id"] = values["conversations"]
    return {**values, **message, **ids, "client_id": values["client_id"]}


def furnished(steps: Furniture, ask: Callable[[str, Mapping[str, Any]], Made]) -> Made:
    """Make everything with requests that wait."""
    path, body = next(steps)
    try:
        while True:
            path, body = steps.send(ask(path, body))
    except StopIteration as end:
        made: Made = end.value
        return made


async def furnished_async(steps: Furniture, ask: Callable[[str, Mapping[str, Any]], Awaitable[Made]]) -> Made:
    """Make everything with requests that are awaited."""
    path, body = next(steps)
    try:
        while True:
            path, body = steps.send(await ask(path, body))
    except StopIteration as end:
        made: Made = end.value
        return made
