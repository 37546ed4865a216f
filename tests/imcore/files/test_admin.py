"""The dashboard's page of files."""

from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest
from asgiref.sync import async_to_sync
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.urls import reverse

from imcore import redis
from imcore.files.models import File
from imcore.models import Application
from tests.dashboard import logged_in
from tests.imcore.files.asking import Json, ask, grant, uploaded

T = TypeVar("T")

LIST = reverse("admin:files_file_changelist")


@pytest.fixture
def cat(application: Application) -> Json:
    """A file."""
    return done(uploaded(application, b"meow", name="<b>cat.png"))


def done(work: Coroutine[Any, Any, T]) -> T:
    """Do something on a loop of its own, which counts uploads in Redis, if there is one, by a connection of its own."""

    async def leaving_nothing() -> T:
        try:
            return await work
        finally:
            await redis.close()

    return async_to_sync(leaving_nothing)()


def test_a_file_is_found_by_id_key_and_name(cat: Json) -> None:
    browser = logged_in()

    for term in (cat["objectId"], cat["key"], cat["name"]):
        page = browser.get(LIST, {"q": term}).content.decode()
        assert cat["objectId"] in page
        assert f"/files/{cat['key']}" in page
        assert "&lt;b&gt;cat.png" in page
    assert cat["objectId"] not in browser.get(LIST, {"q": cat["objectId"][:-1]}).content.decode()


def test_a_file_is_looked_at(cat: Json) -> None:
    row = File.objects.get(object_id=cat["objectId"])

    page = logged_in().get(reverse("admin:files_file_change", args=[row.pk])).content.decode()

    assert "4\xa0bytes" in page
    assert "image/png" in page


def test_files_are_deleted_with_their_bytes(application: Application, cat: Json) -> None:
    """After a page that asks whether that is meant."""
    waiting = done(grant(application, name="dog.png"))
    rows = File.objects.filter(application=application)
    chosen = {"action": "delete_selected", ACTION_CHECKBOX_NAME: [row.pk for row in rows]}
    browser = logged_in()

    asked = browser.post(LIST, chosen)
    assert "Are you sure" in asked.content.decode()
    assert rows.all().count() == 2
    browser.post(LIST, {**chosen, "post": "yes"})

    assert rows.all().count() == 0
    assert done(ask("GET", cat["url"])).status_code == 404
    assert done(ask("PUT", waiting["upload_url"], content=b"x")).status_code == 403


def test_one_file_is_deleted_from_its_page(cat: Json) -> None:
    row = File.objects.get(object_id=cat["objectId"])

    logged_in().post(reverse("admin:files_file_delete", args=[row.pk]), {"post": "yes"})

    assert done(ask("GET", cat["url"])).status_code == 404
