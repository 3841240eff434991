"""How deep should a network be for your nuclei, and if the deeper one is worse, why."""
