"""Cursors: where the next page of a list begins, safe in a URL and bound to the query they came from."""

import base64
import binascii
import hashlib

import orjson

from shared.problem import Problem


def encode_cursor(query: object, position: object) -> str:
    """A cursor for `position` in the answer to `query`; both are anything JSON can hold."""
    body = orjson.dumps([_digest(query), position])
    return base64.urlsafe_b64encode(body).decode().rstrip("=")


def decode_cursor(query: object, cursor: str) -> object:
    """The position in `cursor`. Raises Problem 422 when it is none, or belongs to another query."""
    try:
        body = orjson.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError) as error:
        raise Problem(422, "`cursor` is none of ours; take it from `next` as it is.") from error
    if not isinstance(body, list) or len(body) != 2 or body[0] != _digest(query):
        raise Problem(422, "`cursor` belongs to another query; keep all other parameters as they were.")
    return body[1]


def _digest(query: object) -> str:
    return hashlib.blake2b(orjson.dumps(query), digest_size=8).hexdigest()
