# Two images from one lock file:
#   predictor  for InferenceServices, without KFP and Evidently
#   jobs       for pipeline steps, ingest, drift, bootstrap and both pages
# Both take the arguments of `skyclass` (KFP sets its own command), run as any user without a
# capability, and write only below /tmp. `make images` builds them; `make sbom` lists their Python
# packages, `docker buildx build --sbom=true` those of Debian, too.

# By digest, so that the same commit gives the same image; Dependabot proposes newer ones. Any image
# with Debian and Python 3.11 works.
ARG PYTHON_IMAGE=python:3.11.16-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b
# Labels of the images; `make images` sets VERSION.
ARG VERSION=0.2.0
ARG SOURCE=""
ARG LICENSES="Apache-2.0"

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
# The uv that wrote the lock file; it is not copied into the images.
RUN --mount=type=cache,target=/root/.cache/uv \
    python3 -m venv /opt/uv \
 && /opt/uv/bin/pip install --no-cache-dir "uv==$(sed -n 's/.*"uv==\([0-9.]*\)".*/\1/p' pyproject.toml)"
COPY README.md LICENSE ./

# Base of both images, without its installers.
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
# kserve requires pillow, grpcio-tools and setuptools but does not import them.
RUN --mount=type=cache,target=/root/.cache/uv \
    uv sync --frozen --no-dev --no-install-project --extra predictor \
       --no-install-package pillow --no-install-package grpcio-tools --no-install-package setuptools
# Not imported: the libraries' own tests, and Arrow's network protocol.
WORKDIR /opt/venv/lib/python3.11/site-packages
RUN find numpy pandas psutil pyarrow scipy sklearn -type d -name tests -prune -exec rm -rf {} + \
 && rm -rf Crypto/SelfTest pyarrow/*flight* pyarrow/include
WORKDIR /build
COPY src src
COPY manifests/kfp manifests/kfp
RUN --mount=type=cache,target=/root/.cache/uv \
    uv pip install --python /opt/venv --no-deps --target /app . \
 && rm /app/.lock

FROM build AS jobs-build
RUN --mount=type=cache,target=/root/.cache/uv \
    uv sync --frozen --no-dev --no-install-project --extra apps
# As above, plotly's Jupyter extension, and Gradio's server-side rendering.
WORKDIR /opt/venv/lib/python3.11/site-packages
RUN find matplotlib numpy pandas pyarrow scipy sklearn statsmodels -type d -name tests -prune \
         -exec rm -rf {} + \
 && rm -rf Crypto/SelfTest gradio/templates/node jupyterlab_plotly pyarrow/*flight* pyarrow/include
WORKDIR /build
COPY src src
COPY manifests/kfp manifests/kfp
RUN --mount=type=cache,target=/root/.cache/uv \
    uv pip install --python /opt/venv --no-deps --target /app . \
 && rm /app/.lock

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
