"""A run without locust: what is due, where it is counted, when it is over."""

from __future__ import annotations

import math

import pytest
from configargparse import ArgumentParser

from loadtest.ranking.options import OPTIONS, Plan, add_options, main, plan_of
from loadtest.ranking.prepared import ID_LENGTH, Prepared
from loadtest.ranking.run import MOST_EVENTS, NOT_SENT, Run
from loadtest.ranking.watch import Watch

REQUESTS = [Prepared(b"a", b"b", candidates, None) for candidates in (5, 7)]


def plan(*options: str, host: str = "http://test:8000") -> Plan:
    """As locust's parser gives it; locust's own options stand in by their defaults."""
    parser = ArgumentParser()
    parser.set_defaults(num_users=None, run_time=None)
    add_options(parser)
    return plan_of(parser.parse_args(options), host)


def begun(*options: str) -> Run:
    wanted = plan(*options)
    return Run(wanted, REQUESTS, Watch(len(wanted.stages), lambda: 0.0, lambda: math.nan), started_s=1000.0)


def test_requests_are_sent_in_turn_each_under_an_id_of_its_own() -> None:
    run = begun()
    taken = [run.request() for _ in range(4)]
    assert [request.candidates for request, _ in taken] == [5, 7, 5, 7]
    ids = [request_id for _, request_id in taken]
    assert len(set(ids)) == 4
    assert {len(request_id) for request_id in ids} == {ID_LENGTH}
    assert begun().request()[1] != begun().request()[1], "two runs on one event store must not share ids"


def test_all_users_are_there_from_the_start_whatever_the_stage_needs() -> None:
    assert plan("--loop", "closed", "--stages", "few:1@2,many:1@40,some:1@7").users == 40
    assert plan("--connections", "9", "--stages", "low:1@2").users == 9
    run = begun("--loop", "closed", "--stages", "few:1@2")
    assert [run.enrolled() for _ in range(3)] == [0, 1, 2]


def test_arrivals_are_due_on_the_clock_of_the_run_and_end_with_its_stages() -> None:
    run = begun("--stages", "a:1@2")
    assert [arrival.due_s for arrival in iter(run.arrival, None)] == [1000.0, 1000.5]
    assert run.left is False


def test_a_slow_answer_counts_as_latency_where_it_was_due_and_as_throughput_where_it_came() -> None:
    run = begun("--stages", "a:1@2,b:1@2")
    run.answered(0, 1000.4, 3.0, 5)
    run.answered(0, 1001.5, 1500.0, 7)
    run.answered(1, 1002.5, 900.0, 7)
    first, second = run.figures(1002.6)
    assert (first.asked, first.requests_per_s, first.candidates_per_s) == (2, 1, 5)
    assert (second.asked, second.requests_per_s, second.candidates_per_s) == (1, 1, 7)
    assert first.p99_ms == pytest.approx(1500, rel=0.01)


def test_a_run_is_over_when_all_that_was_due_is_answered_or_has_had_twice_the_timeout() -> None:
    run = begun("--stages", "a:1@1", "--timeout-s", "3")
    assert not run.over(1000.5)
    assert not run.over(1001.5), "an arrival was not yet taken"
    assert [run.arrival() is None for _ in range(2)] == [False, True]
    run.in_flight = 1
    assert not run.over(1006.9)
    assert run.over(1007.1)
    run.in_flight = 0
    assert run.over(1001.5)


def test_a_run_that_was_stopped_is_over_at_once() -> None:
    run = begun()
    assert not run.over(1e9)
    run.ended = True
    assert run.over(1000.1)


def test_warm_ups_are_in_no_figure_unless_they_are_asked_for() -> None:
    run = begun("--stages", "warm-up:1@2,a:1@2")
    assert [stage.name for stage in run.figures(1002.5)] == ["a"]
    assert [stage.name for stage in run.figures(1002.5, measured=False)] == ["warm-up", "a"]
    assert [stage.name for stage in run.figures(1000.5, measured=False)] == ["warm-up"]


def test_a_stage_that_was_cut_short_is_as_long_as_it_lasted() -> None:
    run = begun("--warm-up-s", "1")
    run.answered(1, 1001.5, 1.0, 5)
    (steady,) = run.figures(1003.0)
    assert (steady.seconds, steady.requests_per_s) == (2.0, 0.5)


def test_feedback_that_waits_has_a_bound_and_what_is_over_it_is_counted() -> None:
    run = begun()
    run.keep(0, [{}] * MOST_EVENTS)
    run.keep(0, [{}, {}])
    assert len(run.events) == MOST_EVENTS
    assert run.records[0].feedback[NOT_SENT] == 2


def test_locust_s_own_statistics_tell_stages_apart() -> None:
    run = begun("--stages", "warm-up:1@2,a:1@2")
    assert [run.name(stage) for stage in (0, 1, 2)] == ["/predict (warm-up)", "/predict (a)", "/predict (a)"]
    assert begun("--warm-up-s", "0").name(0) == "/predict"


def test_cpu_of_the_service_is_per_million_candidates_that_it_answered() -> None:
    wanted = plan("--stages", "a:2@1")
    server = iter([10.0, 11.0])
    run = Run(wanted, REQUESTS, Watch(1, lambda: 0.0, lambda: next(server)), started_s=1000.0)
    run.watch.look(0, 1000.0, 0.0)
    run.watch.look(0, 1002.0, 0.0)
    for _ in range(4):
        run.answered(0, 1001.0, 1.0, 5)
    (found,) = run.figures(1002.0)
    assert found.server_cores == 0.5
    assert found.cpu_s_per_million == pytest.approx(1.0 / 20 * 1e6)


@pytest.mark.parametrize(
    ("options", "host", "expected"),
    [
        (["--rate", "0"], "http://x", "--rate: got 0, expected above 0"),
        (["--connections", "0"], "http://x", "--connections: got 0, expected at least 1"),
        (["--feedback", "-1"], "http://x", "--feedback: got -1, expected at least 0"),
        (["--stages", "x"], "http://x", "expected NAME:SECONDS@LOAD"),
        ([], "https://x", "--host: got 'https://x', expected http://NAME"),
        ([], "http://x/path", "--host: got"),
        ([], "", "--host: got ''"),
    ],
)
def test_an_option_that_makes_no_sense_is_named(options: list[str], host: str, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        plan(*options, host=host)


def test_the_port_is_the_url_s_or_http_s_own() -> None:
    assert plan(host="http://student:8000").site == ("student", 8000)
    assert plan(host="http://student/").site == ("student", 80)


def test_every_option_is_printed_with_its_variable(capsys: pytest.CaptureFixture[str]) -> None:
    main()
    printed = capsys.readouterr().out
    for option in OPTIONS:
        assert f"--{option.name} " in printed
        assert f"LOAD_{option.name.upper().replace('-', '_')}]" in printed.replace("\n", " ").replace("  ", "")


def test_an_option_may_come_from_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOAD_RATE", "12.5")
    assert plan("--warm-up-s", "0").stages[0].load == 12.5
