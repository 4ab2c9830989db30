"""What a release says of itself."""

import pytest

from dirbridge.contract import release as releases
from dirbridge.contract.errors import ConfigurationError
from dirbridge.contract.release import Release

_RELEASE = Release("1.4.2", "3.11", "linux_x86_64")


def test_name_and_description_belong_together() -> None:
    """What the signed list says of an archive is what its name says."""
    name = "dirbridge-agent-1.4.2-cp311-linux_x86_64.tar.gz"
    assert releases.target_name(_RELEASE) == name
    said = releases.custom(_RELEASE)
    assert said == {
        "version": "1.4.2",
        "python": "3.11",
        "platform": "linux_x86_64",
        "requires": 1,
        "channel": "stable",
    }
    assert releases.of_custom(name, said) == _RELEASE
    with pytest.raises(ConfigurationError, match=r"1\.4\.3"):
        releases.of_custom(name.replace("1.4.2", "1.4.3"), said)


def test_manifest_is_read_as_it_was_written() -> None:
    """Also where a later version says more."""
    assert releases.read(releases.write(_RELEASE)) == _RELEASE
    assert releases.read(b'{"version": "1.4.2", "python": "3.11", "platform": "linux_x86_64", "new": 1}') == _RELEASE


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"\xff{}",
        b"[]",
        b'{"version": "1.4.2"}',
        b'{"version": "../../etc", "python": "3.11", "platform": "linux_x86_64"}',
        b'{"version": "1.4", "python": "3.11", "platform": "linux_x86_64"}',
        b'{"version": "1.4.2", "python": "3.11/..", "platform": "linux_x86_64"}',
        b'{"version": "1.4.2", "python": "3.11", "platform": "linux_x86_64/../x"}',
        b'{"version": "1.4.2", "python": "3.11", "platform": "linux_x86_64", "channel": "A b"}',
        b'{"version": "1.4.2", "python": "3.11", "platform": "linux_x86_64", "requires": 0}',
        '{"version": "1.4.٢", "python": "3.11", "platform": "linux_x86_64"}'.encode(),
    ],
)
def test_what_is_no_release_is_refused(document: bytes) -> None:
    """Nothing of it can become a path that leads elsewhere."""
    with pytest.raises(ConfigurationError) as refused:
        releases.read(document)
    assert refused.value.code == "ReleaseUnreadable"


def test_versions_are_ordered_as_people_read_them() -> None:
    """By number, and candidates before what they lead to."""
    versions = ["0.9.9", "0.10.0a1", "0.10.0b2", "0.10.0rc1", "0.10.0rc2", "0.10.0", "0.10.1", "1.0.0"]
    mixed = versions[::2] + versions[1::2]
    assert sorted(mixed, key=releases.order) == versions


def test_a_host_takes_the_newest_that_fits() -> None:
    """Of its own Python, platform and channel, and not more than its service understands."""
    given = [
        _RELEASE,
        Release("1.10.0", "3.11", "linux_x86_64"),
        Release("1.11.0", "3.12", "linux_x86_64"),
        Release("1.12.0", "3.11", "linux_aarch64"),
        Release("1.13.0", "3.11", "linux_x86_64", channel="early"),
        Release("2.0.0", "3.11", "linux_x86_64", requires=2),
    ]
    assert releases.newest(given, python="3.11", platform="linux_x86_64") == given[1]
    assert releases.newest(given, python="3.11", platform="linux_x86_64", api=2) == given[5]
    assert releases.newest(given, python="3.11", platform="linux_x86_64", channel="early") == given[4]
    assert releases.newest(given, python="3.13", platform="linux_x86_64") is None
