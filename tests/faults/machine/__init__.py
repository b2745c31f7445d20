"""Faults of the machine below the embedded registry: kills between system calls, full, broken, slow and lying disks."""
