"""What a set of anchors can find in a data set, told from its boxes alone: no pixel is read, nothing is trained."""
