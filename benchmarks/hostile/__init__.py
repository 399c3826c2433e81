"""Bad and odd files, seeded, for the command lines; see benchmarks/hostile_corpus.py."""
