from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from service.cpus import effective_cpus, whole_cpus
from service.settings import Settings, SettingsError, read_settings


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("CTR_")]:
        monkeypatch.delenv(name)


def test_defaults_serve_on_loopback() -> None:
    settings = read_settings()
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert settings.student_bundle == Path("bundles/student")
    assert settings.max_candidates == 5000


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CTR_PORT", "9000")
    monkeypatch.setenv("CTR_STUDENT_BUNDLE", "elsewhere")
    settings = read_settings()
    assert settings.port == 9000
    assert settings.student_bundle == Path("elsewhere")


def test_an_override_wins_over_the_environment_unless_it_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CTR_PORT", "9000")
    assert read_settings(port=9001).port == 9001
    assert read_settings(port=None).port == 9000


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("CTR_PORT", "abc"),
        ("CTR_PORT", "70000"),
        ("CTR_MAX_CANDIDATES", "0"),
        ("CTR_TEACHER_TIMEOUT_MS", "nan"),
        ("CTR_LOG_LEVEL", "loud"),
        ("CTR_LOG_FORMAT", "xml"),
        ("CTR_SLOW_MS", "0"),
        ("CTR_TRACES", "collector:4318"),
        ("CTR_TRACES", "http://"),
        ("CTR_TRACES", "http://collector:port"),
        ("CTR_TRACES_RATIO", "1.5"),
        ("CTR_ARMS", "{"),
        ("CTR_ADMIN_TOKEN", ""),
        ("CTR_TOKEN_KEY", ""),
        ("CTR_WORKERS", "0"),
        ("CTR_WORKERS", "many"),
        ("CTR_STUDENT_THREADS", "0"),
    ],
)
def test_a_wrong_value_is_one_line_with_variable_got_and_expected(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as caught:
        read_settings()
    message = str(caught.value)
    assert message.startswith(f"{variable}: got {value!r}, expected ")
    assert "\n" not in message


def test_auto_takes_the_effective_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CTR_WORKERS", "auto")
    monkeypatch.setenv("CTR_STUDENT_THREADS", "auto")
    settings = read_settings()
    assert settings.workers == whole_cpus(effective_cpus())
    assert settings.student_threads == 1
    assert read_settings(workers="1").student_threads == whole_cpus(effective_cpus())
    assert read_settings(workers="1000").student_threads == 1


def test_one_process_with_one_thread_is_the_default() -> None:
    assert (read_settings().workers, read_settings().student_threads) == (1, 1)


def test_a_wrong_override_is_named_as_an_option() -> None:
    with pytest.raises(SettingsError, match=r"^--port: got 70000, expected "):
        read_settings(port=70000)


def test_a_misspelt_variable_is_refused_with_the_nearest_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CTR_MAX_CANDIDATE", "10")
    with pytest.raises(SettingsError, match="CTR_MAX_CANDIDATE: no such setting, did you mean CTR_MAX_CANDIDATES"):
        read_settings()


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().port = 1  # type: ignore[misc]


def test_an_unknown_argument_is_refused() -> None:
    with pytest.raises(ValidationError, match="Extra inputs"):
        Settings(prot=1)  # type: ignore[call-arg]


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_field_says_what_it_is(name: str) -> None:
    description = Settings.model_fields[name].description
    assert description is not None
    assert description.rstrip().endswith(".")


def test_a_collector_without_a_path_gets_the_one_of_traces() -> None:
    assert read_settings(traces="http://collector:4318").traces == "http://collector:4318/v1/traces"
    assert read_settings(traces="http://collector:4318/").traces == "http://collector:4318/v1/traces"
    assert read_settings(traces="https://host/otlp/v1/traces").traces == "https://host/otlp/v1/traces"
    assert read_settings().traces == ""


def test_arms_are_read_from_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CTR_ARMS", '{"v2": "bundles/v2"}')
    assert read_settings().arms == {"v2": "bundles/v2"}
