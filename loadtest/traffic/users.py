"""Users: a few come all the time, most come rarely, and they come back.

Activity is a power law with a flat top: the user of rank r makes requests in proportion to (r + 0.005 U)^-0.75 of U
users. Whatever U is, once all have arrived the most active hundredth makes 11 % of the requests, the most active tenth
41 %, the less active half 22 %; the first user makes 14 to 18 times the mean. A law without a flat top would let one
user decide an arm's click rate, which no interval could mend.

Half of the users are there from the first day, the others arrive evenly over the days, and whoever has arrived may come
every day. A day of the simulation has no length on the service's clock, which alone stamps events: the days of a run
are its successive stretches of equally many requests, all of them within the minutes that the run takes. So users
return after others were there, first exposures are spread over the whole run, and yet a report by calendar days shows
one day. Attribution windows count real seconds: what is to be late must really wait.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from loadtest.traffic.draws import Numbers, Stream, uniforms

EXPONENT = 0.75
FLAT_TOP = 0.005
"""Share of the users over which activity hardly falls."""
FROM_THE_START = 0.5
"""Share of the users who are there on the first day."""


class Visit(NamedTuple):
    """One request of one user."""

    number: int
    """Counts all visits of a run, from 0."""
    day: int
    user: int
    """The user's rank by activity, from 0."""


class Population:
    """The users of one run.

    Args:
        users: how many there are.
        days: stretches of the run that they return in.
        seed: the same seed gives the same users and visits.

    Raises:
        ValueError: there is no user or no day.
    """

    def __init__(self, users: int, *, days: int, seed: int) -> None:
        if users < 1 or days < 1:
            raise ValueError(f"users and days: got {users} and {days}, expected at least 1 of each")
        self.days = days
        self._seed = seed
        activity_U = (np.arange(1, users + 1) + FLAT_TOP * users) ** -EXPONENT
        self.activity_U: Numbers = activity_U / activity_U.sum()
        arrival_U = uniforms(Stream.ARRIVAL, seed, np.arange(users))
        late_U = np.maximum(arrival_U - FROM_THE_START, 0) / (1 - FROM_THE_START)
        self.arrival_day_U = np.floor(late_U * days).astype(np.int64)
        if self.arrival_day_U.min() > 0:
            self.arrival_day_U[0] = 0  # of very few users all may be late, and the first day needs one

    def unit(self, user: int) -> str:
        """The id that experiments hash; users of two seeds are different people."""
        return f"s{self._seed}-u{user}"

    def visits(self, requests: int) -> Iterator[Visit]:
        """So many visits, day after day; the same ones every time."""
        ends = np.linspace(0, requests, self.days + 1).round().astype(int).tolist()
        for day, (first, end) in enumerate(pairwise(ends)):
            there_U = np.where(self.arrival_day_U <= day, self.activity_U, 0.0)
            random = np.random.default_rng((self._seed, day))
            drawn = random.choice(len(there_U), end - first, p=there_U / there_U.sum())
            yield from (Visit(number, day, user) for number, user in enumerate(drawn.tolist(), first))
