"""The names of what `gather` writes and `content` reads, in the folder that git keeps."""

STUDY = "study.json"  # counts, classes, hashes, versions
NETWORKS, CURVES, LAYERS, CALIBRATION = (
    "networks.csv",
    "curves.csv",
    "layers.csv",
    "calibration.csv",
)
ATLAS, CROPS, SUREST = "crops.webp", "crops.csv", "surest.csv"
ATLAS_ACROSS = 16  # crops in a row of the picture
KINDS = ("hit-positive", "hit-negative", "miss-positive", "miss-negative")  # of a sure decision
PICTURES = "pictures.json"  # micrographs with their outlines, new slides, the audit's sheets
