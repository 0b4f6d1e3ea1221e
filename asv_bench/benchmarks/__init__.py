"""Speed, memory and likelihood of treeflows, tracked by asv."""
