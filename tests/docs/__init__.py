"""What the documentation says, compared with what the program does."""
