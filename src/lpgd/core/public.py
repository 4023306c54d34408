"""Public classes are named by the package in which users find them, so that pickles last."""

from collections.abc import Callable
from inspect import get_annotations
from typing import Any, TypeVar, get_type_hints

Class = TypeVar("Class", bound=type[Any])


def public(home: str) -> Callable[[Class], Class]:
    """Give a class the ``__module__`` ``home``, and annotations that need no other one.

    ``typing.get_type_hints`` looks names up in a class's module, so they are resolved before it
    changes.
    """

    def named(cls: Class) -> Class:
        own = get_annotations(cls)
        if own:
            hints = get_type_hints(cls, localns={cls.__name__: cls}, include_extras=True)
            cls.__annotations__ = {name: hints[name] for name in own}
        cls.__module__ = home
        return cls

    return named
