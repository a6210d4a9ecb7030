"""SkyServer, the public SQL service of the survey, as a source of observations."""

from skyclass.sources.skyserver.source import SkyServerSource

__all__ = ["SkyServerSource"]
