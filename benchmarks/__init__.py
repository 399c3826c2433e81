"""Speed and quality against peers, each a script that writes a dated table: `python -m benchmarks.NAME`."""
