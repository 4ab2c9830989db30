"""Every filter operator, on a real database; syntax errors say where and what; no text becomes SQL."""

import pytest

from dirbridge.service.graph import filters
from dirbridge.service.graph.errors import GraphError
from dirbridge.store.conditions import All, AnyOf, Comparison, Either, Literal, Not, Operator
from tests.service.graph.conftest import World, code, message

PEOPLE = {
    "Ada": {
        "givenName": "Ada",
        "surname": "Lovelace",
        "accountEnabled": True,
        "department": "Engines",
        "mail": "ada@contoso.test",
        "proxyAddresses": ["SMTP:ada@contoso.test", "smtp:countess@contoso.test"],
        "onPremisesSyncEnabled": True,
        "onPremisesImmutableId": "AbC+/==",
        "onPremisesExtensionAttributes": {"extensionAttribute1": "x"},
    },
    "Bert": {"surname": "O'Neill", "accountEnabled": False, "department": "engines", "proxyAddresses": []},
    "Carl": {"surname": "100%", "accountEnabled": True, "department": None, "givenName": "Çarl_"},
    "Dora": {"surname": "Zuse", "mail": "Dora@Contoso.test", "userType": "Guest"},
}

CASES = [
    ("displayName eq 'ada'", "Ada"),
    ("DISPLAYNAME EQ 'ADA'", "Ada"),
    ("displayName ne 'ada'", "Bert Carl Dora"),
    ("department ne 'Engines'", "Carl Dora"),
    ("department eq 'engines'", "Ada Bert"),
    ("department eq null", "Carl Dora"),
    ("department ne null", "Ada Bert"),
    ("not (department eq 'engines')", "Carl Dora"),
    ("not(department eq null)", "Ada Bert"),
    ("not department eq 'engines'", "Carl Dora"),
    ("surname gt 'lovelace'", "Bert Dora"),
    ("surname ge 'lovelace'", "Ada Bert Dora"),
    ("surname lt 'lovelace'", "Carl"),
    ("surname le 'LOVELACE'", "Ada Carl"),
    ("surname eq 'O''Neill'", "Bert"),
    ("surname eq '100%'", "Carl"),
    ("startsWith(surname,'100%')", "Carl"),
    ("startsWith(surname,'%')", ""),
    ("startsWith(givenName,'ÇARL_')", "Carl"),
    ("startswith(displayName, 'a')", "Ada"),
    ("startsWith(mail,'DORA')", "Dora"),
    ("startsWith(displayName,'a') eq true", "Ada"),
    ("startsWith(displayName,'a') eq false", "Bert Carl Dora"),
    ("endsWith(mail,'@CONTOSO.test')", "Ada Dora"),
    ("endsWith(userPrincipalName,'contoso.test')", "Ada Bert Carl Dora"),
    ("contains(surname,'VEL')", "Ada"),
    ("contains(surname,'_')", ""),
    ("accountEnabled eq true", "Ada Carl"),
    ("accountEnabled eq FALSE", "Bert"),
    ("accountEnabled eq null", "Dora"),
    ("accountEnabled ne true", "Bert Dora"),
    ("accountEnabled in (true, false)", "Ada Bert Carl"),
    ("displayName in ('ada', 'DORA', 'nobody')", "Ada Dora"),
    ("department in ('engines', null)", "Ada Bert Carl Dora"),
    ("displayName eq 'ada' or displayName eq 'bert' and accountEnabled eq true", "Ada"),
    ("(displayName eq 'ada' or displayName eq 'bert') and accountEnabled eq false", "Bert"),
    ("displayName eq 'ada' or(displayName eq 'bert')", "Ada Bert"),
    ("((displayName eq 'ada'))", "Ada"),
    ("proxyAddresses/any(p:p eq 'smtp:COUNTESS@contoso.test')", "Ada"),
    ("proxyAddresses/any(p:startsWith(p,'smtp:c') or endsWith(p,'nowhere'))", "Ada"),
    ("proxyAddresses/any(x:x ge 'smtp:a')", "Ada"),
    ("proxyAddresses/any()", "Ada"),
    ("not proxyAddresses/any()", "Bert Carl Dora"),
    ("not proxyAddresses/any(p:p eq 'smtp:ada@contoso.test')", "Bert Carl Dora"),
    ("onPremisesSyncEnabled eq true", "Ada"),
    ("onPremisesSyncEnabled ne true", "Bert Carl Dora"),
    ("onPremisesImmutableId eq 'AbC+/=='", "Ada"),
    ("onPremisesImmutableId eq 'abc+/=='", ""),
    ("onPremisesExtensionAttributes/extensionAttribute1 eq 'X'", "Ada"),
    ("createdDateTime gt 2020-01-01T00:00:00Z", "Ada Bert Carl Dora"),
    ("createdDateTime le 2020-01-01", ""),
    ("createdDateTime lt 9999-12-31T23:59:59.9999999Z", "Ada Bert Carl Dora"),
    ("userType eq 'guest'", "Dora"),
    ("startsWith(surname,'')", "Ada Bert Carl Dora"),
    ("startsWith(onPremisesImmutableId,'AbC')", "Ada"),
    ("startsWith(onPremisesImmutableId,'abc')", ""),
    ("proxyAddresses/any(p:p in ('smtp:countess@contoso.test', 'x'))", "Ada"),
    ("proxyAddresses/$count eq 2", "Ada"),
    ("proxyAddresses/$count eq 0", "Bert Carl Dora"),
    ("not (proxyAddresses/$count ge 1)", "Bert Carl Dora"),
]

INJECTIONS = [
    "'; drop table directory_objects; --",
    "' or '1'='1",
    "\\'; select pg_sleep(10); --",
    "%s",
    "%(tenant)s",
    "{0}",
    "$1",
    "\\x00",
    "a%' or 1=1 --",
]


@pytest.fixture
async def people(world: World) -> World:
    for name, properties in PEOPLE.items():
        await world.user(name, **properties)
    return world


async def test_every_operator_finds_what_it_should(people: World) -> None:
    """Each operator, literal and combination gives the objects that OData's words describe, nulls included."""
    for text, wanted in CASES:
        found = await people.names("users", advanced=True, filter=text)
        assert found == wanted.split(), text
        answer = await people.get("users/$count", advanced=True, filter=text)
        assert answer.text == str(len(wanted.split())), text


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("endsWith(displayName,'a')", "not supported for the property 'displayName'"),
        ("endsWith(surname,'a')", "not supported for the property 'surname'"),
        ("endsWith(mail,'a')", "advanced query"),
        ("proxyAddresses/$count eq 1", "advanced query"),
        ("surname gt 'a'", "advanced query"),
        ("startsWith(jobTitle,'a')", "advanced query"),
        ("onPremisesImmutableId eq 'a'", "advanced query"),
    ],
)
async def test_operators_that_a_property_lacks(world: World, text: str, part: str) -> None:
    """A property's operators are those that Graph documents; some need an advanced query."""
    answer = await world.get("users", filter=text)
    assert (answer.status_code, code(answer)) == (400, "Request_UnsupportedQuery")
    assert part in message(answer)


async def test_filter_pages_to_the_end(people: World) -> None:
    """A filtered, sorted list in pages of one keeps its filter and its order."""
    found = [
        each["displayName"]
        async for page in people.pages(
            "users", advanced=True, filter="surname ne 'zuse'", orderby="displayName desc", top="1"
        )
        for each in page
    ]
    assert found == ["Carl", "Bert", "Ada"]


async def test_id_in_a_filter(people: World) -> None:
    """An id is compared as a GUID, quoted or bare, in any case."""
    id = people.made["Ada"]
    for text in (f"id eq '{id}'", f"id eq {id}", f"id in ('{str(id).upper()}')"):
        assert await people.names("users", filter=text) == ["Ada"]


async def test_no_text_becomes_sql(people: World) -> None:
    """Whatever stands in a literal, a name, a variable or a key is only ever looked for."""
    for text in INJECTIONS:
        quoted = text.replace("'", "''")
        assert await people.names("users", advanced=True, filter=f"displayName eq '{quoted}'") == []
        assert await people.names("users", advanced=True, filter=f"contains(surname,'{quoted}')") == []
        assert await people.names("users", advanced=True, filter=f"proxyAddresses/any(p:p eq '{quoted}')") == []
        for filter_text in (f"displayName eq '{text}", f"{text} eq 'a'", f"proxyAddresses/any({text}:x eq 'a')", text):
            answer = await people.get("users", advanced=True, filter=filter_text)
            assert answer.status_code == 400, filter_text
        for address in ("users", "groups"):
            answer = await people.client.get(f"{address}/x{text.replace('%', '%25')}")
            assert answer.status_code in {400, 404}
    assert await people.names("users") == ["Ada", "Bert", "Carl", "Dora"]


SYNTAX = [
    ("displayName eq", 15, "the end"),
    ("displayName eq 'a", 16, "quote is never closed"),
    ("displayName = 'a'", 13, "'='"),
    ("displayName eq 'a' xor mail eq 'b'", 20, "'xor'"),
    ("(displayName eq 'a'", 20, "expected ')'"),
    ("displayName eq 'a')", 19, "')'"),
    ("startsWith(displayName)", 23, "','"),
    ("startsWith('a',displayName)", 12, "a property"),
    ("displayName in ()", 17, "a text in quotes"),
    ("proxyAddresses/any(p:)", 22, "a property"),
    ("proxyAddresses/all(p:p eq 'a')", 19, "'('"),
    ("displayName eq 2026-13", 16, "a time"),
    ("and", 4, "the end"),
    ("id eq 'a' and", 14, "the end"),
    ("startsWith(displayName,'a') eq 1", 29, "eq true"),
]


@pytest.mark.parametrize(("text", "position", "part"), SYNTAX, ids=[text for text, *_ in SYNTAX])
def test_syntax_errors_say_where_and_what(text: str, position: int, part: str) -> None:
    """A broken filter's refusal names the position, what stands there and what was expected."""
    with pytest.raises(GraphError) as caught:
        filters.parse(text)
    assert caught.value.status == 400
    assert f"position {position}" in caught.value.message
    assert part in caught.value.message


@pytest.mark.parametrize(
    "text",
    [
        "(" * 3000 + "id eq 'a'" + ")" * 3000,
        "not " * 3000 + "id eq 'a'",
        "id eq 'a' or " * 3000 + "id eq 'a'",
        "x" * 20_000,
    ],
)
async def test_huge_filters_are_refused_quickly(world: World, text: str) -> None:
    """Depth and length are bounded; nothing exhausts the process."""
    answer = await world.get("users", advanced=True, filter=text)
    assert answer.status_code == 400
    assert "deeper than" in message(answer) or "characters" in message(answer) or "GUID" in message(answer)


def test_the_tree_of_a_filter() -> None:
    """Precedence, positions and literals come out as written."""
    text = "a eq 'it''s' or not (b/c gt 5 and startsWith(d, 'x')) or e/any(v:v ne null)"
    assert filters.parse(text) == Either((
        Comparison("a", Operator.EQ, (Literal("text", "it's", 5),), 0),
        Not(
            All((
                Comparison("b/c", Operator.GT, (Literal("number", 5, 28),), 21),
                Comparison("d", Operator.STARTS_WITH, (Literal("text", "x", 48),), 34),
            )),
            16,
        ),
        AnyOf("e", "v", Comparison("v", Operator.NE, (Literal("null", None, 70),), 65), 57),
    ))  # fmt: skip


@pytest.mark.parametrize("name", ["organization", "android", "inbox", "nothing", "trueName", "nullable", "eqName"])
def test_names_that_begin_like_words(name: str) -> None:
    """A property's name may begin with a word of the language."""
    found = filters.parse(f"{name} eq 'a'")
    assert isinstance(found, Comparison)
    assert found.name == name
