"""A made-up company for the throw-away domain: the same people, teams, partners and oddities at every run.

Everything that is known to trip a synchronization is in here on purpose: names that must be escaped in a DN, scripts
other than Latin, managers that come later in the alphabet, groups in groups and in a circle, accounts that are
disabled or have expired, contacts among the members and above people, and accounts, groups, contacts and computers
that must stay where they are.

Rendered as LDIF in two parts: the entries, in the order of their names, and then the references between them, so that
an entry may refer to one that comes after it.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

USERS = 300
GROUPS = 40
CONTACTS = 6
MINIMUM_USERS = 60
LARGE_GROUP = 200

NORMAL_ACCOUNT = 0x200
DISABLED = 0x2
PASSWORD_NOT_REQUIRED = 0x20
WORKSTATION = 0x1000

GLOBAL_SECURITY = -2147483646
LOCAL_SECURITY = -2147483644
UNIVERSAL_SECURITY = -2147483640
UNIVERSAL_DISTRIBUTION = 8

ROOT = "OU=Contoso"
PEOPLE = f"OU=People,{ROOT}"
TEAMS = f"OU=Groups,{ROOT}"
PARTNERS = f"OU=Partners,{ROOT}"
SERVICE_ACCOUNTS = f"OU=Service Accounts,{ROOT}"
WORKSTATIONS = f"OU=Workstations,{ROOT}"
SALES = f"OU=Sales,{PEOPLE}"
SALES_EAST = f"OU=Eastern Europe,{SALES}"
ENGINEERING = f"OU=Engineering,{PEOPLE}"
PLATFORM = f"OU=Platform,{ENGINEERING}"
STORAGE = f"OU=Storage,{PLATFORM}"
RESEARCH = f"OU=Research\\, Development and Testing,{PEOPLE}"
MUNICH = f"OU=Büro München,{PEOPLE}"
FINANCE = f"OU=Finance,{PEOPLE}"
PERSONNEL = f"OU=Human Resources,{PEOPLE}"
FORMER = f"OU=Former Staff,{PEOPLE}"

CONTAINERS = (
    ROOT,
    PEOPLE,
    TEAMS,
    PARTNERS,
    SERVICE_ACCOUNTS,
    WORKSTATIONS,
    SALES,
    SALES_EAST,
    ENGINEERING,
    PLATFORM,
    STORAGE,
    RESEARCH,
    MUNICH,
    FINANCE,
    PERSONNEL,
    FORMER,
)

_GIVEN = (
    "Anna", "Bartosz", "Chiara", "Dmitri", "Eleni", "François", "Grażyna", "Håkon", "Ingrid", "Jürgen", "Katarzyna",
    "Lars", "Małgorzata", "Niamh", "Óscar", "Paweł", "Renée", "Søren", "Tomáš", "Ulrike", "Violeta", "Wojciech",
    "Yusuf", "Zofia",
)  # fmt: skip
_SURNAMES = (
    "Andersson", "Bäcker", "Çelik", "Dąbrowski", "Eriksen", "Fernández", "Großmann", "Horváth", "Ivanova", "Jansen",
    "Kowalska", "Łukasik", "Müller", "Nowak", "O'Neill", "Papadopoulos", "Quist", "Rossi", "Šimůnek", "Türk",
    "Vâlceanu", "Weiß", "Żak",
)  # fmt: skip
_LATIN = str.maketrans({
    "ł": "l", "Ł": "L", "ø": "o", "Ø": "O", "ß": "ss", "ç": "c", "Ç": "C", "å": "a", "ą": "a", "ä": "ae", "â": "a",
    "á": "a", "ñ": "n", "é": "e", "í": "i", "ó": "o", "Ó": "O", "ő": "o", "ü": "ue", "ů": "u", "Š": "S", "š": "s",
    "ż": "z", "Ż": "Z", "ź": "z", "ń": "n", "ś": "s",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Record:
    """One entry: its DN, its plain attributes, and its references, which are written once all entries exist."""

    dn: str
    attributes: dict[str, tuple[str | bytes, ...]]
    references: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def object_class(self) -> str:
        return str(self.attributes["objectClass"][-1])


@dataclass(frozen=True, slots=True)
class Person:
    """What is particular about one person; everything else follows from the name.

    Attributes:
        name: the cn, as it is, unescaped.
        display_name: None where it is the cn; an empty text where there is none.
        user_principal_name: None where it follows from the account; an empty text where there is none.
    """

    account: str
    given_name: str
    surname: str
    name: str = ""
    display_name: str | None = None
    user_principal_name: str | None = None
    container: str = PEOPLE
    department: str = ""
    title: str = ""
    manager: str | None = None
    has_mail: bool = True
    aliases: tuple[str, ...] = ()
    control: int = NORMAL_ACCOUNT
    expires: datetime | None = None
    is_inet_org_person: bool = False
    admin_description: str = ""
    consistency_guid: bytes = b""
    telephone: str = ""
    city: str = ""

    @property
    def common_name(self) -> str:
        return self.name or f"{self.given_name} {self.surname}".strip()


# Those that the changes of the demo are about, and every oddity once.
_NOTABLE = (
    Person("zoe.zimmermann", "Zoë", "Zimmermann", department="Board", title="Chief Executive"),
    Person("aaron.abel", "Aaron", "Abel", department="Board", title="Assistant", manager="zoe.zimmermann"),
    Person("vera.sales", "Vera", "Verkäufer", container=SALES, department="Sales", manager="zoe.zimmermann"),
    Person("emil.engineer", "Emil", "Ångström", container=ENGINEERING, department="Engineering", manager="vera.sales"),
    Person("paula.platform", "Paula", "Øster", container=PLATFORM, department="Engineering", manager="emil.engineer"),
    Person("stefan.storage", "Stefan", "Şahin", container=STORAGE, department="Engineering", manager="paula.platform"),
    Person("lena.lehmann", "Lena", "Lehmann", container=MUNICH, department="Sales", manager="vera.sales"),
    Person("marek.mazur", "Marek", "Mazur", container=FINANCE, department="Finance", manager="zoe.zimmermann"),
    Person("dora.dietz", "Dora", "Dietz", container=FINANCE, department="Finance", manager="marek.mazur"),
    Person("rosa.rueckkehr", "Rosa", "Rückkehr", container=PERSONNEL, department="People", manager="marek.mazur"),
    Person("sam.swap", "Sam", "Swap", container=FINANCE, department="Finance", aliases=("s.swap",)),
    Person("sue.swap", "Sue", "Swap", container=FINANCE, department="Finance", aliases=("invoices",)),
    Person("nils.neumann", "Nils", "Neumann", container=PERSONNEL, department="People", manager="hidden.hofmann"),
    Person(
        "hidden.hofmann", "Hilde", "Hofmann", container=PERSONNEL, department="People",
        admin_description="User_held back until the demo releases her",
    ),
    Person("juergen.moeller", "Jürgen", "Möller", name="Möller, Jürgen", container=RESEARCH, manager="emil.engineer"),
    Person("smith.sons", "Reception", "Smith", name="Smith + Sons (Reception)", container=RESEARCH),
    Person("helpdesk", "", "Helpdesk", name="#1 Helpdesk", container=ENGINEERING, department="Engineering"),
    Person("bob.brown", "Robert", "Brown", name='Robert "Bob" Brown; <Jr.>', container=RESEARCH),
    Person("back.slash", "Back", "Slash", name="Back\\slash = E/mc²\\", container=RESEARCH),
    Person("sinead.o'brien", "Sinéad", "O'Brien", container=SALES, department="Sales"),
    Person("nikos.papadakis", "Νίκος", "Παπαδάκης", container=SALES_EAST, department="Sales"),
    Person("taro.yamada", "太郎", "山田", name="山田 太郎", container=STORAGE, department="Engineering"),
    Person("lukasz.zolc", "Łukasz", "Żółć", container=SALES_EAST, department="Sales", manager="nikos.papadakis"),
    Person(
        "olga.ivanova", "Ольга", "Иванова", container=SALES_EAST, department="Sales",
        display_name="Ольга Иванова 🎻",
    ),
    Person("no.display", "Nadia", "Nonaka", display_name="", container=FINANCE, department=" Finance "),
    Person("no.upn", "Ugo", "Ferri", user_principal_name="", container=FINANCE),
    Person("old.domain", "Otto", "Alt", user_principal_name="otto.alt@contoso.local", container=MUNICH),
    Person("MixedCase", "Mia", "Gemischt", user_principal_name="Mia.Gemischt@Contoso.TEST", container=MUNICH),
    Person(
        "moved.forest", "Maja", "Umzug", container=FINANCE,
        consistency_guid=bytes.fromhex("3f7a10c2554bd84e9a6d0c71e2b8f493"),
    ),
    Person("left.partner", "Lea", "Partner", manager="right.partner", container=FINANCE),
    Person("right.partner", "Rolf", "Partner", manager="left.partner", container=FINANCE),
    Person("kim.khan", "Kim", "Khan", container=RESEARCH, is_inet_org_person=True, manager="zoe.zimmermann"),
    Person("ines.inet", "Inês", "Araújo", container=RESEARCH, is_inet_org_person=True, manager="kim.khan"),
    Person(
        "ivo.inet", "Ivo", "Đurić", container=RESEARCH, is_inet_org_person=True, has_mail=False,
        manager="Hernán, the Auditor",
    ),
    Person("erik.expired", "Erik", "Ended", container=FORMER, expires=datetime(2024, 3, 31, tzinfo=UTC)),
    Person("elsa.expired", "Elsa", "Ended", container=FORMER, expires=datetime(2019, 12, 31, tzinfo=UTC)),
    Person("fiona.future", "Fiona", "Future", container=FINANCE, expires=datetime(2100, 1, 1, tzinfo=UTC)),
    Person("dana.disabled", "Dana", "Gone", container=FORMER, control=NORMAL_ACCOUNT | DISABLED),
    Person(
        "dirk.disabled", "Dirk", "Gone", container=FORMER, control=NORMAL_ACCOUNT | DISABLED,
        expires=datetime(2020, 6, 30, tzinfo=UTC),
    ),
)  # fmt: skip

# These stay where they are. They are members of groups and managers of people all the same.
_HELD_BACK = (
    Person("MSOL_0b1c2d3e4f5a", "", "MSOL", name="MSOL_0b1c2d3e4f5a", container=SERVICE_ACCOUNTS, has_mail=False),
    Person("AAD_9f8e7d6c5b4a", "", "AAD", name="AAD_9f8e7d6c5b4a", container=SERVICE_ACCOUNTS, has_mail=False),
    Person("CAS_{a1b2c3d4", "", "CAS", name="CAS_{a1b2c3d4", container=SERVICE_ACCOUNTS, has_mail=False),
    Person("SUPPORT_388945a0", "", "Support", name="SUPPORT_388945a0", container=SERVICE_ACCOUNTS, has_mail=False),
    Person(
        "cloud.written", "Cloud", "Written", container=SERVICE_ACCOUNTS,
        admin_description="User_7c4f5bb2-5b9c-4e5a-9a0f-2f8f0c6f5a11",
    ),
)  # fmt: skip

_DEPARTMENTS = (
    (SALES, "Sales", "vera.sales"),
    (SALES_EAST, "Sales", "nikos.papadakis"),
    (ENGINEERING, "Engineering", "emil.engineer"),
    (PLATFORM, "Engineering", "paula.platform"),
    (STORAGE, "Engineering", "stefan.storage"),
    (RESEARCH, "Research", "juergen.moeller"),
    (MUNICH, "Sales", "lena.lehmann"),
    (FINANCE, "Finance", "marek.mazur"),
    (PERSONNEL, "People", "rosa.rueckkehr"),
)
_CITIES = ("München", "Łódź", "Αθήνα", "Tromsø", "東京")
_TITLES = ("Clerk", "Specialist", "Consultant", "Engineer", "Analyst", "Team Lead")


@dataclass(frozen=True, slots=True)
class Team:
    """A group: its members are accounts and names of groups."""

    name: str
    members: tuple[str, ...] = ()
    kind: int = GLOBAL_SECURITY
    mail: str = ""
    admin_description: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True)
class Partner:
    """A contact: somebody of another company, known by name.

    Attributes:
        name: the cn, unescaped. address: empty where there is none, so that the contact is of no use to the cloud.
        has_mail: the address stands in `mail` too, not only among the proxy addresses.
    """

    name: str
    given_name: str = ""
    surname: str = ""
    address: str = ""
    company: str = ""
    title: str = ""
    telephone: str = ""
    city: str = ""
    manager: str | None = None
    has_mail: bool = True


_PARTNERS = (
    Partner(
        "Greta Gärtner", "Greta", "Gärtner", "greta.gaertner@fabrikam.test", company="Fabrikam", title="Sales Partner",
        telephone="+49 30 5550 1", city="Köln", manager="vera.sales",
    ),
    Partner(
        "Hernán, the Auditor", "Hernán", "Núñez", "h.nunez@audit.test", company="Núñez & Sons", title="Auditor",
        manager="Greta Gärtner",
    ),
    Partner("山本 花子", "花子", "山本", "hanako@yamamoto.test", company="山本商店", city="大阪"),
    Partner("Press + Media Desk", address="press@media.test", telephone="+44 20 5550 2"),
    Partner("Reception (Fabrikam)", address="reception@fabrikam.test", company="Fabrikam", has_mail=False),
    Partner("Zoltán Zsigmond", "Zoltán", "Zsigmond", "z@zs.test", manager="hidden.hofmann"),
    # This one stays where it is: nobody can write to it.
    Partner("Visitor without an Address", telephone="+44 20 5550 3"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Company:
    """Everything that is to be put into the domain.

    Attributes:
        base_dn: head of the domain. domain: its DNS name, which is also the verified domain of the tenant.
    """

    base_dn: str
    domain: str
    records: tuple[Record, ...]

    @property
    def users(self) -> tuple[Record, ...]:
        """People, be they users or inetOrgPersons; those that stay behind too."""
        return tuple(record for record in self.records if record.object_class in {"user", "inetOrgPerson"})

    @property
    def groups(self) -> tuple[Record, ...]:
        return tuple(record for record in self.records if record.object_class == "group")

    @property
    def contacts(self) -> tuple[Record, ...]:
        """Contacts, those that stay behind too."""
        return tuple(record for record in self.records if record.object_class == "contact")

    @property
    def containers(self) -> tuple[Record, ...]:
        return tuple(record for record in self.records if record.object_class == "organizationalUnit")

    def dn(self, account: str) -> str:
        """Give the DN of an account or of a group.

        Raises:
            KeyError: nobody has this sAMAccountName.
        """
        for record in self.records:
            if record.attributes.get("sAMAccountName", ("",))[0] in {account, f"{account}$"}:
                return record.dn
        raise KeyError(account)

    def entries(self) -> str:
        """LDIF that adds all entries, without their references."""
        return "\n".join(_add(record.dn, record.attributes) for record in self.records)

    def references(self) -> str:
        """LDIF that adds managers and members to the entries."""
        return "\n".join(_refer(record.dn, record.references) for record in self.records if record.references)


def make(base_dn: str, domain: str, users: int = USERS) -> Company:
    """Make the company.

    Args:
        base_dn: head of the domain it is for.
        domain: DNS name of that domain; its people's addresses are in it.
        users: how many people are to be synchronized; at least `MINIMUM_USERS`.
    """
    people = list(_people(users))
    where = {person.account: f"CN={escape(person.common_name)},{person.container},{base_dn}" for person in people}
    teams = _teams(people)
    where |= {team.name: f"CN={escape(team.name)},{TEAMS},{base_dn}" for team in teams}
    where |= {partner.name: f"CN={escape(partner.name)},{PARTNERS},{base_dn}" for partner in _PARTNERS}
    records = [_container(name, base_dn) for name in CONTAINERS]
    records += sorted((_person(person, where, domain) for person in people), key=lambda record: record.dn)
    records += sorted((_contact(partner, where) for partner in _PARTNERS), key=lambda record: record.dn)
    records += sorted((_team(team, where, domain) for team in teams), key=lambda record: record.dn)
    records += [_workstation(number, base_dn) for number in (1, 2)]
    return Company(base_dn, domain, tuple(records))


def escape(value: str) -> str:
    """Escape a value for use in a DN.

    Source: RFC 4514 section 2.4.
    """
    text = "".join(f"\\{character}" if character in ',+"\\<>;=' else character for character in value)
    if text.startswith((" ", "#")):
        text = "\\" + text
    if text.endswith(" ") and len(text) > 1:
        text = text[:-1] + "\\ "
    return text


def line(attribute: str, value: str | bytes) -> str:
    """Write one attribute as LDIF, in base64 where its value is not safe.

    Source: RFC 2849, SAFE-STRING.
    """
    if isinstance(value, bytes):
        return f"{attribute}:: {base64.b64encode(value).decode()}"
    safe = value.isascii() and value.isprintable() and not value.startswith((" ", ":", "<")) and not value.endswith(" ")
    if safe:
        return f"{attribute}: {value}"
    return f"{attribute}:: {base64.b64encode(value.encode()).decode()}"


def filetime(moment: datetime) -> int:
    """Count 100-nanosecond intervals since 1601, as accountExpires does."""
    return int((moment - datetime(1601, 1, 1, tzinfo=UTC)).total_seconds()) * 10_000_000


def _people(users: int) -> Iterator[Person]:
    yield from _NOTABLE
    yield from _HELD_BACK
    # One of the notable ones is held back at first, and comes into scope in the course of the demo.
    for number in range(users - len(_NOTABLE) + 1):
        yield _ordinary(number)


def _ordinary(number: int) -> Person:
    given_name = _GIVEN[number % len(_GIVEN)]
    surname = _SURNAMES[number * 7 % len(_SURNAMES)]
    generation = number // (len(_GIVEN) * len(_SURNAMES))
    suffix = f"{generation + 1}" if generation else ""
    container, department, manager = _DEPARTMENTS[number * 5 % len(_DEPARTMENTS)]
    return Person(
        account=f"u{number:05}",
        given_name=given_name,
        surname=surname + (f" {suffix}" if suffix else ""),
        user_principal_name=_local_part(f"{given_name}.{surname}{suffix}"),
        container=container,
        department=department,
        title=_TITLES[number % len(_TITLES)],
        telephone=f"+49 89 5550 {number:04}" if number % 4 else "",
        city=_CITIES[number % len(_CITIES)],
        manager=None if number % 17 == 0 else manager,
        has_mail=number % 11 != 0,
        aliases=(f"staff-{number:05}",) if number % 3 == 0 else (),
        control=NORMAL_ACCOUNT | DISABLED if number % 29 == 5 else NORMAL_ACCOUNT,
        is_inet_org_person=number % 97 == 3,
    )


def _local_part(name: str) -> str:
    return name.translate(_LATIN).replace("'", "").lower()


def _teams(people: Sequence[Person]) -> list[Team]:
    held_back = {person.account for person in _HELD_BACK}
    ordinary = [person.account for person in people if person.account not in held_back and not person.admin_description]
    departments = [
        Team(
            f"Team {_leaf(container)}",
            tuple(person.account for person in people if person.container == container),
            mail=f"team-{number}",
        )
        for number, (container, _, _) in enumerate(_DEPARTMENTS)
    ]
    named = [
        Team("All Employees", tuple(ordinary[:LARGE_GROUP]), UNIVERSAL_SECURITY, mail="all"),
        Team("Empty for Now", description="Nobody is in here yet"),
        Team("Engineering, all of it", tuple(team.name for team in departments[2:5]), UNIVERSAL_SECURITY),
        Team(
            "Sales + Partners",
            (*(team.name for team in departments[:2]), "Greta Gärtner"),
            UNIVERSAL_SECURITY,
            mail="sales",
        ),
        Team("#Everybody", ("Engineering, all of it", "Sales + Partners", "aaron.abel"), UNIVERSAL_SECURITY),
        Team("Circle One", ("Circle Two", "emil.engineer"), UNIVERSAL_SECURITY),
        Team("Circle Two", ("Circle One", "paula.platform"), UNIVERSAL_SECURITY),
        Team("Świętokrzyskie 東京 Αθήνα", ("taro.yamada", "nikos.papadakis", "lukasz.zolc"), LOCAL_SECURITY),
        Team(
            "Newsletter",
            (*ordinary[5:45], *(partner.name for partner in _PARTNERS)),
            UNIVERSAL_DISTRIBUTION,
            mail="newsletter",
        ),
        Team("Budget Owners", ("marek.mazur", "dora.dietz", "vera.sales"), LOCAL_SECURITY),
        Team(
            "Connector Accounts",
            ("MSOL_0b1c2d3e4f5a", "AAD_9f8e7d6c5b4a", "cloud.written", "aaron.abel"),
            description="Of its members only one is synchronized",
        ),
    ]
    projects = GROUPS - len(departments) - len(named)
    teams = departments + named
    teams += [
        Team(f"Project {number + 1:02}", tuple(ordinary[number * 3 :: projects][:12]), mail=f"project-{number + 1:02}")
        for number in range(projects)
    ]
    teams.append(
        Team(
            "Written by the Cloud",
            ("aaron.abel",),
            admin_description="Group_3b9d6a52-8f1e-4c0c-9d51-52d1ce1f1c77",
        )
    )
    return teams


def _leaf(container: str) -> str:
    return container.removeprefix("OU=").replace("\\,", "\0").partition(",")[0].replace("\0", ",")


def _container(name: str, base_dn: str) -> Record:
    return Record(f"{name},{base_dn}", {"objectClass": ("top", "organizationalUnit")})


def _person(person: Person, where: dict[str, str], domain: str) -> Record:
    classes = ("top", "person", "organizationalPerson", "user")
    attributes: dict[str, tuple[str | bytes, ...]] = {
        "objectClass": (*classes, "inetOrgPerson") if person.is_inet_org_person else classes,
        "sAMAccountName": (person.account,),
        "userAccountControl": (str(person.control | PASSWORD_NOT_REQUIRED),),
        "sn": (person.surname,),
        "company": ("Contoso",),
    }
    optional = {
        "givenName": person.given_name,
        "displayName": person.common_name if person.display_name is None else person.display_name,
        "department": person.department,
        "title": person.title,
        "telephoneNumber": person.telephone,
        "l": person.city,
        "adminDescription": person.admin_description,
    }
    attributes |= {name: (value,) for name, value in optional.items() if value}
    local_part = person.account if person.user_principal_name is None else person.user_principal_name
    if local_part:
        attributes["userPrincipalName"] = (local_part if "@" in local_part else f"{local_part}@{domain}",)
    if person.has_mail:
        # Only an address of the company: the tenant keeps others back.
        primary = f"{(local_part or person.account).partition('@')[0]}@{domain}".lower()
        attributes["mail"] = (primary,)
        attributes["proxyAddresses"] = (f"SMTP:{primary}", *(f"smtp:{alias}@{domain}" for alias in person.aliases))
    if person.consistency_guid:
        attributes["mS-DS-ConsistencyGuid"] = (person.consistency_guid,)
    if person.expires is not None:
        attributes["accountExpires"] = (str(filetime(person.expires)),)
    references: dict[str, tuple[str, ...]] = {"manager": (where[person.manager],)} if person.manager else {}
    return Record(where[person.account], attributes, references)


def _team(team: Team, where: dict[str, str], domain: str) -> Record:
    attributes: dict[str, tuple[str | bytes, ...]] = {
        "objectClass": ("top", "group"),
        "sAMAccountName": (team.name.replace("+", "and").replace(",", "").replace("#", ""),),
        "displayName": (team.name,),
        "groupType": (str(team.kind),),
    }
    if team.description:
        attributes["description"] = (team.description,)
    if team.admin_description:
        attributes["adminDescription"] = (team.admin_description,)
    if team.mail:
        attributes["mail"] = (f"{team.mail}@{domain}",)
        attributes["proxyAddresses"] = (f"SMTP:{team.mail}@{domain}",)
    members = {"member": tuple(where[member] for member in team.members)} if team.members else {}
    return Record(where[team.name], attributes, members)


def _contact(partner: Partner, where: dict[str, str]) -> Record:
    attributes: dict[str, tuple[str | bytes, ...]] = {
        "objectClass": ("top", "person", "organizationalPerson", "contact"),
    }
    optional = {
        "givenName": partner.given_name,
        "sn": partner.surname,
        "company": partner.company,
        "title": partner.title,
        "telephoneNumber": partner.telephone,
        "l": partner.city,
        "mail": partner.address if partner.has_mail else "",
        "proxyAddresses": f"SMTP:{partner.address}" if partner.address else "",
    }
    attributes |= {name: (value,) for name, value in optional.items() if value}
    references: dict[str, tuple[str, ...]] = {"manager": (where[partner.manager],)} if partner.manager else {}
    return Record(where[partner.name], attributes, references)


def _workstation(number: int, base_dn: str) -> Record:
    # For the directory a computer is a user: its object class is derived from it.
    name = f"PC{number:03}"
    return Record(
        f"CN={name},{WORKSTATIONS},{base_dn}",
        {
            "objectClass": ("top", "person", "organizationalPerson", "user", "computer"),
            "sAMAccountName": (f"{name}$",),
            "userAccountControl": (str(WORKSTATION | PASSWORD_NOT_REQUIRED),),
            "displayName": (f"{name}$",),
        },
    )


def _add(dn: str, attributes: dict[str, tuple[str | bytes, ...]]) -> str:
    lines = [line("dn", dn)]
    lines += [line(name, value) for name, values in attributes.items() for value in values]
    return "\n".join(lines) + "\n"


def _refer(dn: str, references: dict[str, tuple[str, ...]]) -> str:
    lines = [line("dn", dn), "changetype: modify"]
    for name, values in references.items():
        lines += [f"add: {name}", *(line(name, value) for value in values), "-"]
    return "\n".join(lines) + "\n"
