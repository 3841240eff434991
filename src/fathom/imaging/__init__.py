"""From micrographs to nuclei: reading, segmentation, crops with the background at 0."""
