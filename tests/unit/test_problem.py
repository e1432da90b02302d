"""Every error of an app is a problem document (RFC 9457), and the key guards every route but the probes."""

from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI, HTTPException

from shared.api_key import ApiKeyMiddleware
from shared.problem import MEDIA_TYPE, Problem, busy, install_problem_handlers, problem_responses

pytestmark = pytest.mark.asyncio


def _client(app: FastAPI) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://bilans")


def _app(api_key: str = "") -> FastAPI:
    app = FastAPI()
    install_problem_handlers(app)
    app.add_middleware(ApiKeyMiddleware, api_key=api_key)

    @app.get("/healthz")
    async def healthz() -> dict[str, bool]:
        return {"alive": True}

    @app.get("/rows", responses=problem_responses(404))
    async def rows(limit: int) -> dict[str, int]:
        return {"limit": limit}

    @app.get("/busy")
    async def is_busy() -> None:
        raise busy("Kafka cannot be reached.", retry_after_s=2)

    @app.get("/wrong")
    async def wrong() -> None:
        raise Problem(422, "`from` must lie before `to`.", parameter="from")

    @app.get("/teapot")
    async def teapot() -> None:
        raise HTTPException(418, "no coffee", headers={"X-Pot": "tea"})

    @app.get("/bug")
    async def bug() -> None:
        raise RuntimeError("the secret cause")

    return app


@pytest_asyncio.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with _client(_app()) as opened:
        yield opened


def _check(response: httpx.Response, status: int) -> dict[str, object]:
    assert response.status_code == status
    assert response.headers["content-type"] == MEDIA_TYPE
    document: dict[str, object] = response.json()
    assert document["status"] == status and document["type"] == "about:blank" and document["title"]
    return document


async def test_unknown_path_and_method(client: httpx.AsyncClient) -> None:
    assert _check(await client.get("/nowhere"), 404)["instance"] == "/nowhere"
    response = await client.delete("/rows")
    _check(response, 405)
    assert response.headers["allow"] == "GET"


async def test_a_bad_parameter_says_which(client: httpx.AsyncClient) -> None:
    document = _check(await client.get("/rows?limit=many"), 422)
    assert document["errors"] == [
        {"where": "query.limit", "what": "Input should be a valid integer, unable to parse string as an integer"}
    ]


async def test_own_problems_keep_members_and_headers(client: httpx.AsyncClient) -> None:
    assert _check(await client.get("/wrong"), 422)["parameter"] == "from"
    response = await client.get("/busy")
    _check(response, 503)
    assert response.headers["retry-after"] == "2"
    response = await client.get("/teapot")
    assert _check(response, 418)["detail"] == "no coffee"
    assert response.headers["x-pot"] == "tea"


async def test_a_bug_tells_no_secret(client: httpx.AsyncClient) -> None:
    response = await client.get("/bug")
    _check(response, 500)
    assert "secret" not in response.text


@pytest.mark.parametrize(
    "headers",
    [{"Authorization": "Bearer żar"}, {"authorization": "bearer  żar "}, {"X-API-Key": "żar"}],
)
async def test_the_key_opens(headers: dict[str, str]) -> None:
    async with _client(_app("żar")) as client:
        sent = {name.encode(): value.encode() for name, value in headers.items()}
        assert (await client.get("/rows?limit=1", headers=sent)).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Basic key"},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer keys"},
        {"X-API-Key": ""},
        {"X-API-Key": "ke"},
        {"X-API-Key": "\xfc"},
    ],
)
async def test_without_the_key_only_probes_answer(headers: dict[str, str]) -> None:
    async with _client(_app("key")) as client:
        sent = {name.encode(): value.encode("latin-1") for name, value in headers.items()}
        for path in ("/rows?limit=1", "/nowhere", "/docs", "/openapi.json", "/healthz/"):
            response = await client.get(path, headers=sent)
            _check(response, 401)
            assert response.headers["www-authenticate"] == "Bearer"
        assert (await client.get("/healthz", headers=sent)).status_code == 200
