"""Moves images in from other registries, trees and archives, and out into layouts, through the registry's services."""
