"""Errors over HTTP as `application/problem+json` (RFC 9457), the same in every service."""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"

_log = logging.getLogger(__name__)


class Problem(Exception):  # noqa: N818 — the word of RFC 9457
    """An answer that says what was wrong and what to do; raise it anywhere below a route."""

    def __init__(
        self, status: int, detail: str, *, headers: Mapping[str, str] | None = None, **members: object
    ) -> None:
        """`status` is the HTTP status, `detail` the sentence for people, `members` further members of the document."""
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})
        self.members = members


class ProblemDocument(BaseModel):
    """The document of an error (RFC 9457), for the OpenAPI description."""

    type: str = Field(examples=["about:blank"])
    title: str = Field(examples=["Unprocessable Content"])
    status: int = Field(examples=[422])
    detail: str = Field(examples=["`from` must lie before `to`."])
    instance: str = Field(examples=["/v1/zones/ZEP/balance"])


def busy(detail: str, *, status: int = 503, retry_after_s: int = 1) -> Problem:
    """A problem that goes away: 503 (or 429) with `Retry-After`, so that a client knows when to come again."""
    return Problem(status, detail, headers={"Retry-After": str(retry_after_s)})


def problem_response(request_path: str, problem: Problem) -> Response:
    """`problem` as a response; `request_path` becomes its `instance`."""
    document = {
        "type": "about:blank",
        "title": _phrase(problem.status),
        "status": problem.status,
        "detail": problem.detail,
        "instance": request_path,
        **problem.members,
    }
    body = orjson.dumps(document, default=str)
    return Response(body, problem.status, headers=problem.headers, media_type=MEDIA_TYPE)


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route for its OpenAPI description: these statuses answer with a problem document."""
    schema = ProblemDocument.model_json_schema()
    return {
        status: {"description": _phrase(status), "content": {MEDIA_TYPE: {"schema": schema}}} for status in statuses
    }


def install_problem_handlers(app: FastAPI) -> None:
    """Makes every error of `app` a problem document: its own, an unknown path, a bad parameter, a bug."""
    app.add_exception_handler(Problem, _answer_problem)
    app.add_exception_handler(HTTPException, _answer_http_exception)
    app.add_exception_handler(RequestValidationError, _answer_bad_request)
    app.add_exception_handler(Exception, _answer_bug)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


async def _answer_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return problem_response(request.url.path, error)


async def _answer_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    detail = str(error.detail)
    if detail == _phrase(error.status_code):  # the framework's own: say which path or method it was
        detail = f"{detail}: {request.method} {request.url.path}"
    return problem_response(request.url.path, Problem(error.status_code, detail, headers=error.headers))


async def _answer_bad_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [
        {"where": ".".join(str(part) for part in item["loc"]), "what": str(item["msg"])} for item in error.errors()
    ]
    detail = "; ".join(f"{item['where']}: {item['what']}" for item in errors)
    return problem_response(request.url.path, Problem(422, detail, errors=errors))


async def _answer_bug(request: Request, error: Exception) -> Response:
    _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    detail = "This is a fault of the service, not of the request; its log has the cause."
    return problem_response(request.url.path, Problem(500, detail))
