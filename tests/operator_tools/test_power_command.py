import pytest

from operator_tools.power import command


@pytest.mark.parametrize(
    "words",
    [
        ["pause", "dev", "--region", "me-central-1"],
        ["pause", "--region", "me-central-1", "dev"],
        ["--region", "me-central-1", "pause", "dev"],
        ["pause", "--region", "me-central-1", "--", "dev"],
    ],
)
def test_the_stack_is_understood_wherever_it_stands(words: list[str]) -> None:
    options = command.parsed(words)
    assert (options.verb, options.stack, options.region) == ("pause", "dev", "me-central-1")
