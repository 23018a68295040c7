"""Genonaut Runbooks: runbooks whose every step is proven."""

__version__ = "0.1.0"
