"""Recipes, interventions, cells of work, and what is measured in a network as it trains."""
