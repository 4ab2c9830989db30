"""Making releases of the agent, away from the service: packing, signing, checking what was signed.

`cli/release` calls it on the machines of those who hold keys; the service only checks with it what it is given to hand
out. The repository is one of The Update Framework (TUF) with its four roles: *root* says whose keys count, *targets*
which archives are releases, *snapshot* which list is current, *timestamp* that this is still so.
"""
