"""What we conclude: churn, value and recommendation models, their baselines and the bundle format."""
