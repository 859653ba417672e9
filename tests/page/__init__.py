"""The demo as a page: a window on the local cloud, which `make up` opens on this machine. It is never deployed."""
