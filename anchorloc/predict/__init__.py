"""Find objects in images with a trained network, from Python or from the command line."""
