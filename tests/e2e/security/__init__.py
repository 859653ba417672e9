"""What somebody who is inside already cannot do, tried on the local cloud with their credentials."""
