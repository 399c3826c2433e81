"""Compare result files of any tool on the same annotations; nothing here loads torch."""
