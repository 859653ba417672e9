"""What the template promises, checked without an account or an emulator."""
