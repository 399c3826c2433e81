"""From the AP of settings × seeds on the same images to differences, intervals and verdicts."""
