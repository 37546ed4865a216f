"""imcore's settings, with the tables and the layer of the ORM way."""

import os

from imcore.settings import *  # noqa: F403
from imcore.settings import DATABASES, INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "bench.servers.orm"]
ROOT_URLCONF = "bench.servers.orm.views"
# What its views need: it says how long an answer is.
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]
CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
# Of the consumers, one thread does all the work, on one connection that stays open: cheaper than a pool, which is there
# for imcore's threads. Views have a thread for each request, and want it.
if "BENCH_HTTP" not in os.environ:
    DATABASES["default"]["CONN_MAX_AGE"] = None
    DATABASES["default"]["OPTIONS"].pop("pool", None)
