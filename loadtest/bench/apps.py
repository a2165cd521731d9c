"""`python -m loadtest.bench.apps NAME --graph FILE`: the servers that ours is compared with.

reference   what an expert writes: raw ASGI, orjson, one onnxruntime session on full rows
tutorial    what tutorials write: FastAPI, pydantic in and out, the same session
empty       reads the body and answers without looking: the floor of HTTP
"""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import orjson
import typer
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from starlette.types import ASGIApp, Receive, Scope, Send

from service.bundle import Ids

_HEADERS = [(b"content-type", b"application/json")]


class RowsModel:
    """The graph of full rows in an onnxruntime session: one thread, not spinning, otherwise as it comes."""

    def __init__(self, graph: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

    def logits(self, rows_NF: Ids) -> npt.NDArray[np.float32]:
        """Logits [N] of rows [N, F]."""
        logits_N: npt.NDArray[np.float32] = self._session.run(["logits"], {"ids": rows_NF})[0]
        return logits_N

    def probabilities(self, rows_NF: Ids) -> npt.NDArray[np.float32]:
        """Probabilities [N] of rows [N, F]."""
        probabilities_N = 1 / (1 + np.exp(-self.logits(rows_NF)))
        return probabilities_N.astype(np.float32, copy=False)


def reference(graph: Path) -> ASGIApp:
    """Raw ASGI: [[id, …], …] → [probability, …]."""
    model = RowsModel(graph)

    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        rows_NF = np.array(orjson.loads(await read_body(receive)), np.int32)
        content = orjson.dumps(model.probabilities(rows_NF), option=orjson.OPT_SERIALIZE_NUMPY)
        await send_json(send, content)

    return app


class Rows(BaseModel):
    """Rows of ids."""

    rows: list[list[int]]


class Prediction(BaseModel):
    """One probability per row."""

    probabilities: list[float]


def tutorial(graph: Path) -> ASGIApp:
    """FastAPI: {"rows": [[id, …], …]} → {"probabilities": [probability, …]}."""
    model = RowsModel(graph)
    app = FastAPI()

    @app.post("/predict")
    async def predict(request: Rows) -> Prediction:
        probabilities_N = model.probabilities(np.array(request.rows, np.int32))
        return Prediction(probabilities=probabilities_N.tolist())

    return app


def empty(_graph: Path) -> ASGIApp:
    """Raw ASGI: any body → []."""

    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        await read_body(receive)
        await send_json(send, b"[]")

    return app


APPS = {"reference": reference, "tutorial": tutorial, "empty": empty}


async def read_body(receive: Receive) -> bytes:
    """The whole body of a request."""
    message = await receive()
    body: bytes = message["body"]
    while message["more_body"]:
        message = await receive()
        body += message["body"]
    return body


async def send_json(send: Send, content: bytes) -> None:
    """Answer 200 with this JSON."""
    headers = [*_HEADERS, (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": content})


def serve(app: ASGIApp, name: str, **options: Any) -> None:
    """Serve as `python -m service serve` does, on a free port, which is printed."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    config = uvicorn.Config(app, http="httptools", loop="uvloop", log_config=None, access_log=False, **options)
    typer.echo(f"serving {name} on http://127.0.0.1:{listener.getsockname()[1]}")
    uvicorn.Server(config).run(sockets=[listener])


def main(
    name: Annotated[str, typer.Argument(help=f"One of {', '.join(APPS)}.")],
    graph: Annotated[Path, typer.Option(help="The graph of full rows.")],
) -> None:
    """Serve one of the apps until stopped."""
    if name not in APPS:
        raise typer.BadParameter(f"got {name!r}, expected one of {', '.join(APPS)}")
    serve(APPS[name](graph), name, lifespan="off")


if __name__ == "__main__":
    typer.run(main)
