import random
import tracemalloc
from pathlib import Path

from openclaw_agent.capture.clones import CloneDir


def test_each_file_has_its_own_clone_in_whatever_order_files_came() -> None:
    clones, paths = CloneDir(Path("/clones")), [f"folder/{number}" for number in range(1000)]
    random.Random(9).shuffle(paths)
    wanted = {}
    for path in paths:
        # A database takes more numbers than one.
        clones.next_number()
        number = clones.next_number()
        clones.add(path, number)
        wanted[path] = Path(f"/clones/{number:07d}")
        assert clones[path] == wanted[path]
    assert dict(clones) == wanted
    assert "folder" not in clones
    assert len(clones) == len(paths)


def test_a_clone_takes_some_twenty_bytes_beside_its_path() -> None:
    clones, paths = CloneDir(Path("/clones")), [f"folder/{number:05d}" for number in range(20_000)]
    tracemalloc.start()
    for path in paths:
        clones.add(path, clones.next_number())
    assert paths[77] in clones
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 20 * len(paths)
