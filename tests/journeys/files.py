"""Files as the Python SDK has them. A program of its own: the SDK keeps who is logged in in the process.

LEANCLOUD_API_SERVER, IMCORE_APP_ID, IMCORE_APP_KEY, IMCORE_MASTER_KEY: the server and the application.
"""

import os
import secrets
from io import BytesIO

import httpx
import leancloud
from leancloud import LeanCloudError, User

leancloud.init(os.environ["IMCORE_APP_ID"], app_key=os.environ["IMCORE_APP_KEY"])
user = User()
user.sign_up(f"anna-{secrets.token_hex(4)}", "cheese!")

cat = leancloud.File("cat.png", BytesIO(b"meow"))
cat.metadata["width"] = 3
cat.save()
assert cat.id
assert cat.owner_id == user.id
assert cat.mime_type == "image/png"
assert httpx.get(cat.url, timeout=30).content == b"meow"
print("  ok  saved")

found = leancloud.File.create_without_data(cat.id)
found.fetch()
assert (found.name, found.url, found.metadata["width"], found.size) == ("cat.png", cat.url, 3, 4)
print("  ok  fetched")

user.set("avatar", cat)
user.set("photos", [cat])
user.save()
again = User()
again.login(user.get_username(), "cheese!")
assert (again.get("avatar").id, again.get("avatar").url, again.get("photos")[0].size) == (cat.id, cat.url, 4)
print("  ok  kept as a picture of the user, who logs in again")

typed = leancloud.File("page", b"<p>", mime_type="text/html")
typed.save()
page = httpx.get(typed.url, timeout=30)
assert page.headers["Content-Type"] == "text/html"
assert page.headers["Content-Disposition"].startswith("attachment")
print("  ok  a page is not shown")

elsewhere = leancloud.File.create_with_url("dog.png", "https://example.com/dog.png", meta_data={"width": 3})
elsewhere.save()
assert elsewhere.id
assert elsewhere.url == "https://example.com/dog.png"
print("  ok  registered an address elsewhere")

try:
    leancloud.File("../cat.png", b"meow").save()
except LeanCloudError as error:
    assert error.code == 122  # noqa: PT017
else:
    raise AssertionError("this should have been refused")
print("  ok  a name that climbs is refused")

cat.destroy()
again.fetch()
assert again.get("avatar").id == cat.id
assert httpx.get(cat.url, timeout=30).status_code == 404
leancloud.init(
    os.environ["IMCORE_APP_ID"], app_key=os.environ["IMCORE_APP_KEY"], master_key=os.environ["IMCORE_MASTER_KEY"]
)
user.logout()
elsewhere.destroy()
print("  ok  destroyed")
print("Saved and destroyed.")
