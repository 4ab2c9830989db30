"""Faults of a schema document: each with its place and its remedy, all at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from dirbridge.connectors.ad import schema as active_directory
from dirbridge.contract.errors import ConfigurationError
from dirbridge.contract.schema import Schema
from dirbridge.engine import validation
from dirbridge.engine.plan import compile_schema
from dirbridge.engine.validation import Defect
from dirbridge.tenant import schema as tenant_directory
from tests.engine.document import Document, constant, copied, definition, mapping, row
from tests.engine.world import default_schema

MACROS = {"DomainFQDN": "contoso.test", "DomainNetBios": "CONTOSO"}
OFFERED = (active_directory.directory(), tenant_directory.directory("id"))
RULE = "synchronizationRules[0]"
USERS = f"{RULE}.objectMappings[0]"


def document() -> Document:
    return copied(msgspec.to_builtins(default_schema("job")))


def check(found: Document) -> list[Defect]:
    return validation.check(msgspec.convert(found, Schema), MACROS, OFFERED)


def rule(found: Document) -> Document:
    made: Document = found["synchronizationRules"][0]
    return made


def at(found: Document, target: str) -> str:
    """The path of a row of users."""
    names = [each["targetAttributeName"] for each in mapping(found)["attributeMappings"]]
    return f"{USERS}.attributeMappings[{names.index(target)}]"


def test_the_default_document_is_sound() -> None:
    """Nothing is wrong with what a new job starts with."""
    assert check(document()) == []


def sets(target: str, **changes: Any) -> Callable[[Document], str]:
    """Change a row of users; gives its path."""

    def change(found: Document) -> str:
        row(mapping(found), target).update(changes)
        return at(found, target)

    return change


def maps(target: str, source: Any) -> Callable[[Document], str]:
    """Map a target attribute of users from something else; gives the path of its source."""

    def change(found: Document) -> str:
        return sets(target, source=source)(found) + ".source"

    return change


def attribute(name: str) -> Document:
    return {"type": "Attribute", "name": name, "expression": f"[{name}]", "parameters": []}


def call(name: str, **arguments: Any) -> Document:
    parameters = [{"key": key, "value": value} for key, value in arguments.items()]
    return {"type": "Function", "name": name, "parameters": parameters}


def says(**changes: Any) -> Callable[[Document], str]:
    """Change the definition of the target's Title."""

    def change(found: Document) -> str:
        names = [each["name"] for each in found["directories"][1]["objects"][0]["attributes"]]
        definition(found, "Title").update(changes)
        return f"directories[1].objects[0].attributes[{names.index('Title')}]"

    return change


def asks(operator: str, *values: str, attribute: str = "department") -> Callable[[Document], str]:
    """Add a clause to the filter of users; gives its path."""

    def change(found: Document) -> str:
        clause = {"sourceOperandName": attribute, "operatorName": operator}
        operand = {"targetOperand": {"values": list(values)}} if values else {}
        mapping(found)["scope"]["groups"] = [{"name": "mine", "clauses": [{**clause, **operand}]}]
        return f"{USERS}.scope.groups[0].clauses[0]"

    return change


def ruled(**changes: Any) -> Callable[[Document], str]:
    """Change the rule."""

    def change(found: Document) -> str:
        rule(found).update(changes)
        return RULE

    return change


def mapped(**changes: Any) -> Callable[[Document], str]:
    """Change the mapping of users."""

    def change(found: Document) -> str:
        mapping(found).update(changes)
        return USERS

    return change


CONTAINER = ".containerFilter.includedContainers[0]"

ROWS: list[tuple[Callable[[Document], str], str | None, str]] = [
    # what is changed, where in it the defect is (None: elsewhere), what is said and what to do
    (ruled(targetDirectoryName="Azure"), ".targetDirectoryName", "does not define 'Azure'"),
    (ruled(sourceDirectoryName="Active directory"), ".sourceDirectoryName", "Did you mean Active Directory"),
    (ruled(targetDirectoryName="Active Directory"), ".targetDirectoryName", "is the source as well"),
    (ruled(containerFilter={"includedContainers": ["Sales"]}), CONTAINER, "a GUID nor a"),
    (ruled(containerFilter={"includedContainers": ["OU=a,Sales"]}), CONTAINER, "OU=Sales"),
    (ruled(groupFilter={"includedGroups": ["CN=ok,DC=b", ""]}), ".groupFilter.includedGroups[1]", "'' is neither"),
    (mapped(sourceObjectName="users"), ".sourceObjectName", "no object 'users'. Did you mean user"),
    (mapped(targetObjectName="Robot"), ".targetObjectName", "no object 'Robot'. Use one of Contact, Group, User"),
    (mapped(flowTypes="Add, Remove"), ".flowTypes", "'Remove' is no flow type. Use Add, Update and Delete"),
    (maps("Title", call("SelectUniqueValue", uniqueValueRule=constant("a"))), "", "SelectUniqueValue needs a target"),
    (sets("Title", exportMissingReferences=True), ".exportMissingReferences", "Set it to false"),
    (sets("Title", flowType="MultiValueAddOnly"), ".flowType", "'Title' has one. Use ValueAddOnly"),
    (sets("CountryCode", defaultValue="DE"), ".defaultValue", "'DE' is no value of 'CountryCode': it takes a whole"),
    (sets("AccountEnabled", defaultValue="yes"), ".defaultValue", "True or False"),
    (sets("Title", matchingPriority=-1), ".matchingPriority", "-1 is no priority"),
    (sets("ProxyAddresses", matchingPriority=2), ".matchingPriority", "it is of several values"),
    (sets("AccountEnabled", matchingPriority=2), ".matchingPriority", "it is of type Boolean"),
    (sets("Title", source=None, matchingPriority=2), ".matchingPriority", "has no source to match by"),
    (sets("Manager", flowType="ObjectAddOnly"), ".flowType", "References take no flowType ObjectAddOnly"),
    (sets("Manager", flowBehavior="FlowAlways"), ".flowBehavior", "Set it to FlowWhenChanged"),
    (sets("Manager", matchingPriority=2), ".matchingPriority", "References take no matchingPriority 2"),
    (sets("Manager", defaultValue="Ann"), ".defaultValue", "Leave it out"),
    (maps("Manager", constant("Ann")), "", "'Manager' is not mapped from an attribute. Map references directly"),
    (maps("Manager", attribute("title")), "", "'Manager' is a reference, and 'title' is of type String"),
    (maps("Manager", attribute("publicDelegates")), "", "several references, and 'Manager' takes one"),
    (maps("Title", attribute("titel")), ".name", "no attribute 'titel'. Did you mean title"),
    (maps("Title", call("Trim", source=attribute("Title"))), ".parameters[0].value.name", "attribute 'Title'"),
    (maps("Title", call("Explode")), "", "'Explode' is no function"),
    (maps("Title", call("Trim")), "", "Trim lacks its parameter 'source'. Add it"),
    (maps("Title", call("Trim", source=attribute("title"), x=constant("1"))), "", "Trim has no parameter 'x'"),
    (maps("Title", {"type": "Attribute"}), "", "has no name"),
    (maps("Title", {"type": "Function", "expression": "Trim([title])"}), ".name", "schema/parseExpression makes it"),
    (maps("Title", {**attribute("title"), "expression": "[cn]"}), ".expression", "says [cn] and the rest says [title]"),
    (maps("Title", {**constant("a"), "expression": '"b"'}), ".expression", 'says "b" and the rest says "a"'),
    (maps("Title", {**attribute("title"), "parameters": call("x", k=constant("a"))["parameters"]}), ".parameters",
     "A source of type Attribute has no parameters"),
    (maps("Title", {**call("Trim", source=attribute("title")), "expression": "Trim([cn])"}), ".expression",
     "says Trim([cn]) and the rest says Trim([title])"),
    (maps("Title", {**call("Trim", source=attribute("title")), "expression": "Trim([cn]"}), ".expression", "line 1"),
    (maps("CountryCode", attribute("objectGUID")), "", "type Binary and 'CountryCode' of type Integer"),
    (maps("AccountEnabled", attribute("userAccountControl")), "", "Convert it with CBool"),
    (maps("CountryCode", attribute("accountDisabled")), "", "type Boolean and 'CountryCode' of type Integer"),
    (maps("CountryCode", constant("Germany")), "", "The constant is no value of 'CountryCode'"),
    (maps("AccountEnabled", constant("1")), "", "The constant is no value of 'AccountEnabled'"),
    (maps("Title", attribute("otherMobile")), "", "several values and 'Title' takes one. Choose one with Item"),
    (maps("Title", call("Trim", source=attribute("otherMobile"))), "", "several values and 'Title' takes one"),
    (says(mutability="ReadOnly"), None, "'Title' is ReadOnly at the target. Take the row out"),
    (says(name="Titles"), None, "User has no attribute 'Title'. Did you mean Titles"),
    (says(type="Reference"), None, "The reference 'Title' is not mapped from an attribute"),
    (says(type="Integer"), ".type", "'Title' has type String at the target, not Integer. Set it to String"),
    (says(multivalued=True), ".multivalued", "has multivalued False at the target"),
    (says(anchor=True), None, "exactly one anchor; found 2 (onPremisesObjectIdentifier, Title)"),
    (says(type="Boolean", defaultValue="x"), ".defaultValue", "'x' is no value of 'Title'"),
    (says(required=True, name="Rank"), None, "The required target attribute 'Rank' is not mapped"),
    (says(referencedObjects=[{"referencedObjectName": "Robot"}]), ".referencedObjects[0].referencedObjectName",
     "has no object 'Robot'"),
    (asks("LIKE", "x"), ".operatorName", "'LIKE' is no operator of this kind of job. Use one of EQUALS"),
    (asks("IS_MEMBER_OF", "x"), ".operatorName", "Scope by group with the rule's groupFilter"),
    (asks("EQUALS"), ".targetOperand", "EQUALS takes one operand and has 0"),
    (asks("IS NULL", "x"), ".targetOperand", "IS NULL takes no operand and has 1"),
    (asks("REGEX MATCH", "("), ".targetOperand.values[0]", "is not valid"),
    (asks("&", "many", attribute="groupType"), ".targetOperand.values[0]", "it is no whole number"),
    (asks("EQUALS", "x", attribute="departmant"), ".sourceOperandName", "Did you mean department"),
    (asks("EQUALS", "x", attribute="manager"), ".sourceOperandName", "it points to other objects"),
    (asks("EQUALS", "x", attribute="accountExpires"), ".sourceOperandName", "it is a date"),
    (asks("IS NULL", attribute="whenChanged"), ".sourceOperandName", "it is a date"),
    (asks("IS TRUE"), ".operatorName", "IS TRUE is for Boolean; 'department' is of type String. Use one of EQUALS"),
    (asks("GREATER_THAN", "5"), ".operatorName", "GREATER_THAN is for Integer"),
    (asks("EQUALS", "TRUE", attribute="isCriticalSystemObject"), ".operatorName", "Use one of IS TRUE, IS FALSE"),
    (asks("INCLUDES", "1", attribute="countryCode"), ".operatorName", "INCLUDES is for String"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "member", "said"), ROWS, ids=[said for _, _, said in ROWS])
def test_a_fault_is_named_with_its_place_and_its_remedy(
    change: Callable[[Document], str], member: str | None, said: str
) -> None:
    """One change of the default document, and what is found."""
    found = document()
    path = change(found)
    told = {defect.path: f"{defect.what} {defect.remedy}" for defect in check(found)}
    if member is None:
        assert any(said in each for each in told.values()), told
    else:
        assert said in told.get(path + member, ""), told


def test_references_become_text() -> None:
    """The anchors of a short reference can be mapped to text; members cannot, as they come apart from their group."""
    found = document()
    maps("Department", attribute("manager"))(found)
    assert check(found) == []
    row(mapping(found, 2), "Description")["source"] = attribute("member")
    (defect,) = check(found)
    assert "members come apart from their group" in defect.what


def test_macros_may_be_missing_from_a_text() -> None:
    """They vanish from the text that Graph writes; the tree has them."""
    found = document()
    made = row(mapping(found), "UserPrincipalName")["source"]
    made["expression"] = made["expression"].replace("%DomainFQDN%", "")
    assert check(found) == []
    made["expression"] = made["expression"].replace("sAMAccountName", "cn")
    assert [defect.path for defect in check(found)] == [at(found, "UserPrincipalName") + ".source.expression"]


def test_names_that_occur_twice() -> None:
    """Rules, directories, objects, attributes and rows: each second one is named with the first."""
    found = document()
    found["synchronizationRules"].append(copied(rule(found)))
    found["synchronizationRules"][1]["objectMappings"] = []
    title = row(mapping(found), "Title")
    mapping(found)["attributeMappings"].append(copied(title))
    objects = found["directories"][0]["objects"]
    objects[0]["attributes"].append(copied(objects[0]["attributes"][0]))
    objects.append(copied(objects[1]))
    found["directories"].append({"id": "x", "name": "Active Directory", "objects": []})
    told = {defect.path: defect.what for defect in check(found)}
    rows = mapping(found)["attributeMappings"]
    count = len(objects[0]["attributes"]) - 1
    first = f"{USERS}.attributeMappings[{rows.index(title)}]"
    assert told[f"{RULE[:-3]}[1].id"] == f"'{rule(found)['id']}' is the id of {RULE} already."
    assert told[f"{USERS}.attributeMappings[{len(rows) - 1}].targetAttributeName"] == (
        f"'Title' is mapped at {first} already."
    )
    assert (
        "directories[0].objects[0].attributes[0] already" in told[f"directories[0].objects[0].attributes[{count}].name"]
    )
    assert "directories[0].objects[1] already" in told["directories[0].objects[4].name"]
    assert "directories[0] already" in told["directories[2].name"]


def second(found: Document, **changes: Any) -> Document:
    """Give users a second mapping."""
    other = copied(mapping(found))
    other.update(changes)
    rule(found)["objectMappings"].append(other)
    return other


def test_mappings_of_one_type_must_agree_on_what_no_entry_tells() -> None:
    """On deletes, on members, and on where a reference goes."""
    found = document()
    second(found, flowTypes="Add,Update")
    groups = copied(mapping(found, 2))
    groups["attributeMappings"].remove(row(groups, "Member"))
    rule(found)["objectMappings"].append(groups)
    row(mapping(found, 1), "Assistant")["source"] = attribute("manager")
    told = {defect.path: defect.what for defect in check(found)}
    base = f"{RULE}.objectMappings"
    names = [each["targetAttributeName"] for each in mapping(found, 1)["attributeMappings"]]
    assert told == {
        f"{base}[4].flowTypes": f"Delete is off here and not at {USERS}, for the same types.",
        f"{base}[5].attributeMappings": f"'member' is mapped to nothing here and to Member at {base}[2].",
        f"{base}[1].attributeMappings[{names.index('Assistant')}].targetAttributeName": (
            f"'manager' is mapped to 'Assistant' here and to 'Manager' at {at(found, 'Manager')}."
        ),
    }


def test_rules_of_one_job_have_the_same_ends() -> None:
    """A job has one source and one target."""
    found = document()
    other = copied(rule(found))
    other |= {"id": "back", "sourceDirectoryName": "Azure Active Directory", "targetDirectoryName": "Active Directory"}
    other["objectMappings"] = []
    found["synchronizationRules"].append(other)
    told = {defect.path: defect.what for defect in check(found)}
    assert told.keys() == {"synchronizationRules[1].sourceDirectoryName", "synchronizationRules[1].targetDirectoryName"}


def test_rules_of_one_job_choose_the_same_groups() -> None:
    """A job knows one set of people whom groups let in."""
    found = document()
    rule(found)["groupFilter"] = {"includedGroups": ["CN=a,DC=b"]}
    for number, groups in enumerate(([], ["CN=a,DC=b"], ["CN=c,DC=b"]), 1):
        other = copied(rule(found)) | {
            "id": str(number),
            "objectMappings": [],
            "groupFilter": {"includedGroups": groups},
        }
        found["synchronizationRules"].append(other)
    (defect,) = check(found)
    assert (defect.path, defect.what) == (
        "synchronizationRules[3].groupFilter",
        f"It names other groups than {RULE}'s.",
    )
    with pytest.raises(ConfigurationError, match="names other groups"):
        compile_schema(msgspec.convert(found, Schema), MACROS)


def test_a_damaged_document_is_not_searched_without_end() -> None:
    """Two hundred defects are enough."""
    found = document()
    for at in range(4):
        for each in mapping(found, at)["attributeMappings"]:
            each["targetAttributeName"] += "x"
    assert len(check(found)) == 200
    for at in range(4):
        for each in mapping(found, at)["attributeMappings"]:
            each["matchingPriority"] = "x"
    defects = validation.read(found)
    assert not isinstance(defects, Schema)
    assert len(defects) == 200


def test_what_the_ends_cannot_do() -> None:
    """A target has just its own attributes and a source just its own objects; a source may have further attributes."""
    found = document()
    found["directories"][0]["objects"][0]["attributes"].append({"name": "shoeSize"})
    assert check(found) == []
    for name, end in (("computer", 0), ("Device", 1)):
        found["directories"][end]["objects"].append({"name": name, "attributes": [{"name": "id", "anchor": True}]})
    found["directories"][1]["objects"][0]["attributes"].append({"name": "ShoeSize"})
    count = len(found["directories"][1]["objects"][0]["attributes"]) - 1
    told = {defect.path: defect.what for defect in check(found)}
    assert told == {
        "directories[0].objects[4].name": "'Active Directory' has no object 'computer'.",
        "directories[1].objects[3].name": "'Azure Active Directory' has no object 'Device'.",
        f"directories[1].objects[0].attributes[{count}].name": "A User has no attribute 'ShoeSize'.",
    }


def test_a_mapping_that_is_switched_off_may_have_any_fault() -> None:
    """It says nothing about anything."""
    found = document()
    second(found, enabled=False, flowTypes="x", sourceObjectName="y")
    row(mapping(found, 4), "Title")["targetAttributeName"] = "ShoeSize"
    assert check(found) == []


def test_no_rule_at_all() -> None:
    """There is nothing to do for such a job."""
    found = document() | {"synchronizationRules": []}
    (defect,) = check(found)
    assert (defect.path, defect.what) == ("synchronizationRules", "There is no synchronization rule.")


def test_a_mapping_without_matching_attribute() -> None:
    """Every mapping needs one."""
    found = document()
    row(mapping(found), "onPremisesObjectIdentifier")["matchingPriority"] = 0
    (defect,) = check(found)
    assert (defect.path, defect.what) == (
        f"{USERS}.attributeMappings",
        "No attribute is matched by: every matchingPriority is 0.",
    )


def test_all_faults_are_told_at_once() -> None:
    """The error's reason is the first one and its details hold all by path; so it is where a document is compiled."""
    found = document()
    paths = [maps("Title", constant("\x00"))(found), asks("LIKE", "x")(found) + ".operatorName"]
    paths.append(at(found, "City"))
    row(mapping(found), "City")["targetAttributeName"] = "Town"
    schema = msgspec.convert(found, Schema)
    with pytest.raises(ConfigurationError) as caught:
        compile_schema(schema, MACROS)
    assert caught.value.code == "InvalidSchema"
    assert caught.value.details.keys() == {paths[0], paths[1], paths[2] + ".targetAttributeName"}
    assert caught.value.reason.startswith(next(iter(caught.value.details)))
    assert caught.value.recommended_action.endswith("There are 2 more.")


# Structure ------------------------------------------------------------------------------------------------------------


def test_structure_names_every_wrong_member() -> None:
    """What is missing, of a wrong type or of no known value, wherever it stands."""
    found = document()
    rule(found)["priority"] = "first"
    mapping(found)["attributeMappings"][0]["flowType"] = "Sometimes"
    mapping(found)["attributeMappings"][1]["source"]["type"] = "Magic"
    mapping(found)["scope"]["groups"] = [{"clauses": "all"}]
    mapping(found, 1)["attributeMappings"] = "all"
    del found["directories"][0]["name"]
    defects = validation.read(found)
    assert not isinstance(defects, Schema)
    assert {defect.path: defect.what for defect in defects} == {
        f"{RULE}.priority": "Expected `int`, got `str`.",
        f"{USERS}.attributeMappings[0].flowType": "Invalid enum value 'Sometimes'.",
        f"{USERS}.attributeMappings[1].source.type": "Invalid enum value 'Magic'.",
        f"{USERS}.scope.groups[0].clauses": "Expected `array`, got `str`.",
        f"{RULE}.objectMappings[1].attributeMappings": "Expected `array`, got `str`.",
        "directories[0].name": "It is missing.",
    }


@pytest.mark.parametrize("value", [[], "x", None, 7])
def test_what_is_no_document(value: Any) -> None:
    """One defect, of the whole."""
    defects = validation.read(value)
    assert not isinstance(defects, Schema)
    assert [defect.path for defect in defects] == ["schema"]


def test_members_that_no_part_has() -> None:
    """Each is named with its place: what is misspelt is not lost without a word."""
    found = document()
    rule(found)["containerFilters"] = {"includedContainers": []}
    mapping(found)["scope"]["group"] = []
    mapping(found)["attributeMappings"][0]["source"]["parameter"] = []
    found["directories"][1]["objects"][0]["attributes"][0]["kind"] = "String"
    defects = validation.read(found)
    assert not isinstance(defects, Schema)
    assert [defect.path for defect in defects] == [
        f"{USERS}.attributeMappings[0].source.parameter",
        f"{USERS}.scope.group",
        f"{RULE}.containerFilters",
        "directories[1].objects[0].attributes[0].kind",
    ]
    assert "groups, inputFilterGroups" in defects[1].remedy


def test_a_sound_structure_is_read_without_loss() -> None:
    """Reading gives what was written."""
    found = document()
    read = validation.read(found)
    assert isinstance(read, Schema)
    assert copied(msgspec.to_builtins(read)) == found


# Rules that are not to be changed -------------------------------------------------------------------------------------


def test_rules_that_are_not_editable() -> None:
    """They can neither be changed nor taken out; others can, and further ones can be added."""
    found = document()
    other = copied(rule(found)) | {"id": "other", "editable": False}
    found["synchronizationRules"].append(other)
    before = msgspec.convert(found, Schema)
    assert validation.uneditable(before, before) == []
    rule(found)["priority"] = 5
    assert validation.uneditable(before, msgspec.convert(found, Schema)) == []
    other["priority"] = 5
    (defect,) = validation.uneditable(before, msgspec.convert(found, Schema))
    assert (defect.path, defect.what[-9:]) == ("synchronizationRules[1]", " changed.")
    found["synchronizationRules"].remove(other)
    (defect,) = validation.uneditable(before, msgspec.convert(found, Schema))
    assert (defect.path, defect.what[-11:]) == ("synchronizationRules", " taken out.")
