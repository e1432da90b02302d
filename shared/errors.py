"""Errors for people: what was wrong, where, and the way out."""


class BilansError(Exception):
    """An error that a person can act on; the command line prints it as one line and ends with exit code 2."""

    def __init__(self, what: str, way_out: str = "") -> None:
        """`what` says what was wrong and where; `way_out` what to do about it."""
        super().__init__(what if not way_out else f"{what} {way_out}")
        self.what = what
        self.way_out = way_out
