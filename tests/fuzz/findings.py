"""What a check has to say."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """A fault.

    Attributes
    ----------
    kind : str
        The same for all faults of a kind, without numbers.
    detail : str
    """

    kind: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.kind}: {self.detail}"
