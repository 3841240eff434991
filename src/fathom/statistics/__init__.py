"""What predictions come to: measures, intervals, claims. No torch."""
