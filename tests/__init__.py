"""Tests of Entrepot; the folders say of what kind, and mirror the source below that."""
