"""Signing in, being on line, and leaving."""

from collections.abc import Sequence

import pytest

from imcore import limits, redis
from imcore.bridge import in_database
from imcore.delivery.encoding import Delivery, Frame, Order
from imcore.delivery.node import node
from imcore.delivery.presence import LocalSession, Presence
from imcore.models import Application
from imcore.protocol.message_pb2 import CommandType, DirectCommand, GenericCommand, OpType, SessionCommand
from messaging.models import MessagingSettings
from tests.conftest import SignIn
from tests.imclient import ImClient, open_session, sign_in
from tests.messaging.signing_in import (
    SESSION,
    Connect,
    ObeySettings,
    assert_error,
    assert_opened,
    device_of,
    local_sessions,
)
from tests.processes import eventually
from tests.waiting import until


async def test_a_client_without_an_id_is_given_one(application: Application, connect: Connect) -> None:
    """Checklist 10."""
    first = await open_session(await connect(), application.app_id, None)
    second = await open_session(await connect(), application.app_id, None)

    assert_opened(first)
    assert 1 <= len(first.peerId) <= limits.CLIENT_ID_MAX_CHARACTERS
    assert first.peerId != second.peerId
    assert local_sessions(application, first.peerId)


async def test_opened_has_a_token_its_life_in_seconds_and_the_time(application: Application, connect: Connect) -> None:
    """Checklist 11. Without `code`, which reads as failure, and `lastPatchTime`, which makes Java forget (P17)."""
    opened = await open_session(await connect(), application.app_id, "tom", serial=-65535)

    assert_opened(opened)
    assert opened.i == -65535
    assert opened.sessionMessage.stTtl == 7 * 86_400
    assert {field.name for field, _ in opened.sessionMessage.ListFields()} == {"st", "stTtl"}
    assert {field.name for field, _ in opened.ListFields()} == {
        "cmd", "op", "peerId", "i", "service", "serverTs", "sessionMessage",
    }  # fmt: skip


async def test_nothing_reaches_a_client_before_its_opened(
    application: Application, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checklist 11. A message that comes while presence is being told waits for `opened`, and is not older."""
    attach = node.presence.attach
    notice = GenericCommand(cmd=CommandType.direct, directMessage=DirectCommand(cid="c", id="m")).SerializeToString()

    async def attach_and_deliver(application_pk: int, session: LocalSession) -> None:
        await attach(application_pk, session)
        node.deliver(Delivery(application_pk, [Frame(["tom"], notice)]))

    monkeypatch.setattr(node.presence, "attach", attach_and_deliver)
    wire = await connect()

    opened = await open_session(wire, application.app_id, "tom")
    then = await wire.receive()

    assert_opened(opened)
    assert (then.cmd, then.peerId, then.directMessage.id) == (CommandType.direct, "tom", "m")
    assert then.serverTs >= opened.serverTs


async def test_the_time_of_each_opened_is_later_than_the_one_before(application: Application, connect: Connect) -> None:
    """Checklist 11; realtime-protocol 3.2 asks for strictly rising times."""
    wire = await connect()

    times = [(await open_session(wire, application.app_id, "tom")).serverTs for _ in range(5)]

    assert times == sorted(set(times))


async def test_a_second_open_on_the_same_connection_takes_the_place_of_the_first(
    application: Application, connect: Connect
) -> None:
    """Checklist 11; C# and Java open twice on their refresh paths, and nothing may come twice (4.1.1)."""
    wire = await connect()
    await open_session(wire, application.app_id, "tom", deviceId="phone")

    opened = await open_session(wire, application.app_id, "tom", deviceId="phone")

    assert_opened(opened)
    assert len(local_sessions(application, "tom")) == 1
    body = GenericCommand(cmd=CommandType.direct, directMessage=DirectCommand(cid="c", id="m")).SerializeToString()
    node.deliver(Delivery(application.pk, [Frame(["tom"], body)]))
    assert (await wire.receive()).directMessage.id == "m"
    await ImClient(wire, "tom", opened).nothing_more()


async def test_two_opens_from_one_device_are_one_device(application: Application, connect: Connect) -> None:
    """Checklist 13. The identity is `deviceId`, else `deviceToken` (4.1.1)."""
    for identity in ({"deviceId": "phone"}, {"deviceToken": "phone"}, {"deviceId": "phone", "deviceToken": "other"}):
        await sign_in(await connect(), application.app_id, "tom", **identity)

    assert (await device_of(application, "tom")).identity == "phone"


async def test_odd_identities_tags_and_user_agents_sign_in(application: Application, connect: Connect) -> None:
    """Texts too long for their columns, or with a NUL, are no reason to keep anybody out."""
    tom = await sign_in(await connect(), application.app_id, "tom", deviceId="d" * 1000, tag="t" * 65, ua="u" * 5000)
    back = await sign_in(await connect(), application.app_id, "tom", deviceId="d" * 1000)
    nul = await sign_in(await connect(), application.app_id, "mary", deviceId="\0", tag="a\0b", ua="\0js")

    assert tom.token
    assert nul.token
    assert back.token
    assert (await device_of(application, "tom")).user_agent == "u" * 200


@pytest.mark.parametrize("client_id", ["t", "x" * 64, "汤姆" * 32, "with space/and:colon", "é́🙂"])
async def test_a_client_id_is_any_text_of_1_to_64_characters(
    client_id: str, application: Application, connect: Connect
) -> None:
    """Checklist 25, at the bound."""
    opened = await open_session(await connect(), application.app_id, client_id)

    assert_opened(opened)
    assert opened.peerId == client_id


@pytest.mark.parametrize("client_id", ["", "x" * 65, "汤" * 65, "a\0b"])
async def test_another_client_id_is_refused_with_4103(
    client_id: str, application: Application, connect: Connect
) -> None:
    """Checklist 25. The connection goes on."""
    wire = await connect()

    refused = await open_session(wire, application.app_id, client_id, serial=7)
    accepted = await open_session(wire, application.app_id, "tom")

    assert_error(refused, 4103, "INVALID_LOGIN")
    assert refused.i == 7
    assert refused.peerId == client_id
    assert_opened(accepted)


@pytest.mark.parametrize(
    ("first", "second"), [("web", "mobile"), ("", ""), ("web", ""), ("default", "default"), ("", "default")]
)
async def test_devices_with_different_tags_or_none_are_on_line_together(
    first: str, second: str, application: Application, signed_in: SignIn
) -> None:
    """Checklist 19."""
    one = await signed_in("tom", deviceId="one", tag=first)
    two = await signed_in("tom", deviceId="two", tag=second)

    assert len(local_sessions(application, "tom")) == 2
    await one.nothing_more()
    await two.nothing_more()


@pytest.mark.parametrize("bitmap", [187, 59, 1])
async def test_a_command_without_a_client_is_of_the_one_that_opened_first(
    bitmap: int, application: Application, connect: Connect
) -> None:
    """Checklist 20. JavaScript 4.3.1 leaves the client out although it does not declare that it may."""
    wire = await connect()
    tom = await sign_in(wire, application.app_id, "tom", configBitmap=bitmap)
    mary = await sign_in(wire, application.app_id, "mary", configBitmap=bitmap)

    unaddressed = await wire.request(SESSION, OpType.refresh)
    addressed = await mary.request(SESSION, OpType.refresh)
    await tom.request(SESSION, OpType.close)
    after_tom = await wire.request(SESSION, OpType.refresh)
    await mary.request(SESSION, OpType.close)
    after_all = await wire.request(SESSION, OpType.refresh)

    assert [frame.peerId for frame in (unaddressed, addressed, after_tom)] == ["tom", "mary", "mary"]
    assert_error(after_all, 4105, "SESSION_REQUIRED")


async def test_clients_of_one_connection_are_told_apart(application: Application, connect: Connect) -> None:
    """Checklist 20, the other way: each frame names the client it is for."""
    wire = await connect()
    await sign_in(wire, application.app_id, "tom")
    await sign_in(wire, application.app_id, "mary")
    body = GenericCommand(cmd=CommandType.direct, directMessage=DirectCommand(cid="c", id="m")).SerializeToString()

    node.deliver(Delivery(application.pk, [Frame(["mary", "tom"], body)]))

    assert [(await wire.receive()).peerId, (await wire.receive()).peerId] == ["mary", "tom"]


async def test_close_ends_the_session_and_voids_its_token(
    application: Application, signed_in: SignIn, connect: Connect
) -> None:
    """Checklist 21. The token's answer is 4105: 4112 would make JavaScript come back without one (4.1.2)."""
    tom = await signed_in("tom", deviceId="phone")

    closed = await tom.request(SESSION, OpType.close)
    refused = await open_session(await connect(), application.app_id, "tom", st=tom.token, r=True)

    assert (closed.cmd, closed.op) == (SESSION, OpType.closed)
    assert not closed.sessionMessage.HasField("code")
    assert_error(refused, 4105, "SESSION_REQUIRED")
    assert local_sessions(application, "tom") == []


async def test_close_voids_every_token_the_device_was_given(
    application: Application, signed_in: SignIn, connect: Connect
) -> None:
    """Checklist 21, also for tokens from `refresh`."""
    tom = await signed_in("tom")
    refreshed = await tom.request(SESSION, OpType.refresh)
    await tom.request(SESSION, OpType.close)

    for token in (tom.token, refreshed.sessionMessage.st):
        refused = await open_session(await connect(), application.app_id, "tom", st=token, r=True)
        assert_error(refused, 4105, "SESSION_REQUIRED")


async def test_a_closed_device_signs_in_again_with_a_new_token(
    application: Application, signed_in: SignIn, connect: Connect
) -> None:
    """Checklist 21: the old one stays void."""
    tom = await signed_in("tom", deviceId="phone")
    await tom.request(SESSION, OpType.close)

    again = await signed_in("tom", wire=tom.wire, deviceId="phone")

    assert_opened(await open_session(await connect(), application.app_id, "tom", st=again.token))
    assert_error(await open_session(await connect(), application.app_id, "tom", st=tom.token), 4105, "SESSION_REQUIRED")


async def test_close_leaves_the_connection_and_its_other_clients(application: Application, connect: Connect) -> None:
    """Checklist 21."""
    wire = await connect()
    tom = await sign_in(wire, application.app_id, "tom")
    mary = await sign_in(wire, application.app_id, "mary")

    await tom.request(SESSION, OpType.close)
    refused = await wire.request(SESSION, OpType.refresh, peerId="tom")

    assert_error(refused, 4105, "SESSION_REQUIRED")
    assert refused.peerId == "tom"
    assert (await mary.request(SESSION, OpType.refresh)).op == OpType.refreshed


async def test_close_without_a_serial_closes_and_says_nothing(application: Application, signed_in: SignIn) -> None:
    """Checklist 21. Java may leave the serial out."""
    tom = await signed_in("tom")

    await tom.send(SESSION, OpType.close)
    opened = await open_session(tom.wire, application.app_id, "mary")

    assert opened.peerId == "mary"
    await until(lambda: not local_sessions(application, "tom"))


async def test_a_connection_that_ends_takes_its_sessions_along(application: Application, connect: Connect) -> None:
    """Checklist 23. The token stays good."""
    wire = await connect()
    tom = await sign_in(wire, application.app_id, "tom")
    await sign_in(wire, application.app_id, "mary")

    await wire.close()

    assert local_sessions(application, "tom") == local_sessions(application, "mary") == []
    assert_opened(await open_session(await connect(), application.app_id, "tom", st=tom.token))


@pytest.mark.parametrize("held", ["valid", "expired", "absent", "nonsense"])
async def test_refresh_gives_an_open_session_a_new_token_whatever_it_holds(
    held: str, application: Application, signed_in: SignIn, connect: Connect, obey_settings: ObeySettings
) -> None:
    """Checklist 22. SDKs refresh only after the old token has expired (P13a)."""
    await obey_settings(MessagingSettings, session_token_seconds=0 if held == "expired" else 3600)
    tom = await signed_in("tom")
    await obey_settings(MessagingSettings, session_token_seconds=1800)
    body = {"absent": SessionCommand(), "nonsense": SessionCommand(st="x")}.get(held, SessionCommand(st=tom.token))

    refreshed = await tom.request(SESSION, OpType.refresh, sessionMessage=body)

    assert (refreshed.cmd, refreshed.op) == (SESSION, OpType.refreshed)
    assert refreshed.sessionMessage.st
    assert refreshed.sessionMessage.st != tom.token
    assert refreshed.sessionMessage.stTtl == 1800
    assert not refreshed.sessionMessage.HasField("code")
    assert_opened(await open_session(await connect(), application.app_id, "tom", st=refreshed.sessionMessage.st))


async def test_an_old_token_stays_good_after_a_refresh(
    application: Application, signed_in: SignIn, connect: Connect
) -> None:
    """Checklist 22 (realtime-protocol 4.1.3)."""
    tom = await signed_in("tom")
    await tom.request(SESSION, OpType.refresh)

    assert_opened(await open_session(await connect(), application.app_id, "tom", st=tom.token))


@pytest.mark.parametrize("op", [OpType.refresh, OpType.close, OpType.query])
async def test_without_an_open_session_a_session_command_is_refused_with_4105(
    op: OpType, application: Application, connect: Connect
) -> None:
    """Checklist 22: no open session, no authorisation."""
    wire = await connect()

    refused = await wire.request(SESSION, op, appId=application.app_id, peerId="tom")

    assert_error(refused, 4105, "SESSION_REQUIRED")


async def ask(client: ImClient, *client_ids: str) -> list[str]:
    """Return those of the clients that are on line, as `client` is told."""
    body = SessionCommand(sessionPeerIds=client_ids)
    answer = await client.request(SESSION, OpType.query, sessionMessage=body)
    assert (answer.cmd, answer.op) == (SESSION, OpType.query_result)
    assert not answer.sessionMessage.HasField("code")
    return list(answer.sessionMessage.onlineSessionPeerIds)


async def test_a_query_names_those_who_are_on_line(signed_in: SignIn) -> None:
    """Checklist 23."""
    tom = await signed_in("tom")
    mary = await signed_in("mary")
    await signed_in("mary", deviceId="second")
    left = await signed_in("left")
    await left.request(SESSION, OpType.close)

    assert await ask(tom, "mary", "nobody", "tom", "left", "mary") == ["mary", "tom"]
    await mary.wire.close()
    assert await ask(tom, "mary") == ["mary"]
    assert await ask(tom) == []


async def test_a_query_looks_at_the_first_twenty_only(signed_in: SignIn) -> None:
    """Checklist 23. Further ids are ignored."""
    tom = await signed_in("tom")
    strangers = [f"stranger {number}" for number in range(limits.ONLINE_QUERY_MAX_CLIENTS - 1)]

    assert await ask(tom, *strangers, "tom") == ["tom"]
    assert await ask(tom, "nobody", *strangers, "tom") == []


async def test_a_query_sees_its_own_application_only(signed_in: SignIn, connect: Connect) -> None:
    """Checklist 23."""
    other = await in_database(lambda: Application.objects.create(name="other"))
    await sign_in(await connect(), other.app_id, "jerry")

    assert await ask(await signed_in("tom"), "jerry") == []


class FarSession:
    """A session on another node."""

    def __init__(self, client_id: str) -> None:
        self.client_id = client_id
        self.config_bitmap = 187
        self.room: str | None = None
        self.attached_ms = 0
        self.seated_ms: int | None = None
        self.is_caught_up = True

    @property
    def names(self) -> Sequence[str]:
        """Be found by the client's id."""
        return (self.client_id,)

    def end(self) -> None:
        """Be over."""

    def deliver(self, body: bytes, order: Order | None, /) -> None:
        """Take a frame."""

    def sheds(self, priority: int) -> bool:
        """Never be congested."""
        return False


async def test_a_query_sees_clients_on_other_nodes(application: Application, signed_in: SignIn) -> None:
    """Checklist 23. A node that gives up its lease takes its clients along."""
    if not redis.is_configured():
        pytest.skip("two nodes meet in Redis")
    other_node = Presence()
    other_node.start()
    session = FarSession("jerry")
    tom = await signed_in("tom")

    async def is_found(client_id: str) -> bool:
        return await ask(tom, "mary", client_id) == [client_id]

    await other_node.attach(application.pk, session)

    await eventually(lambda: is_found("jerry"), "the other node's client is found")
    await other_node.stop()

    assert await ask(tom, "jerry") == []


async def test_the_push_login_java_makes_on_every_connect_is_answered(
    application: Application, connect: Connect
) -> None:
    """Checklist 24. `pushDisabled=true` would stop Java from ever reconnecting (P18)."""
    wire = await connect()

    await wire.send(GenericCommand(cmd=CommandType.login, appId=application.app_id, installationId="phone"))
    answer = await wire.receive()

    assert answer.cmd == CommandType.loggedin
    assert answer.HasField("service")
    assert answer.service == 0
    assert not answer.HasField("i")
    assert not answer.loggedinMessage.pushDisabled
    assert_opened(await open_session(wire, application.app_id, "tom"))


@pytest.mark.parametrize(
    ("asked", "answered"), [(CommandType.login, CommandType.loggedin), (CommandType.logout, CommandType.loggedout)]
)
async def test_a_live_query_login_gets_its_serial_and_installation_back(
    asked: CommandType, answered: CommandType, application: Application, connect: Connect
) -> None:
    """Checklist 24, for the sibling service on the same connection (realtime-protocol 4.1.4)."""
    wire = await connect()

    answer = await wire.request(asked, appId=application.app_id, installationId="phone", service=1)

    assert (answer.cmd, answer.service, answer.installationId) == (answered, 1, "phone")
    assert answer.i == 1
