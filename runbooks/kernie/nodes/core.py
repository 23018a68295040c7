"""All node types that come with the mock."""

from __future__ import annotations

from runbooks.kernie.nodes import conditioning, images, latents, loaders, sampling
from runbooks.kernie.nodes.registry import Registry


def core_nodes() -> Registry:
    """A registry with the node types of everyday workflows."""
    families = (loaders, conditioning, latents, sampling, images)
    return Registry([node for family in families for node in family.NODES])
