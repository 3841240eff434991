"""Why a network is worse: evidence, effects of interventions, causes, verdicts."""
