"""Tests of the specifications as pure values."""
