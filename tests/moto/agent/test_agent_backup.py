from tests.moto.agent_world import Machine, World, contents


def test_a_backup_and_a_restore(world: World, machine: Machine) -> None:
    machine.write("a/b.txt", "hello")
    run = machine.backup()
    assert run.code == 0, run.err
    second = world.booted("second")
    assert contents(second.state) == {"a/b.txt": "hello"}
