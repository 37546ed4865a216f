"""Runs a Node script with the official SDKs, does what it asks for, and shows its output if it fails."""

import contextlib
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.processes import ROOT, Server, inherited_environment

FOLDER = Path(__file__).parent
SDKS = ROOT / "tests" / "sdk" / "node_modules"
SECONDS = 180.0


@dataclass(frozen=True)
class Sdk:
    """One way to use one of the published SDKs."""

    name: str
    package: str
    is_binary: bool = True
    asks_router: bool = True


FIVE = Sdk("5.0.0-rc.8", "leancloud-realtime")
FIVE_BASE64 = Sdk("5.0.0-rc.8 base64", "leancloud-realtime", is_binary=False)
# 4.x asks the router over TLS only; with a WebSocket URL it asks nobody.
FOUR = Sdk("4.3.1", "leancloud-realtime-4", asks_router=False)


def environment_of(server: Server, sdk: Sdk) -> dict[str, str]:
    """Return what tells a script which server to use, and how."""
    return {
        "SDK": sdk.package,
        "IMCORE_APP_ID": server.app_id,
        "IMCORE_APP_KEY": server.environment["IMCORE_APP_KEY"],
        "IMCORE_URL": server.url,
        "WS_URL": server.ws_url,
        **({} if sdk.is_binary else {"NO_BINARY": "1"}),
        **({} if sdk.asks_router else {"RTM_SERVER": server.ws_url}),
    }


def run_journey(
    script: str | Path,
    server: Server,
    environment: Mapping[str, str],
    *arguments: str,
    answers: Mapping[str, Callable[[], None]] | None = None,
) -> str:
    """Run a script to its end and return its output; fail with it, and with the server's, if it fails.

    When the script prints `ASK word`, call `answers[word]` and tell it when that is done.
    """
    printed: list[str] = []
    process = subprocess.Popen(
        [node_program(), str(FOLDER / script), *arguments],
        env={**inherited_environment(), **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    limit = threading.Timer(SECONDS, process.kill)
    limit.start()
    try:
        # A script that has failed meanwhile takes no answer; its exit status tells.
        with contextlib.suppress(BrokenPipeError), process:
            assert process.stdout is not None
            assert process.stdin is not None
            for line in process.stdout:
                printed.append(line)
                if line.startswith("ASK "):
                    (answers or {})[line.removeprefix("ASK ").strip()]()
                    with contextlib.suppress(BrokenPipeError):
                        process.stdin.write("done\n")
                        process.stdin.flush()
    finally:
        limit.cancel()
        process.kill()
        process.wait()
    output = "".join(printed)
    if process.returncode:
        log = server.output()[-4000:]
        pytest.fail(
            f"{script} ended with {process.returncode}:\n{output}\nThe server's output ends:\n{log}", pytrace=False
        )
    return output


def with_sdks(directory: Path, script: Path) -> Path:
    """Copy a script to where it finds the SDKs as it would after `npm install`, and return the copy's path."""
    (directory / "node_modules").symlink_to(SDKS, target_is_directory=True)
    return Path(shutil.copy(script, directory))


def node_program() -> str:
    """Return the path of Node.js."""
    found = shutil.which("node", path=os.environ.get("PATH"))
    assert found, "Node.js is missing: install Node.js 20."
    assert SDKS.is_dir(), "The SDKs are missing: make tests/sdk/node_modules/.installed"
    return found
