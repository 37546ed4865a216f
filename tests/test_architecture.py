"""What the design promises and imports alone cannot show, checked on the syntax trees and the documents.

Which package may import which is import-linter's business (pyproject.toml).
"""

import ast
import dataclasses
import re
from collections.abc import Iterable, Iterator
from functools import cache
from inspect import getmembers, isclass
from pathlib import Path
from types import ModuleType

import pytest

from conversations import events as conversation_events
from conversations.services.attributes import RESERVED_KEYS
from imcore import errors
from imcore import objects as object_errors
from imcore.accounts import errors as account_errors
from imcore.appsettings import named_fields
from imcore.delivery.encoding import encoded_events
from imcore.errors import ImError
from imcore.files import errors as file_errors
from imcore.gateway import registry
from imcore.gateway.dispatch import NEVER_ANSWERED
from imcore.installations import errors as installation_errors
from imcore.protocol.message_pb2 import CommandType, OpType
from messaging import events as message_events

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("imcore", "conversations", "messaging", "hooks", "pushnotify")
# Our own modules, without what is generated.
MODULES = [
    path.relative_to(ROOT).as_posix()
    for package in PACKAGES
    for path in sorted((ROOT / package).rglob("*.py"))
    if not path.name.endswith("_pb2.py")
]
LINES_MAX = 400
# Module → why it is longer.
LONGER: dict[str, str] = {
    "imcore/errors.py": "The list of errors of the protocol: a few lines each, no logic, looked up by code.",
    "messaging/models.py": "The tables of messaging, which point at each other, and their settings.",
}

DATABASE_DOORS = re.compile(
    r".*/(storage/.*|migrations/.*|management/commands/.*|storage\.py|models\.py|admin\.py)"
    r"|hooks/outbox\.py|imcore/appsettings\.py|imcore/setup\.py|imcore/writes\.py"
)
BRIDGE = "imcore/bridge.py"
THREAD_CROSSINGS = {"sync_to_async", "async_to_sync", "database_sync_to_async", "run_in_executor"}

# All a client may send (realtime-protocol 2.1 and 4); the rest of the operations are answers and notices.
OPERATIONS = {
    CommandType.session: "open add remove close query refresh",
    CommandType.conv: "start add remove query count update mute unmute status members max_read is_member "
    "member_info_update add_shutup remove_shutup query_shutup check_shutup",
    CommandType.blacklist: "block unblock query check_block",
    CommandType.patch: "modify modified",
    CommandType.room: "join invite leave kick reject",
    CommandType.pubsub: "subscribe unsubscribe is_subscribed",
    CommandType.report: "upload",
}
WITHOUT_OPERATION = "direct ack rcp unread logs login data read presence echo logout"
CLIENT_COMMANDS: list[tuple[int, int | None]] = [
    *((cmd, OpType.Value(op)) for cmd, ops in OPERATIONS.items() for op in ops.split()),
    *((CommandType.Value(cmd), None) for cmd in WITHOUT_OPERATION.split()),
]
# What dispatch answers itself.
ANSWERED_BY_DISPATCH = {CommandType.echo, CommandType.login, CommandType.logout, *NEVER_ANSWERED}


@cache
def tree(module: str) -> ast.Module:
    """Return a module's syntax tree."""
    return ast.parse((ROOT / module).read_text(), module)


def names_in(node: ast.AST) -> Iterator[str]:
    """Yield the names a node uses by itself: as a name, as an attribute, or by importing it."""
    if isinstance(node, ast.Name):
        yield node.id
    elif isinstance(node, ast.Attribute):
        yield node.attr
    elif isinstance(node, ast.ImportFrom | ast.Import):
        for alias in node.names:
            yield alias.name


@cache
def documents() -> dict[str, str]:
    """Return the text of every document, by path."""
    return {path.relative_to(ROOT).as_posix(): path.read_text() for path in sorted((ROOT / "docs").rglob("*.md"))}


def documented(word: str) -> bool:
    """Say whether a word stands by itself in some document."""
    pattern = re.compile(rf"(?<![\w/]){re.escape(word)}(?![\w/])")
    return any(pattern.search(text) for text in documents().values())


def nodes(modules: Iterable[str]) -> Iterator[tuple[str, ast.AST]]:
    """Yield every node of the modules' trees with the place it is at."""
    for module in modules:
        for node in ast.walk(tree(module)):
            yield f"{module}:{getattr(node, 'lineno', 0)}", node


def test_only_storage_and_its_like_use_the_orm() -> None:
    """Architecture 3.4. Services call storage functions; nobody queries in passing."""
    others = [module for module in MODULES if not DATABASE_DOORS.fullmatch(module)]

    uses = [place for place, node in nodes(others) if isinstance(node, ast.Attribute) and is_of_the_orm(node)]

    assert not uses


def is_of_the_orm(node: ast.Attribute) -> bool:
    """Say whether an attribute is a manager, or something of Django's `transaction`."""
    if isinstance(node.value, ast.Name) and node.value.id == "transaction":
        return True
    return node.attr in ("objects", "_default_manager", "_base_manager")


def test_only_the_bridge_crosses_threads() -> None:
    """Architecture 3.9."""
    others = [module for module in MODULES if module != BRIDGE]

    crossings = [place for place, node in nodes(others) if THREAD_CROSSINGS.intersection(names_in(node))]

    assert not crossings


def test_our_apps_do_not_talk_by_signals() -> None:
    """Architecture 3.4. A call can be followed; a signal cannot."""
    signals = re.compile(r"django\.(dispatch|.*signals)")

    imported = [
        place
        for place, node in nodes(MODULES)
        if (isinstance(node, ast.ImportFrom) and signals.match(node.module or ""))
        or (isinstance(node, ast.Import) and any(signals.match(alias.name) for alias in node.names))
    ]

    assert not imported


def test_a_module_is_about_one_thing() -> None:
    """Style guide: 100 to 400 lines, mostly. LONGER says why one has more, and lists no other."""
    longer = {module for module in MODULES if len((ROOT / module).read_text().splitlines()) > LINES_MAX}

    assert longer == set(LONGER)


def test_every_task_has_a_name() -> None:
    """Style guide: own every task you start, name it, cancel it, await it."""
    unnamed = [
        place
        for place, node in nodes(MODULES)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "create_task"
        and not any(keyword.arg == "name" for keyword in node.keywords)
    ]

    assert not unnamed


def spelled(cmd: int, op: int | None) -> str:
    """Write a command as the documents do."""
    return CommandType.Name(cmd) if op is None else f"{CommandType.Name(cmd)}/{OpType.Name(op)}"


@pytest.mark.parametrize(("cmd", "op"), CLIENT_COMMANDS, ids=[spelled(*command) for command in CLIENT_COMMANDS])
def test_every_command_a_client_can_send_is_served_or_said_not_to_be(cmd: int, op: int | None) -> None:
    """Architecture 3.4. docs/protocol.md has a section for what is not served."""
    served, _, unserved = documents()["docs/protocol.md"].partition("### Not served yet")
    unserved = unserved.partition("\n## ")[0]
    is_served = registry.find(cmd, op) is not None or cmd in ANSWERED_BY_DISPATCH

    assert f"`{spelled(cmd, op)}`" in (served if is_served else unserved)
    if is_served:
        assert f"`{spelled(cmd, op)}`" not in re.split(r"\. So do ", unserved)[0]


def test_every_handler_serves_a_command_that_a_client_can_send() -> None:
    """The list above is complete."""
    assert set(registry.registered()) <= set(CLIENT_COMMANDS)


ERRORS = [
    error
    for module in (errors, account_errors, file_errors, installation_errors, object_errors)
    for _, error in getmembers(module, isclass)
    if issubclass(error, ImError) and error is not ImError and "code" in vars(error)
]


@pytest.mark.parametrize("error", ERRORS)
def test_every_error_is_documented(error: type[ImError]) -> None:
    """By its class, its code and the reason that users match on."""
    for word in (error.__name__, str(error.code), error.reason):
        assert documented(word), f"{word} is in none of the documents"


def test_a_code_has_one_reason() -> None:
    """Several classes may share a code (an answer and a close), but not with another reason."""
    by_code = {error.code: error.reason for error in ERRORS}

    assert all(by_code[error.code] == error.reason for error in ERRORS)


def environment_names() -> Iterator[str]:
    """Yield the environment variables our code reads: literals in capitals, handed to whoever reads them."""
    variable = re.compile(r"IMCORE_[A-Z_]+|[A-Z]+_URL|[A-Z]+_HOSTS|HOST|PORT|DEBUG|SECRET_KEY|LOG_LEVEL")
    for _, node in nodes(["imcore/settings.py", "imcore/setup.py"]):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and variable.fullmatch(node.value):
            yield node.value


@pytest.mark.parametrize("name", sorted(set(environment_names()) | {name for name, _ in named_fields()}))
def test_every_setting_is_documented(name: str) -> None:
    """Of the operator and of the application, in docs/settings.md."""
    assert f"`{name}`" in documents()["docs/settings.md"]


@pytest.mark.parametrize("key", sorted(RESERVED_KEYS))
def test_every_key_that_attributes_cannot_have_is_documented(key: str) -> None:
    """A developer whose attribute is passed over must be able to find out why."""
    assert f"`{key}`" in documents()["docs/protocol.md"].partition("## Attributes")[2].partition("\n## ")[0]


@pytest.mark.parametrize("command", [path.stem for path in ROOT.glob("*/management/commands/[a-z]*.py")])
def test_every_management_command_is_documented(command: str) -> None:
    """What can be typed can be looked up."""
    assert documented(command)


@pytest.mark.parametrize("document", list(documents()))
def test_every_file_a_document_names_exists(document: str) -> None:
    """Style guide: every doc names the files it speaks of. A bare name is that of some file, wherever it is."""
    text = documents()[document]
    files = re.findall(r"`((?:[\w.-]+/)*[\w.-]+\.(?:c|js|json|mjs|md|proto|py|pyi|toml|txt|yml))`", text)
    names = {*files, *re.findall(r"`((?:[\w.-]+/)+)`", text)}
    # Where a server keeps its data exists once it has run.
    missing = {name for name in names - {"var/"} if not exists(name)}

    assert not missing


def exists(name: str) -> bool:
    """Say whether a path from the root, or a bare name anywhere in the packages, is a file or folder of ours."""
    if (ROOT / name).exists():
        return True
    return name.strip("/").count("/") == 0 and any(
        next((ROOT / package).rglob(name.strip("/")), None) is not None for package in (*PACKAGES, "tests")
    )


@pytest.mark.parametrize("module", [conversation_events, message_events])
def test_every_event_has_an_encoder(module: ModuleType) -> None:
    """Architecture 3.5: one dataclass in `events.py`, one encoder in `notices.py`."""
    classes = {
        value for _, value in getmembers(module, dataclasses.is_dataclass) if value.__module__ == module.__name__
    }
    # What is only a part of an event, or what several have in common, is none.
    parts = {field.type for event in classes for field in dataclasses.fields(event)}
    parts |= {base for event in classes if isclass(event) for base in event.__mro__[1:]}

    assert classes - parts <= encoded_events()
    assert classes - parts
