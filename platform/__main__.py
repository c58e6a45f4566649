"""The platform project: configuration in, one component, its outputs out."""

import sys
from pathlib import Path

# At the end of the path: this folder is called like a module of the standard library.
sys.path.append(str(Path(__file__).resolve().parents[1] / "platform"))

from openclaw_platform import program
from openclaw_platform.component import Platform, PlatformArgs
from openclaw_platform.config_keys import PlatformSettings

REPOSITORY = Path(__file__).resolve().parents[1]

with program.one_sentence_refusals():
    scope = program.current_scope()
    settings = PlatformSettings(program.given(PlatformSettings))
    release, archive = program.prepare_release(settings, REPOSITORY)

platform_half = Platform("platform", PlatformArgs(scope, settings, release.key, release.sha256, archive))
program.export_outputs(platform_half.outputs.named())
