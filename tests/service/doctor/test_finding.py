from __future__ import annotations

from collections.abc import Iterator

from service.doctor.finding import Finding, Status, Subject, examine, ok, problem, secrets
from service.settings import Settings


def well(_subject: Subject) -> Iterator[Finding]:
    yield ok("this", "is well")


def breaks_half_way(_subject: Subject) -> Iterator[Finding]:
    yield ok("half", "done")
    raise ValueError("the rest\nis lost")


def talkative(subject: Subject) -> Iterator[Finding]:
    quoted = " and ".join(secrets(subject.settings))
    yield problem("quotes", quoted, quoted, quoted)


def test_a_check_that_breaks_is_a_problem_and_the_others_go_on() -> None:
    found = examine({"a": (breaks_half_way, well)}, Subject(settings=Settings()))["a"]
    assert [(finding.check, finding.status) for finding in found] == [
        ("breaks half way", Status.PROBLEM),
        ("this", Status.OK),
    ]
    assert found[0].found == "ValueError: the rest is lost"


def test_no_secret_of_the_settings_is_shown_whatever_a_check_quotes() -> None:
    settings = Settings.model_validate(
        {
            "admin_token": "let me in",
            "token_key": "k-1",
            "events": "postgresql://u:p-2@h/d?password=p-3",
            "arms": {"far": "http://u:p-4@h/predict"},
        }
    )
    assert len(secrets(settings)) == 5
    [finding] = examine({"a": (talkative,)}, Subject(settings=settings))["a"]
    assert finding.found == finding.expected == finding.todo == " and ".join(["***"] * 5)
