"""Every kind of conversation and every list of people, as the unmodified JavaScript SDKs live them.

Like `test_journeys.py`: each journey is a Node script in this folder.
"""

import json
import signal
from collections.abc import Callable
from uuid import uuid4

import pytest

from tests.journeys.conftest import Proxy, over_tls
from tests.journeys.running import FIVE, FIVE_BASE64, FOUR, Sdk, environment_of, run_journey
from tests.processes import Server

pytestmark = pytest.mark.journey

SDKS = pytest.mark.parametrize("sdk", [FIVE, FIVE_BASE64, FOUR], ids=lambda sdk: sdk.name)
LISTS = ("roles_enabled=on", "block_lists_enabled=on")
MAKE_SYSTEM_CONVERSATION = """\
from conversations.models import Conversation
from conversations.policy import Kind
from imcore.models import Application

application = Application.objects.get(app_id={app_id!r})
Conversation.objects.create(
    application=application, object_id={object_id!r}, kind=Kind.SYSTEM, attributes={{"name": "天气"}},
    created_ms=1, updated_ms=1,
)
"""
UPSTREAM = """\
import json
from conversations.models import Conversation
from messaging.models import SysMessage

number = Conversation.objects.get(object_id={object_id!r}).pk
sent = SysMessage.objects.filter(conversation_id=number).order_by("timestamp_ms")
print(json.dumps([[json.loads(one.text)["_lctext"], one.sender.partition("-")[0]] for one in sent]))
"""

Applications = Callable[..., dict[str, str]]


@SDKS
def test_chat_rooms(own_server: Server, sdk: Sdk) -> None:
    """Checklist 29, 49 as the SDK lives them; back in the room after a lost connection, `goaway` and a crash."""

    def crash() -> None:
        own_server.kill()
        own_server.start()

    run_journey(
        "rooms.mjs",
        own_server,
        environment_of(own_server, sdk),
        answers={"goaway": lambda: own_server.signal(signal.SIGUSR1), "crash": crash},
    )

    assert own_server.stop() == 0
    own_server.assert_untroubled()


@SDKS
def test_temporary_conversations(server: Server, sdk: Sdk) -> None:
    """Checklist 28, 38 as the SDK lives them, to the end of their time."""
    run_journey("temporary.mjs", server, environment_of(server, sdk))


@SDKS
def test_system_conversations(server: Server, sdk: Sdk) -> None:
    """Checklist 50 as the SDK lives it, and what clients write to a service."""
    object_id = uuid4().hex[:24]
    server.manage(
        "shell", "--no-imports", "-c", MAKE_SYSTEM_CONVERSATION.format(app_id=server.app_id, object_id=object_id)
    )

    def upstream() -> None:
        printed = server.manage("shell", "--no-imports", "-c", UPSTREAM.format(object_id=object_id))
        assert json.loads(printed) == [["Will it rain?", "Sue"], ["Goodbye", "Sam"]]

    run_journey(
        "service.mjs", server, {**environment_of(server, sdk), "SYSTEM": object_id}, answers={"upstream": upstream}
    )


@SDKS
def test_broadcasts(server: Server, sdk: Sdk, application_with: Applications) -> None:
    """REST checklist 33 as the SDK lives it, in an application of its own: all of whose clients hear it."""
    application = application_with("rest_broadcasts_per_minute=0")
    object_id = uuid4().hex[:24]
    server.manage(
        "shell",
        "--no-imports",
        "-c",
        MAKE_SYSTEM_CONVERSATION.format(app_id=application["IMCORE_APP_ID"], object_id=object_id),
    )

    run_journey("broadcast.mjs", server, environment_of(server, sdk) | application | {"SYSTEM": object_id})


@SDKS
def test_silence(server: Server, sdk: Sdk, application_with: Applications) -> None:
    """Checklist 46, 48 as the SDK lives them."""
    run_journey("silence.mjs", server, environment_of(server, sdk) | application_with(*LISTS))


@SDKS
def test_block_lists(server: Server, sdk: Sdk, application_with: Applications) -> None:
    """Checklist 47, 48 as the SDK lives them."""
    run_journey("blocks.mjs", server, environment_of(server, sdk) | application_with(*LISTS))


@SDKS
def test_roles(server: Server, sdk: Sdk, application_with: Applications, proxy_of: Callable[..., Proxy]) -> None:
    """Checklist 44, 45, 46 as the SDK lives them."""
    environment = over_tls(environment_of(server, sdk) | application_with(*LISTS), sdk, proxy_of(server, tls=True))

    run_journey("roles.mjs", server, environment)


@SDKS
def test_an_application_without_roles_and_block_lists(server: Server, sdk: Sdk) -> None:
    """What is off by default is refused, and leaves the members equal."""
    run_journey("without-lists.mjs", server, environment_of(server, sdk))


@SDKS
def test_attributes(server: Server, sdk: Sdk) -> None:
    """Checklist 41, 42, 43 as the SDK lives them."""
    run_journey("attributes.mjs", server, environment_of(server, sdk))


@SDKS
def test_what_a_back_end_does(server: Server, sdk: Sdk, application_with: Applications) -> None:
    """REST checklist 20, 22, 23, 24 as the SDK lives them."""
    run_journey("administered.mjs", server, environment_of(server, sdk) | application_with("rest_open_create=off"))


@SDKS
def test_what_a_back_end_forbids(
    server: Server, sdk: Sdk, application_with: Applications, proxy_of: Callable[..., Proxy]
) -> None:
    """REST checklist 36 as the SDK lives it."""
    environment = over_tls(environment_of(server, sdk) | application_with(*LISTS), sdk, proxy_of(server, tls=True))

    run_journey("moderated.mjs", server, environment | {"API_URL": server.url})


@SDKS
def test_what_was_missed(
    server: Server, sdk: Sdk, application_with: Applications, proxy_of: Callable[..., Proxy]
) -> None:
    """Checklist 73 as the SDK lives it."""
    environment = over_tls(environment_of(server, sdk) | application_with(*LISTS), sdk, proxy_of(server, tls=True))

    run_journey("missed.mjs", server, environment)


@SDKS
def test_signatures(server: Server, sdk: Sdk, application_with: Applications) -> None:
    """Checklist 25, 72 as the SDK signs."""
    signing = ("sign_login=on", "sign_conversations=on", "sign_block_lists=on")

    run_journey("signatures.mjs", server, environment_of(server, sdk) | application_with(*LISTS, *signing))
