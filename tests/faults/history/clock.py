"""A server's clock that jumps while it runs."""

import shutil
import struct
import subprocess
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.request import urlopen

from tests.processes import Server
from tests.services import ServiceError

SOURCE = Path(__file__).parent / "clock.c"


class Clock:
    """A clock that keeps its offset and its library in `directory`. Until it is set it shows true time."""

    def __init__(self, directory: Path) -> None:
        compiler = shutil.which("gcc")
        if compiler is None:
            raise ServiceError("A C compiler is missing: install the packages `gcc` and `libc6-dev`.")
        self._library = directory / "clock.so"
        self._offset = directory / "offset"
        self.set(0)
        command = [compiler, "-O2", "-Wall", "-shared", "-fPIC", "-o", str(self._library), str(SOURCE), "-ldl"]
        subprocess.run(command, check=True)

    @property
    def environment(self) -> dict[str, str]:
        """Return what makes a process go by this clock."""
        return {"LD_PRELOAD": str(self._library), "CLOCK_OFFSET": str(self._offset)}

    def set(self, offset_seconds: int) -> None:
        """Set the clock so many seconds before (negative) or after true time."""
        with self._offset.open("r+b" if self._offset.exists() else "wb") as file:
            file.write(struct.pack("=q", offset_seconds))


def server_now(server: Server) -> float:
    """Ask a server what time it is, in seconds since the epoch: HTTP tells, in whole seconds."""
    with urlopen(f"{server.url}/healthz", timeout=10) as answer:
        return parsedate_to_datetime(answer.headers["Date"]).timestamp()
