"""The compiled engine: counts, scores, partitions and applies; the package above it decides."""
