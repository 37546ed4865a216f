"""Users as the unmodified SDKs have them: leancloud-storage with leancloud-realtime, and leancloud for Python."""

import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.journeys.conftest import Proxy
from tests.journeys.running import FIVE, FOLDER, FOUR, SECONDS, environment_of, run_journey
from tests.processes import Server, inherited_environment

pytestmark = pytest.mark.journey

Applications = Callable[..., dict[str, str]]


@pytest.mark.parametrize("signed", ["off", "on"])
def test_users_sign_up_and_talk(server: Server, application_with: Applications, signed: str) -> None:
    """Checklist 42, 46, 47, and 71 of the protocol, whether or not the application wants signatures."""
    application = application_with(f"sign_login={signed}")
    environment = environment_of(server, FIVE) | application | {"SIGNED": "1" if signed == "on" else "0"}

    run_journey("users.mjs", server, environment)


def test_users_sign_up_and_talk_with_4_3_1(
    server: Server, application_with: Applications, proxy_of: Callable[..., Proxy]
) -> None:
    """Checklist 42, 46: 4.x asks for the signature over TLS only."""
    proxy = proxy_of(server, tls=True)
    environment = environment_of(server, FOUR) | application_with("sign_login=on") | {"SIGNED": "1"}
    environment |= {
        "API_URL": server.url,
        "IMCORE_URL": proxy.address,
        "NODE_EXTRA_CA_CERTS": str(proxy.certificate),
    }

    run_journey("users.mjs", server, environment)


def test_users_of_python(server: Server, application_with: Applications) -> None:
    """Checklist 45, 46: sign-up, log-in, refresh, change of password."""
    environment = {**inherited_environment(), **application_with("sign_login=off"), "LEANCLOUD_API_SERVER": server.url}

    done = subprocess.run(
        [sys.executable, str(FOLDER / "users.py")],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )

    assert done.returncode == 0, f"{done.stdout}\n{server.output()[-4000:]}"
    assert "Signed up and gone." in done.stdout
