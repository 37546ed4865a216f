"""Downloads: whole, in part, smaller, described; and never run by a browser."""

import struct
import zlib
from io import BytesIO

import httpx
import pytest
from PIL import Image

from imcore.files.services import images, showing
from imcore.models import Application
from tests.imcore.files import samples
from tests.imcore.files.asking import Json, asgi, ask, code_of, uploaded

CONTENT = bytes(range(256)) * 3000
LAST = len(CONTENT) - 1


@pytest.fixture
async def url(application: Application) -> str:
    """Where a file is that was uploaded."""
    granted = await uploaded(application, CONTENT, name="film.mp4")
    link: str = granted["url"]
    return link


async def test_a_file_may_be_kept_for_a_year(url: str) -> None:
    """rest-api 10.4: ETag, Accept-Ranges, one year; CORS on everything."""
    answer = await ask("GET", url)

    assert answer.content == CONTENT
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["Content-Type"] == "video/mp4"
    assert answer.headers["Content-Length"] == str(len(CONTENT))
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "Set-Cookie" not in answer.headers
    for known in (answer.headers["ETag"], f"W/{answer.headers['ETag']}", f'"x", {answer.headers["ETag"]}', "*"):
        again = await ask("GET", url, {"If-None-Match": known})
        assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", answer.headers["ETag"])
    assert (await ask("GET", url, {"If-None-Match": '"x"'})).status_code == 200


@pytest.mark.parametrize("headers", [{}, {"Range": "bytes=5-9"}, {"Range": "bytes=999999999-"}])
async def test_its_head_is_that_of_the_whole(url: str, headers: dict[str, str]) -> None:
    """RFC 9110 (14.2): ranges are of GET only."""
    answer = await ask("HEAD", url, headers)

    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["Content-Length"] == str(len(CONTENT))


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=5-9", 5, 9),
        ("Bytes= 5-9", 5, 9),
        (f"bytes={LAST}-", LAST, LAST),
        ("bytes=300000-", 300_000, LAST),
        ("bytes=-10", LAST - 9, LAST),
        ("bytes=-9999999", 0, LAST),
        ("bytes=5-9999999", 5, LAST),
    ],
)
async def test_a_part_is_answered(url: str, asked: str, first: int, last: int) -> None:
    """206, for players that seek and downloads that go on."""
    answer = await ask("GET", url, {"Range": asked})

    assert (answer.status_code, answer.content) == (206, CONTENT[first : last + 1])
    assert answer.headers["Content-Range"] == f"bytes {first}-{last}/{len(CONTENT)}"
    assert answer.headers["Content-Length"] == str(last - first + 1)


@pytest.mark.parametrize("asked", [f"bytes={LAST + 1}-", "bytes=-0", "bytes=999999999999999999-"])
async def test_a_part_that_is_not_there_is_refused(url: str, asked: str) -> None:
    answer = await ask("GET", url, {"Range": asked})

    assert code_of(answer) == (416, 416)
    assert answer.headers["Content-Range"] == f"bytes */{len(CONTENT)}"


@pytest.mark.parametrize(
    "asked", ["bytes=0-1,5-6", "bytes=9-5", "bytes=-", "bytes=x-y", "pages=1-2", "bytes=" + "1" * 30]
)
async def test_what_is_no_single_part_is_answered_with_the_whole(url: str, asked: str) -> None:
    assert (await ask("GET", url, {"Range": asked})).status_code == 200


async def test_a_part_of_what_has_changed_is_the_whole(url: str) -> None:
    etag = (await ask("HEAD", url)).headers["ETag"]

    assert (await ask("GET", url, {"Range": "bytes=0-1", "If-Range": etag})).status_code == 206
    assert (await ask("GET", url, {"Range": "bytes=0-1", "If-Range": '"x"'})).status_code == 200


async def test_a_part_of_another_file_is_none_of_this(url: str) -> None:
    """RFC 9110 (13.1.1): what is named must be this, and strongly so."""
    etag = (await ask("HEAD", url)).headers["ETag"]

    for named in (etag, f'"x", {etag}', "*"):
        assert (await ask("GET", url, {"Range": "bytes=0-1", "If-Match": named})).status_code == 206
    for named in ('"x"', f"W/{etag}", "x"):
        refusal = await ask("GET", url, {"Range": "bytes=0-1", "If-Match": named})
        assert code_of(refusal) == (412, 412)
        assert refusal.headers["Cache-Control"] == "no-store"


async def test_a_file_is_read_no_further_for_who_has_left(url: str) -> None:
    """A player that skips breaks off what it does not need; of a bucket, all that is read costs."""
    path = url.removeprefix("http://testserver")
    scope: Json = {"type": "http", "method": "GET", "path": path, "headers": [], "query_string": b""}
    came: list[Json] = [{"type": "http.request", "body": b""}, {"type": "http.disconnect"}]
    sent: list[Json] = []

    async def receive() -> Json:
        return came.pop(0)

    async def send(message: Json) -> None:
        sent.append(message)

    await asgi(scope, receive, send)

    assert not came
    assert sent[0]["status"] == 200
    assert sum(len(message.get("body", b"")) for message in sent) < len(CONTENT)


async def test_an_empty_file_is_a_file(application: Application) -> None:
    granted = await uploaded(application, b"", name="empty.bin")

    answer = await ask("GET", granted["url"])

    assert (answer.status_code, answer.content) == (200, b"")
    assert code_of(await ask("GET", granted["url"], {"Range": "bytes=0-"})) == (416, 416)


@pytest.mark.parametrize(
    ("name", "mime_type"),
    [
        ("x.html", None),
        ("x.png", "text/html"),
        ("x.svg", None),
        ("x.xml", None),
        ("x.xhtml", "application/xhtml+xml"),
        ("x.js", None),
        ("x.swf", None),
        ("x.pdf", None),
        ("x", None),
        ("x.png", "IMAGE/SVG+XML; charset=utf-8"),
        ("x.mht", "multipart/related"),
    ],
)
async def test_nothing_that_a_browser_runs_is_shown(application: Application, name: str, mime_type: str | None) -> None:
    """Bad input: HTML, which is to be saved, is not guessed at, and would run in a sandbox without origin."""
    granted = await uploaded(application, b"<script>alert(1)</script>", name=name, mime_type=mime_type)

    answer = await ask("GET", granted["url"])

    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")


@pytest.mark.parametrize("name", ["cat.png", "song.mp3", "film.mp4", "note.txt"])
async def test_images_sound_film_and_text_are_shown(application: Application, name: str) -> None:
    """With the name under which they are to be saved, whatever letters it has."""
    granted = await uploaded(application, b"<script>", name=f"猫 {name}")

    answer = await ask("GET", granted["url"])

    assert answer.headers["Content-Disposition"].startswith("inline; filename*=utf-8''%E7%8C%AB%20")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "mime_type", ["text/html\r\nSet-Cookie: a=b", "x", "a/b/c", "text/plain; x", 7, "x/" + "y" * 200]
)
async def test_a_type_that_is_none_is_guessed_from_the_name(application: Application, mime_type: object) -> None:
    granted = await uploaded(application, b"meow", name="cat.png", mime_type=mime_type)

    assert granted["mime_type"] == "image/png"


@pytest.mark.parametrize("path", ["", "x", "x/y", "../x", "x/y/z", "incoming/x", "%2e%2e/%2e%2e/x", "\0/x"])
async def test_what_is_not_there_is_not_found(path: str) -> None:
    """As JSON, and without a look at the disk."""
    answer = await ask("GET", f"/files/{path.replace(chr(0), '%00')}")

    assert answer.status_code == 404
    assert answer.json()["code"] in (101, 404)


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "x/y", 404), ("POST", "x/y", 405)])
async def test_a_refusal_is_not_kept_and_may_be_read_by_any_page(method: str, path: str, status: int) -> None:
    """rest-api 2.8: the bytes may come a moment later, and a proxy between would go on refusing them."""
    answer = await ask(method, f"/files/{path}")

    assert answer.status_code == status
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Cache-Control"] == "no-store"


async def test_nothing_is_changed_by_a_download(url: str) -> None:
    assert code_of(await ask("POST", url, content=b"x")) == (405, 405)
    assert code_of(await ask("DELETE", url)) == (405, 405)


async def test_an_image_tells_its_size(application: Application) -> None:
    """Checklist 52: Java fails to send an image message if this is not JSON."""
    content = samples.image(60, 40, "JPEG")
    granted = await uploaded(application, content, name="cat.jpg")

    answer = await ask("GET", granted["url"] + "?imageInfo")

    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.json() == {"format": "jpeg", "width": 60, "height": 40, "size": len(content)}


async def test_a_recording_tells_how_long_it_is(application: Application) -> None:
    """Checklist 52."""
    content = samples.tone(1.5)
    granted = await uploaded(application, content, name="tone.wav")

    answer = await ask("GET", granted["url"] + "?avinfo")

    assert answer.json() == {"format": {"format_name": "wav", "duration": "1.5", "size": str(len(content))}}


@pytest.mark.parametrize(
    "content", [b"", b"meow", b"RIFF\0\0\0\0WAVEfmt ", b"\x89PNG\r\n\x1a\n" + b"x" * 100, b"ID3" + b"\xff" * 500]
)
async def test_whatever_a_file_is_what_is_told_of_it_is_json(application: Application, content: bytes) -> None:
    """Checklist 52: unknown files."""
    granted = await uploaded(application, content, name="x.png", mime_type="video/mp4")

    image, film = await ask("GET", granted["url"] + "?imageInfo"), await ask("GET", granted["url"] + "?avinfo")

    assert image.json() == {"format": "", "width": 0, "height": 0, "size": len(content)}
    assert film.json()["format"]["format_name"] in ("", "mp3")
    assert film.json()["format"]["size"] == str(len(content))


async def test_a_file_that_would_keep_its_reader_busy_for_long_is_told_nothing_of(application: Application) -> None:
    """Bad input: one read for each few bytes, with the interpreter's lock held."""
    image, sound = samples.image(), samples.tone()
    empty = b"\0\0\0\0zzZz" + zlib.crc32(b"zzZz").to_bytes(4)
    times = showing.LOOKED_INTO_MAX_READS
    granted = await uploaded(application, image[:33] + empty * times + image[33:], name="x.png")
    recorded = await uploaded(application, sound[:12] + b"junk\0\0\0\0" * times + sound[12:], name="x.wav")

    told = await ask("GET", granted["url"] + "?imageInfo")
    heard = await ask("GET", recorded["url"] + "?avinfo")

    assert (told.json()["format"], told.json()["width"]) == ("", 0)
    assert heard.json()["format"]["format_name"] == ""


def size_of(answer: httpx.Response) -> tuple[str, int, int]:
    """Return what an image is."""
    assert answer.status_code == 200
    image = Image.open(BytesIO(answer.content))
    assert answer.headers["Content-Type"] == f"image/{(image.format or '').lower()}"
    return (image.format or ""), image.width, image.height


def with_facts(picture: bytes, tags: bytes) -> bytes:
    """Return a PNG that has these facts about itself, as cameras write them."""
    exif = b"MM\0*" + struct.pack(">IH", 8, len(tags) // 12) + tags + bytes(4)
    chunk = len(exif).to_bytes(4) + b"eXIf" + exif + zlib.crc32(b"eXIf" + exif).to_bytes(4)
    return picture[:33] + chunk + picture[33:]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("imageView/2/w/30/h/30/q/80/format/png", ("PNG", 30, 20)),
        ("imageView/1/w/30/h/30/q/80/format/png", ("PNG", 30, 30)),
        ("imageView/2/w/30/h/30/q/80/format/jpg", ("JPEG", 30, 20)),
        ("imageView/2/w/30/h/30/format/webp", ("WEBP", 30, 20)),
        ("imageView/2/w/30", ("PNG", 30, 20)),
        ("imageView/2/h/10", ("PNG", 15, 10)),
        ("imageView/1/w/10", ("PNG", 10, 10)),
        ("imageView/2/w/30/h/30/q/0/format/exe", ("PNG", 30, 20)),
        ("imageView/2/w/99999/h/99999", ("PNG", 60, 40)),
        ("imageView/1/w/99999/h/20", ("PNG", 60, 20)),
        ("imageView/2/w/30/q/" + "9" * 5000, ("PNG", 60, 40)),
        ("imageView/3/w/30/h/30", ("PNG", 60, 40)),
        ("imageView/2/w/-30/h/x", ("PNG", 60, 40)),
        ("imageView/2/w/0/h/0", ("PNG", 60, 40)),
        ("imageView", ("PNG", 60, 40)),
        ("imageView2/2/w/10", ("PNG", 60, 40)),
    ],
)
async def test_an_image_is_made_smaller(application: Application, query: str, expected: tuple[str, int, int]) -> None:
    """rest-api 10.4: mode 1 fills the box, 2 fits into it; what cannot be read is answered with the image itself."""
    granted = await uploaded(application, samples.image(60, 40), name="cat.png")

    answer = await ask("GET", f"{granted['url']}?{query}")

    assert size_of(answer) == expected
    if expected[1:] != (60, 40):
        assert answer.headers["Cache-Control"].startswith("public, max-age=31536000")
        again = await ask("GET", f"{granted['url']}?{query}", {"If-None-Match": answer.headers["ETag"]})
        assert again.status_code == 304


async def test_a_large_photograph_is_made_smaller(application: Application) -> None:
    """Of 48 megapixels, as telephones make them."""
    granted = await uploaded(application, samples.image(8000, 6000, "JPEG"), name="cat.jpg")

    assert size_of(await ask("GET", granted["url"] + "?imageView/2/w/100/h/100")) == ("JPEG", 100, 75)


async def test_an_image_with_broken_facts_about_itself_is_made_smaller(application: Application) -> None:
    """Nothing is logged of them, which might be thousands of lines for each who asks; here a warning is an error."""
    tags = b"".join(struct.pack(">HHII", tag, 7, 2**31, 8) for tag in range(300, 320))
    granted = await uploaded(application, with_facts(samples.image(), tags), name="cat.png")

    assert size_of(await ask("GET", granted["url"] + "?imageView/2/w/30")) == ("PNG", 30, 20)


async def test_an_image_is_turned_as_it_was_taken_whatever_else_it_says(application: Application) -> None:
    """Its width is a text, which cannot be written again."""
    tags = struct.pack(">HHI4s", 0x100, 2, 3, b"ab\0\0") + struct.pack(">HHIHH", 0x112, 3, 1, 6, 0)
    granted = await uploaded(application, with_facts(samples.image(), tags), name="cat.png")

    assert size_of(await ask("GET", granted["url"] + "?imageView/2/w/20")) == ("PNG", 20, 30)


async def test_an_image_that_would_be_gone_through_for_minutes_is_left_alone(application: Application) -> None:
    """Bad input: the last scan of a progressive JPEG once more and once more, each for a hundred bytes."""
    made = BytesIO()
    Image.new("L", (400, 300)).save(made, "JPEG", progressive=True)
    few = made.getvalue()
    many = few[:-2] + few[few.rindex(b"\xff\xda") : -2] * images.SCANS_MAX + few[-2:]
    plain, dear = [await uploaded(application, content, name="cat.jpg") for content in (few, many)]

    assert size_of(await ask("GET", plain["url"] + "?imageView/2/w/40")) == ("JPEG", 40, 30)
    assert (await ask("GET", dear["url"] + "?imageView/2/w/40")).content == many


async def test_a_progressive_image_has_to_fit_into_memory_whole(application: Application) -> None:
    """However small the image is that is made of it."""
    made = BytesIO()
    Image.new("L", (6000, 6000)).save(made, "JPEG", progressive=True)
    granted = await uploaded(application, made.getvalue(), name="cat.jpg")

    assert (await ask("GET", granted["url"] + "?imageView/2/w/40")).content == made.getvalue()


async def test_an_image_that_unfolds_to_gigabytes_is_left_alone(application: Application) -> None:
    """Bad input: 50 KB of PNG with 400 million pixels."""
    bomb = samples.image(20_000, 20_000, mode="1")
    granted = await uploaded(application, bomb, name="bomb.png")

    answer = await ask("GET", granted["url"] + "?imageView/2/w/100/h/100")

    assert answer.content == bomb
    assert (await ask("GET", granted["url"] + "?imageInfo")).json()["width"] in (0, 20_000)


@pytest.mark.parametrize("content", [b"meow", samples.image()[:60], b"<svg xmlns='http://www.w3.org/2000/svg'/>"])
async def test_what_is_no_image_stays_as_it_is(application: Application, content: bytes) -> None:
    granted = await uploaded(application, content, name="cat.png")

    answer = await ask("GET", granted["url"] + "?imageView/2/w/10/h/10")

    assert (answer.status_code, answer.content) == (200, content)


async def test_images_are_left_alone_while_others_are_worked_on(application: Application) -> None:
    """Nobody waits for a processor; the original is what he gets."""
    granted = await uploaded(application, samples.image(), name="cat.png")

    for _ in range(images.AT_A_TIME):
        images._working.acquire()
    try:
        answer = await ask("GET", granted["url"] + "?imageView/2/w/10")
        assert size_of(answer) == ("PNG", 60, 40)
        assert answer.headers["Cache-Control"] == "no-cache"
    finally:
        images._working.release(images.AT_A_TIME)
