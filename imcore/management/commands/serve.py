"""`manage.py serve`: one process, nothing else needed."""

from contextlib import suppress
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import OperationalError

from imcore.embedded import EmbeddedWorker, is_embedded
from imcore.migrating import WAITING
from imcore.models import Application
from imcore.server import Server, make_config
from imcore.setup import ADMIN, Prepared, prepare

# Where examples/two-clients.mjs looks unless told.
_EXAMPLE_URL = "http://127.0.0.1:8000"
_SNIPPET = """\
    // npm install leancloud-realtime@5.0.0-rc.8, save these lines as chat.mjs, then: node chat.mjs
    import {{ Realtime, TextMessage }} from 'leancloud-realtime';
    const realtime = new Realtime({{
      appId: '{app_id}',
      appKey: '{app_key}',
      server: '{url}',
    }});
    const tom = await realtime.createIMClient('Tom');
    const chat = await tom.createConversation({{ members: ['Jerry'], name: 'Tom & Jerry', unique: true }});
    await chat.send(new TextMessage('Hello, Jerry!'));
    console.log((await chat.queryMessages()).map((message) => `${{message.from}}: ${{message.text}}`));
    await tom.close();
"""


class Command(BaseCommand):
    """Prepares the database, prints how to connect, and serves HTTP and WebSocket until Ctrl-C."""

    help = "Serve HTTP and WebSocket from one process, preparing the database first."
    requires_system_checks = "__all__"

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options; their defaults are the environment's HOST and PORT."""
        parser.add_argument("--host", default=settings.HOST)
        parser.add_argument("--port", type=int, default=settings.PORT)
        parser.add_argument(
            "--quiet", action="store_true", help="Print no credentials, for servers whose output is kept in a log."
        )

    def handle(self, *args: Any, host: str, port: int, quiet: bool, **options: Any) -> None:
        """Prepare and serve."""
        self._say("Preparing the database …")
        try:
            prepared = prepare(waiting=lambda: self._say(WAITING))
        except ValidationError as error:
            raise CommandError(f"IMCORE_APP_ID and its companions: {'; '.join(error.messages)}") from error
        except OperationalError as error:
            raise CommandError(f"The database cannot be used: {error}") from error
        worker = EmbeddedWorker() if is_embedded() else None
        server = Server(make_config(host, port))
        server.announce = lambda: self._announce(prepared, _url(host, port), quiet)
        if worker is not None:
            worker.start()
        try:
            # uvicorn ends the process when it cannot listen; we have more to say.
            with suppress(SystemExit):
                server.run()
        finally:
            if worker is not None:
                worker.stop()
        if not server.started:
            raise CommandError(f"Could not listen on {host}:{port}. Is another server running there? Set PORT.")
        self.stdout.write("Stopped.")

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()

    def _announce(self, prepared: Prepared, url: str, quiet: bool) -> None:
        if quiet:
            self._say(f"imcore is ready at {url}")
            return
        application = prepared.application
        password = prepared.admin_password or "(as set before; change it with: manage.py changepassword admin)"
        self.stdout.write(
            "\n"
            f"  imcore is ready.\n\n"
            f"  Server URL   {url}\n"
            f"  App ID       {application.app_id}\n"
            f"  App Key      {application.app_key}\n"
            f"  Master Key   {application.master_key}\n\n"
            f"  Admin        {url}/admin/\n"
            f"  User name    {ADMIN}\n"
            f"  Password     {password}\n\n"
            "  Paste into a Node.js module, or into the code of a web page:\n\n"
            f"{_SNIPPET.format(app_id=application.app_id, app_key=application.app_key, url=url)}\n"
            "  Or let two clients chat:\n\n"
            f"    cd examples && npm ci && {_example(application, url)}\n\n"
            "  Ctrl-C stops the server; the data stays.\n"
        )
        self.stdout.flush()


def _example(application: Application, url: str) -> str:
    elsewhere = "" if url == _EXAMPLE_URL else f"IMCORE_URL={url} "
    return f"{elsewhere}node two-clients.mjs {application.app_id} {application.app_key}"


def _url(host: str, port: int) -> str:
    shown = "127.0.0.1" if host in ("0.0.0.0", "::", "") else host  # noqa: S104 - recognised, not bound
    return f"http://{f'[{shown}]' if ':' in shown else shown}:{port}"
