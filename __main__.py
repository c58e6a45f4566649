"""The root project, for a lab: platform and instance in one program and one stack."""

import os
import sys
from pathlib import Path

# At the end of the path: the folder platform/ is called like a module of the standard library.
sys.path.append(str(Path(__file__).resolve().parent / "ec2_spot"))
sys.path.append(str(Path(__file__).resolve().parent / "platform"))

from openclaw_ec2_spot.component import SpotInstance, SpotInstanceArgs
from openclaw_ec2_spot.config_keys import InstanceSettings
from openclaw_ec2_spot.lookups import find_placement
from openclaw_platform import program
from openclaw_platform.component import Platform, PlatformArgs
from openclaw_platform.config_keys import PlatformSettings
from openclaw_platform.release_files import read_user_data_template

REPOSITORY = Path(__file__).resolve().parent

with program.one_sentence_refusals():
    scope = program.current_scope()
    given = program.given(InstanceSettings, PlatformSettings)
    settings, choices = InstanceSettings(given), PlatformSettings(given)
    placement = find_placement(settings, scope, os.environ)
    template = read_user_data_template(REPOSITORY)
    release, archive = program.prepare_release(choices, REPOSITORY)

platform_half = Platform("platform", PlatformArgs(scope, choices, release.key, release.sha256, archive))
instance = SpotInstance("openclaw", SpotInstanceArgs(scope, settings, placement, template, platform_half.outputs))
# Both halves name the region and the backup bucket, and agree.
program.export_outputs(platform_half.outputs.named())
program.export_outputs(instance.outputs.named())
