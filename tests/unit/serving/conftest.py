"""Shared fixtures of the serving tests."""

from tests.support.web import unanswered

__all__ = ["unanswered"]
