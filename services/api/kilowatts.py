"""Powers and limits as the API tells them: kW, from whole W inside."""


def kilowatts(power_w: int | None) -> int | float | None:
    """W as kW, a whole number where it is one."""
    if power_w is None:
        return None
    return power_w // 1000 if power_w % 1000 == 0 else power_w / 1000


def limit_w(limit: int) -> int | None:
    """A zone's limit as the topology keeps it: negative means none."""
    return None if limit < 0 else limit
