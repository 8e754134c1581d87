"""Making models: training, back-tests, tracking and promotion."""
