"""imcore's settings, with the tables and the layer of the ORM way."""

from imcore.settings import *  # noqa: F403
from imcore.settings import DATABASES, INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "bench.servers.orm"]
ROOT_URLCONF = "bench.servers.orm.views"
# What its views do not need.
MIDDLEWARE: list[str] = []
CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
# One thread does all the work, on one connection that stays open: cheaper than a pool, which is there for imcore's.
DATABASES["default"]["CONN_MAX_AGE"] = None
DATABASES["default"]["OPTIONS"].pop("pool", None)
