"""`GET /1.1/rtm/notifications`: what clients find out when they come back (realtime-protocol 10.3)."""

from typing import Any

import pytest
from celery import current_app
from django.conf import settings as operator

from conversations.models import Conversation, ConversationSettings, KeptNotice
from conversations.services import missed
from imcore.bridge import in_database
from imcore.identifiers import iso_date, now_ms
from imcore.models import Application
from imcore.protocol.message_pb2 import CommandType, OpType, ReadCommand, ReadTuple
from tests.conftest import SignIn
from tests.conversations.api.asking import ask
from tests.conversations.talking import Json, add, answer, attr, remove, say, start
from tests.imclient import ImClient
from tests.messaging.signing_in import ObeySettings

PATH = "/1.1/rtm/notifications"
DAY_MS = 86_400_000


async def flat(application: Application, client: ImClient, start_ts: Any, **options: Any) -> Json:
    """Ask as JavaScript does."""
    options = {"notification_type": "permanent", "start_ts": start_ts, **options}
    response = await ask(application, client, PATH, **options)
    assert response.status_code == 200, response.content
    found: Json = response.json()
    return found


async def nested(application: Application, client: ImClient, start_ts: Any) -> Json:
    """Ask as Swift does."""
    response = await ask(application, client, PATH, start_ts=start_ts)
    assert response.status_code == 200, response.content
    found: Json = response.json()
    return found


def ops(notices: list[Json]) -> list[tuple[str, str]]:
    """Return the operations and who did them."""
    return [(notice["op"], notice["initBy"]) for notice in notices]


async def kept(application: Application, client_id: str, times: list[int], **fields: Any) -> Conversation:
    """Keep notices about a client, or about everybody, of certain times in a conversation of its own."""

    def write() -> Conversation:
        conversation = Conversation.objects.create(
            application=application, object_id=f"c{now_ms()}-{len(times)}", created_ms=1, updated_ms=1
        )
        KeptNotice.objects.bulk_create(
            KeptNotice(
                application=application,
                conversation=conversation,
                client_id=client_id,
                at_ms=at_ms,
                op="joined" if client_id else "members_joined",
                fields={"initBy": f"{index}", **fields},
            )
            for index, at_ms in enumerate(times)
        )
        return conversation

    return await in_database(write)


async def test_javascript_gets_a_flat_list_of_what_happened_to_the_client(
    signed_in: SignIn, application: Application
) -> None:
    """Checklist 73: with `notification_type=permanent`; every item as the command would have been."""
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    before = now_ms() - 1
    started = await start(tom, "jerry", "spike")
    cid = started.cid
    await remove(tom, cid, "jerry")

    found = await flat(application, jerry, before)

    first, second = found["notifications"]
    assert found["hasMore"] is False
    assert first == {
        "cmd": "conv",
        "op": "joined",
        "cid": cid,
        "initBy": "tom",
        "udate": iso_date(first["serverTs"]),
        "serverTs": first["serverTs"],
        "notificationType": 1,
    }
    assert (second["op"], second["cid"], second["notificationType"]) == ("left", cid, 1)
    assert before < first["serverTs"] < second["serverTs"]


async def test_swift_gets_what_happened_in_its_conversations_as_well(
    signed_in: SignIn, application: Application
) -> None:
    """Checklist 73: two lists; operations with hyphens; attributes as JSON objects."""
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    before = now_ms() - 1
    cid = (await start(tom, "jerry")).cid
    await add(tom, cid, "spike")
    await answer(tom, OpType.update, OpType.updated, cid=cid, attr=attr({"attr.topic": "y"}))

    found = await nested(application, jerry, before)

    assert ops(found["permanent"]["notifications"]) == [("joined", "tom")]
    assert found["permanent"]["hasMore"] is False
    assert found["droppable"]["invalidLocalConvCache"] is False
    droppable = found["droppable"]["notifications"]
    assert ops(droppable) == [("members-joined", "tom"), ("members-joined", "tom"), ("updated", "tom")]
    assert [notice.get("m") for notice in droppable] == [["jerry", "tom"], ["spike"], None]
    assert (droppable[2]["attr"], droppable[2]["attrModified"]) == ({"attr.topic": "y"}, {"attr": {"topic": "y"}})
    assert all(notice["cid"] == cid and notice["cmd"] == "conv" for notice in droppable)
    times = [notice["serverTs"] for notice in droppable]
    assert times == sorted(times)


async def test_the_start_is_excluded(signed_in: SignIn, application: Application) -> None:
    """Checklist 73: what was at `start_ts` was seen."""
    tom = await signed_in("tom")
    now = now_ms()
    await kept(application, "tom", [now, now + 1, now + 2])

    assert [one["serverTs"] for one in (await flat(application, tom, now))["notifications"]] == [now + 1, now + 2]
    assert [one["serverTs"] for one in (await flat(application, tom, f"{now + 1}.9"))["notifications"]] == [now + 2]
    assert (await flat(application, tom, now + 2))["notifications"] == []


@pytest.mark.parametrize("is_flat", [True, False])
async def test_paging_ends_and_loses_nothing(signed_in: SignIn, application: Application, is_flat: bool) -> None:
    """Checklist 73: asking on from the last `serverTs`, though many have the same."""
    tom = await signed_in("tom")
    now = now_ms()
    times = [now + number // 7 for number in range(120)] + [now + 100] * 120
    await kept(application, "tom", times)
    pages: list[list[Json]] = []
    position, has_more = now - 1, True

    while has_more:
        answer_ = await flat(application, tom, position) if is_flat else await nested(application, tom, position)
        page = answer_ if is_flat else answer_["permanent"]
        pages.append(page["notifications"])
        position, has_more = pages[-1][-1]["serverTs"], page["hasMore"]

    assert [one["initBy"] for page in pages for one in page] == [str(number) for number in range(240)]
    assert [len(page) for page in pages] == [56, 56, 128]


async def test_a_page_about_the_client_comes_with_what_happened_in_its_time(
    signed_in: SignIn, application: Application
) -> None:
    """Checklist 73: so that asking on repeats nothing of the other list either."""
    tom = await signed_in("tom")
    cid = (await start(tom, "jerry")).cid
    now = now_ms() + 10
    await kept(application, "tom", [now + number for number in range(60)])

    def keep_for_all() -> None:
        conversation = Conversation.objects.get(object_id=cid)
        for at_ms in (now + 10, now + 49, now + 50, now + 70):
            KeptNotice.objects.create(
                application=application, conversation=conversation, at_ms=at_ms, op="updated", fields={"initBy": "x"}
            )

    await in_database(keep_for_all)

    first = await nested(application, tom, now - 1)
    second = await nested(application, tom, now + 49)

    assert (first["permanent"]["hasMore"], second["permanent"]["hasMore"]) == (True, False)
    assert [one["serverTs"] - now for one in first["droppable"]["notifications"]] == [10, 49]
    assert [one["serverTs"] - now for one in second["droppable"]["notifications"]] == [50, 70]


async def test_a_newcomer_is_not_told_what_was_before(signed_in: SignIn, application: Application) -> None:
    """Nor is who was removed told what is after."""
    tom, jerry, spike = [await signed_in(one) for one in ("tom", "jerry", "spike")]
    before = now_ms() - 1
    cid = (await start(tom, "jerry")).cid
    await answer(tom, OpType.update, OpType.updated, cid=cid, attr=attr({"name": "a"}))
    await add(tom, cid, "spike")
    await remove(tom, cid, "jerry")

    newcomer, removed = [await nested(application, one, before) for one in (spike, jerry)]

    assert ops(newcomer["permanent"]["notifications"]) == [("joined", "tom")]
    assert ops(newcomer["droppable"]["notifications"]) == [("members-joined", "tom"), ("members-left", "tom")]
    assert ops(removed["permanent"]["notifications"]) == [("joined", "tom"), ("left", "tom")]
    assert removed["droppable"] == {"invalidLocalConvCache": False, "notifications": []}


async def test_the_kind_of_the_conversation_is_told(signed_in: SignIn, application: Application) -> None:
    """As in the notices of those who are there: Java picks the class of the conversation from it."""
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    before = now_ms() - 1
    started = await start(tom, "jerry", tempConv=True)
    room = await kept(application, "jerry", [now_ms() + 5])
    room.kind = 2
    await in_database(room.save)

    temporary, blocked = (await flat(application, jerry, before))["notifications"]

    assert (temporary["tempConv"], temporary["tempConvTTL"]) == (True, started.tempConvTTL)
    assert (blocked["transient"], "tempConv" in blocked) == (True, False)


@pytest.mark.parametrize(("count", "is_lost"), [(200, False), (201, True)])
async def test_too_many_notices_make_the_client_look_afresh(
    signed_in: SignIn, application: Application, count: int, is_lost: bool
) -> None:
    """Checklist 73: `invalidLocalConvCache` instead of a long list."""
    tom = await signed_in("tom")
    cid = (await start(tom)).cid
    now = now_ms() + 10

    def keep_many() -> None:
        conversation = Conversation.objects.get(object_id=cid)
        KeptNotice.objects.bulk_create(
            KeptNotice(application=application, conversation=conversation, at_ms=now, op="updated", fields={})
            for _ in range(count)
        )

    await in_database(keep_many)

    droppable = (await nested(application, tom, now - 1))["droppable"]

    assert droppable["invalidLocalConvCache"] is is_lost
    assert len(droppable["notifications"]) == (0 if is_lost else count)


async def test_notices_that_are_too_long_together_make_the_client_look_afresh(
    signed_in: SignIn, application: Application
) -> None:
    """Two hundred updates of long attributes would be tens of megabytes."""
    tom = await signed_in("tom")
    before = now_ms() - 1
    cid = (await start(tom)).cid
    long = {"name": "x" * 100_000}
    for _ in range(5):
        await answer(tom, OpType.update, OpType.updated, cid=cid, attr=attr(long))
    assert len((await nested(application, tom, before))["droppable"]["notifications"]) == 6

    await answer(tom, OpType.update, OpType.updated, cid=cid, attr=attr(long))

    droppable = (await nested(application, tom, before))["droppable"]
    assert droppable == {"invalidLocalConvCache": True, "notifications": []}


async def test_who_was_away_longer_than_notices_are_kept_looks_afresh(
    signed_in: SignIn, application: Application, obey_settings: ObeySettings
) -> None:
    """Checklist 73; `notices_kept_days`. What is still there about the client itself comes none the less."""
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    await obey_settings(ConversationSettings, notices_kept_days=2)
    await start(tom, "jerry")

    recent = await nested(application, jerry, now_ms() - 2 * DAY_MS + 60_000)
    old = await nested(application, jerry, now_ms() - 2 * DAY_MS - 60_000)

    assert len(recent["droppable"]["notifications"]) == 1
    assert recent["droppable"]["invalidLocalConvCache"] is False
    assert ops(old["permanent"]["notifications"]) == [("joined", "tom")]
    assert old["droppable"] == {"invalidLocalConvCache": True, "notifications": []}


@pytest.mark.parametrize("start_ts", ["", "now", "NaN", "1e400", "-", "9" * 30, "１２", "1;DROP", "\0", "null"])
async def test_a_start_that_is_no_time_is_answered_as_if_all_were_lost(
    signed_in: SignIn, application: Application, start_ts: str
) -> None:
    """An error would help no SDK: none recovers from one (rest-api 9.2)."""
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    await start(tom, "jerry")

    assert await flat(application, jerry, start_ts) == {"hasMore": False, "notifications": []}
    assert await nested(application, jerry, start_ts) == {
        "permanent": {"hasMore": False, "notifications": []},
        "droppable": {"invalidLocalConvCache": True, "notifications": []},
    }


async def test_any_number_is_a_time(signed_in: SignIn, application: Application) -> None:
    """JavaScript 4 sends the clock of a device, which may say anything."""
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    await start(tom, "jerry")

    for start_ts, count in ((0, 1), (-1, 1), (-(10**17), 1), (10**17, 0)):
        assert len((await flat(application, jerry, start_ts))["notifications"]) == count


async def test_a_sender_who_is_away_finds_out_that_it_was_read(signed_in: SignIn, application: Application) -> None:
    """Checklist 58, 73: read receipts are permanent notices, `rcp` without an `op`, in both forms; deliveries none."""
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    cid = (await start(tom, "jerry")).cid
    asked, unasked = await say(tom, cid, "read this", r=True), await say(tom, cid, "whatever")
    before = now_ms() - 1
    await tom.wire.close()
    await jerry.send(CommandType.read, readMessage=ReadCommand(convs=[ReadTuple(cid=cid, mid=unasked.uid)]))
    await answer(jerry, OpType.count, OpType.result, cid=cid)

    back = await signed_in("tom")
    found = await flat(application, back, before)
    swift = await nested(application, back, before)

    [item] = found["notifications"]
    assert item == {
        "cmd": "rcp",
        "cid": cid,
        "id": asked.uid,
        "t": item["t"],
        "read": True,
        "from": "jerry",
        "serverTs": item["serverTs"],
        "notificationType": 1,
    }
    assert item["t"] >= asked.t
    assert item["serverTs"] > before
    assert swift["permanent"] == {"hasMore": False, "notifications": [item]}
    assert swift["droppable"]["notifications"] == []
    assert (await flat(application, back, item["serverTs"]))["notifications"] == []


async def test_the_notices_of_others_are_not_told(signed_in: SignIn, application: Application) -> None:
    """Neither another client's nor those of the same name in another application."""
    tom = await signed_in("tom")
    neighbour = await in_database(lambda: Application.objects.create(name="the neighbour"))
    now = now_ms()
    await kept(application, "jerry", [now])
    await kept(application, "", [now])
    await kept(neighbour, "tom", [now])

    found = await nested(application, tom, now - 1)

    assert found["permanent"]["notifications"] == found["droppable"]["notifications"] == []


async def test_old_notices_are_forgotten(
    signed_in: SignIn, application: Application, obey_settings: ObeySettings
) -> None:
    """`notices_kept_days`, of each application; in bounded batches, and twice does no harm."""
    tom = await signed_in("tom")
    await obey_settings(ConversationSettings, notices_kept_days=3)
    now = now_ms()
    await kept(application, "tom", [now - 3 * DAY_MS - 60_000] * 5 + [now - 3 * DAY_MS + 600_000, now])

    first = await missed.forget(now_ms=now)
    second = await missed.forget(now_ms=now)

    assert first >= 5
    assert second == 0
    assert [one["initBy"] for one in (await flat(application, tom, 0))["notifications"]] == ["5", "6"]


async def test_batches_go_on_until_nothing_old_is_left(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many there are."""
    monkeypatch.setattr(missed, "FORGET_BATCH", 2)
    await kept(application, "tom", [1, 2, 3, 4, 5])

    assert await missed.forget(now_ms=now_ms()) >= 5
    assert not await in_database(KeptNotice.objects.filter(application=application).exists)


@pytest.mark.parametrize("name", ["conversations.forget_notices", "conversations.forget_seats"])
def test_forgetting_is_scheduled(name: str) -> None:
    """By Celery's beat, under the name the task has."""
    current_app.loader.import_default_modules()

    assert name in current_app.tasks
    assert name in {entry["task"] for entry in operator.CELERY_BEAT_SCHEDULE.values()}
