"""Show what a set of anchors can find in a data set, from its boxes alone: no training, and no pixels."""
