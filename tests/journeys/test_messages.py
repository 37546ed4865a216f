"""Every kind of message and everything that happens to one, as the unmodified JavaScript SDKs live it.

Like `test_journeys.py`: each journey is a Node script in this folder.
"""

from collections.abc import Callable

import pytest

from tests.journeys.conftest import Proxy, over_tls, through
from tests.journeys.running import FIVE, FIVE_BASE64, FOUR, Sdk, environment_of, run_journey
from tests.processes import Server

pytestmark = pytest.mark.journey

SDKS = pytest.mark.parametrize("sdk", [FIVE, FIVE_BASE64, FOUR], ids=lambda sdk: sdk.name)
# 5 has no such mode any more.
FOUR_BASE64 = Sdk("4.3.1 base64", "leancloud-realtime-4", is_binary=False, asks_router=False)
PATCHES = ("edit_enabled=on", "recall_enabled=on")

Applications = Callable[..., dict[str, str]]
Proxies = Callable[..., Proxy]


@SDKS
def test_every_kind_of_message(server: Server, sdk: Sdk) -> None:
    """Checklist 51, 52, 56, 61 as the SDK and its plugin for typed messages live them."""
    run_journey("typed.mjs", server, environment_of(server, sdk))


@SDKS
def test_what_is_fleeting_and_who_is_meant(server: Server, sdk: Sdk) -> None:
    """Checklist 55, 57, 69 as the SDK lives them."""
    run_journey("fleeting.mjs", server, environment_of(server, sdk))


@SDKS
def test_a_stream_of_messages_over_broken_connections(server: Server, sdk: Sdk, proxy_of: Proxies) -> None:
    """Checklist 12, 54, 61 as the SDK lives them, on bad networks."""
    run_journey("stream.mjs", server, environment_of(server, sdk) | through(proxy_of(server, tls=False)))


@SDKS
def test_edits_and_recalls(server: Server, sdk: Sdk, application_with: Applications) -> None:
    """Checklist 64, 65, 66, 67 as the SDK lives them."""
    run_journey("patches.mjs", server, environment_of(server, sdk) | application_with(*PATCHES))


@SDKS
def test_what_a_back_end_says(server: Server, sdk: Sdk, application_with: Applications) -> None:
    """REST checklist 25, 27, 30 as the SDK lives them; clients' settings do not bind the back end."""
    run_journey("back-end.mjs", server, environment_of(server, sdk) | application_with("edit_enabled=off"))


@SDKS
def test_an_application_without_edits_and_recalls(server: Server, sdk: Sdk) -> None:
    """What is off by default is refused."""
    run_journey("without-patches.mjs", server, environment_of(server, sdk))


@SDKS
def test_receipts(server: Server, sdk: Sdk, proxy_of: Proxies) -> None:
    """Checklist 58, 70, 73 as the SDK lives them."""
    run_journey("receipts.mjs", server, over_tls(environment_of(server, sdk), sdk, proxy_of(server, tls=True)))


@SDKS
def test_unread_counts(server: Server, sdk: Sdk) -> None:
    """Checklist 57, 59, 60 as the SDK lives them."""
    run_journey("unread.mjs", server, environment_of(server, sdk))


@SDKS
def test_a_day_off_line(server: Server, sdk: Sdk) -> None:
    """Checklist 60 as the SDK lives it: 150 unread messages in 60 conversations, and one with over a hundred."""
    run_journey("away.mjs", server, environment_of(server, sdk))


@SDKS
def test_one_device_at_a_time(server: Server, sdk: Sdk, proxy_of: Proxies) -> None:
    """Checklist 12, 16, 17, 18, 19 as the SDK lives them."""
    run_journey("conflict.mjs", server, environment_of(server, sdk) | through(proxy_of(server, tls=False)))


@SDKS
def test_kicked_by_the_application(server: Server, sdk: Sdk, application_with: Applications, proxy_of: Proxies) -> None:
    """REST checklist 34, 35 as the SDK lives them."""
    environment = environment_of(server, sdk) | application_with("sign_login=on") | through(proxy_of(server, tls=False))

    run_journey("kicked.mjs", server, environment | {"API_URL": server.url})


@SDKS
def test_wills(server: Server, sdk: Sdk, proxy_of: Proxies) -> None:
    """Checklist 5, 68 as the SDK lives them."""
    run_journey("will.mjs", server, environment_of(server, sdk) | through(proxy_of(server, tls=False)))


@pytest.mark.parametrize("sdk", [FOUR, FOUR_BASE64], ids=lambda sdk: sdk.name)
def test_messages_pushed_to_old_apps(server: Server, sdk: Sdk) -> None:
    """What was missed is pushed at login, as the SDK asks for with `pushOfflineMessages`."""
    run_journey("offline.mjs", server, environment_of(server, sdk))


@pytest.mark.parametrize("sdk", [FOUR, FOUR_BASE64], ids=lambda sdk: sdk.name)
def test_messages_pushed_again_to_old_apps(server: Server, sdk: Sdk, proxy_of: Proxies) -> None:
    """What a lost connection kept them from acknowledging comes again when they are back."""
    run_journey("redelivery.mjs", server, environment_of(server, sdk) | through(proxy_of(server, tls=False)))
