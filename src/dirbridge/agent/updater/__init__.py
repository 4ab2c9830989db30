"""The agent updater: signed releases, side by side, each proved at work before it stays.

    orders       what the service wants: which channel, when, how far
    repository   which release is the next one, by what TUF vouches for
    archive      a release, unpacked beside the others
    home         the versions of this host, and which is the current one
    gate         whether a version is at work
    process      the steps in their order; `dirbridge agent updater` runs them
    supervisor   agent and updater as two children, where no systemd runs

A process of its own beside the agent. It trusts what the root of the releases vouches for, which lies on this host, and
nothing that the service says beyond it.
"""
