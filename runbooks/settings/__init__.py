"""The six layers of Genonaut's configuration, where each value came from, and the loaders: cached, and reloading."""

from runbooks.settings.current import current_settings, held_settings, reloader
from runbooks.settings.layers import Layer, Layers, Origin, Value, read_layers
from runbooks.settings.loader import Loaded, get_settings, load_settings
from runbooks.settings.model import Settings, needs_restart
from runbooks.settings.reloading import Edit, Reloader, ReloadState

__all__ = [
    "Edit",
    "Layer",
    "Layers",
    "Loaded",
    "Origin",
    "ReloadState",
    "Reloader",
    "Settings",
    "Value",
    "current_settings",
    "get_settings",
    "held_settings",
    "load_settings",
    "needs_restart",
    "read_layers",
    "reloader",
]
