"""Where a page of requests or orders begins, and which zone they are of."""

from datetime import datetime
from uuid import UUID

from services.api.answers import zone_not_found
from services.api.topology_terms import TopologyTerms
from shared.problem import Problem


def place_in(position: object) -> tuple[datetime, str]:
    """The instant and the identifier in a cursor's position. Raises Problem 422 when it is none."""
    if isinstance(position, list) and len(position) == 2 and all(isinstance(part, str) for part in position):
        try:
            created_at, identifier = datetime.fromisoformat(position[0]), str(UUID(position[1]))
            if created_at.tzinfo is not None:
                return created_at, identifier
        except ValueError:
            pass
    raise Problem(422, "`cursor` is none of ours; take it from `next` as it is.")


def zone_id_of(terms: TopologyTerms, zone: str) -> int:
    """The number of `zone` in the tables. Raises Problem 404 when the topology has no such zone."""
    if zone not in terms.zone_index:
        raise zone_not_found(zone)
    return int(terms.topology.zone_id[terms.zone_index[zone]])
