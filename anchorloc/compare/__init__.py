"""Settings × seeds: trained under one budget, resumed, judged alike."""
