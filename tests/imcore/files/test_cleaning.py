"""What is deleted without anybody asking: what was announced and never came, and what deleted applications left."""

import os
from pathlib import Path

import pytest
from django.conf import settings

from imcore.appsettings import applications
from imcore.bridge import in_database
from imcore.files import bytestore
from imcore.files.models import File
from imcore.files.services import managing
from imcore.identifiers import DAY_MS, now_ms
from imcore.models import Application
from tests.imcore.files.asking import Json, ask, grant, uploaded


def folder_of(granted: Json) -> Path:
    """Return where the bytes of a file are."""
    return Path(settings.FILES_ROOT) / str(granted["key"]).partition("/")[0]


async def rows(*granted: Json) -> int:
    """Count the rows of files."""
    return await in_database(File.objects.filter(object_id__in=[one["objectId"] for one in granted]).count)


async def test_what_has_not_come_within_a_day_is_forgotten(application: Application) -> None:
    came, never_came = await uploaded(application, b"meow", name="cat.png"), await grant(application, name="dog.png")

    await managing.clean(now_ms=now_ms() + DAY_MS - 60_000)
    assert await rows(came, never_came) == 2
    await managing.clean(now_ms=now_ms() + DAY_MS + 1000)
    await managing.clean(now_ms=now_ms() + DAY_MS + 1000)

    assert await rows(never_came) == 0
    assert (await ask("GET", came["url"])).content == b"meow"


async def test_the_files_of_a_deleted_application_go_with_their_bytes(application: Application) -> None:
    """At once for who asks, from the disk with the next cleaning."""
    granted, waiting = await uploaded(application, b"meow", name="cat.png"), await grant(application, name="dog.png")
    await in_database(application.delete)
    await applications.refresh()

    assert (await ask("GET", granted["url"])).status_code == 404
    assert (await ask("PUT", waiting["upload_url"], content=b"woof")).status_code == 403
    assert folder_of(granted).exists()
    await managing.clean(now_ms=now_ms())

    assert not folder_of(granted).exists()
    assert await rows(granted, waiting) == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a device that is a full disk.")
def test_a_full_disk_does_not_stay_full_of_what_did_not_fit() -> None:
    incoming = bytestore.Incoming()
    incoming.file.close()
    incoming.file = open("/dev/full", "wb")  # noqa: SIM115 - closing it is what is tested
    incoming.write(b"meow")

    with pytest.raises(OSError, match="No space left"):
        incoming.close()

    assert not incoming.path.exists()


async def test_bytes_that_a_dead_server_left_on_their_way_are_deleted() -> None:
    bytestore.incoming_folder().mkdir(parents=True, exist_ok=True)
    left, fresh = bytestore.incoming_folder() / "left", bytestore.incoming_folder() / "fresh"
    left.write_bytes(b"me")
    fresh.write_bytes(b"me")
    os.utime(left, (0, 0))

    await managing.clean(now_ms=now_ms())

    assert not left.exists()
    assert fresh.exists()
    fresh.unlink()


async def test_bytes_without_a_row_that_says_so_are_written_over(application: Application) -> None:
    """A server died between the two; the client tries again."""
    granted = await grant(application, name="cat.png")
    folder_of(granted).mkdir()
    (folder_of(granted) / "cat.png").write_bytes(b"old")

    assert (await ask("PUT", granted["upload_url"], content=b"meow")).status_code == 200
    assert (await ask("GET", granted["url"])).content == b"meow"
    assert [one.name for one in folder_of(granted).iterdir()] == ["cat.png"]
