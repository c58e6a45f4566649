"""The configuration of a stack's two halves, and what is wrong with it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from openclaw_ec2_spot.config_keys import Ec2SpotSettings
from openclaw_platform.config_keys import PlatformSettings
from openclaw_platform.config_table import ConfigTable
from openclaw_platform.refusals import ConfigRefused
from operator_tools.account.errors import AccountError

REPOSITORY = Path(__file__).absolute().parents[3]


@dataclass(frozen=True, slots=True)
class Project:
    """One Pulumi project: its folder, the namespace of its keys, and its rows."""

    folder: str
    namespace: str
    table: type[ConfigTable]


PLATFORM = Project("platform", "openclaw-platform", PlatformSettings)
EC2_SPOT = Project("ec2_spot", "openclaw-ec2-spot", Ec2SpotSettings)
PROJECTS = (PLATFORM, EC2_SPOT)


@dataclass(frozen=True, slots=True)
class StackConfig:
    """What a project's `Pulumi.STACK.yaml` says; `values` are its own keys, `region` is `aws:region`."""

    project: Project
    path: Path
    exists: bool
    values: Mapping[str, str]
    region: str | None

    def get(self, key: str) -> str | None:
        """The text of a key, None where it is not set; as `ConfigTable` looks it up."""
        return self.values.get(key)

    def problems(self) -> Iterator[str]:
        """Yield what `pulumi up` would refuse, and keys that nobody reads, each as a sentence with what to type."""
        known = [row.name for row in self.project.table.rows()]
        for key in self.values:
            if key not in known:
                near = get_close_matches(key, known, n=1, cutoff=0.6)
                meant = f"; did you mean {near[0]}" if near else ""
                yield (
                    f"{self.project.folder} has no key {key!r}{meant}. "
                    f"Next: pulumi -C {self.project.folder} config rm {key}"
                )
        for row in self.project.table.rows():
            try:
                row.read(self.get)
            except ConfigRefused as refused:
                yield f"{str(refused).split('; set it')[0].rstrip('.')}. Next: {self.set_command(row.name, 'VALUE')}"

    def set_command(self, key: str, value: str) -> str:
        """The line that sets a key, typed at the repository's root."""
        return f"pulumi -C {self.project.folder} config set {key} {value}"


def read_stack_config(project: Project, stack: str, repository: Path | None = None) -> StackConfig:
    """Read a project's configuration of a stack; a file that is not there or not YAML has no values."""
    import yaml

    path = (repository or REPOSITORY) / project.folder / f"Pulumi.{stack}.yaml"
    try:
        written = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return StackConfig(project, path, path.exists(), {}, None)
    config = written.get("config") if isinstance(written, dict) else None
    rows = {str(key): _text(value) for key, value in config.items()} if isinstance(config, dict) else {}
    prefix = f"{project.namespace}:"
    values = {key.removeprefix(prefix): value for key, value in rows.items() if key.startswith(prefix)}
    return StackConfig(project, path, True, values, rows.get("aws:region"))


def write_stack_config(
    project: Project, stack: str, region: str, values: Mapping[str, str], repository: Path | None = None
) -> Path:
    """Set keys as `pulumi config set` does, and leave all others as they are; return the file.

    Raises:
        AccountError: it cannot be written.
    """
    import yaml

    path = (repository or REPOSITORY) / project.folder / f"Pulumi.{stack}.yaml"
    try:
        written = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}
        document = written if isinstance(written, dict) else {}
        config = {**(document.get("config") or {}), "aws:region": region}
        config |= {f"{project.namespace}:{key}": value for key, value in values.items()}
        path.write_text(yaml.safe_dump({**document, "config": config}, sort_keys=False), encoding="utf-8")
    except (OSError, ValueError, yaml.YAMLError) as problem:
        raise AccountError(f"{path} cannot be written: {' '.join(str(problem).split())}.") from problem
    return path


def _text(value: object) -> str:
    # YAML's own words for what Pulumi wrote as text.
    return str(value).lower() if isinstance(value, bool) else str(value)
