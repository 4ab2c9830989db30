"""The default mapping of a user, compiled from the schema document, beside the same written by hand.

Both take an entry and give the values of the target object, and must agree on every entry before anything is timed. The
hand-written one is what a programmer would write who has nothing else to map: it looks only at attributes that the
entry has, and makes the same checks of the values.
"""

from __future__ import annotations

import base64
import gc
import statistics
import time
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta

from bench.measures import Figure
from dirbridge.connectors.ad.schema import RULE_NAME
from dirbridge.contract.entry import Entry, Value, Values
from dirbridge.contract.export import TargetValue
from dirbridge.contract.schema import AttributeDefinition, Schema
from dirbridge.engine import mapping, plan
from dirbridge.service.templates import AD_PROVISIONING, TEMPLATES

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DOMAIN, NETBIOS = "contoso.test", "CONTOSO"
ROUNDS = 15
EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
NEVER = (0, 2**63 - 1)

Made = dict[str, TargetValue]


# By hand --------------------------------------------------------------------------------------------------------------


def _one(values: Values) -> Value:
    if len(values) > 1:
        raise ValueError("several values where one is taken")
    return values[0]


class ByHand:
    """The mapping, written out; only which attribute goes where is looked up, in tables made once."""

    def __init__(self, schema: Schema) -> None:
        rule = next(r for r in schema.synchronization_rules if r.name == RULE_NAME)
        users = next(m for m in rule.object_mappings if m.source_object_name == "user")
        directory = next(d for d in schema.directories if d.name == rule.target_directory_name)
        types = {a.name: a for o in directory.objects if o.name == users.target_object_name for a in o.attributes}
        self.texts: dict[str, str] = {}
        self.trimmed: dict[str, str] = {}
        self.lists: dict[str, str] = {}
        self.typed: dict[str, AttributeDefinition] = {}
        for row in users.attribute_mappings:
            definition, source = types[row.target_attribute_name], row.source
            if source is None or definition.type == "Reference":
                continue
            if source.name == "Trim" and source.parameters[0].value.type == "Attribute":
                name = source.parameters[0].value.name or ""
                (self.lists if definition.multivalued else self.trimmed)[name] = definition.name
            elif source.type == "Attribute" and source.name:
                if definition.type == "String" and not definition.multivalued and source.name not in self.texts:
                    self.texts[source.name] = definition.name
                else:
                    self.typed[source.name] = definition

    def user(self, entry: Entry, now: datetime) -> Made:
        """Map one user."""
        if entry.faults or entry.unknown:
            raise ValueError("an attribute that cannot be carried")
        attributes = entry.attributes
        made: Made = {}
        for name, values in attributes.items():
            if name in self.trimmed:
                if stripped := text(_one(values)).strip():
                    made[self.trimmed[name]] = stripped
            elif name in self.texts:
                if value := text(_one(values)):
                    made[self.texts[name]] = value
            elif name in self.typed:
                definition = self.typed[name]
                typed = _typed(values, definition)
                if typed is not None:
                    made[definition.name] = typed
            elif name in self.lists:
                several = {text(each).strip() for each in values} - {""}
                if several:
                    made[self.lists[name]] = tuple(sorted(several))
        _computed(attributes, made, now)
        return made


def text(value: Value) -> str:
    """Give text as it is, bytes as base64."""
    return value if isinstance(value, str) else base64.b64encode(value).decode()


def _typed(values: Values, definition: AttributeDefinition) -> TargetValue:
    if definition.multivalued:
        if definition.type == "Binary":
            return tuple(sorted({each for each in values if isinstance(each, bytes)}))
        return tuple(sorted({text(each) for each in values if each}))
    value = _one(values)
    if definition.type == "Binary":
        return value if isinstance(value, bytes) else value.encode()
    if definition.type == "Integer":
        number = int(value)
        if not -(2**63) <= number < 2**63:
            raise ValueError("a number beyond 64 bits")
        return number
    if definition.type == "Boolean":
        return {"true": True, "false": False}[text(value).lower()]
    return text(value) or None


def _computed(attributes: dict[str, Values], made: Made, now: datetime) -> None:
    """The rows that are more than carried or trimmed."""
    made["AccountEnabled"] = _enabled(attributes, now)
    display_name = attributes.get("displayName") or attributes.get("cn")
    if display_name:
        made["DisplayName"] = text(_one(display_name))
    anchor = attributes.get("mS-DS-ConsistencyGuid") or attributes.get("objectGUID")
    if anchor:
        made["SourceAnchor"] = text(_one(anchor))
    principal = attributes.get("userPrincipalName")
    account = attributes.get("sAMAccountName")
    if principal:
        name = text(_one(principal))
    elif account:
        name = f"{account[0]}@{DOMAIN}"
    else:
        raise ValueError("AccountName is not present")
    made["UserPrincipalName"] = made["onPremisesUserPrincipalName"] = name
    made["dnsDomainName"], made["netBiosName"] = DOMAIN, NETBIOS
    for source, target in (("description", "Description"), ("info", "Info")):
        values = attributes.get(source)
        if values and (cut := text(values[0]).strip()[:448]):
            made[target] = cut
    for source, target in (("postOfficeBox", "PostOfficeBox"), ("url", "Url")):
        values = attributes.get(source)
        if values and (cut := text(values[0]).strip()[:448]):
            made[target] = (cut,)
    addresses = attributes.get("proxyAddresses")
    if addresses:
        made["ProxyAddresses"] = tuple(sorted({text(each).strip() for each in addresses}))
    password = attributes.get("pwdLastSet")
    if password and password[0] != "0":
        moment = EPOCH + timedelta(microseconds=int(password[0]) // 10)
        made["LastPasswordChangeTimestamp"] = f"{moment:%Y%m%d%H%M%S}.0Z"


def _enabled(attributes: dict[str, Values], now: datetime) -> bool:
    expires = attributes.get("accountExpires")
    if expires:
        steps = int(expires[0])
        if steps not in NEVER and EPOCH + timedelta(microseconds=steps // 10) <= now:
            return False
    control = attributes.get("userAccountControl")
    if control:
        return not int(control[0]) & 2
    disabled = attributes.get("accountDisabled")
    return not (disabled and disabled[0] == "True")


# Entries --------------------------------------------------------------------------------------------------------------


def people(count: int) -> list[Entry]:
    """Make users as a company has them: most with a dozen and a half of attributes, some with few, some with many."""
    return [_person(number) for number in range(count)]


def _person(number: int) -> Entry:
    name = f"u{number:06d}"
    attributes: dict[str, Values] = {
        "objectGUID": (number.to_bytes(16, "big"),),
        "objectSid": (b"\x01\x05\x00\x00\x00\x00\x00\x05" + number.to_bytes(20, "little"),),
        "distinguishedName": (f"CN=Person {number},OU=Sales,DC=contoso,DC=test",),
        "cn": (f"Person {number}",),
        "sAMAccountName": (name,),
        "userAccountControl": ("514" if number % 50 == 0 else "512",),
        "pwdLastSet": (str(133_000_000_000_000_000 + number * 10_000_000),),
        "accountExpires": ("0" if number % 3 else "9223372036854775807",),
        "countryCode": ("0",),
    }
    if number % 10:
        attributes |= {
            "userPrincipalName": (f"{name}@contoso.test",),
            "displayName": (f"Person {number}",),
            "givenName": ("Ann ",),
            "sn": ("Lee",),
            "mail": (f"{name}@contoso.test",),
            "mailNickname": (name,),
            "proxyAddresses": (f"SMTP:{name}@contoso.test", f"smtp:p{number}@contoso.test"),
            "department": ("Sales",),
            "title": ("Clerk",),
            "company": ("Contoso",),
            "telephoneNumber": (f"+49 30 {number:06d}",),
            "l": ("Berlin",),
            "employeeID": (str(number),),
        }
    if number % 4 == 0:
        attributes |= {
            "description": ("Joined in spring",),
            "physicalDeliveryOfficeName": ("B 12",),
            "streetAddress": (f"{number % 200} High Street",),
            "postalCode": ("10115",),
            "st": ("Berlin",),
            "co": ("Germany",),
            "c": ("DE",),
            "mobile": (f"+49 170 {number:06d}",),
            "otherMobile": ("+49 171 1", "+49 171 2"),
            "extensionAttribute1": ("A",),
            "extensionAttribute7": ("B",),
            "mS-DS-ConsistencyGuid": (number.to_bytes(16, "little"),),
            "url": ("https://contoso.test/",),
        }
    return Entry(f"{number:08x}-0000-4000-8000-000000000000", "user", f"Person {number}", attributes=attributes)


# Measuring ------------------------------------------------------------------------------------------------------------


def _seconds(work: Callable[[Entry, datetime], object], entries: Sequence[Entry]) -> float:
    began = time.perf_counter()
    for entry in entries:
        work(entry, NOW)
    return time.perf_counter() - began


async def default_mapping(count: int) -> AsyncIterator[Figure]:
    """The default user mapping, in turns with the hand-written one, so that both meet the same machine."""
    schema = TEMPLATES[AD_PROVISIONING]("bench", NOW)
    (rule,) = plan.compile_schema(schema, {"DomainFQDN": DOMAIN, "DomainNetBios": NETBIOS}).rules["user"]
    by_hand = ByHand(schema)
    entries = people(count)
    for entry in entries:
        wanted, found = by_hand.user(entry, NOW), mapping.apply(rule, entry, NOW).values
        if wanted != found:
            raise AssertionError(f"the two mappings differ for {entry.name}: {wanted.items() ^ found.items()}")
    compiled, written = [], []
    gc.collect()
    gc.disable()
    try:
        for _ in range(ROUNDS):
            written.append(_seconds(by_hand.user, entries))
            compiled.append(_seconds(lambda entry, now: mapping.apply(rule, entry, now), entries))
    finally:
        gc.enable()
    own, other = statistics.median(compiled), statistics.median(written)
    yield Figure(f"default mapping of {count:,} users, by hand", f"{other / count * 1e6:.1f} µs a user")
    yield Figure(
        f"default mapping of {count:,} users, compiled",
        f"{own / count * 1e6:.1f} µs a user",
        f"{own / other:.2f} times the hand-written one",
        "3 times at most",
    )
