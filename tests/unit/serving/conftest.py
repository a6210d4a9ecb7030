"""What servers that fail look like."""

from tests.web import unanswered

__all__ = ["unanswered"]
