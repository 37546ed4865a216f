"""Keep-alive by `echo`, in each SDK's form."""

import pytest

from imcore.models import Application
from imcore.protocol.message_pb2 import CommandType, GenericCommand
from tests.conftest import SignIn
from tests.imcore.gateway.support import Connect


@pytest.mark.parametrize("serial", [1, 0, -1, -65535, 2**31 - 1])
async def test_an_echo_with_a_serial_gets_it_back(serial: int, connect: Connect) -> None:
    """Checklist 4, JavaScript. No session is needed."""
    wire = await connect()

    await wire.send(GenericCommand(cmd=CommandType.echo, i=serial))
    answer = await wire.receive()

    assert answer.cmd == CommandType.echo
    assert answer.HasField("i")
    assert answer.i == serial
    assert not answer.HasField("peerId")


async def test_c_sharps_echo_has_no_serial_and_its_application_as_client(
    application: Application, connect: Connect
) -> None:
    """Checklist 4, C#. Its peer id is no client of the connection, and that is no error (P7)."""
    wire = await connect()

    await wire.send(GenericCommand(cmd=CommandType.echo, appId=application.app_id, peerId=application.app_id))
    answer = await wire.receive()

    assert answer.cmd == CommandType.echo
    assert not answer.HasField("i")
    assert answer.peerId == application.app_id


async def test_an_echo_of_a_client_that_is_signed_in_names_it(signed_in: SignIn) -> None:
    """Checklist 4."""
    tom = await signed_in("tom")

    answer = await tom.request(CommandType.echo)

    assert answer.cmd == CommandType.echo


async def test_an_echo_for_an_unknown_application_is_an_echo(connect: Connect) -> None:
    """Checklist 4. It asks whether the server is there, nothing else."""
    wire = await connect()

    answer = await wire.request(CommandType.echo, appId="no application", peerId="x" * 100)

    assert answer.cmd == CommandType.echo
