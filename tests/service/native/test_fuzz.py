"""The C cores under AddressSanitizer and UndefinedBehaviorSanitizer; `make fuzz-native` runs them for longer."""

import shutil
import subprocess
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[3] / "service/native"
SANITIZE = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
COMPILER = shutil.which("cc")


def compiled(source: Path, program: Path, *options: str) -> bool:
    assert COMPILER is not None
    command = [COMPILER, *SANITIZE, *options, str(source), "-lm", "-o", str(program)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.fixture
def sanitizers(tmp_path: Path) -> None:
    empty = tmp_path / "empty.c"
    empty.write_text("int main(void) { return 0; }\n")
    if COMPILER is None or not compiled(empty, tmp_path / "empty"):
        pytest.skip("no C compiler with sanitizers")


@pytest.mark.parametrize(
    "options",
    [pytest.param((), id="dispatched", marks=pytest.mark.slow), pytest.param(("-DDAGFM_PORTABLE",), id="portable")],
)
def test_random_models_and_requests_meet_the_definition_under_sanitizers(
    tmp_path: Path, sanitizers: None, options: tuple[str, ...]
) -> None:
    program = tmp_path / "fuzz"
    assert compiled(SOURCES / "fuzz.c", program, *options)
    finished = subprocess.run([str(program), "50", "7"], capture_output=True, text=True, timeout=120, check=False)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.endswith("ok\n")


def test_random_tables_meet_a_search_through_all_texts_under_sanitizers(tmp_path: Path, sanitizers: None) -> None:
    program = tmp_path / "fuzz_table"
    assert compiled(SOURCES / "fuzz_table.c", program)
    finished = subprocess.run([str(program), "300", "7"], capture_output=True, text=True, timeout=120, check=False)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.endswith("ok\n")
