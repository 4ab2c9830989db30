"""What every target must do, as checks that a test runs against each of them.

A check gets a `Subject` and raises `AssertionError` with a sentence where the target does otherwise. The target starts
with nothing in it that the checks could meet.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from dirbridge.connectors.protocol import Target
from dirbridge.contract.export import Action, Export, Outcome, Reference, TargetValue

Values = dict[str, TargetValue]


@dataclass(frozen=True, slots=True)
class Subject:
    """A target on trial.

    Attributes:
        unit: opens the transaction that a call belongs to; it is committed when the context ends.
        domain: a domain in which sign-in names may lie.
    """

    target: Target[Any]
    unit: Callable[[], AbstractAsyncContextManager[Any]]
    domain: str

    def person(self, name: str, **more: TargetValue) -> Values:
        """Give what a user is made of."""
        base: Values = {"SourceAnchor": f"anchor-{name}", "UserPrincipalName": f"{name}@{self.domain}"}
        return {**base, "DisplayName": name.title(), "AccountEnabled": True, **more}

    async def export(self, *batch: Export) -> dict[str, Outcome]:
        """Write a batch to its end, in as many calls as the target takes, and give the outcomes by anchor."""
        known: dict[str, Outcome] = {}
        while rest := [export for export in batch if export.anchor not in known]:
            async with self.unit() as unit:
                said = {outcome.anchor: outcome for outcome in await self.target.export(unit, rest)}
            assert said, "a call that raised nothing has begun nothing"
            assert said.keys() <= {export.anchor for export in rest}, "an outcome is of nothing that was asked"
            known |= said
        return known

    async def make(self, *names: str, object_type: str = "User") -> dict[str, str]:
        """Create objects and give their target anchors by name."""
        batch = [Export(name, object_type, Action.CREATE, None, self.person(name)) for name in names]
        found: dict[str, str] = {}
        for name, outcome in (await self.export(*batch)).items():
            assert outcome.error is None, f"'{name}' was not made: {outcome.error}"
            assert outcome.target, f"'{name}' has no target anchor"
            found[name] = outcome.target
        return found

    async def read(self, *targets: str) -> dict[str, Mapping[str, TargetValue]]:
        """Read objects."""
        async with self.unit() as unit:
            return await self.target.read(unit, targets)

    async def find(self, *wanted: Values, object_type: str = "User", attributes: Sequence[str] = ()) -> dict[str, str]:
        """Match entries whose anchor is their display name."""
        async with self.unit() as unit:
            asked = [(str(values["DisplayName"]).lower(), values) for values in wanted]
            matches = await self.target.find(unit, object_type, asked, attributes)
        assert all(len(match.targets) == 1 for match in matches.values()), f"a match is not the only one: {matches}"
        return {anchor: match.targets[0] for anchor, match in matches.items()}

    async def refer(self, added: Sequence[Reference] = (), removed: Sequence[Reference] = ()) -> None:
        """Write references."""
        async with self.unit() as unit:
            faults = await self.target.refer(unit, added, removed)
        assert not faults, f"references were refused: {faults}"


Check = Callable[[Subject], Awaitable[None]]


async def what_is_made_is_read(subject: Subject) -> None:
    """What was created is read as it was written, under an anchor of its own."""
    made = await subject.make("ann", "bob")
    assert len(set(made.values())) == 2, "two objects share an anchor"
    found = await subject.read(*made.values())
    for name, target in made.items():
        wanted = subject.person(name)
        assert {key: found[target].get(key) for key in wanted} == wanted, f"'{name}' was written otherwise"


async def nobody_is_nobody(subject: Subject) -> None:
    """What is not there is missing from a read and from a match; nothing asked is nothing found."""
    made = await subject.make("ann")
    await subject.export(Export("ann", "User", Action.DELETE, made["ann"], {}))
    assert await subject.read() == {}, "nothing was asked for"
    assert await subject.find() == {}, "nothing was asked for"
    assert await subject.find(subject.person("eve")) == {}, "a stranger was matched"


async def it_is_found_by_its_source_anchor(subject: Subject) -> None:
    """Created, but the answer was lost: matching finds it, whatever it is called now, and only under its type."""
    made = await subject.make("ann")
    renamed = subject.person("ann", UserPrincipalName=f"other@{subject.domain}")
    assert await subject.find(renamed) == made, "it was not found by its source anchor"
    assert await subject.find(renamed, object_type="Group") == {}, "it was found as a group"


async def it_is_found_by_what_is_asked_for(subject: Subject) -> None:
    """A matching attribute goes before the target's own rules; where it finds nothing, they follow."""
    made = await subject.make("ann", "bob")
    twisted = subject.person("ann", DisplayName="Bob", UserPrincipalName=f"other@{subject.domain}")
    by_name = await subject.find(twisted, attributes=["DisplayName"])
    assert by_name == {"bob": made["bob"]}, "a matching attribute was not heeded"
    stranger = {**twisted, "DisplayName": "Eve"}
    assert await subject.find(stranger, attributes=["DisplayName"]) == {"eve": made["ann"]}, "own rules did not follow"


async def an_update_changes_what_it_names(subject: Subject) -> None:
    """An update leaves alone what it does not name, and None clears."""
    made = await subject.make("ann")
    for wanted in ({"Department": "Sales"}, {"DisplayName": "Anna"}, {"Department": None}):
        values: Values = dict(wanted)
        outcome = (await subject.export(Export("ann", "User", Action.UPDATE, made["ann"], values)))["ann"]
        assert (outcome.error, outcome.target) == (None, made["ann"]), f"{wanted} was not written"
    now = (await subject.read(made["ann"]))[made["ann"]]
    assert now.get("DisplayName") == "Anna", "a later update lost an earlier one"
    assert now.get("Department") is None, "None did not clear"
    assert now.get("UserPrincipalName") == f"ann@{subject.domain}", "an update touched what it did not name"


async def one_that_fails_stops_nobody(subject: Subject) -> None:
    """Of a batch, one that cannot be is refused with a reason, or known to be there; the others are made."""
    await subject.make("ann")
    twin = subject.person("twin", UserPrincipalName=f"ann@{subject.domain}")
    batch = {"one": subject.person("one"), "twin": twin, "two": subject.person("two")}
    outcomes = await subject.export(*(Export(k, "User", Action.CREATE, None, v) for k, v in batch.items()))
    assert (outcomes["one"].error, outcomes["two"].error) == (None, None), "a bystander was refused"
    refused = outcomes["twin"]
    assert refused.error is not None, "a sign-in name was given twice"
    assert refused.error.code, "a refusal has no code"
    assert refused.error.reason, "a refusal has no reason"


async def deleting_twice_is_deleting(subject: Subject) -> None:
    """What is deleted is live no more; deleting it again is no failure."""
    made = await subject.make("ann")
    for _ in range(2):
        outcome = (await subject.export(Export("ann", "User", Action.DELETE, made["ann"], {})))["ann"]
        assert outcome.error is None, f"a delete failed: {outcome.error}"
    left = (await subject.read(made["ann"])).get(made["ann"])
    assert left is None or left.get("IsSoftDeleted") is True, "a deleted object is read as live"


async def what_is_deleted_comes_back(subject: Subject) -> None:
    """Where deletes are soft, the object is still matched, and an export with `restore` brings it back."""
    if "User" not in subject.target.capabilities.soft_deletes:
        return
    made = await subject.make("ann")
    await subject.export(Export("ann", "User", Action.DELETE, made["ann"], {}))
    assert await subject.find(subject.person("ann")) == made, "what lies in the bin is not matched"
    back = Export("ann", "User", Action.UPDATE, made["ann"], {"Department": "Sales"}, restore=True)
    outcome = (await subject.export(back))["ann"]
    assert (outcome.error, outcome.target) == (None, made["ann"]), "it did not come back"
    now = (await subject.read(made["ann"]))[made["ann"]]
    assert (now.get("IsSoftDeleted"), now.get("Department")) == (None, "Sales"), "it came back otherwise"


async def references_are_sets(subject: Subject) -> None:
    """Adding what is there and taking away what is not is no fault; a single one is replaced in one call."""
    people = await subject.make("ann", "bob", "eve")
    team = (await subject.make("team", object_type="Group"))["team"]
    member = Reference(team, "Member", people["ann"])
    await subject.refer([member])
    await subject.refer([member, Reference(team, "Member", people["bob"])])
    await subject.refer(removed=[Reference(team, "Member", people["eve"]), member])
    await subject.refer([Reference(people["ann"], "Manager", people["bob"])])
    await subject.refer(
        [Reference(people["ann"], "Manager", people["eve"])], [Reference(people["ann"], "Manager", people["bob"])]
    )


CHECKS: tuple[Check, ...] = (
    what_is_made_is_read,
    nobody_is_nobody,
    it_is_found_by_its_source_anchor,
    it_is_found_by_what_is_asked_for,
    an_update_changes_what_it_names,
    one_that_fails_stops_nobody,
    deleting_twice_is_deleting,
    what_is_deleted_comes_back,
    references_are_sets,
)
