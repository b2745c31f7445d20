"""Power cuts: what a file system was asked to do, which states a crash may leave, and the registry opened on each."""
