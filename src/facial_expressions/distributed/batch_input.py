"""One input of a batch: what its row calls it, and where its bytes lie."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from facial_expressions.results import Status

__all__ = ["BatchInput"]


@dataclass(frozen=True, slots=True)
class BatchInput:
    """One input, which becomes exactly one row.

    Attributes:
        source: What the row calls it; the path of the file unless it lies in an archive.
        archive: Path of the tar archive that holds it; empty for a file of its own.
        offset: Where its bytes begin in the archive.
        n_bytes: How many they are.
        is_listed: Whether the file was seen when the inputs were listed, so that it has vanished
            when it is not there.
        status: Its row's status where that is known already; None when it is to be read.
        error: The row's sentence for such a status.

    Examples:
        >>> BatchInput.from_line(BatchInput("a.jpg", is_listed=True).to_line()).source
        'a.jpg'
    """

    source: str
    archive: str = ""
    offset: int = 0
    n_bytes: int = 0
    is_listed: bool = False
    status: Status | None = None
    error: str = ""

    def to_line(self) -> str:
        """Return one line of ASCII: JSON without the fields that have their default."""
        line: dict[str, Any] = {"source": self.source}
        if self.archive:
            line |= {"archive": self.archive, "offset": self.offset, "n_bytes": self.n_bytes}
        if self.is_listed:
            line["is_listed"] = True
        if self.status:
            line |= {"status": self.status, "error": self.error}
        return json.dumps(line)

    @classmethod
    def from_line(cls, line: str) -> BatchInput:
        """Rebuild an input from what ``to_line`` returned."""
        return cls(**json.loads(line))
