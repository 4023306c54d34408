"""What the checks of programs use of their structure."""

from collections.abc import Mapping
from typing import Protocol

from lpgd.core.pattern import Pattern
from lpgd.families.conic.cones import Cones


class Rows(Protocol):
    """What is used of ``quadratic.structure.Structure``."""

    @property
    def n(self) -> int: ...
    @property
    def cones(self) -> Cones: ...
    @property
    def blocks(self) -> Mapping[str, slice]: ...
    @property
    def patterns(self) -> Mapping[str, Pattern]: ...
    @property
    def polyhedral(self) -> bool: ...
    @property
    def quadratic(self) -> bool: ...
