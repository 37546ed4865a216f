"""The first ten minutes with imcore: `make run` on a fresh checkout, Ctrl-C, the admin, and what goes wrong."""

import asyncio
import html.parser
import http.cookiejar
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from imcore.protocol.message_pb2 import CommandType, ConvCommand, DirectCommand, LogsCommand, OpType
from tests.imclient import OverSocket, sign_in
from tests.journeys.running import node_program, with_sdks
from tests.processes import (
    CREDENTIALS,
    ROOT,
    Answer,
    Server,
    engine,
    fresh_database,
    get,
    wait_for,
)
from tests.services import Services, free_port, running_services

pytestmark = pytest.mark.slow

Start = Callable[..., Server]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what git tracks, as a fresh clone is."""
    folder = tmp_path_factory.mktemp("clone") / "imcore"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        # A file that was deleted and not yet committed is listed, too.
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


@pytest.fixture
def make_run(checkout: Path, tmp_path: Path) -> Iterator[Start]:
    """`make run` in the fresh checkout, with the packages of this run: installing them is pip's business, not ours."""
    with ExitStack() as running:

        def start(**environment: str) -> Server:
            server = Server(
                tmp_path,
                environment=environment,
                command=["make", "--no-print-directory", f"VENV={sys.prefix}", "run"],
                working_directory=checkout,
            )
            running.callback(server.kill)
            return server

        yield start


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server on the engine of this run."""
    with engine() as environment:
        running = Server(tmp_path / "server", environment=environment)
        try:
            running.start()
            yield running
        finally:
            running.kill()


@pytest.fixture
def new_server(tmp_path: Path) -> Iterator[Start]:
    """Servers that the test starts itself: `new_server(environment=…)`. They are ended after it, whatever happens."""
    with ExitStack() as running:

        def make(name: str = "server", **options: Any) -> Server:
            server = Server(tmp_path / name, **options)
            running.callback(server.kill)
            return server

        yield make


@pytest.fixture(scope="module")
def services() -> Iterator[Services]:
    """PostgreSQL and Redis of our own, to take away."""
    with running_services() as running:
        yield running


def test_make_run_prints_everything_to_begin_with_and_ctrl_c_stops_it(make_run: Start) -> None:
    server = make_run()

    server.start()
    wait_for_announcement(server)

    output = server.output()
    assert output.index("Preparing the database") < output.index("imcore is ready.")
    assert printed(output, "Server URL") == server.url
    assert len(printed(output, "App ID")) > 8
    assert len(printed(output, "App Key")) >= 24
    assert len(printed(output, "Master Key")) >= 24
    assert printed(output, "Admin") == f"{server.url}/admin/"
    assert printed(output, "User name") == "admin"
    assert len(printed(output, "Password")) >= 12
    assert len({printed(output, name) for name in ("App ID", "App Key", "Master Key", "Password")}) == 4
    assert (server.directory / "data" / "imcore.sqlite3").is_file()

    interrupted(server)
    server.assert_untroubled()


def test_a_second_start_reuses_the_data(make_run: Start) -> None:
    server = make_run()
    server.start()
    wait_for_announcement(server)
    first = server.output()
    asyncio.run(_chat(server, printed(first, "App ID")))
    interrupted(server)

    server.start()
    wait_for_announcement(server, times=2)
    second = server.output().removeprefix(first)

    for name in ("App ID", "App Key", "Master Key"):
        assert printed(second, name) == printed(first, name)
    password = printed(first, "Password")
    assert password not in second, "it is kept as a hash only"
    assert "as set before" in printed(second, "Password")
    assert Admin(server).sign_in(password)
    assert asyncio.run(_history(server, printed(first, "App ID"))) == ["Hello, Jerry!", "Hi, Tom!"]
    interrupted(server)
    server.assert_untroubled()


def test_the_environment_fixes_all_credentials(make_run: Start) -> None:
    server = make_run(**CREDENTIALS)

    server.start()
    wait_for_announcement(server)

    output = server.output()
    assert printed(output, "App ID") == CREDENTIALS["IMCORE_APP_ID"]
    assert printed(output, "App Key") == CREDENTIALS["IMCORE_APP_KEY"]
    assert printed(output, "Master Key") == CREDENTIALS["IMCORE_MASTER_KEY"]
    assert printed(output, "Password") == CREDENTIALS["IMCORE_ADMIN_PASSWORD"]
    assert Admin(server).sign_in(CREDENTIALS["IMCORE_ADMIN_PASSWORD"])
    interrupted(server)


def test_new_credentials_in_the_environment_replace_the_old_ones(new_server: Start) -> None:
    server = new_server()
    server.start()
    assert server.stop() == 0

    server.environment |= {"IMCORE_APP_KEY": "another-key-of-the-app", "IMCORE_ADMIN_PASSWORD": "another-password"}
    server.start()

    wait_for_announcement(server, times=2)
    assert printed(server.output(), "App Key", last=True) == "another-key-of-the-app"
    assert printed(server.output(), "App ID", last=True) == server.app_id
    assert not Admin(server).sign_in(CREDENTIALS["IMCORE_ADMIN_PASSWORD"])
    assert Admin(server).sign_in("another-password")
    assert server.stop() == 0


def test_an_app_id_that_is_too_short_is_refused_with_the_reason(new_server: Start) -> None:
    server = new_server(environment={"IMCORE_APP_ID": "short"})

    server.launch()

    assert server.wait() != 0
    assert "IMCORE_APP_ID" in server.output()
    assert "Traceback" not in server.output()


def test_a_port_in_use_is_told_and_not_served(new_server: Start) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        server = new_server(port=other.getsockname()[1])

        server.launch()
        status = server.wait()

    assert status != 0
    assert f"Could not listen on 127.0.0.1:{server.port}" in server.output()
    assert "PORT" in server.output()
    assert "imcore is ready" not in server.output()
    assert "Traceback" not in server.output()


def test_a_database_that_is_away_at_the_start_is_told(new_server: Start) -> None:
    nobody = f"postgresql://imcore:secret@127.0.0.1:{free_port()}/imcore"
    server = new_server(environment={"DATABASE_URL": nobody, "IMCORE_DATABASE_WAIT_SECONDS": "1"})

    server.launch()

    assert server.wait() != 0
    assert "The database cannot be used" in server.output()
    assert "Traceback" not in server.output()
    assert "secret" not in server.output()


def test_ctrl_c_ends_the_process_with_success_whoever_is_connected(server: Server) -> None:
    async def interrupt_while_connected() -> tuple[int, int | None]:
        wire = await OverSocket.connect(server.ws_url)
        await sign_in(wire, server.app_id, "tom")
        status = await asyncio.to_thread(server.interrupt)
        return status, await wire.closed()

    status, code = asyncio.run(interrupt_while_connected())

    assert status == 0
    assert code == 1001, "SDKs come back after it"
    assert server.output().rstrip().endswith("Stopped.")
    server.assert_untroubled()


def test_ctrl_c_while_starting_leaves_no_traceback(new_server: Start) -> None:
    server = new_server()
    server.launch()
    wait_for(lambda: "Preparing" in server.output(), server.output)

    server.interrupt()

    assert "Traceback" not in server.output()


def test_the_printed_snippet_runs_as_it_is(server: Server, tmp_path: Path) -> None:
    wait_for_announcement(server)
    block = re.search(r"^ {4}// npm install.*?(?=^$)", server.output(), re.MULTILINE | re.DOTALL)
    assert block, server.output()
    snippet = tmp_path / "chat.mjs"
    snippet.write_text("".join(line.removeprefix("    ") for line in block[0].splitlines(keepends=True)))
    folder = tmp_path / "project"
    folder.mkdir()

    done = subprocess.run(
        [node_program(), str(with_sdks(folder, snippet))], capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[ 'Tom: Hello, Jerry!' ]"


def test_the_printed_example_runs_as_it_is(server: Server, tmp_path: Path) -> None:
    wait_for_announcement(server)
    line = re.search(r"^ {4}cd examples && npm ci && (.*)$", server.output(), re.MULTILINE)
    assert line, server.output()
    with_sdks(tmp_path, ROOT / "examples" / "two-clients.mjs")

    done = subprocess.run(line[1], shell=True, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 0, done.stderr
    assert "Tom and Jerry have chatted." in done.stdout


def test_the_first_calls_of_the_documentation_run_as_they_are(server: Server) -> None:
    """docs/rest.md, with the address, the keys and the id that are this server's."""
    text = (ROOT / "docs" / "rest.md").read_text()
    calls = textwrap.dedent(text[text.index("    URL=") : text.index("Every path is served")])
    first, then = calls.replace("http://127.0.0.1:8000", server.url).split("CONVERSATION=…")
    keys = {"APP_ID": CREDENTIALS["IMCORE_APP_ID"], "MASTER_KEY": CREDENTIALS["IMCORE_MASTER_KEY"]}
    settings = first.splitlines()[0]

    def run(script: str, **more: str) -> str:
        command = ["sh", "-ec", script.replace("curl ", "curl --fail --silent --show-error ")]
        return subprocess.run(
            command, env={**os.environ, **keys, **more}, capture_output=True, check=True, text=True
        ).stdout

    made = json.loads(run(first))
    said = run(f"{settings}\n{then.partition('answer')[2]}", CONVERSATION=made["objectId"])

    sent, end = json.JSONDecoder().raw_decode(said)
    [message] = json.loads(said[end:])
    assert made["m"] == ["tom", "jerry"]
    assert message["msg-id"] == sent["msg-id"]
    assert message["data"] == '{"_lctype":-1,"_lctext":"Hello"}'


def test_quiet_prints_no_secret(new_server: Start) -> None:
    server = new_server(command=[sys.executable, "manage.py", "serve", "--quiet"])
    server.start()

    assert server.stop() == 0
    assert f"imcore is ready at {server.url}" in server.output()
    for name in ("IMCORE_APP_KEY", "IMCORE_MASTER_KEY", "IMCORE_ADMIN_PASSWORD"):
        assert CREDENTIALS[name] not in server.output()


def test_the_admin_shows_the_application_with_its_settings(server: Server) -> None:
    admin = Admin(server)
    assert "admin/login" in admin.get("/admin/").url, "strangers are asked to sign in"
    assert not admin.sign_in("wrong")
    assert admin.sign_in(CREDENTIALS["IMCORE_ADMIN_PASSWORD"])

    listing = admin.get("/admin/imcore/application/")
    assert server.app_id in listing.body.decode()
    link = re.search(r'href="(/admin/imcore/application/\d+/change/)[^"]*"', listing.body.decode())
    assert link
    page = admin.get(link[1]).body.decode()

    assert server.app_id in page
    assert CREDENTIALS["IMCORE_MASTER_KEY"] in page
    settings = server.manage("application_settings", server.app_id)
    names = [line.partition(" = ")[0] for line in settings.strip().splitlines()]
    assert names
    for name in names:
        # A browser sends no box that is not ticked, so this asks the page, not the form.
        assert re.search(f'name="[^"]+-0-{name}"', page), f"{name} is not on the page"
    assert get(f"{server.url}/static/admin/css/base.css").status == 200, "the admin has its looks"


def test_a_setting_changed_in_the_admin_is_saved(server: Server) -> None:
    admin = Admin(server)
    assert admin.sign_in(CREDENTIALS["IMCORE_ADMIN_PASSWORD"])
    listing = admin.get("/admin/imcore/application/").body.decode()
    link = re.search(r'href="(/admin/imcore/application/\d+/change/)[^"]*"', listing)
    assert link
    fields = Fields.of(admin.get(link[1]).body.decode())
    (name,) = [field for field in fields if field.endswith("-0-message_max_bytes")]

    saved = admin.post(link[1], {**fields, name: "4000"})

    assert saved.url.endswith("/admin/imcore/application/"), Fields.errors(saved.body.decode())
    assert "message_max_bytes = 4000" in server.manage("application_settings", server.app_id)


def test_health_and_readiness(server: Server) -> None:
    health, ready = get(f"{server.url}/healthz"), get(f"{server.url}/readyz")

    assert (health.status, health.json()) == (200, {"status": "ok"})
    assert ready.status == 200
    assert ready.json()["database"] == "ok"
    assert ready.json()["redis"] == ("ok" if "REDIS_URL" in server.environment else "not configured")


def test_a_server_without_its_services_is_alive_but_not_ready(services: Services, new_server: Start) -> None:
    server = new_server(environment={**CREDENTIALS, **services.environment})
    try:
        server.start()

        services.redis.stop()
        without_redis = get(f"{server.url}/readyz")
        services.redis.start()
        with_redis = get(f"{server.url}/readyz")
        services.postgres.stop()
        without_database = get(f"{server.url}/readyz")
        alive = get(f"{server.url}/healthz")
        services.postgres.start()
        wait_for(lambda: get(f"{server.url}/readyz").status == 200, server.output)

        assert (without_redis.status, without_redis.json()["database"]) == (503, "ok")
        assert without_redis.json()["redis"].startswith("failed")
        assert with_redis.status == 200
        assert (without_database.status, without_database.json()["redis"]) == (503, "ok")
        assert without_database.json()["database"].startswith("failed")
        assert alive.status == 200
        assert server.stop() == 0
    finally:
        services.postgres.start()
        services.redis.start()


def test_several_servers_start_at_once_on_one_empty_database(services: Services, new_server: Start) -> None:
    with fresh_database(services.postgres.url) as database:
        environment = {"DATABASE_URL": database, "REDIS_URL": services.redis.url}
        servers = [new_server(str(number), environment=environment) for number in range(3)]
        for server in servers:
            server.launch()
        for server in servers:
            server.wait_until_ready()

        for server in servers:
            wait_for_announcement(server)
        outputs = [server.output() for server in servers]
        for name in ("App ID", "App Key", "Master Key"):
            assert len({printed(output, name) for output in outputs}) == 1
        passwords = [printed(output, "Password") for output in outputs]
        (told,) = [password for password in passwords if "as set before" not in password]
        assert Admin(servers[0]).sign_in(told)
        for server in servers:
            assert server.stop() == 0
            server.assert_untroubled()


def test_daphne_serves_the_same_application(server: Server, new_server: Start) -> None:
    """The gateway needs nothing of uvicorn; this one has the data of the server that was prepared before."""
    daphne = new_server(
        "daphne",
        environment={**server.environment},
        command=[sys.executable, "-m", "daphne", "--bind", "127.0.0.1"],
    )
    daphne.environment["PORT"] = str(daphne.port)
    daphne.command += ["--port", str(daphne.port), "imcore.asgi:application"]
    daphne.start()

    assert get(f"{daphne.url}/healthz").status == 200
    assert get(f"{daphne.url}/v1/route?appId={server.app_id}").json()["server"] == daphne.ws_url
    asyncio.run(_chat(daphne, server.app_id))
    assert asyncio.run(_history(server, server.app_id)) == ["Hello, Jerry!", "Hi, Tom!"]
    daphne.stop()
    assert "Traceback" not in daphne.output(), daphne.output()


def wait_for_announcement(server: Server, *, times: int = 1) -> None:
    """Return once the server has printed all it has to say at its start."""
    wait_for(lambda: server.output().count("Ctrl-C stops") == times, server.output)


def printed(output: str, name: str, *, last: bool = False) -> str:
    """Return what a server has printed under a name."""
    found = re.findall(rf"^  {name} +(\S.*)$", output, re.MULTILINE)
    assert found, f"{name} is not in:\n{output}"
    return str(found[-1 if last else 0])


def interrupted(server: Server) -> None:
    """Press Ctrl-C on `make run` and see it end in good order.

    make dies of the signal whatever its command does; the command must have stopped by itself, with success, or make
    would report its error.
    """
    status = server.interrupt()
    assert status in (0, -signal.SIGINT, 128 + signal.SIGINT, 2), server.output()
    assert "Stopped." in server.output(), server.output()
    assert "Error" not in server.output(), server.output()
    assert get(f"{server.url}/healthz").status == 0


async def _chat(server: Server, app_id: str) -> None:
    """Let two raw clients exchange a message each."""
    tom = await sign_in(await OverSocket.connect(server.ws_url), app_id, "tom")
    jerry = await sign_in(await OverSocket.connect(server.ws_url), app_id, "jerry")
    body = ConvCommand(m=["jerry"], unique=True)
    conversation = (await tom.request(CommandType.conv, OpType.start, convMessage=body)).convMessage.cid
    for sender, receiver, text in ((tom, jerry, "Hello, Jerry!"), (jerry, tom, "Hi, Tom!")):
        message = DirectCommand(cid=conversation, msg=text)
        acknowledged = await sender.request(CommandType.direct, directMessage=message)
        assert acknowledged.cmd == CommandType.ack
        while (frame := await receiver.next_notice(30)).cmd != CommandType.direct:
            assert frame.cmd == CommandType.conv
        assert frame.directMessage.msg == text
    await tom.wire.close()
    await jerry.wire.close()


async def _history(server: Server, app_id: str) -> list[str]:
    tom = await sign_in(await OverSocket.connect(server.ws_url), app_id, "tom")
    body = ConvCommand(m=["jerry"], unique=True)
    conversation = (await tom.request(CommandType.conv, OpType.start, convMessage=body)).convMessage.cid
    found = await tom.request(CommandType.logs, logsMessage=LogsCommand(cid=conversation))
    await tom.wire.close()
    return [item.data for item in found.logsMessage.logs]


class Admin:
    """A browser at the admin, as far as the admin can tell."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._cookies = http.cookiejar.CookieJar()
        self._browser = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(self._cookies)
        )

    def get(self, path: str) -> Answer:
        """Follow a link."""
        return get(f"{self._server.url}{path}", self._browser)

    def post(self, path: str, fields: dict[str, str]) -> Answer:
        """Send a form with its CSRF token."""
        tokens = [cookie.value or "" for cookie in self._cookies if cookie.name == "csrftoken"]
        data = urllib.parse.urlencode({**fields, "csrfmiddlewaretoken": tokens[0]}).encode()
        return get(f"{self._server.url}{path}", self._browser, data, Origin=self._server.url)

    def sign_in(self, password: str) -> bool:
        """Sign the administrator in and say whether he got in."""
        self.get("/admin/login/")
        answer = self.post("/admin/login/?next=/admin/", {"username": "admin", "password": password})
        return answer.status == 200 and answer.url == f"{self._server.url}/admin/"


class Fields(html.parser.HTMLParser):
    """The fields of the forms on a page, with their values, as a browser would send them."""

    def __init__(self) -> None:
        super().__init__()
        self.values: dict[str, str] = {}
        self._open: tuple[str, str] | None = None

    @classmethod
    def of(cls, page: str) -> dict[str, str]:
        """Return the fields of a page."""
        parser = cls()
        parser.feed(page)
        return parser.values

    @staticmethod
    def errors(page: str) -> list[str]:
        """Return the complaints on a page."""
        return re.findall(r'class="error(?:list|note)"[^>]*>(.*?)</', page, re.DOTALL)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take the fields that are sent."""
        given = dict(attrs)
        name, kind = given.get("name"), given.get("type", "text")
        if tag == "textarea" and name:
            self.values[name] = ""
            self._open = ("textarea", name)
        elif tag == "select" and name:
            self._open = ("select", name)
        elif tag == "option" and self._open and self._open[0] == "select" and "selected" in given:
            self.values[self._open[1]] = given.get("value") or ""
        elif tag == "input" and name and kind not in ("submit", "button", "checkbox", "radio"):
            self.values[name] = given.get("value") or ""
        elif tag == "input" and name and kind in ("checkbox", "radio") and "checked" in given:
            self.values[name] = given.get("value") or "on"

    def handle_endtag(self, tag: str) -> None:
        """Close a field."""
        if self._open and self._open[0] == tag:
            self._open = None

    def handle_data(self, data: str) -> None:
        """Take the text of a text area; HTML drops its first line break."""
        if self._open and self._open[0] == "textarea":
            self.values[self._open[1]] += data
