"""A message of `bilans.readings` as the archive takes it and gives it back."""

from dataclasses import dataclass

from shared.readings_message import ReadingColumns


@dataclass(frozen=True, slots=True)
class ArchivedMessage:
    """A message's readings and its offset."""

    offset: int
    readings: ReadingColumns
