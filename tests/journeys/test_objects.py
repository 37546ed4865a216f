"""Objects of classes as the unmodified Python SDK has them: conversations, devices, messages to services."""

import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.journeys.running import FIVE, FOLDER, SECONDS, environment_of, node_program
from tests.processes import Server, inherited_environment

pytestmark = pytest.mark.journey


@pytest.mark.parametrize(
    ("program", "last"), [("objects.py", "Kept, found and gone."), ("history.py", "Said and read.")]
)
def test_objects_of_python(
    server: Server, application_with: Callable[..., dict[str, str]], program: str, last: str
) -> None:
    """Checklist 45, 48: Conversation, Message, SysMessage, Installation, queries, batches and scans (rest-api 9.1)."""
    environment = {
        **inherited_environment(),
        **environment_of(server, FIVE),
        **application_with("sign_login=off"),
        "LEANCLOUD_API_SERVER": server.url,
        "NODE": node_program(),
    }

    done = subprocess.run(
        [sys.executable, str(FOLDER / program)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )

    assert done.returncode == 0, f"{done.stdout}\n{server.output()[-4000:]}"
    assert last in done.stdout
