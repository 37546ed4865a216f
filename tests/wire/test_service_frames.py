"""Golden frames of what system conversations say (realtime-protocol 4.14)."""

from imcore.models import Application
from tests.conftest import SignIn
from tests.messaging.returning import OFFLINE_PUSH, Connect, back
from tests.messaging.speaking import new_service
from tests.wire.golden import assert_golden


async def test_service_direct(application: Application, signed_in: SignIn) -> None:
    """Stored, and transient; the edit and the recall of a stored one, with the count after that."""
    service = await new_service(application)
    tom = await signed_in("tom")

    spoken = await service.tell("tom", text='{"_lctype":-1,"_lctext":"your parcel is here"}')
    frames = [await tom.next_notice()]
    await service.broadcast("a flash", is_transient=True)
    frames.append(await tom.next_notice())
    await service.patch(spoken, "your parcel was here", client_ids=["tom"])
    frames.append(await tom.next_notice())
    await service.patch(spoken, None, client_ids=["tom"])
    frames += [await tom.next_notice(), await tom.next_notice()]

    assert_golden("service_direct", *frames)


async def test_service_missed(application: Application, signed_in: SignIn, connect: Connect) -> None:
    """The count of a client that was away, and the message of an old one."""
    service = await new_service(application)
    tom, old = await signed_in("tom"), await signed_in("old", wire=await connect(OFFLINE_PUSH))
    for client in (tom, old):
        assert client.wire is not None
        await client.wire.close()
    await service.broadcast("for all")

    tom, old = await back(tom, connect, application.app_id), await back(old, connect, application.app_id)

    assert_golden("service_missed", await tom.next_notice(), await old.next_notice())
