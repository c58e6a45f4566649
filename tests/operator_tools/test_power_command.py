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
def test_the_stack_is_understood_wherever_it_stands(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def note(options: object) -> int:
        seen.append(vars(options))
        return 0

    monkeypatch.setattr(command, "_switch", note)
    assert command.main(words) == 0
    assert (seen[0]["verb"], seen[0]["stack"], seen[0]["region"]) == ("pause", "dev", "me-central-1")
