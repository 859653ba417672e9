"""What a release is made of: its version, its package, and the check that the package can be built again."""
