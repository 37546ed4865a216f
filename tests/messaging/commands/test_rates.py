"""How many commands a client may send in a minute, where the application says so."""

from dataclasses import dataclass

import pytest

from imcore import throttles
from imcore.gateway import dispatch, registry
from imcore.gateway.dispatch import NEVER_ANSWERED
from imcore.models import Application, GatewaySettings
from imcore.protocol.message_pb2 import (
    CommandType,
    ConvCommand,
    GenericCommand,
    LogsCommand,
    OpType,
    SessionCommand,
)
from tests.conftest import SignIn
from tests.imclient import ImClient, open_session, sign_in
from tests.messaging.signing_in import Connect, ObeySettings, assert_error, assert_opened
from tests.messaging.support import attempt, rows, say, started

CONV, LOGS, SESSION = CommandType.conv, CommandType.logs, CommandType.session


@dataclass
class Clock:
    """A monotonic clock that only the test moves."""

    seconds: float = 1000.0

    def __call__(self) -> float:
        """Return its time."""
        return self.seconds


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock that rates are measured by, stopped."""
    stopped = Clock()
    monkeypatch.setattr(dispatch, "monotonic", stopped)
    monkeypatch.setattr(dispatch, "_buckets", throttles.Buckets())
    return stopped


async def count(client: ImClient, cid: str) -> GenericCommand:
    """Ask how many members there are."""
    return await client.request(CONV, OpType.count, convMessage=ConvCommand(cid=cid))


async def page(client: ImClient, cid: str) -> GenericCommand:
    """Ask for a page of history."""
    return await client.request(LOGS, logsMessage=LogsCommand(cid=cid))


async def test_a_client_that_sends_too_often_is_told_4116(
    application: Application, signed_in: SignIn, obey_settings: ObeySettings, clock: Clock
) -> None:
    """In an ack, as every failed send; the message is not stored, and nobody gets it."""
    await obey_settings(GatewaySettings, client_messages_per_minute=3)
    cid = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")

    for number in range(3):
        await say(tom, cid, f"{number}")
        await jerry.notice(CommandType.direct)
    refused = await attempt(tom, cid, "one too many")

    assert (refused.code, refused.reason) == (4116, "MESSAGE_SENT_QUOTA_EXCEEDED")
    assert [row.text for row in await rows(cid)] == ["0", "1", "2"]
    await jerry.nothing_more()

    clock.seconds += 20
    await say(tom, cid, "after a third of a minute there is room for one")
    assert (await attempt(tom, cid, "and no more")).code == 4116


async def test_a_client_that_reads_history_too_often_is_told_4318(
    application: Application, signed_in: SignIn, obey_settings: ObeySettings, clock: Clock
) -> None:
    """Whatever op it puts there: C# sends one."""
    await obey_settings(GatewaySettings, client_history_queries_per_minute=2)
    cid = await started(application, "tom")
    tom = await signed_in("tom")

    assert (await page(tom, cid)).cmd == LOGS
    assert (await tom.request(LOGS, OpType.query, logsMessage=LogsCommand(cid=cid))).cmd == LOGS
    for op in (None, OpType.query, OpType.open):
        refused = await tom.request(LOGS, op, logsMessage=LogsCommand(cid=cid))
        assert_error(refused, 4318, "CONVERSATION_API_QUOTA_EXCEEDED")

    clock.seconds += 30
    assert (await page(tom, cid)).cmd == LOGS


async def test_each_other_kind_of_command_has_its_own_minute(
    application: Application, signed_in: SignIn, obey_settings: ObeySettings
) -> None:
    """30 of each other kind in LeanCloud's case, not 30 together."""
    await obey_settings(GatewaySettings, client_operations_per_minute=2)
    cid = await started(application, "tom")
    tom = await signed_in("tom")

    for _ in range(2):
        assert (await count(tom, cid)).op == OpType.result
    assert_error(await count(tom, cid), 4318, "CONVERSATION_API_QUOTA_EXCEEDED")

    members = await tom.request(CONV, OpType.members, convMessage=ConvCommand(cid=cid))
    assert members.op == OpType.result
    asked = SessionCommand(sessionPeerIds=["tom"])
    for _ in range(2):
        assert (await tom.request(SESSION, OpType.query, sessionMessage=asked)).op == OpType.query_result
    refused = await tom.request(SESSION, OpType.query, sessionMessage=asked)
    assert_error(refused, 4318, "CONVERSATION_API_QUOTA_EXCEEDED")
    await say(tom, cid, "messages are counted by themselves")
    assert (await page(tom, cid)).cmd == LOGS


async def test_a_refused_operation_changes_nothing(
    application: Application, signed_in: SignIn, obey_settings: ObeySettings
) -> None:
    """Nor does anybody hear of it."""
    await obey_settings(GatewaySettings, client_operations_per_minute=1)
    cid = await started(application, "tom")
    tom, jerry, mary = await signed_in("tom"), await signed_in("jerry"), await signed_in("mary")

    await tom.request(CONV, OpType.add, convMessage=ConvCommand(cid=cid, m=["jerry"]))
    refused = await tom.request(CONV, OpType.add, convMessage=ConvCommand(cid=cid, m=["mary"]))

    assert refused.errorMessage.code == 4318
    assert (await count(jerry, cid)).convMessage.count == 2
    await mary.nothing_more()


async def test_a_client_has_one_budget_on_all_its_connections_and_no_other_has_it(
    application: Application, connect: Connect, obey_settings: ObeySettings
) -> None:
    """Reconnecting refills nothing; another client, on the same connection too, has its own."""
    await obey_settings(GatewaySettings, client_messages_per_minute=1)
    cid = await started(application, "tom", "jerry")
    wire = await connect()
    tom = await sign_in(wire, application.app_id, "tom")
    await say(tom, cid, "one")
    again = await sign_in(await connect(), application.app_id, "tom")

    assert (await attempt(again, cid, "two")).code == 4116
    jerry = await sign_in(await connect(), application.app_id, "jerry")
    await say(jerry, cid, "mine")


async def test_what_a_client_cannot_help_sending_is_free(
    application: Application, connect: Connect, obey_settings: ObeySettings
) -> None:
    """Opening, refreshing, closing and echoing; SDKs do these by themselves."""
    await obey_settings(
        GatewaySettings,
        client_messages_per_minute=1,
        client_history_queries_per_minute=1,
        client_operations_per_minute=1,
    )
    wire = await connect()

    for _ in range(5):
        assert_opened(await open_session(wire, application.app_id, "tom"))
    tom = await sign_in(wire, application.app_id, "tom")
    for _ in range(5):
        refreshed = await tom.request(SESSION, OpType.refresh, sessionMessage=SessionCommand(st=tom.token))
        assert refreshed.op == OpType.refreshed
        assert (await wire.request(CommandType.echo)).cmd == CommandType.echo
    for _ in range(3):
        assert (await tom.request(SESSION, OpType.close)).op == OpType.closed
        tom = await sign_in(wire, application.app_id, "tom")


async def test_unless_the_application_says_so_nothing_is_limited(
    application: Application, signed_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The default. Then the clock is not even looked at."""
    monkeypatch.setattr(dispatch, "monotonic", None)
    cid = await started(application, "tom")
    tom = await signed_in("tom")

    for number in range(200):
        await say(tom, cid, f"{number}")
        assert (await count(tom, cid)).op == OpType.result


async def test_a_change_of_the_rate_is_obeyed(
    application: Application, signed_in: SignIn, obey_settings: ObeySettings
) -> None:
    """On connections that are open, too; 0 lifts it."""
    cid = await started(application, "tom")
    tom = await signed_in("tom")
    await obey_settings(GatewaySettings, client_messages_per_minute=1)

    assert [(await attempt(tom, cid, text)).HasField("code") for text in ("one", "two")] == [False, True]

    await obey_settings(GatewaySettings, client_messages_per_minute=0, client_operations_per_minute=1)
    assert [(await attempt(tom, cid, text)).HasField("code") for text in ("three", "four")] == [False, False]


def test_every_command_counts_as_what_it_is() -> None:
    """Messages and history have rates of their own; what has no answer cannot be refused and is free."""
    counted: dict[object, set[tuple[int, int | None]]] = {}
    for kind, registration in registry.registered().items():
        counted.setdefault(registration.throttle, set()).add(kind)

    free = counted.pop(None)
    assert {kind for kind in free if kind[0] not in NEVER_ANSWERED} == {
        (SESSION, OpType.open),
        (SESSION, OpType.close),
        (SESSION, OpType.refresh),
        (CommandType.patch, OpType.modified),
    }
    assert counted.pop(throttles.MESSAGES) == {(CommandType.direct, None)}
    assert counted.pop(throttles.HISTORY) == {(LOGS, None)}
    assert not [kind for kind in counted.pop(throttles.OPERATIONS) if kind[0] in NEVER_ANSWERED]
    assert not counted
