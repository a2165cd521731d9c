"""Realistic load on a running service, by locust: `GEVENT_BACKEND=select locust -f loadtest/locustfile.py --host URL`.

The whole of it is in `loadtest.ranking`; `python -m loadtest.ranking.options` lists what may follow.
"""

from locust import events

from loadtest.ranking.hooks import StagesShape, register
from loadtest.ranking.users import RankingUser

__all__ = ["RankingUser", "StagesShape"]

register(events)
