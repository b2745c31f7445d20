"""The matrix of roles and endpoints: what each cell is to be, whom and what it is asked with, the asking."""
