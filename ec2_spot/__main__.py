"""The ec2-spot project: configuration and the platform's outputs in, one component, its outputs out."""

import os
import sys
from pathlib import Path

import pulumi

# At the end of the path: the folder platform/ is called like a module of the standard library.
sys.path.append(str(Path(__file__).resolve().parents[1] / "ec2_spot"))
sys.path.append(str(Path(__file__).resolve().parents[1] / "platform"))

from openclaw_ec2_spot.component import SpotInstance, SpotInstanceArgs
from openclaw_ec2_spot.config_keys import Ec2SpotSettings
from openclaw_ec2_spot.lookups import find_placement
from openclaw_ec2_spot.platform_reference import referenced_platform
from openclaw_platform import program
from openclaw_platform.release_files import read_user_data_template

REPOSITORY = Path(__file__).resolve().parents[1]

with program.one_sentence_refusals():
    scope = program.current_scope()
    settings = Ec2SpotSettings(program.given(Ec2SpotSettings))
    placement = find_placement(settings, scope, os.environ)
    template = read_user_data_template(REPOSITORY)
    organization = settings.platform_organization or pulumi.get_organization()
    platform_outputs = referenced_platform(organization, scope.stack, scope.region)

instance = SpotInstance("openclaw", SpotInstanceArgs(scope, settings, placement, template, platform_outputs))
program.export_outputs(instance.outputs.named())
