"""The positive control: how small a change of the texture the study's networks find."""
