"""$search on a real database: words, beginnings, clauses, and what is refused."""

import pytest

from tests.service.graph.conftest import World, code, message

PEOPLE = {
    "Ada Lovelace": {"mail": "countess@contoso.test", "proxyAddresses": ["smtp:analytical@contoso.test"]},
    "Conference Room-12 (West)": {"department": "Facilities West"},
    "HelloWorld2": {"employeeId": "4711"},
    "Çelik O'Brien": {},
}

CASES = [
    ('"displayName:ada"', "Ada Lovelace"),
    ('"displayName:LOVE"', "Ada Lovelace"),
    ('"displayName:lovelace ada"', "Ada Lovelace"),
    ('"displayName:ovelace"', ""),
    ('"displayName:ada bert"', ""),
    ('"displayName:room"', "Conference Room-12 (West)"),
    ('"displayName:12"', "Conference Room-12 (West)"),
    ('"displayName:west room"', "Conference Room-12 (West)"),
    ('"displayName:world"', "HelloWorld2"),
    ('"displayName:HelloW"', "HelloWorld2"),
    ('"displayName:çelik"', "Çelik O'Brien"),
    ('"displayName:o\'brien"', "Çelik O'Brien"),
    ('"displayName:--"', ""),
    ('"displayName:a & b | !c:*"', ""),
    ('"mail:COUNT"', "Ada Lovelace"),
    ('"mail:contoso"', ""),
    ('"department:facilities"', "Conference Room-12 (West)"),
    ('"department:west"', ""),
    ('"proxyAddresses:smtp:ana"', "Ada Lovelace"),
    ('"displayName:ada" OR "displayName:world"', "Ada Lovelace|HelloWorld2"),
    ('"displayName:ada" AND "mail:countess"', "Ada Lovelace"),
    ('"displayName:ada" and "mail:nobody"', ""),
    ('"displayName:world" OR "displayName:ada" AND "mail:nobody"', "HelloWorld2"),
    ('("displayName:world" OR "displayName:ada") AND "mail:countess"', "Ada Lovelace"),
]


@pytest.fixture
async def people(world: World) -> World:
    for number, (name, properties) in enumerate(PEOPLE.items()):
        await world.user(name, userPrincipalName=f"u{number}@contoso.test", **properties)
    await world.put("group", "Engineers West", description="All who build engines")
    return world


async def found(world: World, path: str, search: str, **options: str) -> str:
    answer = await world.client.get(
        path, params={"$search": search, **options}, headers={"ConsistencyLevel": "eventual"}
    )
    assert answer.status_code == 200, f"{search}: {answer.text}"
    return "|".join(sorted(each["displayName"] for each in answer.json()["value"]))


async def test_search_finds_words_and_beginnings(people: World) -> None:
    """Names are found by the beginnings of their words, in any order; every other property by its own beginning."""
    for text, wanted in CASES:
        assert await found(people, "users", text) == wanted, text
    assert await found(people, "groups", '"description:engines all"') == "Engineers West"
    assert await found(people, "groups", '"displayName:west" AND "description:build"') == "Engineers West"


async def test_search_goes_with_a_filter_an_order_and_a_count(people: World) -> None:
    """Both must hold; $count counts what is found; pages keep the search."""
    both = '"displayName:ada" OR "displayName:hello"'
    assert await found(people, "users", both, **{"$filter": "mail ne null", "$count": "true"}) == "Ada Lovelace"
    pages = [
        page async for page in people.pages("users", advanced=True, search=both, orderby="displayName desc", top="1")
    ]
    assert [each["displayName"] for page in pages for each in page] == ["HelloWorld2", "Ada Lovelace"]
    counted = await people.get("users/$count", advanced=True, search=both)
    assert counted.text == "2"


async def test_members_are_searched(people: World) -> None:
    """Lists of related objects take the same search."""
    group = people.made["Engineers West"]
    await people.refer(group, "members", people.made["Ada Lovelace"], people.made["HelloWorld2"])
    assert await found(people, f"groups/{group}/members", '"displayName:world"') == "HelloWorld2"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("displayName:ada", "in quotes"),
        ('"ada"', "in quotes"),
        ('"displayName:ada', "in quotes"),
        ('"displayName:"', "in quotes"),
        ('"displayName:ada" "mail:a"', "in quotes"),
        ('"displayName:ada" OR', "in quotes"),
        ('("displayName:ada"', "in quotes"),
        ('"displayName:ada")', "in quotes"),
        ("", "in quotes"),
        ('"nothing:ada"', "named 'nothing'"),
        ('"accountEnabled:true"', "no text"),
        (" OR ".join(['"displayName:ada"'] * 60), "more than 50"),
        ('"displayName:' + "a" * 5000 + '"', "characters"),
    ],
)
async def test_searches_that_cannot_be_read(world: World, text: str, part: str) -> None:
    """A broken search is a 400 that says what is expected."""
    answer = await world.get("users", advanced=True, search=text)
    assert (answer.status_code, code(answer)) == (400, "BadRequest"), answer.text
    assert part in message(answer)
