"""What the experiment owes each user, worked out here from its document, to hold the answers against."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

from loadtest.traffic.client import Prediction
from service.experiment.assignment import Assigner, Assignment, Reason
from service.experiment.document import Arm, Document, check


class Referee:
    """Judges every answer of a run.

    Args:
        document: as GET /experiment gives it; None where the service runs no experiments, then every answer counts as
            its arm's own.
    """

    def __init__(self, document: Mapping[str, Any] | None) -> None:
        self.document: Document | None = None if document is None else check(document)
        self._assigner = None if self.document is None else Assigner(self.document)
        self.assigned: Counter[str] = Counter()
        """Arm → answers to assigned requests."""
        self.reasons: Counter[str] = Counter()
        """Why units got what they got → answers."""
        self.wrong_arm = 0
        """Answers from another arm than the unit's own."""
        self.fallbacks: Counter[str] = Counter()
        """Arm → answers that the default model gave in its place."""
        self.models: defaultdict[str, set[str]] = defaultdict(set)
        """Arm → models that answered for it."""

    def arms(self, unit: str, context: Mapping[str, Any]) -> tuple[Arm, ...]:
        """The arms that this unit may be in: those of the experiment it is assigned in, else none."""
        due = self._due(unit, context)
        return () if due is None or due.reason is not Reason.ASSIGNED or not due.experiment else due.experiment.arms

    def judge(self, unit: str, context: Mapping[str, Any], answer: Prediction) -> bool:
        """Count an answer; whether it belongs to an arm that is analysed."""
        due = self._due(unit, context)
        reason = Reason.ASSIGNED if due is None else due.reason
        self.reasons[reason.value] += 1
        if due is not None and answer.arm != due.arm:
            self.wrong_arm += 1
        if answer.fallback:
            self.fallbacks[answer.arm] += 1
        if reason is not Reason.ASSIGNED:
            return False
        self.assigned[answer.arm] += 1
        self.models[answer.arm].add(answer.model)
        return True

    def _due(self, unit: str, context: Mapping[str, Any]) -> Assignment | None:
        return None if self._assigner is None else self._assigner.assign(unit, context)
