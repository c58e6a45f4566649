from openclaw_agent.exit_codes import EXIT_CODE_MEANINGS, ExitCode


def test_the_exit_codes_are_those_of_the_design() -> None:
    assert {code.name: code.value for code in ExitCode} == {
        "DONE": 0,
        "FAILED": 1,
        "USAGE": 2,
        "REFUSED": 3,
        "GAPS": 4,
        "OVER_BUDGET": 5,
        "NOT_OWNER": 75,
        "TERMINATED": 143,
    }
    assert set(EXIT_CODE_MEANINGS) == set(ExitCode)
