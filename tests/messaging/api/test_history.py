"""Reading what was said (rest-api 8.8)."""

from hashlib import md5
from typing import Any
from urllib.parse import quote

import pytest

from conversations.policy import Kind
from imcore.bridge import in_database
from imcore.models import Application
from messaging.models import Message
from tests.conftest import SignIn
from tests.conversations.rooming import room_of
from tests.conversations.talking import add
from tests.messaging.api.reading import ALL, HISTORY, LOGS, all_pages, path_of, read, stamp, texts
from tests.messaging.api.saying import CHAT_ROOMS, SERVICES, ask, code, delete, edit, recall, send
from tests.messaging.speaking import new_service
from tests.messaging.storage.drafts import T
from tests.messaging.support import Imported, another_application, heard, import_messages, rows, say, started
from tests.restclient import app_of, call, master_of

KEYS = {"timestamp", "conv-id", "data", "from", "msg-id", "is-conv", "is-room", "to", "bin", "from-ip"}
THREE = [Imported(name, T + number, name) for number, name in enumerate(("1", "2", "3"), 1)]


async def three(application: Application) -> tuple[str, dict[str, dict[str, Any]]]:
    """Make a conversation of three messages, 1, 2 and 3; return its id, and the place of each by its text."""
    cid = await started(application, "tom", "jerry")
    await import_messages(cid, THREE)
    return cid, {row.text or "": {"timestamp": row.timestamp_ms, "msgid": row.message_id} for row in await rows(cid)}


def between(start: dict[str, Any], stop: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return the query for what is between two places."""
    return {**start, "till_timestamp": stop["timestamp"], "till_msgid": stop["msgid"], **more}


@pytest.mark.parametrize(
    ("ends", "included", "expected"),
    [
        ("31", "", ["2"]),
        ("31", "include_start", ["3", "2"]),
        ("31", "include_stop", ["2", "1"]),
        ("13", "", ["2"]),
        ("13", "include_start", ["1", "2"]),
        ("13", "include_stop", ["2", "3"]),
    ],
)
@pytest.mark.parametrize("with_ids", [True, False])
async def test_the_ends_of_a_range_belong_to_it_if_asked_for(
    application: Application, ends: str, included: str, expected: list[str], with_ids: bool
) -> None:
    """Checklist 28: the truth table, with ids and by times alone, on each path that has the messages."""
    cid, places = await three(application)
    query = between(places[ends[0]], places[ends[1]], reversed=ends == "13")
    if included:
        query[included] = True
    if not with_ids:
        query = {name: value for name, value in query.items() if "msgid" not in name}

    for path in (path_of(cid), "/1.2/rtm/clients/tom/messages", ALL):
        assert await texts(application, path, **query) == expected


async def test_without_an_end_a_range_goes_on(application: Application) -> None:
    """Checklist 28: the newest first; with `reversed`, in each way to say that (10), the oldest first."""
    cid, places = await three(application)

    assert await texts(application, path_of(cid)) == ["3", "2", "1"]
    assert await texts(application, path_of(cid), limit=2) == ["3", "2"]
    for switch in ("true", "True", "1"):
        assert await texts(application, path_of(cid), reversed=switch, limit=2) == ["1", "2"]
    assert await texts(application, path_of(cid), **places["2"]) == ["1"]
    assert await texts(application, path_of(cid), **places["2"], reversed=True) == ["3"]
    assert await texts(application, path_of(cid), timestamp=T + 2.9) == ["1"]
    assert await texts(application, path_of(cid), timestamp=0) == []
    assert await texts(application, path_of(cid), till_timestamp=0) == ["3", "2", "1"]


async def test_an_end_is_a_place_whether_or_not_a_message_is_there(application: Application) -> None:
    """8.8: pairs compare, by bytes."""
    cid, places = await three(application)
    before, behind = "-" * 22, "z" * 22

    assert await texts(application, path_of(cid), timestamp=T + 2, msgid=before) == ["1"]
    assert await texts(application, path_of(cid), timestamp=T + 2, msgid=behind) == ["2", "1"]
    assert await texts(application, path_of(cid), timestamp=T + 2, msgid=before, reversed=True) == ["2", "3"]
    assert await texts(application, path_of(cid), timestamp=T + 9, msgid=places["1"]["msgid"]) == ["3", "2", "1"]


@pytest.mark.parametrize("is_reversed", [False, True])
async def test_pages_of_one_lose_nothing_that_was_said_at_one_time(application: Application, is_reversed: bool) -> None:
    """Checklist 28: eight messages of four conversations at two times, one conversation a service's."""
    service = await new_service(application)
    for _ in range(3):
        cid = await started(application, "tom", "jerry")
        await import_messages(cid, [Imported(str(number), T + number, str(number)) for number in range(2)])
    for _ in range(2):
        await service.tell("tom", "jerry")
    every = await read(application, ALL, reversed=is_reversed)

    assert len(every) == 8
    places = [(entry["timestamp"], entry["msg-id"]) for entry in every]
    assert places == sorted(places, reverse=not is_reversed)
    assert await all_pages(application, ALL, limit=1, reversed=is_reversed) == [message for _, message in places]
    of_tom = [entry["msg-id"] for entry in every if entry["from"] == "tom"]
    assert len(of_tom) == 6
    path = "/1.2/rtm/clients/tom/messages"
    assert await all_pages(application, path, limit=1, reversed=is_reversed) == of_tom


@pytest.mark.parametrize(
    ("limit", "expected"), [("1", 1), ("1000", 1000), ("1001", 1000), ("0", 100), ("-1", 100), ("", 100)]
)
async def test_a_page_has_a_hundred_messages_unless_told_otherwise(
    application: Application, limit: str, expected: int
) -> None:
    """8.8: above 1000 is 1000, below 1 is 100."""
    cid = await started(application, "tom", "jerry")
    await import_messages(cid, [Imported(f"{number}", T + number, "text") for number in range(1001)])

    assert len(await read(application, path_of(cid), limit=limit)) == expected


@pytest.mark.parametrize(
    "query",
    [
        {"msgid": "x"},
        {"till_msgid": "x"},
        {"timestamp": "soon"},
        {"till_timestamp": "soon"},
        {"reversed": "maybe"},
        {"include_start": "maybe"},
        {"limit": "many"},
        {"extra": "much"},
        {"timestamp": 1, "msgid": "a\0b"},
    ],
)
async def test_what_cannot_be_read_is_refused(application: Application, query: dict[str, Any]) -> None:
    """8.8: an id needs its time; code 1."""
    cid = await started(application, "tom", "jerry")

    for path in (path_of(cid), ALL, "/1.2/rtm/clients/tom/messages"):
        assert code(await ask(application, "GET", path, **query)) == (400, 1)


async def test_an_entry_has_the_documented_fields(application: Application, signed_in: SignIn) -> None:
    """Checklist 29: ten keys of the right types, in a bare array."""
    cid = await started(application, "tom", "jerry")
    tom = await signed_in("tom")
    ack = await say(tom, cid, "hello")

    [entry] = await read(application, path_of(cid))

    assert entry == {
        "timestamp": ack.t,
        "conv-id": cid,
        "data": "hello",
        "from": "tom",
        "msg-id": ack.uid,
        "is-conv": True,
        "is-room": False,
        "to": cid,
        "bin": False,
        "from-ip": "",
    }
    assert [type(entry[key]) for key in ("timestamp", "is-conv", "bin")] == [int, bool, bool]
    assert await read(application, ALL) == await read(application, "/1.1/rtm/clients/tom/messages") == [entry]


async def test_a_binary_body_is_base64_and_a_text_is_as_it_was(application: Application, signed_in: SignIn) -> None:
    """Checklist 29; a NUL, which PostgreSQL does not store as text, included."""
    cid = await started(application, "tom", "jerry")
    tom = await signed_in("tom")
    await say(tom, cid, binaryMsg=b"\x00\xff")
    await say(tom, cid, "a\0b")

    text, binary = await read(application, path_of(cid))

    assert (text["data"], text["bin"]) == ("a\0b", False)
    assert (binary["data"], binary["bin"]) == ("AP8=", True)


async def test_more_is_told_where_it_is_known_or_asked_for(application: Application, signed_in: SignIn) -> None:
    """8.8: `ack-at` when it was received; mentions, edits and recalls with `extra`."""
    cid = await started(application, "tom", "jerry")
    tom = await signed_in("tom")
    plain = await say(tom, cid, "plain")
    mentioning = await say(tom, cid, "mentioning", mentionPids=["jerry"], mentionAll=True)
    gone = await say(tom, cid, "gone")
    assert (await recall(application, cid, gone)).status_code == 200
    assert (await edit(application, cid, plain, "edited")).status_code == 200
    await in_database(lambda: Message.objects.filter(pk=plain.uid).update(ack_ms=plain.t + 5))

    assert [entry.keys() - KEYS for entry in await read(application, path_of(cid))] == [set(), set(), {"ack-at"}]
    recalled, mentions, edited = await read(application, path_of(cid), extra=1)

    assert (recalled["recall"], recalled["data"]) == (True, '{"_lctype":-127}')
    assert recalled["patch-timestamp"] >= gone.t
    assert (mentions["mention-pids"], mentions["mention-all"], mentions["recall"]) == (["jerry"], True, False)
    assert "patch-timestamp" not in mentions
    assert (mentions["msg-id"], mentions["data"]) == (mentioning.uid, "mentioning")
    assert (edited["data"], edited["mention-pids"], edited["mention-all"]) == ("edited", [], False)
    assert edited["ack-at"] == plain.t + 5


async def test_a_chat_room_has_a_path_of_its_own(application: Application, signed_in: SignIn) -> None:
    """8.8: `is-room`; a family does not serve another's (4313, 4314, 4316), and what is none is unknown (4303)."""
    tom = await signed_in("tom")
    room, cid = await room_of(tom), await started(application, "tom", "jerry")
    await say(tom, room, "in the room")
    service = await new_service(application)

    [entry] = await read(application, path_of(room, CHAT_ROOMS))

    assert (entry["is-room"], entry["conv-id"], entry["to"], entry["is-conv"]) == (True, room, room, True)
    of_service = f"/1.2/rtm/{SERVICES}/{{}}/subscribers/tom/messages"
    for path, refused in (
        (path_of(room), 4314),
        (path_of(service.cid), 4314),
        (path_of(cid, CHAT_ROOMS), 4316),
        (of_service.format(cid), 4313),
        (path_of("0" * 24), 4303),
        (of_service.format("0" * 24), 4303),
    ):
        assert code(await ask(application, "GET", path)) == (400, refused)


async def test_what_is_not_kept_or_not_there_is_in_no_history(application: Application, signed_in: SignIn) -> None:
    """Checklist 27, 30: transient messages, deleted ones, temporary conversations."""
    cid = await started(application, "tom", "jerry")
    temporary = await started(application, "tom", "jerry", kind=Kind.TEMPORARY, ttl_seconds=1000)
    tom = await signed_in("tom")
    await say(tom, temporary, "for a while")
    await say(tom, cid, "kept")
    await send(application, cid, "tom", "transient", transient=True)
    deleted = await send(application, cid, "tom", "deleted")
    assert (await delete(application, cid, deleted)).status_code == 200

    for path in (path_of(cid), "/1.2/rtm/clients/tom/messages", ALL):
        assert await texts(application, path) == ["kept"]


async def test_what_a_client_said_is_found_wherever_it_was(application: Application, signed_in: SignIn) -> None:
    """8.8: in conversations it has left, too; not what others said, nor what it said to a service."""
    name = "a/messages/b"
    client, tom = await signed_in(name), await signed_in("tom")
    cid, room = await started(application, name, "tom"), await room_of(client)
    service = await new_service(application)
    await say(client, cid, "first")
    await say(tom, cid, "another's")
    await say(client, room, "second")
    await say(client, service.cid, "for the service")
    await send(application, cid, name, "third")

    for written in (quote(name), quote(name, safe="")):
        assert await texts(application, f"/1.2/rtm/clients/{written}/messages") == ["third", "second", "first"]
    assert await texts(application, "/1.2/rtm/clients/nobody/messages") == []
    assert code(await ask(application, "GET", f"/1.2/rtm/clients/{'x' * 65}/messages")) == (400, 4103)


async def test_a_subscriber_has_a_log_of_what_a_service_said_to_it(application: Application, signed_in: SignIn) -> None:
    """Checklist 32: to it and to subscribers, while it is one; not to everybody, or to others."""
    service = await new_service(application)
    tom = await signed_in("to/m")
    await add(tom, service.cid, "to/m")
    await service.tell("to/m", "jerry", text="to both")
    await service.announce("to subscribers")
    await service.broadcast("to everybody")
    await service.tell("jerry", text="to jerry")
    await say(tom, service.cid, "from tom")
    path = f"/1.2/rtm/{SERVICES}/{service.cid}/subscribers/{{}}/messages"

    to_all, to_tom = await read(application, path.format("to/m"))

    assert (to_all["data"], to_tom["data"]) == ("to subscribers", "to both")
    log = md5(f"{service.cid}:to/m".encode(), usedforsecurity=False).hexdigest()
    assert {entry["conv-id"] for entry in (to_all, to_tom)} == {log}
    assert {entry["to"] for entry in (to_all, to_tom)} == {service.cid}
    assert to_tom.keys() == KEYS
    assert await texts(application, path.format("jerry")) == ["to jerry", "to both"]
    assert await texts(application, path.format("mary")) == []


async def test_the_whole_application_is_read_without_what_was_said_to_everybody(
    application: Application, signed_in: SignIn
) -> None:
    """8.8: what was said to several clients comes once; another application's is its own."""
    other = await another_application()
    await send(other, await started(other, "tom", "jerry"), "tom", "elsewhere")
    cid = await started(application, "tom", "jerry")
    service = await new_service(application)
    tom = await signed_in("tom")
    await send(application, cid, "tom", "first")
    told = await service.tell("tom", "jerry", text="second")
    await heard(tom)
    await heard(tom)
    await service.announce("third")
    await service.broadcast("to everybody")
    await say(tom, service.cid, "for the service")

    third, second, first = await read(application, ALL)

    assert [entry["data"] for entry in (first, second, third)] == ["first", "second", "third"]
    assert [entry["to"] for entry in (first, second, third)] == [cid, service.cid, service.cid]
    assert second["conv-id"] == md5(f"{service.cid}:jerry".encode(), usedforsecurity=False).hexdigest()
    assert third["conv-id"] == service.cid
    await service.delete_for("jerry", told)
    assert await texts(application, ALL) == ["third", "second", "first"], "it is still there for tom"
    await service.delete_for("tom", told)
    assert await texts(application, ALL) == ["third", "first"]


async def test_only_the_developer_reads(application: Application) -> None:
    """8.8: others 403, whatever they name; another application's developer finds nothing."""
    cid, _ = await three(application)
    service = await new_service(application)
    other = await another_application()

    for path in (
        path_of(cid),
        f"/1.2/rtm/{SERVICES}/{service.cid}/subscribers/tom/messages",
        "/1.2/rtm/clients/tom/messages",
        ALL,
        HISTORY,
        LOGS,
    ):
        assert code(await call("GET", path, app_of(application))) == (403, 403)
        assert code(await call("GET", path)) == (401, 401)
    assert code(await call("GET", path_of(cid), master_of(other))) == (400, 4303)
    assert await read(other, ALL) == await read(other, "/1.2/rtm/clients/tom/messages") == []


async def test_what_has_one_time_in_one_conversation_is_ordered_by_id(application: Application) -> None:
    """8.8: imports bring such; in either order of their ids."""
    cid = await started(application, "tom", "jerry")
    await import_messages(cid, [Imported(name, T, name) for name in ("b", "a", "c")])
    await stamp(application, {"c": 1})

    assert await texts(application, path_of(cid)) == ["c", "b", "a"]
    assert await texts(application, path_of(cid), reversed=True) == ["a", "b", "c"]
    everything = await all_pages(application, path_of(cid), limit=1)
    assert len(everything) == 3
