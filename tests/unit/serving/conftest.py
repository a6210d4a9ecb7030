"""What servers that fail look like."""

from tests.support.web import unanswered

__all__ = ["unanswered"]
