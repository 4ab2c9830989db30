"""The steps of an event in words, put together when they are read.

The engine stores a step as Graph's step name, its type, its status and some details. A sentence is chosen by step name
and type, then filled from the event and from these details, where they are there:

    type, name      of the entry or object that the step is about
    held            why a group by which the job is scoped cannot be read (scoping)
    passed, clause  whether the scope holds, and the clause that did not (scoping)
    matched         an object that nobody had linked was taken over (matching)
    restored        the object came back from the recycle bin (export)
    permanent       the object was deleted for good, as its type has no recycle bin (export)
    evidence        how the removal of an entry was proved: Tombstone, OutOfScope, Disabled (import)
    members         how many members of a group stay until a person decides (export)
    written, waiting    how many references were written, how many wait for their other end (reference resolution)
    note1, note2 …  what the target did otherwise than asked, each a sentence (export)
    attempts, since     how often an entry failed, and the time of the first failure (its escrow is removed)
    SkipReason      the code of why nothing was done (export)
    reason          why, as a sentence that ends the step's own

Unknown names are shown as they are: a new step in the engine is readable before it has a sentence here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from dirbridge.contract.event import Status, Step, StepType


class Scene(msgspec.Struct, frozen=True):
    """What the sentences of an event name."""

    source_type: str
    source_name: str
    source_system: str
    target_type: str
    target_name: str
    target_system: str

    @property
    def source(self) -> str:
        """The entry, for instance `user 'Ada Lovelace'`."""
        return f"{self.source_type or 'entry'} '{self.source_name}'"

    @property
    def target(self) -> str:
        """The object, for instance `User 'ada@contoso.test'`."""
        return f"{self.target_type or 'object'} '{self.target_name or self.source_name}'"


Sentence = Callable[[Scene, Mapping[str, str]], str]

_EVIDENCE = {
    "Tombstone": "it was deleted there",
    "OutOfScope": "it lies outside the scope now",
    "Disabled": "it is disabled there",
}


def _imported(scene: Scene, details: Mapping[str, str]) -> str:
    evidence = details.get("evidence")
    if evidence:
        return f"{scene.source_system} shows of {scene.source} that {_EVIDENCE.get(evidence, evidence)}."
    return f"{scene.source_system} reported {scene.source}."


def _scoped(scene: Scene, details: Mapping[str, str]) -> str:
    if details.get("held"):
        gone = f"{_capital(scene.source)}, by which the job is scoped, is gone or cannot be read"
        return f"{gone}: whom it had stays in scope."
    clause = details.get("clause")
    if clause:
        return f"{_capital(scene.source)} is not in scope: {clause}"
    return f"{_capital(scene.source)} is in scope."


def _matched(scene: Scene, details: Mapping[str, str]) -> str:
    if details.get("matched"):
        return f"{scene.target} was there before and is taken over from now on."
    return f"{scene.target} in {scene.target_system} belongs to {scene.source}."


def _updated(scene: Scene, details: Mapping[str, str]) -> str:
    done = "restored and updated" if details.get("restored") else "updated"
    return f"{scene.target} was {done} in {scene.target_system}."


def _deleted(scene: Scene, details: Mapping[str, str]) -> str:
    for_good = ", for good" if details.get("permanent") else ""
    return f"{scene.target} was deleted in {scene.target_system}{for_good}."


def _resolved(scene: Scene, details: Mapping[str, str]) -> str:
    waiting = details.get("waiting", "0")
    said = f"{details.get('written', '0')} references of {scene.source} changed"
    if waiting != "0":
        said += f"; {waiting} wait for entries that are not in {scene.target_system} yet"
    return f"{said}."


def _given_up(scene: Scene, details: Mapping[str, str]) -> str:
    return (
        f"{_capital(scene.source)} has failed {details.get('attempts', 'several')} times since "
        f"{details.get('since', 'long ago')}. It is not tried again by itself, but when it changes in "
        f"{scene.source_system}, or when everything is read."
    )


def _members_stay(scene: Scene, details: Mapping[str, str]) -> str:
    number = details.get("members", "some")
    return f"{number} members that {scene.source} lost stay in {scene.target} until a person allows their removal."


def _nothing_done(scene: Scene, details: Mapping[str, str]) -> str:
    match details.get("SkipReason"):
        case "SkipOutOfScopeDeletions":
            return (
                f"{scene.target} stays in {scene.target_system} as it is: the job leaves alone what leaves its scope."
            )
        case "ImportSkipped" | "EntrySynchronizationSkipped":
            return f"Nothing is made for {scene.source} in {scene.target_system}."
    return f"Nothing was to be done for {scene.source} in {scene.target_system}."


_SENTENCES: dict[str, Sentence] = {
    "EntryImportAdd": lambda s, _: f"{s.source_system} reported {s.source}, which was not known before.",
    "EntryImport": _imported,
    "EntryImportObjectNotFound": lambda s, _: f"{s.source_system} shows {s.source} neither as live nor as deleted.",
    "EntrySynchronizationScoping": _scoped,
    "EntrySynchronizationAdd": lambda s, _: f"Nothing in {s.target_system} matches {s.source}: it is to be created.",
    "EntrySynchronizationSkip": _nothing_done,
    "EntrySynchronizationError": lambda s, _: f"{_capital(s.source)} could not be mapped.",
    "EntrySynchronizationReferences": _resolved,
    "EntryEscrowRemoved": _given_up,
    "EntryExportAdd": lambda s, _: f"{s.target} was created in {s.target_system}.",
    "EntryExportUpdate": _updated,
    "EntryExportDelete": _deleted,
    "EntryStagedMembers": _members_stay,
    "EntryStagedDelete": lambda s, _: f"{s.target} stays until a person allows its delete.",
}
_FAILED: dict[str, Sentence] = {
    "EntryExportAdd": lambda s, _: f"{s.target} could not be created in {s.target_system}.",
    "EntryExportUpdate": lambda s, _: f"{s.target} could not be updated in {s.target_system}.",
    "EntryExportDelete": lambda s, _: f"{s.target} could not be deleted in {s.target_system}.",
}

_FILLING = frozenset({"type", "name", "passed", "clause", "matched", "evidence", "written", "waiting", "SkipReason"})
"""Details that most steps have none beside; none of them stands behind the sentence."""


def describe(step: Step, scene: Scene) -> str:
    """Put a step into a sentence, with what the target had to remark behind it."""
    sentence = _SENTENCES.get(step.code)
    if step.code == "EntryImport" and step.type is StepType.MATCHING:
        sentence = _matched
    elif step.status is Status.FAILURE:
        sentence = _FAILED.get(step.code, sentence)
    said = sentence(scene, step.details) if sentence else f"{step.code} for {scene.source}: {step.status}."
    if _FILLING.issuperset(step.details):
        return said
    notes = sorted(name for name in step.details if name == "reason" or name.startswith("note"))
    return " ".join([said, *(step.details[name] for name in notes)])


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


class ProvisioningStep(msgspec.Struct, gc=False, rename="camel"):
    """A step as Graph's provisioningStep."""

    name: str
    provisioning_step_type: StepType
    status: Status
    description: str
    details: Mapping[str, str]


def render(step: Step, scene: Scene) -> ProvisioningStep:
    """Show a step."""
    return ProvisioningStep(step.code, step.type, step.status, describe(step, scene), step.details)
