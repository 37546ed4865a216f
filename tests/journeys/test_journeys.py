"""The official JavaScript SDKs, unmodified, against a real server. Each journey is a Node script in this folder."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.journeys.conftest import Proxy
from tests.journeys.running import FIVE, FIVE_BASE64, FOUR, Sdk, environment_of, run_journey, with_sdks
from tests.processes import ROOT, Server

pytestmark = pytest.mark.journey

EXAMPLE = ROOT / "examples" / "two-clients.mjs"
SDKS = pytest.mark.parametrize("sdk", [FIVE, FIVE_BASE64, FOUR], ids=lambda sdk: sdk.name)


@SDKS
def test_the_example_of_two_people_who_chat(server: Server, sdk: Sdk, tmp_path: Path) -> None:
    """Checklist 1, 2, 3, 27, 30, 51: examples/two-clients.mjs as it is."""
    output = run_journey(with_sdks(tmp_path, EXAMPLE), server, environment_of(server, sdk))

    assert "Tom and Jerry have chatted." in output


def test_the_example_takes_its_application_from_the_command_line(server: Server, tmp_path: Path) -> None:
    environment = environment_of(server, FIVE)
    application = [environment.pop("IMCORE_APP_ID"), environment.pop("IMCORE_APP_KEY")]

    output = run_journey(with_sdks(tmp_path, EXAMPLE), server, environment, *application)

    assert "Tom and Jerry have chatted." in output


def test_the_example_over_tls_with_the_router_of_4_3_1(
    server: Server, tmp_path: Path, proxy_of: Callable[..., Proxy]
) -> None:
    """4.x puts `https://` before everything: the router and the WebSocket come through a proxy that ends TLS."""
    proxy = proxy_of(server, tls=True)
    environment = environment_of(server, FOUR)
    del environment["RTM_SERVER"]
    environment["IMCORE_URL"] = proxy.address
    environment["NODE_EXTRA_CA_CERTS"] = str(proxy.certificate)

    output = run_journey(with_sdks(tmp_path, EXAMPLE), server, environment)

    assert "Tom and Jerry have chatted." in output


def test_the_example_over_tls_with_5_0_0(server: Server, tmp_path: Path, proxy_of: Callable[..., Proxy]) -> None:
    proxy = proxy_of(server, tls=True)
    environment = environment_of(server, FIVE)
    environment["IMCORE_URL"] = f"https://{proxy.address}"
    environment["NODE_EXTRA_CA_CERTS"] = str(proxy.certificate)

    output = run_journey(with_sdks(tmp_path, EXAMPLE), server, environment)

    assert "Tom and Jerry have chatted." in output


@SDKS
def test_everybody_hears_who_joins_and_leaves(server: Server, sdk: Sdk) -> None:
    """Checklist 30, 31, 32, 33 as the SDK tells them."""
    run_journey("members.mjs", server, environment_of(server, sdk))


@SDKS
def test_the_query_builder_finds_conversations(server: Server, sdk: Sdk) -> None:
    """Checklist 34, 36, 37, 39, 40 as the SDK asks."""
    run_journey("queries.mjs", server, environment_of(server, sdk))


@SDKS
def test_history_in_pages(server: Server, sdk: Sdk) -> None:
    """Checklist 61 as the SDK asks."""
    run_journey("history.mjs", server, environment_of(server, sdk))


@SDKS
def test_a_refusal_reaches_the_app_with_its_code(server: Server, sdk: Sdk) -> None:
    """Checklist 25, 53, 63 as the SDK tells them."""
    run_journey("errors.mjs", server, environment_of(server, sdk))


@SDKS
def test_several_clients_and_several_devices(server: Server, sdk: Sdk) -> None:
    """Checklist 19, 20, 21, 23, 52 as the SDK lives them."""
    run_journey("devices.mjs", server, environment_of(server, sdk))


@SDKS
def test_the_sdk_mends_its_connection(own_server: Server, sdk: Sdk, proxy_of: Callable[..., Proxy]) -> None:
    """Checklist 6 and 12: `goaway`, a restart, a crash, a pause."""
    proxy = proxy_of(own_server, tls=False)
    environment = environment_of(own_server, sdk)
    if sdk.asks_router:
        environment["IMCORE_URL"] = f"http://{proxy.address}"
        environment["ROUTER_REQUESTS"] = f"http://{proxy.address}/.requests"

    def restart() -> None:
        assert own_server.stop() == 0
        own_server.start()

    def crash() -> None:
        own_server.kill()
        own_server.start()

    run_journey(
        "reconnect.mjs",
        own_server,
        environment,
        answers={"goaway": lambda: own_server.signal(signal.SIGUSR1), "restart": restart, "crash": crash},
    )

    assert own_server.stop() == 0
    own_server.assert_untroubled()
