"""What objects of the tenant directory can be filtered by: each property as an expression of SQL, for `conditions`.

The expressions are those of the indexes. In all of them `o` is a row of `directory_objects`.
"""

from __future__ import annotations

from collections.abc import Mapping

from psycopg import sql

from dirbridge.store import provisioning_errors
from dirbridge.store.conditions import EVERY, Kind, Operator, Property

SORTED_NAME = sql.SQL("coalesce(lower(o.display_name), '') collate \"C\"")
SORTED_SIGN_IN_NAME = sql.SQL("coalesce(lower(o.user_principal_name), '') collate \"C\"")

_INDEXED_COLLECTIONS = frozenset({"proxyAddresses", "otherMails"})


def _operators(names: str) -> frozenset[Operator]:
    """Read a list of operators; `in` works wherever `eq` does."""
    found = frozenset(Operator(name) for name in names.split())
    return found | {Operator.IN} if Operator.EQ in found else found


_ENDINGS = frozenset({"mail", "otherMails", "userPrincipalName", "proxyAddresses"})
"""Properties whose end can be asked for. Source: Graph's guide to advanced queries, endsWith."""
_EQUALITY = "eq"
_RANGE = "eq ge le startsWith"


def _allowed(name: str) -> frozenset[Operator]:
    return EVERY if name in _ENDINGS else EVERY - {Operator.ENDS_WITH}


def _text(name: str, plain: str = "", column: str | None = None, kind: Kind = Kind.TEXT) -> Property:
    """A property whose value is text, in a column of its own or in the document, at `a/b` one level down."""
    if column is not None:
        value: sql.Composable = sql.SQL("o.{}").format(sql.Identifier(column))
        return Property(name, kind, value, plain=_operators(plain), allowed=_allowed(name))
    outer, _, inner = name.partition("/")
    value = sql.SQL("o.properties ->> {}").format(sql.Literal(outer))
    if inner:
        value = sql.SQL("o.properties -> {} ->> {}").format(sql.Literal(outer), sql.Literal(inner))
    return Property(name, kind, sql.SQL("({})").format(value), plain=_operators(plain), allowed=_allowed(name))


def _boolean(name: str, plain: str = _EQUALITY) -> Property:
    value = sql.SQL("(o.properties -> {})").format(sql.Literal(name))
    return Property(name, Kind.BOOLEAN, value, plain=_operators(plain))


def _texts(name: str, plain: str = "eq ge le startsWith") -> Property:
    value = sql.SQL("(o.properties -> {})").format(sql.Literal(name))
    folded = sql.SQL("folded_texts({})").format(value) if name in _INDEXED_COLLECTIONS else None
    return Property(name, Kind.TEXTS, value, folded, plain=_operators(plain), allowed=_allowed(name))


def _time(name: str, expression: sql.Composable, plain: str = "eq ge le") -> Property:
    return Property(name, Kind.TIME, expression, plain=_operators(plain))


def _table(*properties: Property) -> Mapping[str, Property]:
    return {each.name.lower(): each for each in properties}


def _table_of_errors() -> Property:
    """What a job cannot bring to an object, each with its own properties."""

    def text(name: str, column: str) -> Property:
        return Property(
            name, Kind.TEXT, sql.SQL("error.{}").format(sql.Identifier(column)), plain=_operators("eq ge le")
        )

    inner = _table(
        text("category", "category"),
        text("propertyCausingError", "property"),
        text("value", "value"),
        _time("occurredDateTime", sql.SQL("error.occurred")),
    )
    return Property("onPremisesProvisioningErrors", Kind.OBJECTS, provisioning_errors.OF_OBJECT, elements=inner)


_LAST_SYNC = sql.SQL("(case when o.sync_job is not null then date_trunc('second', o.modified_at) end)")
_DISPLAY_NAME = Property(
    "displayName", Kind.TEXT, sql.SQL("o.display_name"), folded=SORTED_NAME,
    plain=_operators("eq startsWith"), allowed=_allowed("displayName"), words=sql.SQL("words_of(o.display_name)"),
)  # fmt: skip
_COMMON = (
    Property("id", Kind.GUID, sql.SQL("o.id"), plain=_operators(_EQUALITY)),
    _DISPLAY_NAME,
    _text("mail", _RANGE, "mail"),
    _text("mailNickname", _RANGE),
    _time("createdDateTime", sql.SQL("o.created_at")),
    _time("deletedDateTime", sql.SQL("o.deleted_at")),
    _time("onPremisesLastSyncDateTime", _LAST_SYNC, ""),
    _boolean("onPremisesSyncEnabled"),
    _texts("proxyAddresses"),
    _table_of_errors(),
)
_PRINCIPAL = (_text("onPremisesSecurityIdentifier", _EQUALITY, kind=Kind.EXACT),)

USER = _table(
    *_COMMON,
    *_PRINCIPAL,
    _boolean("accountEnabled"),
    _text("city", "eq ge startsWith"),
    _text("companyName"),
    _text("country", _RANGE),
    _text("department", _RANGE),
    _text("employeeId", "eq startsWith"),
    _text("employeeType"),
    _text("givenName", _RANGE),
    _text("jobTitle", "eq ge le"),
    _text("mobilePhone"),
    _text("officeLocation"),
    _text("onPremisesImmutableId", column="immutable_id", kind=Kind.EXACT),
    _text("onPremisesSamAccountName"),
    _text("onPremisesUserPrincipalName", _RANGE),
    _texts("otherMails"),
    _text("postalCode"),
    _text("preferredLanguage"),
    _text("state", _RANGE),
    _text("streetAddress"),
    _text("surname", _RANGE),
    _text("usageLocation", _RANGE),
    Property(
        "userPrincipalName",
        Kind.TEXT,
        sql.SQL("o.user_principal_name"),
        folded=SORTED_SIGN_IN_NAME,
        plain=_operators("eq le startsWith"),
    ),
    _text("userType", _EQUALITY),
    _texts("businessPhones"),
    *(_text(f"onPremisesExtensionAttributes/extensionAttribute{number}") for number in range(1, 16)),
)
GROUP = _table(
    *_COMMON,
    *_PRINCIPAL,
    Property(
        "description",
        Kind.TEXT,
        sql.SQL("(o.properties ->> 'description')"),
        plain=_operators("eq startsWith"),
        allowed=_allowed("description"),
        words=sql.SQL("words_of(o.properties ->> 'description')"),
    ),
    _text("onPremisesSamAccountName", _RANGE),
    _boolean("mailEnabled"),
    _boolean("securityEnabled"),
    _boolean("isAssignableToRole"),
    _text("securityIdentifier", _EQUALITY, kind=Kind.EXACT),
    _text("visibility"),
    _text("uniqueName", _EQUALITY),
    _texts("groupTypes", "eq startsWith"),
)
CONTACT = _table(
    *_COMMON,
    _text("companyName"),
    _text("department", _RANGE),
    _text("givenName", _RANGE),
    _text("jobTitle", "eq ge le"),
    _text("surname", _RANGE),
)
ANY_OBJECT = _table(*_COMMON, *_PRINCIPAL)
PROPERTIES = {"user": USER, "group": GROUP, "contact": CONTACT}
