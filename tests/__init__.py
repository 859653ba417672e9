"""What needs more than one crate: the local cloud, the deploys, the demo and the end-to-end tests."""
