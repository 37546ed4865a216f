"""Files as the unmodified SDKs have them: JavaScript in Node.js and in a browser, and Python."""

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.journeys.running import FIVE, FOLDER, SDKS, SECONDS, environment_of, run_journey
from tests.processes import Server, inherited_environment

pytestmark = pytest.mark.journey

Applications = Callable[..., dict[str, str]]
CHROMIUM = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"),
]


def test_files_are_uploaded_and_sent(server: Server, application_with: Applications) -> None:
    """Checklist 49, 50, 54: saved, as a mini program too, and opened by who gets an image message."""
    run_journey("files.mjs", server, environment_of(server, FIVE) | application_with("sign_login=off"))


def test_files_of_python(server: Server, application_with: Applications) -> None:
    """Checklist 49, 54."""
    environment = {**inherited_environment(), **application_with("sign_login=off"), "LEANCLOUD_API_SERVER": server.url}

    done = subprocess.run(
        [sys.executable, str(FOLDER / "files.py")],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )

    assert done.returncode == 0, f"{done.stdout}\n{server.output()[-4000:]}"
    assert "Saved and destroyed." in done.stdout


def test_a_page_of_another_origin_uploads_a_file(
    server: Server, application_with: Applications, tmp_path: Path
) -> None:
    """Checklist 49, 51: JavaScript in Chromium, which asks first whether it may."""
    application = application_with("sign_login=off")
    shutil.copy(FOLDER / "files.html", tmp_path)
    shutil.copy(SDKS / "leancloud-storage" / "dist" / "av-min.js", tmp_path / "av.js")
    asked = {
        "appId": application["IMCORE_APP_ID"],
        "appKey": application["IMCORE_APP_KEY"],
        "serverURL": server.url,
    }

    with pages(tmp_path) as (origin, told):
        answer = seen_by_chromium(f"{origin}/files.html?{urlencode(asked)}", told, tmp_path / "profile")

    assert "error" not in answer, answer
    assert answer["text"] == "meow"
    assert answer["url"].startswith(f"{server.url}/files/")
    assert answer["progress"] == 100
    assert answer["etag"]
    assert answer["refused"] == 403


@contextmanager
def pages(folder: Path) -> Iterator[tuple[str, "Queue[Any]"]]:
    """Serve a folder under an origin of its own, and collect what its pages tell."""
    told: Queue[Any] = Queue()

    class Handler(SimpleHTTPRequestHandler):
        def do_POST(self) -> None:
            told.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *arguments: Any) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder))) as serving:
        thread = threading.Thread(target=serving.serve_forever, name="pages", daemon=True)
        thread.start()
        try:
            # Another name than the server's.
            yield f"http://localhost:{serving.server_port}", told
        finally:
            serving.shutdown()
            thread.join()


def seen_by_chromium(url: str, told: "Queue[Any]", profile: Path) -> dict[str, Any]:
    """Open a page in a browser, and return what it tells."""
    program = shutil.which("chromium")
    assert program, "Chromium is missing: install the package `chromium`."
    with subprocess.Popen(
        [program, *CHROMIUM, f"--user-data-dir={profile}", "--remote-debugging-port=0", url],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as browser:
        try:
            answer: dict[str, Any] = told.get(timeout=SECONDS)
            return answer
        finally:
            browser.kill()
