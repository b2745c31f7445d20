"""What goes over the whole registry to remove what nobody needs, one node at a time, and the clocks it goes by."""
