"""Temporary conversations: started, found by id, gone in time (realtime-protocol 4.2, 4.4, 4.15)."""

from collections.abc import Awaitable, Callable

import pytest

from conversations.models import ConversationSettings
from conversations.services import retention
from imcore import identifiers
from imcore.models import Application
from imcore.protocol.message_pb2 import BlacklistCommand, CommandType, ConvMemberInfo, LogsCommand, OpType
from tests.conftest import SignIn
from tests.conversations.rooming import sending_code
from tests.conversations.talking import answer, heard, look_up, query, refusal, start, stored, stored_members, told
from tests.imclient import CONFIG_BITMAP

KNOWS_TEMPORARY = 2
DAY = 86_400

ObeySettings = Callable[..., Awaitable[None]]


class Clock:
    """The wall clock of the conversation commands, put forward by hand."""

    def __init__(self) -> None:
        self.forward_seconds = 0.0

    def now_ms(self) -> int:
        """Return the time in milliseconds."""
        return identifiers.now_ms() + int(self.forward_seconds * 1000)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock that the commands look at."""
    clock = Clock()
    for command in ("lifecycle", "membership", "query"):
        monkeypatch.setattr(f"conversations.commands.{command}.now_ms", clock.now_ms)
    return clock


async def test_a_temporary_start_is_answered_with_its_prefix_and_ttl(signed_in: SignIn) -> None:
    """Checklist 28, first half."""
    tom = await signed_in("tom")

    default = await start(tom, "jerry", tempConv=True)
    short = await start(tom, "spike", tempConv=True, tempConvTTL=60)

    assert default.cid.startswith("_tmp:")
    assert {field.name for field, _ in default.ListFields()} == {"cid", "cdate", "tempConvTTL"}
    assert (default.tempConvTTL, short.tempConvTTL) == (DAY, 60)


@pytest.mark.parametrize(
    ("asked", "granted"), [(0, DAY), (-5, DAY), (1, 1), (30 * DAY, 30 * DAY), (2**31 - 1, 30 * DAY)]
)
async def test_the_ttl_is_the_default_or_what_was_asked_for_within_bounds(
    signed_in: SignIn, asked: int, granted: int
) -> None:
    """The effective value is in `started` and in query results."""
    tom = await signed_in("tom")

    started = await start(tom, "jerry", tempConv=True, tempConvTTL=asked)

    found = await look_up(tom, started.cid)
    assert started.tempConvTTL == found["ttl"] == found["tempConvTTL"] == granted


async def test_the_same_members_get_the_same_temporary_conversation_whatever_unique_says(signed_in: SignIn) -> None:
    """Checklist 28, second half; from any of the members, and nobody hears of it again."""
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    first = await start(tom, "jerry", tempConv=True)
    await heard(tom), await heard(jerry)

    again = [
        await start(tom, "jerry", tempConv=True, unique=False),
        await start(tom, "tom", "jerry", tempConv=True, unique=True),
        await start(jerry, "tom", tempConv=True),
    ]

    assert {(reply.cid, reply.existing, reply.tempConvTTL) for reply in again} == {(first.cid, True, DAY)}
    assert await told(tom) == await told(jerry) == []


async def test_temporary_and_normal_conversations_of_the_same_members_are_two(signed_in: SignIn) -> None:
    """Uniqueness is within a kind."""
    tom = await signed_in("tom")

    normal = await start(tom, "jerry", unique=True)
    temporary = await start(tom, "jerry", unique=True, tempConv=True)

    assert normal.cid != temporary.cid
    assert not temporary.HasField("existing")
    assert (await start(tom, "jerry", unique=True)).cid == normal.cid


async def test_ten_members_fit_and_eleven_do_not(signed_in: SignIn, application: Application) -> None:
    """Rule 4: 4304."""
    tom = await signed_in("tom")
    others = [f"member {number}" for number in range(10)]

    refused = await refusal(tom, OpType.start, m=others, tempConv=True)
    started = await start(tom, *others[:9], tempConv=True)

    assert refused.code == 4304
    assert [one.object_id for one in await stored(application)] == [started.cid]


async def test_notices_of_temporary_conversations_say_so(signed_in: SignIn) -> None:
    """4.3.2: with `tempConv` and `tempConvTTL`; Java picks the class from them."""
    tom, jerry = await signed_in("tom"), await signed_in("jerry")

    await start(tom, "jerry", tempConv=True, tempConvTTL=60)

    for client in (tom, jerry):
        notices = await heard(client)
        assert [notice.op for notice in notices] == [OpType.joined, OpType.members_joined]
        assert all(notice.convMessage.tempConv for notice in notices)
        assert {notice.convMessage.tempConvTTL for notice in notices} == {60}


async def test_clients_that_do_not_know_temporary_conversations_hear_nothing_of_them(signed_in: SignIn) -> None:
    """Bit 1 of `configBitmap`. It goes by session: the same client hears of it on a newer device."""
    tom = await signed_in("tom")
    old = await signed_in("jerry", configBitmap=CONFIG_BITMAP & ~KNOWS_TEMPORARY)
    new = await signed_in("jerry")

    await start(tom, "jerry", tempConv=True)
    await start(tom, "jerry")

    assert [notice.convMessage.tempConv for notice in await heard(old)] == [False, False]
    assert [notice.convMessage.tempConv for notice in await heard(new)] == [True, True, False, False]


async def test_temporary_conversations_are_found_by_their_ids_alone(signed_in: SignIn) -> None:
    """Checklist 38; `where` is ignored beside them, and never finds them itself."""
    tom = await signed_in("tom")
    first = await start(tom, "jerry", tempConv=True)
    second = await start(tom, "spike", tempConv=True)
    normal = await start(tom, "jerry")
    asked = [second.cid, normal.cid, "_tmp:nothing", first.cid, second.cid, "", "a\0b", "x" * 10_000]

    found = await query(tom, {"objectId": normal.cid}, tempConvIds=asked, limit=1)

    assert [one["objectId"] for one in found] == [second.cid, first.cid]
    assert [one["objectId"] for one in await query(tom)] == [normal.cid]
    assert await query(tom, {"objectId": first.cid}) == []
    assert await query(tom, {"objectId": {"$in": [first.cid, second.cid]}}) == []
    assert [one["objectId"] for one in await query(tom, {"m": "tom"})] == [normal.cid]


async def test_a_temporary_conversation_as_json(signed_in: SignIn) -> None:
    """4.4.1: `temp` and `ttl` for most, `tempConv` and `tempConvTTL` for C#."""
    tom = await signed_in("tom")
    started = await start(tom, "jerry", tempConv=True, tempConvTTL=3600, attributes={"name": "hush"})

    found = await look_up(tom, started.cid)
    [compact] = await query(tom, tempConvIds=[started.cid], flag=1)

    expected = {"temp": True, "ttl": 3600, "tempConv": True, "tempConvTTL": 3600, "conv_type": 4, "name": "hush"}
    assert found | expected == found
    assert (found["tr"], found["sys"], found["m"], found["c"]) == (False, False, ["jerry", "tom"], "tom")
    assert found.keys() - compact.keys() == {"m"}


async def test_after_its_time_nothing_of_a_temporary_conversation_is_left(signed_in: SignIn, clock: Clock) -> None:
    """Checklist 38: live ones only; every command on it fails."""
    tom = await signed_in("tom")
    started = await start(tom, "jerry", tempConv=True, tempConvTTL=60)

    clock.forward_seconds = 59
    alive = await query(tom, tempConvIds=[started.cid])
    clock.forward_seconds = 61
    dead = await query(tom, tempConvIds=[started.cid])
    refusals = [
        await refusal(tom, op, cid=started.cid, m=["tom"])
        for op in (OpType.count, OpType.members, OpType.add, OpType.remove)
    ]

    assert [one["objectId"] for one in alive] == [started.cid]
    assert dead == []
    assert {refused.code for refused in refusals} <= {4303, 4323}


async def test_after_its_time_nothing_can_be_said_or_read_in_it(
    signed_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """4.15: an `ack` with 4303, which JavaScript makes 4323 of; and history is gone with it."""
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    started = await start(tom, "jerry", tempConv=True, tempConvTTL=60)
    assert await sending_code(tom, started.cid) == 0
    await heard(jerry)
    late_ms = identifiers.now_ms() + 61_000

    monkeypatch.setattr(identifiers, "now_ms", lambda: late_ms)
    monkeypatch.setattr("conversations.commands.membership.now_ms", lambda: late_ms)
    codes = [
        await sending_code(tom, started.cid, "too late"),
        await sending_code(tom, started.cid, "too late", transient=True),
    ]
    logs = await tom.request(CommandType.logs, logsMessage=LogsCommand(cid=started.cid))
    is_in = await answer(tom, OpType.is_member, OpType.result, cids=[started.cid])

    assert codes == [4303, 4303]
    assert logs.errorMessage.code == 4303
    assert is_in.results.data == f'{{"{started.cid}":false}}'
    assert await heard(jerry) == []


async def test_who_is_in_it_and_as_what_never_changes(signed_in: SignIn, obey_settings: ObeySettings) -> None:
    """4.15: 4308, whatever the application has enabled; nobody is told."""
    await obey_settings(ConversationSettings, roles_enabled=True, block_lists_enabled=True)
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    cid = (await start(tom, "jerry", tempConv=True)).cid
    await heard(tom), await heard(jerry)
    role = ConvMemberInfo(pid="jerry", role="Manager")

    refused = [
        await refusal(tom, OpType.add, cid=cid, m=["spike"]),
        await refusal(tom, OpType.add, cid=cid, m=["tom"]),
        await refusal(tom, OpType.remove, cid=cid, m=["jerry"]),
        await refusal(jerry, OpType.remove, cid=cid, m=["jerry"]),
        await refusal(tom, OpType.member_info_update, cid=cid, targetClientId="jerry", info=role),
        await refusal(tom, OpType.add_shutup, cid=cid, m=["jerry"]),
        await refusal(tom, OpType.query_shutup, cid=cid),
    ]
    blocking = await tom.request(
        CommandType.blacklist, OpType.block, blacklistMessage=BlacklistCommand(srcCid=cid, toPids=["jerry"])
    )

    assert {error.code for error in refused} == {4308}
    assert blocking.errorMessage.code == 4308
    assert await told(tom) == await told(jerry) == []
    assert await stored_members(cid) == ["jerry", "tom"]


async def test_an_application_chooses_default_and_longest_life(signed_in: SignIn, obey_settings: ObeySettings) -> None:
    """Limits-settings-conflicts 1: both are settings; a year is cut to the longest, and so is the default."""
    await obey_settings(ConversationSettings, temporary_ttl_default_seconds=3600, temporary_ttl_max_seconds=7200)
    tom = await signed_in("tom")

    default = await start(tom, "a", tempConv=True)
    year = await start(tom, "b", tempConv=True, tempConvTTL=365 * DAY)
    await obey_settings(ConversationSettings, temporary_ttl_max_seconds=60)
    cut = await start(tom, "c", tempConv=True)

    assert (default.tempConvTTL, year.tempConvTTL, cut.tempConvTTL) == (3600, 7200, 60)


async def test_a_start_with_too_many_members_is_told_to_nobody(signed_in: SignIn) -> None:
    """Bad input notifies nobody."""
    tom, jerry = await signed_in("tom"), await signed_in("jerry")

    await refusal(tom, OpType.start, m=["jerry", *(f"member {number}" for number in range(9))], tempConv=True)

    assert await heard(tom) == await heard(jerry) == []


async def test_after_its_time_its_members_start_a_new_one(signed_in: SignIn, clock: Clock) -> None:
    """Whether the clean-up has been there or not."""
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    old = await start(tom, "jerry", tempConv=True, tempConvTTL=60)
    await heard(jerry)

    clock.forward_seconds = 61
    new = await start(tom, "jerry", tempConv=True, tempConvTTL=60)

    assert new.cid != old.cid
    assert not new.HasField("existing")
    assert await told(jerry) == [("joined", "tom", []), ("members_joined", "tom", ["jerry", "tom"])]


async def test_the_clean_up_deletes_what_has_expired_and_nothing_else(
    signed_in: SignIn, application: Application, clock: Clock
) -> None:
    """Running it twice does no harm."""
    tom = await signed_in("tom")
    for number in range(3):
        await start(tom, f"member {number}", tempConv=True, tempConvTTL=60)
    kept = [await start(tom, "jerry", tempConv=True, tempConvTTL=3600), await start(tom, "jerry")]

    clock.forward_seconds = 61
    deleted = await retention.delete_expired(now_ms=clock.now_ms())
    await retention.delete_expired(now_ms=clock.now_ms())

    assert deleted >= 3
    assert [one.object_id for one in await stored(application)] == [one.cid for one in kept]
