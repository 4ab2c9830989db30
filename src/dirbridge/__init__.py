"""dirbridge brings the people and groups of Active Directory to a tenant directory that speaks Microsoft Graph."""

from importlib.metadata import version

__version__ = version("dirbridge")
