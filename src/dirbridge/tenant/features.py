"""What a tenant switched on and off of synchronization from on premises.

`matching` heeds those that are about matching. The others are kept for clients that read and write them.

Source: Graph onPremisesDirectorySynchronizationFeature.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

BLOCK_HARD_MATCH = "blockCloudObjectTakeoverThroughHardMatchEnabled"
BLOCK_SOFT_MATCH = "blockSoftMatchEnabled"
SOFT_MATCH_ON_NAME = "softMatchOnUpnEnabled"

ON = ("quarantineUponProxyAddressesConflictEnabled", "quarantineUponUpnConflictEnabled", SOFT_MATCH_ON_NAME,
      "synchronizeUpnForManagedUsersEnabled")  # fmt: skip
OFF = (
    "allowOnPremUpdateOfOnPremisesObjectIdentifierEnabled", BLOCK_HARD_MATCH, BLOCK_SOFT_MATCH,
    "bypassDirSyncOverridesEnabled", "cloudPasswordPolicyForPasswordSyncedUsersEnabled",
    "concurrentCredentialUpdateEnabled", "concurrentOrgIdProvisioningEnabled", "deviceWritebackEnabled",
    "directoryExtensionsEnabled", "fopeConflictResolutionEnabled", "groupWriteBackEnabled", "passwordSyncEnabled",
    "passwordWritebackEnabled", "unifiedGroupWritebackEnabled", "userForcePasswordChangeOnLogonEnabled",
    "userWritebackEnabled",
)  # fmt: skip
"""As they are until somebody changes them."""


def of(document: Mapping[str, Any]) -> dict[str, bool]:
    """Read all of them out of the tenant's document for synchronization from on premises."""
    changed: dict[str, bool] = document.get("features", {})
    return dict.fromkeys(ON, True) | dict.fromkeys(OFF, False) | changed
