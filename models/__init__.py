"""What we conclude: churn, value and recommendation models, their baselines and the bundle format."""

import os

# Waiting OpenMP threads spin by default, which makes LightGBM ten times slower on a busy machine. Read by
# libgomp
# when it is first loaded, so it must stand before any import of LightGBM or implicit.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
