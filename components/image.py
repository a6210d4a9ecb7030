"""The image that every step runs in, fixed when a pipeline is compiled."""

import os

IMAGE = os.environ.get("SKYCLASS_IMAGE", "localhost/skyclass-jobs:0.1.0")
"""Set SKYCLASS_IMAGE to compile for a registry of yours; name an immutable tag or a digest."""
