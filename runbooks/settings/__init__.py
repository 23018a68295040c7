"""The six layers of Genonaut's configuration, where each value came from, and the cached loader of the incident."""

from runbooks.settings.layers import Layer, Layers, Origin, Value, read_layers
from runbooks.settings.loader import Loaded, get_settings, load_settings
from runbooks.settings.model import Settings

__all__ = ["Layer", "Layers", "Loaded", "Origin", "Settings", "Value", "get_settings", "load_settings", "read_layers"]
