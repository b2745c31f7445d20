"""Tests of the tiny things every package leans on."""
