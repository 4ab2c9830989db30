"""What waits for a person's word is seen one by one, and the word is said after its number."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from dirbridge.store import links, removals
from dirbridge.store.links import Link
from dirbridge.store.removals import Removal
from tests.service.portal.conftest import Portal

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOSTILE = "<script>alert(1)</script>"


async def stage(portal: Portal, anchors: Sequence[str]) -> None:
    """Let deletes of users wait."""
    async with portal.entrance.database.transaction() as conn:
        tenant = portal.entrance.tenant
        rows = [Link(each, "user", f"{HOSTILE}{each}", None, None, "provisioned", "", None) for each in anchors]
        await links.put(conn, tenant, portal.job, rows)
        await removals.put(conn, tenant, portal.job, [Removal(a, "user", "delete", "Tombstone") for a in anchors])
        await removals.stage(conn, tenant, portal.job, anchors, NOW)


async def states(portal: Portal) -> dict[str, int]:
    """How many removals are in each state."""
    return dict(await portal.entrance.run("select state, count(*) from removals group by state"))  # type: ignore[arg-type]


@pytest.fixture
async def waiting(portal: Portal) -> Portal:
    """Five deletes wait."""
    await portal.set_job(state="Active")
    await stage(portal, "abcde")
    return portal


async def test_an_empty_list_says_when_it_fills(portal: Portal) -> None:
    """With the limits of the job, and the way to them."""
    await portal.browser.get(f"{portal.address}/deletes")
    assert "Nothing waits" in portal.browser.text
    assert f"{portal.address}/properties" in portal.browser.page


async def test_each_is_shown_with_why(waiting: Portal) -> None:
    """Names of the directory stay text; the way to its events is beside it."""
    await waiting.browser.get(f"{waiting.address}/deletes")
    text = waiting.browser.text
    assert "5 removals wait for a person’s word: 5 users are deleted." in text
    assert f"{HOSTILE}a User Deleted Deleted in the directory" in text
    assert HOSTILE not in waiting.browser.page
    assert "2026-03-01 12:00 UTC" in text


async def test_pages_follow_one_another(waiting: Portal) -> None:
    """Each is on one of them."""
    await stage(waiting, [f"x{number:03}" for number in range(60)])
    await waiting.browser.get(f"{waiting.address}/deletes")
    assert waiting.browser.page.count('name="id"') == 50
    following = waiting.browser.page.split('rel="next"')[0].rpartition('href="')[2].partition('"')[0]
    await waiting.browser.get(following.replace("&amp;", "&"))
    assert waiting.browser.page.count('name="id"') == 15
    assert "First page" in waiting.browser.text


@pytest.mark.parametrize(("word", "said"), [("allow", "Allowed 2 removals."), ("reject", "Rejected 2 removals.")])
async def test_a_word_on_some(waiting: Portal, word: str, said: str) -> None:
    """Their number is shown first; nothing happens before the form is sent."""
    await waiting.browser.get(f"{waiting.address}/deletes/ask", params={"id": ["b", "d"], "word": word})
    assert f"{word.capitalize()} 2 removals of contoso.test" in waiting.browser.text
    assert await states(waiting) == {"staged": 5}
    form = {"csrf": waiting.browser.csrf, "count": "2", "id": ["b", "d"]}
    answer = await waiting.browser.client.post(f"{waiting.address}/deletes/{word}", data=form)
    assert answer.status_code == 303
    await waiting.browser.get(answer.headers["location"])
    assert said in waiting.browser.text
    assert (await states(waiting))["staged"] == 3


async def test_what_was_rejected_can_still_be_allowed(waiting: Portal) -> None:
    """From its own list, after its number was shown."""
    await waiting.browser.get(f"{waiting.address}/deletes/ask", params={"id": ["a"], "word": "reject"})
    await waiting.browser.post(f"{waiting.address}/deletes/reject", id="a", count="1")
    await waiting.browser.get(f"{waiting.address}/deletes?state=rejected")
    assert waiting.browser.page.count('name="id"') == 1
    assert "Allow all" not in waiting.browser.text
    await waiting.browser.get(
        f"{waiting.address}/deletes/ask", params={"id": ["a"], "word": "allow", "state": "rejected"}
    )
    assert "Allow 1 removal of contoso.test" in waiting.browser.text
    await waiting.browser.post(f"{waiting.address}/deletes/allow", id="a", count="1")
    assert await states(waiting) == {"staged": 4, "allowed": 1}


async def test_a_word_on_all_holds_for_the_number_that_was_shown(waiting: Portal) -> None:
    """More that came meanwhile are not let go unseen."""
    await waiting.browser.get(f"{waiting.address}/deletes/ask", params={"word": "allow-all"})
    assert "5 users are deleted" in waiting.browser.text
    await stage(waiting, "f")
    answer = await waiting.browser.post(f"{waiting.address}/deletes/allow", count="5")
    assert answer.status_code == 409
    assert "about 5 removals, and 6 wait by now" in waiting.browser.text
    assert await states(waiting) == {"staged": 6}
    await waiting.browser.get(f"{waiting.address}/deletes/ask", params={"word": "allow-all"})
    assert (await waiting.browser.post(f"{waiting.address}/deletes/allow", count="6")).status_code == 303
    assert await states(waiting) == {"allowed": 6}


async def test_what_somebody_else_decided_is_said(waiting: Portal) -> None:
    """The rest is done all the same."""
    form = {"count": "2", "id": "a"}
    await waiting.browser.get(f"{waiting.address}/deletes/ask", params={"id": ["a"], "word": "reject"})
    token = waiting.browser.csrf
    await waiting.browser.post(f"{waiting.address}/deletes/allow", **form)
    answer = await waiting.browser.client.post(
        f"{waiting.address}/deletes/reject", data={"csrf": token, "id": ["a", "b"], "count": "2"}
    )
    await waiting.browser.get(answer.headers["location"])
    assert "Rejected 1 removal. " in waiting.browser.text
    assert "1 were decided by somebody else meanwhile" in waiting.browser.text


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"word": "allow"}, "Tick at least one"),
        ({"word": "destroy", "id": "a"}, "There is no word 'destroy'"),
        ({"word": "allow-some"}, "There is no word"),
    ],
)
async def test_unclear_words_are_not_asked_about(waiting: Portal, query: dict[str, str], said: str) -> None:
    """The page says what is missing."""
    assert (await waiting.browser.get(f"{waiting.address}/deletes/ask", params=query)).status_code in {400, 404}
    assert said in waiting.browser.text


async def test_odd_states_positions_and_numbers(waiting: Portal) -> None:
    """Are refused, and nothing is decided."""
    for query in ("state=done", "after=nonsense"):
        assert (await waiting.browser.get(f"{waiting.address}/deletes?{query}")).status_code == 400
    await waiting.browser.get(f"{waiting.address}/deletes/ask", params={"word": "allow-all"})
    assert (await waiting.browser.post(f"{waiting.address}/deletes/allow", count="all")).status_code == 400
    assert await states(waiting) == {"staged": 5}


async def test_who_may_only_read_decides_nothing(waiting: Portal) -> None:
    """The list is shown, the word is refused by the API."""
    other = await waiting.as_role("Global Reader")
    await other.get(f"{waiting.address}/deletes/ask", params={"word": "allow-all"})
    assert (await other.post(f"{waiting.address}/deletes/allow", count="5")).status_code == 403
    assert "needs one of these roles" in other.text
    assert await states(waiting) == {"staged": 5}
