"""What happened: exposures, answers, feedback, shadow comparisons, and every document the experiments ran under."""

from service.events.urls import open_store

__all__ = ["open_store"]
