"""From folders of recordings to one checked, memory-mapped corpus."""
