"""All node types that come with the mock."""

from __future__ import annotations

from runbooks.kernie.nodes import conditioning, images, latents, loaders, masks, models, primitives, sampling, saving
from runbooks.kernie.nodes.registry import Registry


def core_nodes() -> Registry:
    """A registry with the node types of everyday workflows."""
    families = (sampling, loaders, conditioning, latents, saving, images, masks, models, primitives)
    return Registry([node for family in families for node in family.NODES])
