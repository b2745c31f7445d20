"""Tests of `entrepot serve` as processes: real ones, killed, starved, reloaded and stopped from outside."""
