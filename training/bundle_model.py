"""The MLflow model of a version, as code: it opens the bundle beside it; nothing is unpickled.

For data scientists: `mlflow.pyfunc.load_model("models:/regulars-churn@champion").predict(features)` where
Regulars is installed. Serving does not come this way: it downloads the bundle, checks it and loads it itself.
"""

from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.models import set_model

from models.bundle import read_bundle


class BundleModel(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """A bundle under MLflow's generic interface: keyword parameters of `predict` come as `params`."""

    def load_context(self, context: Any) -> None:  # noqa: ANN401
        """Open the bundle, after its manifest was checked."""
        self.model = read_bundle(Path(context.artifacts["bundle"])).model

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> Any:  # noqa: ANN401
        """Return what the model's own `predict` returns for a feature table."""
        return self.model.predict(model_input, **(params or {}))


set_model(BundleModel())
