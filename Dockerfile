# One image for the service and its jobs; docs/operations.md says how it is run.
#   docker build -t regulars .

FROM python:3.12-slim-bookworm AS packages
WORKDIR /opt/regulars
COPY requirements/uv.txt requirements/training.txt requirements/
# Nothing is installed whose sum is not in the lock.
RUN python -m venv .venv \
 && .venv/bin/python -m pip install --no-cache-dir --disable-pip-version-check --require-hashes \
      -r requirements/uv.txt \
 && .venv/bin/uv pip install --no-cache --compile-bytecode --python .venv/bin/python --require-hashes \
      -r requirements/training.txt \
 && .venv/bin/uv pip uninstall --python .venv/bin/python uv pip

FROM python:3.12-slim-bookworm
# libgomp1: LightGBM's wheel needs it, and slim images lack it. Its newest version is wanted, not one for ever.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends libgomp1 \
 && rm -rf /var/lib/apt/lists/* \
 && groupadd --system --gid 10001 regulars \
 && useradd --system --uid 10001 --gid 10001 --home-dir /var/lib/regulars --shell /usr/sbin/nologin regulars \
 && install --directory --owner=regulars --group=regulars --mode=0700 /var/lib/regulars
WORKDIR /opt/regulars
COPY --from=packages /opt/regulars/.venv .venv
COPY features features
COPY models models
COPY training training
COPY serving serving
COPY regulars.toml ./
ENV PATH=/opt/regulars/.venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    MLFLOW_DISABLE_TELEMETRY=true \
    VAR=/var/lib/regulars \
    REGULARS_VAR=/var/lib/regulars \
    REGULARS_HOST=0.0.0.0
USER 10001:10001
VOLUME /var/lib/regulars
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
  CMD ["python", "-m", "serving.health"]
ENTRYPOINT ["python", "-m"]
CMD ["serving"]
