"""The examples of the OpenAPI document run: who tries one on the page is not refused for it."""

from collections.abc import Mapping
from typing import Any

from imcore.bridge import in_database
from imcore.models import Application
from tests.furniture import furnished_async, furniture, values_for
from tests.restclient import call, master_of

# What an example can only stand for: ids of what there is.
IDS = ("conv_id", "timestamp", "message_id", "msg-id", "session_token", "clientId")
# These are about a user there is.
KNOWN_USER = ("/login", "/updatePassword")
# Chat rooms have no roles.
REFUSED = ("/chatrooms/{conversation_id}/member-infos", "/chatrooms/{conversation_id}/member-infos/{info_id}")


async def ask(application: Application, method: str, path: str, body: Mapping[str, Any]) -> Any:
    """Ask as the developer, who must not be refused, and return the JSON of the answer."""
    answer = await call(method, path, master_of(application), body)
    assert answer.status_code in (200, 201), (method, path, body, answer.content)
    return answer.json()


def examples(document: Any) -> list[tuple[str, str, dict[str, Any]]]:
    """Return method, path and example of each endpoint that has one."""
    return [
        (method.upper(), path, content["schema"]["example"])
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        for content in operation.get("requestBody", {}).get("content", {}).values()
        if "example" in content["schema"] and "Refused" not in operation["tags"]
    ]


async def test_every_example_runs() -> None:
    """With what exists in place of the ids that stand for it; each in an application of its own."""
    document = (await call("GET", "/docs/openapi.json")).json()
    found = [one for one in examples(document) if not one[1].endswith(REFUSED)]

    for method, path, example in found:
        application = await in_database(lambda: Application.objects.create(name="examples"))
        values = await furnished_async(furniture("tom"), lambda path, body: ask(application, "POST", path, body))  # noqa: B023
        known = values_for(path, values)
        known_here = (*IDS, "username", "password", "old_password") if path.endswith(KNOWN_USER) else IDS
        body = {name: known[name] if name in known_here else value for name, value in example.items()}
        at = path
        for name, value in known.items():
            at = at.replace(f"{{{name}}}", str(value))
        await ask(application, method, at, body)

    assert len(found) >= 55
