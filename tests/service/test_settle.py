"""In processes of their own: what is set apart stays so for the rest of a process."""

import subprocess
import sys

SCRIPT = """
import gc, service.app
from service.settle import settle
loaded = len(gc.get_objects())
settle()
assert gc.get_freeze_count() > 0.9 * loaded, (gc.get_freeze_count(), loaded)
assert len(gc.get_objects()) < 0.1 * loaded, len(gc.get_objects())
class Node: pass
for _ in range(1000):
    node = Node(); node.itself = node
gc.collect()
print(sum(type(found) is Node for found in gc.get_objects()))
"""


def test_what_is_loaded_is_looked_at_no_more_and_later_garbage_goes() -> None:
    ran = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (0, "1\n"), ran.stderr
