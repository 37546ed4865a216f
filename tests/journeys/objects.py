"""Conversations, installations and messages to services as the Python SDK has them: the developer's back end.

LEANCLOUD_API_SERVER, IMCORE_APP_ID, IMCORE_APP_KEY, IMCORE_MASTER_KEY: the server and the application; NODE: the
program that lets a client speak.
"""

import os
import secrets
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import leancloud
from leancloud import Conversation, Installation, LeanCloudError, Query, SysMessage

run = secrets.token_hex(4)
amy, bob, eve = (f"{name}-{run}" for name in ("amy", "bob", "eve"))


def code(work: Callable[..., Any], *args: Any, **kwargs: Any) -> int:
    """Return the code of the error that something fails with."""
    try:
        work(*args, **kwargs)
    except LeanCloudError as error:
        number: int = error.code
        return number
    raise AssertionError("this should have been refused")


def made(*members: str, **options: Any) -> Conversation:
    """Make a conversation."""
    conversation = Conversation(**options)
    if members:
        conversation.set("m", list(members))
    conversation.save()
    return conversation


def ids(query: Query) -> list[str]:
    """Return the ids that a query finds."""
    return [found.id for found in query.find()]


leancloud.init(os.environ["IMCORE_APP_ID"], app_key=os.environ["IMCORE_APP_KEY"])
assert code(made, amy) == 403
leancloud.init(
    os.environ["IMCORE_APP_ID"], app_key=os.environ["IMCORE_APP_KEY"], master_key=os.environ["IMCORE_MASTER_KEY"]
)

lunch = made(amy, bob, name="Lunch", is_unique=True)
assert lunch.id
assert lunch.created_at
assert made(bob, amy, name="again", is_unique=True).id == lunch.id
assert made(bob, amy, name="another").id != lunch.id
room, service = made(name="Room", is_transient=True), made(name="Service", is_system=True)
print("  ok  made, and the unique one found")

lunch = Query(Conversation).get(lunch.id)
assert (lunch.name, lunch.members, lunch.muted_members) == ("Lunch", [amy, bob], [])
assert (lunch.is_unique, lunch.is_system, lunch.is_transient, lunch.last_message_read_at) == (True, False, False, None)
assert Query(Conversation).get(room.id).is_transient
assert Query(Conversation).get(service.id).is_system
print("  ok  read")

lunch.add_member(eve)
lunch.set("topic", "soup")
lunch.increment("guests", 2)
lunch.save()
assert lunch.updated_at > lunch.created_at
lunch.fetch()
assert (lunch.members, lunch.get("topic"), lunch.get("guests")) == ([amy, bob, eve], "soup", 2)
lunch.remove("m", eve)
lunch.set("topic", "salad")
lunch.save(where=Query(Conversation).equal_to("topic", "soup"), fetch_when_save=True)
assert lunch.members == [amy, bob]
lunch.set("topic", "steak")
assert code(lunch.save, where=Query(Conversation).equal_to("topic", "soup")) == 305
print("  ok  changed, and only where a condition holds")

of_amy = Query(Conversation).equal_to("m", amy)
assert of_amy.count() == 2
assert ids(Query(Conversation).equal_to("m", amy).equal_to("topic", "salad")) == [lunch.id]
assert ids(Query(Conversation).startswith("name", "Lun").equal_to("m", bob)) == [lunch.id]
assert ids(Query(Conversation).contains_all("m", [amy, eve])) == []
either = Query.or_(
    Query(Conversation).equal_to("objectId", lunch.id), Query(Conversation).equal_to("objectId", room.id)
)
assert sorted(ids(either)) == sorted([lunch.id, room.id])
[named] = Query(Conversation).equal_to("objectId", lunch.id).select("name").find()
assert (named.name, named.members) == ("Lunch", None)
assert code(ids, Query(Conversation).near("place", leancloud.GeoPoint(1, 1)).matched("name", "(")) == 1
print("  ok  found")

many = [Conversation(name=f"{run}-{number}") for number in range(5)]
Conversation.save_all(many)
scanned = Query(Conversation).startswith("name", f"{run}-").scan(batch_size=2)
assert sorted(found.id for found in scanned) == sorted(one.id for one in many)
Conversation.destroy_all(many)
assert Query(Conversation).startswith("name", f"{run}-").count() == 0
print("  ok  several saved, scanned, and deleted in a batch")

lunch.send(amy, {"_lctype": -1, "_lctext": "hi"})
lunch.send(amy, "hi", transient=True)
assert code(Conversation.create_without_data("0" * 24).send, amy, "hi") == 4401
service.send("voice", "for you", to_clients=[amy])
service.broadcast("voice", {"_lctype": -1, "_lctext": "for all"}, push_data={"alert": "news"})
service.broadcast("voice", "for an hour", valid_till=int(time.time() * 1000) + 3_600_000)
assert code(lunch.broadcast, "voice", "no service") == 4313
print("  ok  said something, to members, to one, to everybody")

says = {"SYSTEM": service.id, "SAYS": "Will it rain?"}
client = Path(__file__).parent / "to-service.mjs"
subprocess.run([os.environ["NODE"], str(client)], env={**os.environ, **says}, check=True)
[message] = Query(SysMessage).equal_to("conv", service).include("conv").find()
assert message.conversation.id == service.id
assert message.conversation.get("name") == "Service"
assert (message.is_binary, message.from_ip) == (False, "127.0.0.1")
assert "Will it rain?" in message.data
assert message.from_client.startswith("Sue-")
assert message.message_created_at == message.ack_at
assert ids(Query(SysMessage).equal_to("from", message.from_client).descending("timestamp")) == [message.message_id]
print("  ok  read what a client said to the service")

device = Installation()
device.set("deviceType", "android")
device.set("installationId", f"i-{run}")
device.set("channels", ["news"])
device.save()
again = Installation()
again.set("installationId", f"i-{run}")
again.set("vendor", "mi")
again.save()
assert again.id == device.id
device.add_unique("channels", "sport")
device.save()
[found] = Query(Installation).equal_to("channels", "sport").equal_to("installationId", f"i-{run}").find()
assert (found.id, found.get("vendor"), found.get("channels")) == (device.id, "mi", ["news", "sport"])
assert code(Installation(channels=["a b"]).save) == 112
device.destroy()
assert Query(Installation).equal_to("installationId", f"i-{run}").find() == []
print("  ok  a device, once")

lunch.destroy()
assert code(lunch.send, amy, "hi") == 4401
print("Kept, found and gone.")
