"""Files and pixels to samples: data sets in COCO format, built-in shapes, transforms."""
