"""Whatever is done to a domain, and whenever: one cycle later the tenant is what the domain says, and stays it."""

from __future__ import annotations

from pathlib import Path

import pytest

from dirbridge.cli.demo.domain import Domain
from tests.e2e import company
from tests.e2e.edits import Editor

pytestmark = [pytest.mark.service, pytest.mark.samba, pytest.mark.timeout(180)]

ROUNDS, EDITS = 4, 11


@pytest.mark.parametrize("seed", [1, 2])
async def test_random_edits_converge(place: Path, pristine: Domain, seed: int) -> None:
    """Edits between cycles, and under running ones; then nothing differs, and the next cycle writes nothing."""
    async with await pristine.copy() as domain, company.in_step(place, domain) as installation:
        with company.reader(domain) as administrator:
            editor = Editor(administrator, company.REALM, seed)
            for number in range(ROUNDS):
                if number % 2:
                    await installation.api.post(f"{installation.job}/pause")
                await editor.edit(EDITS)
                if number % 2:
                    await installation.api.post(f"{installation.job}/start")
                await installation.settled()
                assert await company.differences(installation, administrator) == [], "\n".join(editor.done)
            before, log = await installation.fingerprint(), await installation.events()
            await installation.settled()
            assert await installation.fingerprint() == before
            assert await installation.events() == log
