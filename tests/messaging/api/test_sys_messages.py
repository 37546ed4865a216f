"""`/classes/_SysMessage`: what clients have said to system conversations (rest-api 9.1, 10.1)."""

import json
import re
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection

from conversations.models import Conversation
from conversations.policy import Kind
from imcore.models import Application
from imcore.protocol.message_pb2 import CommandType, DirectCommand
from messaging.models import SysMessage
from messaging.storage import sys_messages
from tests.conftest import SignIn
from tests.imclient import ImClient
from tests.messaging.speaking import Service, new_service
from tests.messaging.support import another_application
from tests.plans import plans_of
from tests.restclient import app_of, call, master_of

CLASS, SCAN = "/1.1/classes/_SysMessage", "/1.1/scan/classes/_SysMessage"


def pointer(service: Service) -> dict[str, str]:
    """Return a pointer to a system conversation."""
    return {"__type": "Pointer", "className": "_Conversation", "objectId": service.cid}


async def said(client: ImClient, service: Service, text: str = "", **fields: Any) -> Any:
    """Say something to a system conversation, and return the acknowledgement."""
    fields = fields or {"msg": text}
    reply = await client.request(CommandType.direct, directMessage=DirectCommand(cid=service.cid, **fields))
    assert not reply.ackMessage.HasField("code")
    return reply.ackMessage


async def found(application: Application, path: str = CLASS, **query: Any) -> Any:
    """Return what a list has; `where` is JSON."""
    if "where" in query:
        query["where"] = json.dumps(query["where"])
    answer = await call("GET", path, master_of(application), **query)
    assert answer.status_code == 200, answer.json()
    return answer.json()


async def test_what_was_said_is_a_row(application: Application, signed_in: SignIn) -> None:
    """rest-api 10.1: eight columns; both times are numbers, which Python divides (9.1)."""
    service = await new_service(application)
    tom = await signed_in("tom")
    text, binary = await said(tom, service, "hi"), await said(tom, service, binaryMsg=b"\x00\xff")

    first, second = (await found(application))["results"]

    assert (first["msgId"], first["data"], first["bin"]) == (text.uid, "hi", False)
    assert (second["msgId"], second["data"], second["bin"]) == (binary.uid, b64encode(b"\x00\xff").decode(), True)
    assert first.keys() == {
        *("objectId", "createdAt", "updatedAt", "conv", "msgId", "bin", "from", "fromIp", "data", "timestamp", "ackAt")
    }
    assert (first["from"], first["conv"], first["objectId"]) == ("tom", pointer(service), text.uid)
    assert (first["timestamp"], first["ackAt"]) == (text.t, text.t)
    assert isinstance(first["fromIp"], str)
    assert await found(application, f"{CLASS}/{text.uid}") == first
    assert await found(application, f"{CLASS}/nothing") == {}
    assert await found(await another_application()) == {"results": []}


async def test_messages_are_found_by_conversation_sender_id_and_time(
    application: Application, signed_in: SignIn
) -> None:
    """As Python's `SysMessage.query` asks."""
    one, two = await new_service(application), await new_service(application)
    tom, mary = await signed_in("tom"), await signed_in("mary")
    ids = [
        (await said(client, service, text)).uid
        for client, service, text in ((tom, one, "1"), (mary, one, "2"), (tom, two, "3"))
    ]
    times = [row["timestamp"] for row in (await found(application))["results"]]

    async def texts(where: Any, **query: Any) -> list[str]:
        return [row["data"] for row in (await found(application, where=where, **query))["results"]]

    assert await texts({"conv": pointer(one)}) == ["1", "2"]
    assert await texts({"conv": {"$in": [pointer(two), {**pointer(one), "objectId": "none"}]}}) == ["3"]
    assert await texts({"conv": {"$ne": pointer(one)}}) == ["3"]
    assert await texts({"conv": {**pointer(one), "objectId": "none"}}) == []
    assert await texts({"conv": pointer(one), "from": "tom"}) == ["1"]
    assert await texts({"msgId": ids[1]}) == ["2"]
    assert await texts({"objectId": {"$in": ids[1:]}}) == ["2", "3"]
    assert await texts({"timestamp": {"$gt": times[0], "$lte": times[2]}}) == ["2", "3"]
    assert await texts({"bin": True}) == []
    assert await texts({}, order="-timestamp", limit="2") == ["3", "2"]
    assert await texts({"$or": [{"conv": pointer(two)}, {"from": "mary"}]}, skip="1") == ["3"]
    assert (await found(application, count="1", limit="0")) == {"results": [], "count": 3}


async def test_the_conversation_is_filled_in(application: Application, signed_in: SignIn) -> None:
    """Checklist 16, as far as this class: `include=conv`."""
    service = await new_service(application)
    await said(await signed_in("tom"), service, "hi")

    [row] = (await found(application, include="conv", keys="conv,data"))["results"]

    assert row["conv"].items() >= {**pointer(service), "sys": True}.items()
    assert row.keys() == {"objectId", "createdAt", "updatedAt", "conv", "data"}


@pytest.mark.parametrize(
    ("where", "named"),
    [
        ({"data": "hi"}, "data"),
        ({"from": {"$regex": "t"}}, "$regex"),
        ({"conv": "x"}, "conv"),
        ({"conv": {"$inQuery": {"className": "_Conversation", "where": {}}}}, "$inQuery"),
        ({"timestamp": "x"}, ""),
        ({"$and": []}, "$and"),
    ],
)
async def test_a_condition_that_cannot_be_read_is_refused(application: Application, where: Any, named: str) -> None:
    """rest-api 6.2: code 1, and the text names what is not known."""
    for path in (CLASS, SCAN):
        answer = await call("GET", path, master_of(application), where=json.dumps(where))
        assert (answer.status_code, answer.json()["code"]) == (400, 1)
        assert named in answer.json()["error"]


@pytest.mark.parametrize("path", [CLASS, f"{CLASS}/x", SCAN])
async def test_the_class_is_the_developers(application: Application, path: str) -> None:
    """rest-api 10.1."""
    assert (await call("GET", path, app_of(application))).status_code == 403


ROWS = 3000
SERVICES = 30


@pytest.fixture(scope="module")
def crowded(database: None) -> Iterator[tuple[Application, Service]]:
    """An application to whose services much was said, much of it in one millisecond; and one of these."""
    application = Application.objects.create(name="crowded")
    services = Conversation.objects.bulk_create(
        Conversation(application=application, object_id=f"{number:024}", kind=Kind.SYSTEM, created_ms=0, updated_ms=0)
        for number in range(SERVICES)
    )
    SysMessage.objects.bulk_create(
        SysMessage(
            message_id=f"{application.pk:06}-{number:015}",
            application=application,
            conversation_id=services[number % SERVICES].pk,
            timestamp_ms=number // 7,
            sender=f"client {number}",
            text=str(number),
        )
        for number in range(ROWS)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE messaging_sysmessage")
    yield application, Service(application, services[7].object_id)
    application.delete()


@pytest.mark.parametrize("scan_key", ["objectId", "-objectId"])
async def test_a_scan_has_all_once(crowded: tuple[Application, Service], scan_key: str) -> None:
    """Checklist 18, of this class: rows of one millisecond stay in order between parts."""
    application, _ = crowded
    seen: list[int] = []
    query = {"limit": "1000", "scan_key": scan_key}
    while True:
        part = await found(application, SCAN, **query)
        seen += [int(row["data"]) for row in part["results"]]
        if part["cursor"] is None:
            break
        query["cursor"] = part["cursor"]

    assert seen == sorted(range(ROWS), reverse=scan_key != "objectId")


async def test_a_cursor_of_another_class_is_refused(crowded: tuple[Application, Service]) -> None:
    application, _ = crowded
    part = await found(application, "/1.1/scan/classes/_Conversation", limit="1")

    answer = await call("GET", SCAN, master_of(application), cursor=part["cursor"])

    assert (answer.status_code, answer.json()["code"]) == (400, 1)


def test_messages_are_found_by_indexes(crowded: tuple[Application, Service]) -> None:
    """By conversation, and by age."""
    application, service = crowded
    number = Conversation.objects.get(application=application, object_id=service.cid).pk
    asked: dict[str, Any] = {"application": application.pk, "numbers": {service.cid: number}}
    listed: dict[str, Any] = {**asked, "order_text": "", "limit": 20, "skip": 0}

    for work in (
        lambda: sys_messages.page(**listed, where_text=json.dumps({"conv": pointer(service)}), counts=True),
        lambda: sys_messages.page(**listed, where_text="", counts=False),
        lambda: sys_messages.scan(**asked, where_text="", after=(100, "x"), is_descending=False, limit=20),
        lambda: sys_messages.with_ids(application=application.pk, message_ids=["x"]),
    ):
        for plan in plans_of(work):
            assert not re.search(r"Seq Scan|\bSCAN\b", plan), plan
