"""The handshake: which subprotocol, and frames as text or bytes."""

from base64 import b64encode

import pytest

from imcore.models import Application
from imcore.protocol.codec import SUBPROTOCOLS
from imcore.protocol.message_pb2 import CommandType, GenericCommand, OpType
from tests.imclient import Closed, open_session, sign_in
from tests.imcore.gateway.support import Connect


@pytest.mark.parametrize("name", sorted(SUBPROTOCOLS))
async def test_the_offered_subprotocol_is_echoed(name: str, connect: Connect) -> None:
    """Checklist 2. Browsers, Java and Apple's SDKs drop a connection without the echo."""
    wire = await connect((name,))

    assert wire.subprotocol == name


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        (("lc.json.3", "lc.protobuf2.1"), "lc.protobuf2.1"),
        (("lc.proto2base64.3", "lc.protobuf2.3"), "lc.proto2base64.3"),
    ],
)
async def test_exactly_one_of_several_subprotocols_is_chosen(
    offered: tuple[str, ...], chosen: str, connect: Connect
) -> None:
    """Checklist 2."""
    wire = await connect(offered)

    assert wire.subprotocol == chosen


@pytest.mark.parametrize(
    ("query", "is_text"),
    [
        ("subprotocol=lc.protobuf2.3", False),
        ("a=b&subprotocol=lc.proto2base64.1", True),
        ("subprotocol=lc%2Eprotobuf2%2E1&_t=1", False),
    ],
)
async def test_without_the_header_the_url_decides_and_nothing_is_echoed(
    query: str, is_text: bool, application: Application, connect: Connect
) -> None:
    """Checklist 2. Mini programs cannot set the header."""
    wire = await connect((), query=query)

    assert wire.subprotocol is None
    assert wire.is_text is is_text
    assert (await sign_in(wire, application.app_id, "tom")).token


async def test_the_header_goes_before_the_url(connect: Connect) -> None:
    """Checklist 2. JavaScript 5 adds the parameter in some mini programs with the header too."""
    wire = await connect(("lc.protobuf2.3",), query="subprotocol=lc.proto2base64.3")

    assert wire.subprotocol == "lc.protobuf2.3"
    assert (await wire.request(CommandType.echo)).cmd == CommandType.echo


@pytest.mark.parametrize(
    ("offered", "query"),
    [
        ((), ""),
        ((), "subprotocol="),
        ((), "subprotocol=lc.json.3"),
        ((), "%ff%00=&;;&subprotocol=%ff"),
        (("lc.json.3",), ""),
        (("chat",), "subprotocol=lc.protobuf2.3"),
        (("LC.PROTOBUF2.3",), ""),
    ],
)
async def test_an_unknown_subprotocol_is_refused(offered: tuple[str, ...], query: str, connect: Connect) -> None:
    """Checklist 2."""
    with pytest.raises(Closed) as refused:
        await connect(offered, query=query)

    assert refused.value.code == 403


@pytest.mark.parametrize("name", sorted(SUBPROTOCOLS))
async def test_every_frame_is_text_on_base64_and_binary_elsewhere(
    name: str, application: Application, connect: Connect
) -> None:
    """Checklist 3. Replies, echoes, errors, notices and goodbyes alike: the client checks each frame it receives."""
    wire = await connect((name,))

    tom = await sign_in(wire, application.app_id, "tom")
    await tom.request(CommandType.room, OpType.join)
    await wire.request(CommandType.echo)
    refused = await open_session(wire, application.app_id, "")
    frame = GenericCommand(cmd=CommandType.echo, i=9).SerializeToString()
    await wire.send_raw(b64encode(frame).decode() if wire.is_text else frame)
    echoed = await wire.receive_raw()

    assert refused.errorMessage.code == 4103
    assert isinstance(echoed, str) is name.startswith("lc.proto2base64")
