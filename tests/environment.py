"""What must be set before Django's settings are read: a data directory of the run's own.

Named in pyproject.toml by `-p`, because pytest-django reads the settings before any conftest is imported.
"""

import atexit
import os
import shutil
import tempfile

_directory = tempfile.mkdtemp(prefix="imcore-tests-")
atexit.register(shutil.rmtree, _directory, ignore_errors=True)

os.environ["IMCORE_DATA_DIR"] = _directory
for _name in ("IMCORE_APP_ID", "IMCORE_APP_KEY", "IMCORE_MASTER_KEY", "IMCORE_ADMIN_PASSWORD", "IMCORE_PUBLIC_URL"):
    os.environ.pop(_name, None)
