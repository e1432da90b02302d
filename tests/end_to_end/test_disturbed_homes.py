"""Three weeks of fifteen homes as the worst of senders delivers them, with kills in between: the balance is the clean
one, and each bad line is among the rejected with its reason. The fault runs try a whole year and more kills."""

from pathlib import Path

import httpx

from tests.end_to_end.compare import compare_with_api, compare_with_tables
from tests.end_to_end.disturbed import CORRUPTIONS, disturb
from tests.end_to_end.recompute import recompute
from tests.end_to_end.recompute_topology import read_plain_topology
from tests.end_to_end.slices import HOMES, between
from tests.faults.checker import problems
from tests.faults.history import History
from tests.faults.observer import fetch_rejected, look, settled
from tests.faults.sender import Sender
from tests.system import running_bilans

WEEKS = "2016-09-01T00:00:00Z", "2016-09-22T00:00:00Z"
LINES = 1_000
KILLS = {5: "balancer-0", 9: "ingest", 12: "postgres"}


async def test_a_disturbed_delivery_equals_the_clean_one(tmp_path: Path) -> None:
    clean = between(HOMES, *WEEKS)
    disturbed = disturb(clean, seed=5)
    recomputation = recompute(clean, read_plain_topology(HOMES))
    history = History()
    with running_bilans(tmp_path, HOMES) as system:
        sender = Sender(lambda: system.addresses.ingest, history)
        async with httpx.AsyncClient() as client:
            for number, (readings, refused) in enumerate(disturbed.bodies(LINES)):
                if number in KILLS:
                    system.kill(KILLS[number])
                await sender.send(client, readings, refused)
        assert number > max(KILLS)
        await settled(lambda: system.addresses.api, history.acknowledged)
        addresses = system.addresses
        outcome = await look(addresses.kafka, addresses.database_url, addresses.api, None)
        assert problems(history, outcome, read_plain_topology(HOMES)) == []
        assert (await compare_with_tables(addresses.database_url, recomputation)).shown() == ""
        assert (await compare_with_api(addresses.api, recomputation, ["CLUSTER", "LV-A2"])).shown() == ""
        assert disturbed.unlike(await fetch_rejected(addresses.database_url)) == set()
    assert {refused.reason for body in history.bodies for refused in body.refused} == {
        reason for reason, _ in CORRUPTIONS.values()
    }
