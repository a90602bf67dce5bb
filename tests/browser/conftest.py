"""Chromium and a site for the tests of this folder."""

from tests.browsing import browser, check_accessibility, context, page, site

__all__ = ["browser", "check_accessibility", "context", "page", "site"]
