# Two images from one lock file:
#   predictor  what the InferenceServices run; knows neither KFP nor Evidently
#   jobs       the steps of the pipelines, drift, ingest and the bootstrap
# Both take the arguments of `skyclass` (KFP brings a command of its own), run as any user without
# a capability, and write below /tmp alone. `make images` builds them, `make sbom` lists their parts.

# Name a digest or a mirror of yours here, with Debian and Python 3.11.
ARG PYTHON_IMAGE=python:3.11-slim
# What the images say about themselves; `make images` fills in what it knows.
ARG VERSION=0.1.0
ARG SOURCE=""
ARG LICENSES=""

FROM ${PYTHON_IMAGE} AS build
ENV PATH=/opt/uv/bin:${PATH} \
    UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_NO_PROGRESS=1 \
    UV_PROJECT_ENVIRONMENT=/opt/venv \
    UV_PYTHON_DOWNLOADS=never \
    UV_SYSTEM_CERTS=1
WORKDIR /build
COPY pyproject.toml uv.lock ./
# The uv that wrote the lock file, and what lists an environment's parts: both stay behind.
RUN --mount=type=cache,target=/root/.cache/uv \
    python3 -m venv /opt/uv \
 && /opt/uv/bin/pip install --no-cache-dir "uv==$(sed -n 's/.*"uv==\([0-9.]*\)".*/\1/p' pyproject.toml)" \
 && UV_PROJECT_ENVIRONMENT=/opt/sbom uv sync --frozen --only-group sbom
COPY images/sbom.py README.md ./

# What both images start from: the base without its installers.
FROM ${PYTHON_IMAGE} AS runtime
RUN rm -rf /usr/lib/python3/dist-packages /usr/lib/python3.11/ensurepip /usr/share/python-wheels \
           /usr/local/lib/python3.11/site-packages /usr/local/lib/python3.11/ensurepip \
           /usr/bin/pip* /usr/local/bin/pip* /usr/local/bin/wheel /usr/local/bin/idle*
ENV PATH=/opt/venv/bin:/app/bin:${PATH} \
    PYTHONPATH=/app \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    LANG=C.UTF-8 \
    COLUMNS=160 \
    HOME=/tmp \
    XDG_CACHE_HOME=/tmp/.cache \
    MPLCONFIGDIR=/tmp/.matplotlib \
    SKYCLASS_HOME=/tmp/skyclass \
    OMP_NUM_THREADS=1 \
    DO_NOT_TRACK=1
WORKDIR /app
USER 10001:10001
HEALTHCHECK NONE
ENTRYPOINT ["skyclass"]
ARG VERSION
ARG SOURCE
ARG LICENSES
LABEL org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.licenses="${LICENSES}"

FROM build AS predictor-build
# kserve asks for pillow, and for a compiler of gRPC definitions with its setuptools, but imports
# none of them.
RUN --mount=type=cache,target=/root/.cache/uv \
    uv sync --frozen --no-dev --no-default-groups --no-install-project --group predictor \
       --no-install-package pillow --no-install-package grpcio-tools --no-install-package setuptools
# What nothing imports: the libraries' own tests, and Arrow's network protocol.
WORKDIR /opt/venv/lib/python3.11/site-packages
RUN find numpy pandas psutil pyarrow scipy sklearn -type d -name tests -prune -exec rm -rf {} + \
 && rm -rf Crypto/SelfTest pyarrow/*flight* pyarrow/include
WORKDIR /build
COPY src src
COPY manifests/kfp manifests/kfp
RUN --mount=type=cache,target=/root/.cache/uv \
    uv pip install --python /opt/venv --no-deps --target /app . \
 && /opt/sbom/bin/python sbom.py skyclass-predictor /opt/venv /app > /app/sbom.cdx.json \
 && rm /app/.lock

FROM build AS jobs-build
RUN --mount=type=cache,target=/root/.cache/uv \
    uv sync --frozen --no-dev --no-default-groups --no-install-project --group jobs --group apps
# As above, plotly's side of Jupyter, and Gradio's rendering by Node.
WORKDIR /opt/venv/lib/python3.11/site-packages
RUN find matplotlib numpy pandas pyarrow scipy sklearn statsmodels -type d -name tests -prune \
         -exec rm -rf {} + \
 && rm -rf Crypto/SelfTest gradio/templates/node jupyterlab_plotly pyarrow/*flight* pyarrow/include
WORKDIR /build
COPY src src
COPY manifests/kfp manifests/kfp
RUN --mount=type=cache,target=/root/.cache/uv \
    uv pip install --python /opt/venv --no-deps --target /app . \
 && /opt/sbom/bin/python sbom.py skyclass-jobs /opt/venv /app > /app/sbom.cdx.json \
 && rm /app/.lock

FROM scratch AS sbom
COPY --from=predictor-build /app/sbom.cdx.json /skyclass-predictor.cdx.json
COPY --from=jobs-build /app/sbom.cdx.json /skyclass-jobs.cdx.json

FROM runtime AS predictor
COPY --from=predictor-build /opt/venv /opt/venv
COPY --from=predictor-build /app /app
EXPOSE 8080 8081
CMD ["serve", "--host", "0.0.0.0", "--port", "8080", "--grpc-port", "8081"]
LABEL org.opencontainers.image.title="skyclass-predictor" \
      org.opencontainers.image.description="Serves a release of skyclass with KServe"

FROM runtime AS jobs
COPY --from=jobs-build /opt/venv /opt/venv
COPY --from=jobs-build /app /app
CMD ["--help"]
LABEL org.opencontainers.image.title="skyclass-jobs" \
      org.opencontainers.image.description="Pipeline steps and jobs of skyclass"
