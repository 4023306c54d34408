"""One process at a time may write into a folder."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from lpgd.experiments.runs import ExperimentError

_NAME = ".lock"

if sys.platform == "win32":
    import msvcrt

    def _claim(file: IO[bytes]) -> None:
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

    def _release(file: IO[bytes], path: Path) -> None:
        file.close()
        with suppress(OSError):  # whoever has it open by now keeps it
            path.unlink()

else:
    import fcntl

    def _claim(file: IO[bytes]) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _release(file: IO[bytes], path: Path) -> None:
        # Removed first: were it released first, this could remove the file that another claimed.
        with suppress(OSError):
            path.unlink()
        file.close()


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold ``folder``, made if need be; an `ExperimentError` if it is held already.

    The operating system ties the lock to the open file and drops it when a process ends, however
    rudely; the file ``.lock`` that a killed process leaves means nothing. A file system without
    locks is an `OSError` rather than a folder without protection.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / _NAME
    file = _open_claimed(path)
    try:
        yield
    finally:
        _release(file, path)


def _open_claimed(path: Path) -> IO[bytes]:
    while True:
        file = path.open("ab")
        try:
            _claim(file)
            if _is_at(file, path):
                return file
        except (BlockingIOError, PermissionError):  # on POSIX and on Windows
            file.close()
            raise ExperimentError(
                f"{path.parent} is in use by another process; wait for its end, or end it"
            ) from None
        except OSError as error:
            file.close()
            error.filename = str(path)
            raise
        file.close()  # its last owner removed it between the two steps; the next one is new


def _is_at(file: IO[bytes], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
