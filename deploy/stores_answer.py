"""Trouble with Kafka or PostgreSQL as an error for people."""

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
from aiokafka.errors import KafkaError
from sqlalchemy.exc import SQLAlchemyError

from shared.errors import BilansError


@contextmanager
def stores_answer() -> Iterator[None]:
    """Says in a person's words that the database or Kafka cannot be reached."""
    way_out = "Is Bilans running? `./bilans up` starts it."
    try:
        yield
    except (OSError, asyncpg.PostgresError, SQLAlchemyError) as error:
        raise BilansError(f"The database does not answer as it should: {error}.", way_out) from error
    except KafkaError as error:
        raise BilansError(f"Kafka does not answer as it should: {error}.", way_out) from error
