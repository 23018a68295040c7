"""Whether a prompt can run, and if not, why: the real server's checks, in its order and its words."""
