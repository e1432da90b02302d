"""Which form of an answer a client wants, by its `Accept` header (RFC 9110, section 12.5.1)."""


def prefers_csv(accept: str) -> bool:
    """Whether CSV is wanted more than JSON; JSON is given where both are wanted alike, and to who asks for neither."""
    qualities = dict(_ranges(accept))
    csv = _quality(qualities, "text/csv", "text/*")
    return csv > 0 and csv > _quality(qualities, "application/json", "application/*")


def _ranges(accept: str) -> list[tuple[str, float]]:
    found = []
    for part in accept.split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        quality = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                try:
                    quality = min(max(float(parameter[2:]), 0.0), 1.0)
                except ValueError:
                    quality = 0.0
        if name:
            found.append((name, quality))
    return found


def _quality(qualities: dict[str, float], name: str, family: str) -> float:
    for candidate in (name, family, "*/*"):
        if candidate in qualities:
            return qualities[candidate]
    return 0.0
