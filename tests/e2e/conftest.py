"""Chromium for the tests of this folder."""

from tests.browsing import browser, context, page

__all__ = ["browser", "context", "page"]
