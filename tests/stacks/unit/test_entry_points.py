import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]

# Pulumi runs a program by runpy on its folder, which puts the folder at the head of the path. Here the program ends at
# its first question to AWS, after all its imports.
RUN_PROGRAM = """
import json, runpy, sys
import pulumi_aws

class FirstQuestion(Exception): pass

def ask():
    raise FirstQuestion

pulumi_aws.get_caller_identity = ask
sys.path.insert(0, sys.argv[1])
try:
    runpy.run_path(sys.argv[1] + "/__main__.py", run_name="__main__")
except FirstQuestion:
    pass
del sys.modules["platform"]
import platform
print(json.dumps({"machine": platform.machine(), "file": platform.__file__, "path": sys.path}))
"""


@pytest.mark.subprocess
@pytest.mark.parametrize("program", [".", "platform", "ec2_spot", "ec2-spot"])
def test_the_standard_librarys_platform_works_from_every_program(program: str, tmp_path: Path) -> None:
    folder = (REPOSITORY / program).resolve() if program == "." else REPOSITORY / program

    finished = subprocess.run(
        [sys.executable, "-c", RUN_PROGRAM, str(folder)],
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
        env={"PATH": os.environ["PATH"]},
    )

    report = json.loads(finished.stdout)
    assert report["machine"]
    assert Path(report["file"]) == Path(os.__file__).with_name("platform.py")
    standard_library = report["path"].index(str(Path(os.__file__).parent))
    ours = [place for place, entry in enumerate(report["path"]) if entry.startswith(str(REPOSITORY))]
    assert [place for place in ours if place < standard_library] in ([0], [0, 1])


def test_the_folder_of_the_platform_program_is_no_package() -> None:
    assert not (REPOSITORY / "platform" / "__init__.py").exists()


def test_the_notes_spelling_of_the_folder_works() -> None:
    assert (REPOSITORY / "ec2-spot").readlink() == Path("ec2_spot")
