"""Threads that work on the database at the same moment."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, BrokenBarrierError

from django.db import connection

SECONDS = 60.0


def at_once(*works: Callable[[int], object], rounds: int) -> None:
    """Run each of the works in a thread of its own, `rounds` times, all of a round at once; raise what one raises."""
    start = Barrier(len(works))

    def run(work: Callable[[int], object]) -> None:
        try:
            for number in range(rounds):
                start.wait(SECONDS)
                work(number)
        except BrokenBarrierError:
            return  # another one raises why
        except BaseException:
            start.abort()
            raise
        finally:
            connection.close()

    with ThreadPoolExecutor(len(works)) as threads:
        for done in [threads.submit(run, work) for work in works]:
            done.result()
