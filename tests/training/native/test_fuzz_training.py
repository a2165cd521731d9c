"""Training's C cores under AddressSanitizer and UndefinedBehaviorSanitizer; `make fuzz-native` runs them longer."""

import shutil
import subprocess
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[3] / "training/native"
SANITIZE = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")


@pytest.mark.parametrize(
    ("name", "iterations"), [("fuzz_columns", "200"), ("fuzz_attention", "60"), ("fuzz_propagation", "1000")]
)
def test_random_input_meets_the_definition_under_sanitizers(name: str, iterations: str, tmp_path: Path) -> None:
    compiler = shutil.which("cc")
    empty = tmp_path / "empty.c"
    empty.write_text("int main(void) { return 0; }\n")
    probe = [str(compiler), *SANITIZE, str(empty), "-o", str(tmp_path / "empty")]
    if compiler is None or subprocess.run(probe, check=False).returncode:
        pytest.skip("no C compiler with sanitizers")
    program = tmp_path / name
    subprocess.run([compiler, *SANITIZE, str(SOURCES / f"{name}.c"), "-lm", "-o", str(program)], check=True)
    finished = subprocess.run([str(program), iterations, "7"], capture_output=True, text=True, timeout=120, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "agree" in finished.stdout
