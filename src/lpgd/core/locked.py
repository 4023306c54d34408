"""What threads may share although it is written to."""

from threading import Lock
from typing import Any


class Locked:
    """Something with a lock, which is made anew where it is unpickled."""

    def __init__(self) -> None:
        self.lock = Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, lock=Lock())
