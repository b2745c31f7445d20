"""What is stored, held against what the database says."""
