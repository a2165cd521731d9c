"""A client for ranking layers: `Client`, and `AsyncClient` for programs that run on an event loop.

    with Client("http://127.0.0.1:8000", deadline_ms=50) as client:
        answer = client.predict(unit="user-42", context={...}, items=[1, 2, 3])
        client.feedback([answer.event("click", position=0)])

It needs urllib3 (or aiohttp) and nothing else of this project, and its files import each other relatively: the folder
may be copied into a program that cannot install the service. The price is one kind of import that the rest of the
project does not use.
"""

from .answers import FeedbackEvent, FeedbackResult, Prediction
from .asynchronous import AsyncClient
from .errors import ClientError, DeadlineExceeded, Refused, Unavailable
from .synchronous import Client

__all__ = [
    "AsyncClient",
    "Client",
    "ClientError",
    "DeadlineExceeded",
    "FeedbackEvent",
    "FeedbackResult",
    "Prediction",
    "Refused",
    "Unavailable",
]
