"""Image of every step in the committed packages."""

from skyclass.orchestration.package import DEFAULT_IMAGE

IMAGE = DEFAULT_IMAGE
