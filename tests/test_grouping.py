"""Tests that share an expensive part stay in one process."""

import pytest


@pytest.mark.xdist_group("together")
def test_a_group_is_named_where_xdist_looks(request: pytest.FixtureRequest) -> None:
    """Only where tests are distributed by groups, as `make test` does."""
    distributed = request.config.getoption("loadgroup", default=False)
    assert request.node.nodeid.endswith("@together") == distributed
