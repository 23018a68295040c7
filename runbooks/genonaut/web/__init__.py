"""What people look at in a browser: the status page, and the page that makes pictures. No build step, no other host."""
