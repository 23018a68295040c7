"""The site: what was built, and how it behaves in a browser."""
