"""The default mapping and the directory's definition."""

from __future__ import annotations

import re

import pytest

from dirbridge.connectors import flows
from dirbridge.connectors.ad import schema
from dirbridge.connectors.ad.schema import attribute, constant, function, when
from dirbridge.contract.schema import AttributeMapping, Rule, Schema, Source, parse, render


@pytest.fixture
def rule() -> Rule:
    return schema.default_rule()


def rows(rule: Rule, name: str) -> dict[str, AttributeMapping]:
    (found,) = [mapping for mapping in rule.object_mappings if mapping.source_object_name == name]
    return {row.target_attribute_name: row for row in found.attribute_mappings}


def _same(target: str) -> re.Pattern[str]:
    """A source of the target's name, as it is or trimmed."""
    return re.compile(rf"(Trim\()?\[{re.escape(target)}\]\)?", re.IGNORECASE)


def test_rule_maps_four_types(rule: Rule) -> None:
    assert (rule.id, rule.name) == ("6c409270-f78a-4bc6-af23-7cf3ab6482fe", "AD2AADProvisioning")
    assert (rule.source_directory_name, rule.target_directory_name) == ("Active Directory", "Azure Active Directory")
    assert [(one.name, one.source_object_name, one.target_object_name) for one in rule.object_mappings] == [
        ("Provision Active Directory users", "user", "User"),
        ("Provision Active Directory inetOrgPersons", "inetOrgPerson", "User"),
        ("Provision Active Directory groups", "group", "Group"),
        ("Provision Active Directory contacts", "contact", "Contact"),
    ]


def test_user_mapping_has_its_136_rows(rule: Rule) -> None:
    """57 direct and 44 trimmed rows of the same name, 35 that rename or compute; each target once."""
    users = next(one for one in rule.object_mappings if one.source_object_name == "user")
    names = [row.target_attribute_name for row in users.attribute_mappings]
    assert len(names) == len(set(names)) == 136
    same = [
        row
        for row in users.attribute_mappings
        if _same(row.target_attribute_name).fullmatch(row.source.expression or "")
        and row.target_attribute_name != "onPremisesObjectIdentifier"
    ]
    assert len(same) == 101
    assert sum(1 for row in same if row.source.type == "Function") == 44
    assert rows(rule, "inetOrgPerson") == rows(rule, "user")


def test_one_row_matches(rule: Rule) -> None:
    for mapping in rule.object_mappings:
        matching = [row.target_attribute_name for row in mapping.attribute_mappings if row.matching_priority]
        assert matching == ["onPremisesObjectIdentifier"]


@pytest.mark.parametrize(
    ("kind", "target", "expression"),
    [
        ("user", "onPremisesObjectIdentifier", "[objectGUID]"),
        (
            "user",
            "AccountEnabled",
            (
                'IIF([accountExpired]="True", "False", IIF(IsPresent([userAccountControl]), '
                'IIF(BitAnd([userAccountControl], 2)="0", "True", "False"), Not([accountDisabled])))'
            ),
        ),
        ("user", "Description", "Left(Trim([description]), 448)"),
        (
            "user",
            "LastPasswordChangeTimestamp",
            'IIF(IsPresent([pwdLastSet]), FormatDateTime(DateFromNum([pwdLastSet]), , "yyyyMMddHHmmss.0Z"), )',
        ),
        ("user", "PostOfficeBox", 'IIF(IsPresent([postOfficeBox]), Left(Trim(Item([postOfficeBox], 1)), 448), "")'),
        ("user", "ProxyAddresses", "RemoveDuplicates(Trim([proxyAddresses]))"),
        (
            "user",
            "UserPrincipalName",
            (
                "IIF(IsPresent([userPrincipalName]), [userPrincipalName], IIF(IsPresent([sAMAccountName]), "
                'Join("@", [sAMAccountName], %DomainFQDN%), Error("AccountName is not present")))'
            ),
        ),
        ("user", "MSExchElcMailboxFlags", "[msExchELCMailboxFlags]"),
        ("user", "MSExchArchiveGuid", "[msExchArchiveGUID]"),
        ("user", "WwwHomepage", "[wWWHomePage]"),
        ("user", "IPPhone", "Trim([ipPhone])"),
        ("user", "UserSMIMECertificate", "[userSMIMECertificate]"),
        ("group", "SecurityEnabled", "CBool(BitAnd([groupType], -2147483648))"),
        ("group", "Member", "[member]"),
        ("group", "MSOrgIsOrganizational", "[msOrg-IsOrganizational]"),
        ("contact", "Alias", "IIF(IsPresent([mailNickname]), [mailNickname], [cn])"),
        ("contact", "DisplayName", "IIF(IsPresent([displayName]), [displayName], [cn])"),
        ("contact", "MSExchBypassModerationLink", "[msExchBypassModerationLink]"),
        ("contact", "TelephoneNumber", "Trim([telephoneNumber])"),
    ],
)
def test_expression_reads_as_published(rule: Rule, kind: str, target: str, expression: str) -> None:
    """The text is for people; the tree is what counts, and both come from one call."""
    assert rows(rule, kind)[target].source.expression == expression


def test_constants_are_macros(rule: Rule) -> None:
    """The domain's names are filled in from the job's settings."""
    assert rows(rule, "user")["dnsDomainName"].source == Source(type="Constant", name="%DomainFQDN%")
    assert rows(rule, "user")["netBiosName"].source == Source(type="Constant", name="%DomainNetBios%")


def test_parameters_have_the_published_keys() -> None:
    """Skipped arguments leave no parameter and keep their place in the text."""
    compared = when(attribute("a"), constant("x"), constant("y"), equals=constant("0"))
    assert [parameter.key for parameter in compared.parameters] == ["one", "two", "three", "four", "five"]
    assert [parameter.value.name for parameter in compared.parameters] == ["a", "=", "0", "x", "y"]
    tested = when(flows.present("a"), constant("x"))
    assert [parameter.key for parameter in tested.parameters] == ["one", "four"]
    assert tested.expression == 'IIF(IsPresent([a]), "x", )'
    joined = function("Join", constant("-"), attribute("a"), attribute("b"))
    assert [parameter.key for parameter in joined.parameters] == ["separator", "source", "source"]
    formatted = function("FormatDateTime", attribute("a"), None, constant("yyyy"))
    assert [parameter.key for parameter in formatted.parameters] == ["source", "outputFormat"]
    assert constant('say "\\"').expression == '"say \\"\\\\\\""'
    with pytest.raises(ValueError, match="Trim takes 1"):
        function("Trim", attribute("a"), attribute("b"))


def test_every_source_attribute_is_defined(rule: Rule) -> None:
    """Mapping and filters name nothing that the directory's definition does not have."""
    defined = {kind.name: {one.name for one in kind.attributes} for kind in schema.directory().objects}
    for mapping in rule.object_mappings:
        used = {name for row in mapping.attribute_mappings for name in flows.names(row.source)}
        used |= {clause.source_operand_name for group in mapping.scope.input_filter_groups for clause in group.clauses}
        assert used <= defined[mapping.source_object_name]


def test_types_of_the_definition() -> None:
    objects = {kind.name: {one.name: one for one in kind.attributes} for kind in schema.directory().objects}
    users, groups = objects["user"], objects["group"]
    assert users["objectGUID"].anchor
    assert users["objectGUID"].required
    assert (users["objectGUID"].type, users["userCertificate"].type) == ("Binary", "Binary")
    assert (users["manager"].type, users["manager"].multivalued) == ("Reference", False)
    assert (groups["member"].type, groups["member"].multivalued) == ("Reference", True)
    assert (users["pwdLastSet"].type, users["accountExpires"].type) == ("Integer", "Integer")
    assert users["isCriticalSystemObject"].type == "Boolean"
    assert users["proxyAddresses"].multivalued
    assert [one.name for kind in objects.values() for one in kind.values() if one.anchor] == ["objectGUID"] * 4
    assert {one.referenced_object_name for one in users["manager"].referenced_objects} == {
        "user",
        "inetOrgPerson",
        "group",
        "contact",
    }


def test_default_exclusions(rule: Rule) -> None:
    """Eleven tests of one group for people; for groups and contacts one for each way to be of use."""
    users, _, groups, contacts = rule.object_mappings
    (group,) = users.scope.input_filter_groups
    assert [(one.source_operand_name, one.operator_name) for one in group.clauses] == [
        ("isCriticalSystemObject", "IS FALSE"),
        ("adminDescription", "NOT REGEX MATCH"),
        ("sAMAccountName", "IS NOT NULL"),
        ("sAMAccountName", "NOT EQUALS"),
        ("mailNickname", "NOT REGEX MATCH"),
        ("sAMAccountName", "NOT REGEX MATCH"),
        ("mailNickname", "NOT REGEX MATCH"),
        ("sAMAccountName", "NOT REGEX MATCH"),
        ("sAMAccountName", "NOT REGEX MATCH"),
        ("msExchRecipientTypeDetails", "!&"),
        ("distinguishedName", "NOT REGEX MATCH"),
    ]
    assert len(groups.scope.input_filter_groups) == 3
    assert [[one.source_operand_name for one in each.clauses[3:]] for each in contacts.scope.input_filter_groups] == [
        ["displayName", "mail"],
        ["displayName", "proxyAddresses"],
        ["msExchHideFromAddressLists", "mail"],
        ["msExchHideFromAddressLists", "proxyAddresses"],
    ]
    pattern = group.clauses[-1].target_operand
    assert pattern is not None
    assert re.search(pattern.values[0], r"CN=Ann\0ACNF:342da973-89ec-4db4-84f7-51f07a4899f7,OU=x,DC=b")
    assert not re.search(pattern.values[0], r"CN=Ann,OU=x,DC=b")


def test_document_survives_json(rule: Rule) -> None:
    """As it is stored and served."""
    document = Schema("job", (rule,), (schema.directory(),))
    assert parse(render(document)) == document
