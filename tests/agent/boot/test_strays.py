"""An object under latest/ that no backup wrote and that is no state stops no boot."""

import pytest

from tests.support.simulated_instance import FreshBucket, SimulatedInstance, contents, let_clock_tick


@pytest.fixture
def writer(machine: SimulatedInstance) -> SimulatedInstance:
    machine.write("openclaw.json", "{}")
    machine.write("workspace/notes.md")
    assert machine.backup().code == 0
    let_clock_tick()
    return machine


@pytest.mark.parametrize(
    "keys",
    [
        (".DS_Store",),
        (".openclaw/.DS_Store", ".openclaw/workspace/.DS_Store"),
        (".openclaw/workspace/one-note.md",),
        ("README.txt", "access-log-2026"),
    ],
    ids=" ".join,
)
def test_a_stray_object_under_latest_is_named_left_out_and_kept(
    world: FreshBucket, writer: SimulatedInstance, keys: tuple[str, ...]
) -> None:
    strays = [f"latest/{key}" for key in keys]
    for key in strays:
        world.put(key, "somebody's")
    second = world.machine("second")
    run = second.boot()
    assert run.code == 0, run.err
    assert f"{len(strays)} objects under latest/ that are no state" in run.err
    assert repr(strays[0]) in run.err
    assert contents(second.state) == contents(writer.state)
    second.write("more.md")
    for flags in ((), ("--full",)):
        assert second.backup(*flags).code == 0
    assert {*strays} <= {*world.keys("latest/")}
    assert world.machine("third").boot().code == 0


@pytest.mark.parametrize(
    "keys",
    [(".openclaw/workspace/a.md", ".openclaw/workspace/b.md"), ("openclaw.json", "x")],
    ids=" ".join,
)
def test_what_may_be_a_state_that_somebody_wants_stops_the_boot(
    world: FreshBucket, writer: SimulatedInstance, keys: tuple[str, ...]
) -> None:
    for key in keys:
        world.put(f"latest/{key}", "another state's")
    run = world.machine("second").boot()
    assert run.code == 1
    assert "Somebody has uploaded 2 objects" in run.err
