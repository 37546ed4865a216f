"""Two applications on one server: every endpoint is asked by one for what the other has, by its names and ids.

Nobody writes the list of endpoints: it is the OpenAPI document's.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import pytest

from imcore.models import Application
from tests.furniture import furnished_async, furniture, values_for
from tests.restclient import Headers, app_of, call, master_of

MARKER = "9f2c-of-the-neighbour"
# What is the same for everybody, or changes by itself.
CHANGING = ("/date", "/stats", "/sign", "check-online", "/route")


class Asked(NamedTuple):
    """A request to an endpoint, with values by name for all it takes."""

    method: str
    path: str
    body: Mapping[str, Any]
    query: Mapping[str, Any]

    async def by(self, headers: Headers) -> Any:
        """Make it."""
        query = {name: value if isinstance(value, str) else json.dumps(value) for name, value in self.query.items()}
        return await call(self.method, self.path, headers, self.body or None, **query)


@pytest.fixture
def neighbour() -> Application:
    """Another application, which has everything."""
    return Application.objects.create(name="the neighbour")


async def everything_of(application: Application) -> Mapping[str, Any]:
    """Give an application one of everything."""
    headers = master_of(application)

    async def ask(path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        answer = await call("POST", path, headers, body)
        assert answer.status_code in (200, 201), (path, answer.content)
        made: dict[str, Any] = answer.json()
        return made

    return await furnished_async(furniture("tom", MARKER), ask)


async def requests_for(values: Mapping[str, Any]) -> list[Asked]:
    """Return a request to every endpoint there is, for things that exist."""
    document = (await call("GET", "/docs/openapi.json")).json()
    return [
        _request(path, method, operation, values_for(path, values))
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def _request(path: str, method: str, operation: Any, values: Mapping[str, Any]) -> Asked:
    asked_in_query = {}
    for parameter in operation.get("parameters", ()):
        name = parameter["name"]
        value = values.get(name, _sample(parameter["schema"]))
        if parameter["in"] == "path":
            path = path.replace(f"{{{name}}}", str(value))
        elif parameter.get("required") or name in values:
            asked_in_query[name] = value
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    fields = content.get("schema", {}).get("properties", {})
    body = {name: values.get(name, _sample(schema)) for name, schema in fields.items()}
    return Asked(method.upper(), path, body, asked_in_query)


def _sample(schema: Any) -> Any:
    kind = schema.get("type") or schema.get("anyOf", [{}])[0].get("type")
    return {"integer": 1, "boolean": False, "object": {}, "array": []}.get(kind, "sample")


def _reading(requests: list[Asked]) -> Iterator[Asked]:
    for one in requests:
        if one.method == "GET" and not any(part in one.path for part in CHANGING):
            yield one


async def seen_by(headers: Headers, requests: list[Asked]) -> list[tuple[Asked, bytes]]:
    """Return all that a caller can read."""
    return [(one, (await one.by(headers)).content) for one in _reading(requests)]


@pytest.mark.parametrize("key", ["master key", "app key"])
async def test_nobody_reads_or_changes_what_another_application_has(
    application: Application, neighbour: Application, key: str
) -> None:
    """Whatever this application asks with ids of the other, it gets nothing of it, and the other is as it was."""
    values = await everything_of(neighbour)
    requests = await requests_for(values)
    before = await seen_by(master_of(neighbour), requests)
    assert sum(MARKER in content.decode() for _, content in before) >= 10
    headers = (master_of if key == "master key" else app_of)(application)

    # Reading first: afterwards the caller has things of his own by the same names.
    for one in sorted(requests, key=lambda one: one.method != "GET"):
        answer = await one.by(headers)

        assert answer.status_code < 500, (one, answer.content)
        assert MARKER not in _unsaid(answer.content.decode(), one), one

    assert await seen_by(master_of(neighbour), requests) == before


def _unsaid(answer: str, asked: Asked) -> str:
    """Return an answer without what the caller said himself."""
    for said in (*asked.body.values(), *asked.query.values()):
        if isinstance(said, str) and MARKER in said:
            answer = answer.replace(said, "")
    return answer
