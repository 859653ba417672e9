"""What the policies allow, by an evaluation that no emulator has a part in; scanners; and SECURITY.md's table."""
