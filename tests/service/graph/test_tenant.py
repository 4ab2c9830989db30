"""The tenant and its domains, cut down by `$select`."""

import pytest

from tests.service.graph.conftest import TENANT, World


@pytest.mark.parametrize(
    ("path", "select", "names"),
    [
        ("organization", "displayName", {"id", "displayName"}),
        (f"organization/{TENANT}", "verifieddomains,id", {"id", "verifiedDomains"}),
        ("domains", "isDefault,isInitial", {"id", "isDefault", "isInitial"}),
        ("domains/contoso.test", "authenticationType", {"id", "authenticationType"}),
    ],
)
async def test_selected_properties_are_shown(world: World, path: str, select: str, names: set[str]) -> None:
    """With the id, and no others; the context names them."""
    answer = (await world.get(path, select=select)).json()
    shown = answer["value"][0] if "value" in answer else answer
    assert {name for name in shown if not name.startswith("@")} == names
    assert f"({select})" in answer["@odata.context"]
    whole = (await world.get(path)).json()
    assert len(whole["value"][0] if "value" in whole else whole) > len(names) + 1
    assert (await world.get(path, select="colour")).status_code == 400
