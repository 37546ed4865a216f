"""Files in a bucket: moto, an S3-compatible server, in a process of its own."""

import subprocess
import time
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import httpx
import pytest
from django.conf import settings as django_settings
from django.core.files.storage import storages
from PIL import Image
from pytest_django.fixtures import Settings as DjangoSettings

from imcore import settings as operators
from imcore.bridge import in_store
from imcore.files import bytestore
from imcore.files.models import FileSettings
from imcore.files.services import managing
from imcore.identifiers import DAY_MS, now_ms
from imcore.models import Application
from tests.imcore.files import samples
from tests.imcore.files.asking import Json, ask, code_of, grant
from tests.processes import ROOT
from tests.restclient import app_of, call, master_of
from tests.services import free_port

pytestmark = pytest.mark.journey

SECONDS = 30.0
WEAPP = {"X-LC-UA": "LeanCloud-JS-SDK/4.15.2 (Weapp)"}


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """Where an S3-compatible server is."""
    program = ROOT / ".venv-moto" / "bin" / "moto_server"
    assert program.exists(), "The S3-compatible server is missing: make .venv-moto/.installed"
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with subprocess.Popen([program, "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + SECONDS
            while not is_up(url):
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.1)
            httpx.put(f"{url}/im-bucket").raise_for_status()
            yield url
        finally:
            process.kill()


def is_up(url: str) -> bool:
    """Say whether a server answers."""
    try:
        return httpx.get(url).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture(autouse=True)
def bucket(s3: str, settings: DjangoSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep files in the bucket, as an operator tells the server to."""
    settings.FILES_BUCKET = "im-bucket"
    monkeypatch.setattr(operators, "FILES_BUCKET", "im-bucket")
    monkeypatch.setenv("IMCORE_FILES_ENDPOINT", s3)
    monkeypatch.setenv("IMCORE_FILES_ACCESS_KEY", "an-access-key")
    monkeypatch.setenv("IMCORE_FILES_SECRET_KEY", "a-secret-key")
    settings.STORAGES = {**django_settings.STORAGES, "files": operators._files()}
    assert storages["files"].exists("nothing") is False


async def put(granted: Json, content: bytes) -> None:
    """Upload to the bucket as SDKs do."""
    headers = {"Content-Type": granted["mime_type"], "Cache-Control": "public, max-age=31536000"}
    async with httpx.AsyncClient() as client:
        answer = await client.put(granted["upload_url"], headers=headers, content=content)
    assert answer.status_code == 200


async def test_clients_upload_to_the_bucket_themselves(application: Application, s3: str) -> None:
    """The file is found without a callback, and has the type that was announced."""
    granted = await grant(application, name="cat.png", metaData={"size": 4})

    assert granted["provider"] == "s3"
    assert granted["bucket"] == "im-bucket"
    assert granted["upload_url"].startswith(f"{s3}/im-bucket/{granted['key']}?X-Amz-Algorithm=AWS4-HMAC-SHA256&")
    assert "X-Amz-Expires=3600" in granted["upload_url"]
    assert "content-type" in granted["upload_url"]
    assert (await ask("GET", granted["url"])).status_code == 404
    await put(granted, b"meow")

    answer = await ask("GET", granted["url"])
    assert (answer.content, answer.headers["Content-Type"]) == (b"meow", "image/png")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_parts_come_from_the_bucket(application: Application) -> None:
    content = bytes(range(256)) * 4000
    granted = await grant(application, name="film.mp4")
    await put(granted, content)

    for asked, part in (("bytes=5-300004", content[5:300_005]), ("bytes=-7", content[-7:]), ("bytes=9-", content[9:])):
        answer = await ask("GET", granted["url"], {"Range": asked})
        assert (answer.status_code, answer.content) == (206, part)
    assert (await ask("GET", granted["url"])).content == content


async def test_images_in_the_bucket_are_described_and_made_smaller(application: Application) -> None:
    granted = await grant(application, name="cat.png")
    await put(granted, samples.image(60, 40))

    facts = await ask("GET", granted["url"] + "?imageInfo")
    answer = await ask("GET", granted["url"] + "?imageView/2/w/30/h/30")

    assert (facts.json()["width"], facts.json()["height"]) == (60, 40)
    assert Image.open(BytesIO(answer.content)).size == (30, 20)


async def test_a_callback_looks_into_the_bucket(application: Application, settings: DjangoSettings) -> None:
    """Where downloads do not come by here."""
    settings.FILES_PUBLIC_URL = "https://files.example.com"
    granted = await grant(application, name="cat.png")
    await put(granted, b"meow")

    await call("POST", "/1.1/fileCallback", app_of(application), {"token": granted["token"], "result": True})

    listed = await call("GET", "/1.1/files", master_of(application))
    assert [one["url"] for one in listed.json()["results"]] == [f"https://files.example.com/{granted['key']}"]


async def test_more_than_the_application_takes_is_deleted_when_somebody_looks(
    application: Application, obey_settings: Any
) -> None:
    await obey_settings(FileSettings, file_max_bytes=100)
    granted = await grant(application, name="cat.png")
    await put(granted, b"x" * 101)

    answer = await call("GET", f"/1.1/files/{granted['objectId']}", app_of(application))

    assert (answer.status_code, answer.json()["code"]) == (404, 101)
    assert await in_store(bytestore.found_in_bucket, granted["key"]) is None


async def test_mini_programs_upload_through_this_server(application: Application) -> None:
    """Checklist 50: a presigned PUT is of no use to them."""
    granted = await grant(application, WEAPP, name="cat.png")
    assert granted["upload_url"].startswith("http://testserver/files/u/")

    answer = await ask("POST", granted["upload_url"], files={"file": ("cat.png", b"meow", "image/png")})

    assert answer.json()["key"] == granted["key"]
    assert (await ask("GET", granted["url"])).content == b"meow"
    assert not list(bytestore.incoming_folder().glob("*"))


async def test_clients_upload_to_amazon_in_the_buckets_region(
    application: Application, settings: DjangoSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The host of all regions redirects, or refuses: no browser gets past that with its preflight."""
    monkeypatch.delenv("IMCORE_FILES_ENDPOINT")
    monkeypatch.setenv("IMCORE_FILES_REGION", "eu-central-1")
    settings.STORAGES = {**django_settings.STORAGES, "files": operators._files()}

    granted = await grant(application, name="cat.png")

    assert granted["upload_url"].startswith("https://im-bucket.s3.eu-central-1.amazonaws.com/")


async def test_a_store_is_asked_for_nothing_that_only_amazons_knows(application: Application) -> None:
    """Others refuse checksums, or keep them with the content."""
    granted = await grant(application, WEAPP, name="cat.png")
    await ask("POST", granted["upload_url"], files={"file": ("cat.png", b"meow", "image/png")})
    storage: Any = storages["files"]

    head = storage.connection.meta.client.head_object(Bucket="im-bucket", Key=granted["key"], ChecksumMode="ENABLED")

    assert not [name for name in head if name.startswith("Checksum")]


async def test_deleted_files_leave_the_bucket(application: Application) -> None:
    granted = await grant(application, name="cat.png")
    await put(granted, b"meow")

    await call("DELETE", f"/1.1/files/{granted['objectId']}", master_of(application))

    assert await in_store(bytestore.found_in_bucket, granted["key"]) is None
    assert code_of(await ask("GET", granted["url"])) == (404, 101)


async def test_cleaning_keeps_what_came_without_a_callback(application: Application) -> None:
    came, never_came = await grant(application, name="cat.png"), await grant(application, name="dog.png")
    await put(came, b"meow")

    await managing.clean(now_ms=now_ms() + DAY_MS + 1000)

    listed = await call("GET", "/1.1/files", master_of(application))
    assert [one["objectId"] for one in listed.json()["results"]] == [came["objectId"]]
    assert (await ask("GET", never_came["url"])).status_code == 404
