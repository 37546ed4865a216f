"""The OpenAPI document, and the page that shows it."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.urls import URLResolver, get_resolver

from imcore.rest.endpoints import Resource
from tests.restclient import call


async def document() -> Any:
    """Return the document."""
    answer = await call("GET", "/docs/openapi.json")
    assert answer.status_code == 200
    return answer.json()


def operations(described: Any) -> Iterator[tuple[str, str, Any]]:
    """Yield path, method and description of everything in the document."""
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


async def test_it_is_of_version_3_1_and_names_the_keys() -> None:
    """So that tools can try requests."""
    described = await document()

    assert described["openapi"].startswith("3.1.")
    assert {"appId", "appKey", "masterKey"} <= described["components"]["securitySchemes"].keys()


async def test_every_endpoint_is_described_once() -> None:
    """By what it says of itself: nothing is to be kept in two places."""
    described = {(path, method) for path, method, _ in operations(await document())}

    assert described == set(served(get_resolver().url_patterns))


def served(patterns: list[Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield path and method of every endpoint, of messaging's under 1.2 and of the others under 1.1."""
    for pattern in patterns:
        path = prefix + re.sub("<(?:[a-z]+:)?([a-z_]+)>", r"{\1}", str(pattern.pattern))
        if isinstance(pattern, URLResolver):
            yield from served(pattern.url_patterns, path)
        elif not path.startswith("1.1/" if "/rtm/" in path else "1.2/"):
            view: Any = getattr(pattern.callback, "cls", object)
            for method in view.endpoints if issubclass(view, Resource) else ():
                yield f"/{path}", method.lower()


async def test_every_operation_says_what_it_is_and_who_may() -> None:
    """A docstring, its group, an answer, the shape of errors, and keys unless anybody may."""
    names = []
    described = await document()
    groups = {group["name"] for group in described["tags"]}
    for path, _, operation in operations(described):
        assert set(operation["tags"]) <= groups
        names.append(operation["operationId"])
        assert operation["summary"]
        assert "200" in operation["responses"]
        error = operation["responses"]["default"]["content"]["application/json"]["schema"]
        assert error["required"] == ["code", "error"]
        is_open = path in ("/1.1/date", "/1.1/ping", "/v1/route", "/2/route")
        assert bool(operation.get("security")) is not is_open

    assert len(names) == len(set(names))


async def test_the_page_comes_from_this_server_alone() -> None:
    """No script of somebody else's runs beside an application's keys."""
    page = await call("GET", "/docs/")

    assert page.status_code == 200
    assert page["Content-Type"].startswith("text/html")
    sources = re.findall(r'(?:src|href)="([^"]+)"', page.content.decode())
    assert sources
    for source in sources:
        assert source.startswith("/static/drf_spectacular_sidecar/")
        file = await call("GET", source)
        assert file.status_code == 200
        file.close()


@pytest.mark.parametrize(("path", "status"), [("/docs", 200), ("/docs/none", 404)])
async def test_the_page_needs_no_slash(path: str, status: int) -> None:
    """People type either."""
    assert (await call("GET", path)).status_code == status
