"""Lists as files: CSV, Parquet and the bodies of platforms' calls."""
