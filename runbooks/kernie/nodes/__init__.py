"""Nodes: what they take, what they give, and what they do when a prompt runs them."""
