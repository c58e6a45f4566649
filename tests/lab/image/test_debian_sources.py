from lab.image.debian import source_lines

TARGETS = """\
Debian|bookworm|bookworm|main|http://mirror.test/debian/
Debian|bookworm|bookworm|contrib|http://mirror.test/debian/
Debian|bookworm|bookworm|main|http://mirror.test/debian/
Debian|bookworm-updates|bookworm-updates|main|http://mirror.test/debian/
Debian|bookworm-security|bookworm-security|main|http://mirror.test/security/
Debian|trixie|trixie|main|http://mirror.test/debian/
Google|bookworm|bookworm|main|http://packages.test/
"""


def test_the_hosts_own_sources_for_debian_12_are_taken_once_each() -> None:
    assert source_lines(TARGETS) == (
        "deb http://mirror.test/debian/ bookworm main",
        "deb http://mirror.test/debian/ bookworm-updates main",
        "deb http://mirror.test/security/ bookworm-security main",
    )


def test_a_host_without_debian_sources_has_none() -> None:
    assert source_lines("Ubuntu|noble|noble|main|http://mirror.test/ubuntu/\n") == ()
