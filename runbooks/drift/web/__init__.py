"""The status page of any application that reports: what is general of it. No build step, no request to another host."""
