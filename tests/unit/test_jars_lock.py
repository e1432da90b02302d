"""The lock of Kafka's jars names what the broker needs, exactly."""

import re

from deploy.embedded.jars import read_lock


def test_every_jar_has_a_coordinate_a_checksum_and_a_size() -> None:
    jars = read_lock()
    assert len({jar.coordinate for jar in jars}) == len(jars)
    for jar in jars:
        assert re.fullmatch(r"[\w.-]+:[\w.-]+:[\w.-]+", jar.coordinate)
        assert re.fullmatch(r"[0-9a-f]{64}", jar.sha256)
        assert jar.bytes > 0


def test_the_clients_come_first_and_all_of_kafka_has_one_version_that_is_new_enough() -> None:
    jars = read_lock()
    assert jars[0].coordinate.startswith("org.apache.kafka:kafka-clients:")  # an older one elsewhere must not win
    versions = {jar.coordinate.split(":")[2] for jar in jars if jar.coordinate.startswith("org.apache.kafka:")}
    assert len(versions) == 1
    assert tuple(int(part) for part in versions.pop().split(".")) >= (4, 1, 1)


def test_one_jar_of_each_kind_only() -> None:
    names = [jar.coordinate.rsplit(":", 1)[0] for jar in read_lock()]
    assert len(names) == len(set(names))
