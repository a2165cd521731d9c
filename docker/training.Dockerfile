# Training and export: what makes the bundles. Run to its end, then gone; its size bothers nobody who serves.
# Built from the repository's root: docker build -f docker/training.Dockerfile .
FROM python:3.11.14-slim-bookworm AS python

FROM python AS wanted
WORKDIR /wanted
COPY docker/requirements.py pyproject.toml ./
RUN python requirements.py pyproject.toml export > training.txt

FROM python AS training
# An index of PyTorch's CPU wheels spares gigabytes of CUDA packages; none by default.
ARG EXTRA_INDEX_URL=""
ENV PIP_EXTRA_INDEX_URL=${EXTRA_INDEX_URL} PIP_NO_INPUT=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONUNBUFFERED=1
WORKDIR /build
COPY --from=wanted /wanted/training.txt ./
COPY requirements.lock ./
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install --requirement training.txt --constraint requirements.lock
RUN install --directory --owner=10001 --group=10001 /bundles /runs
# Without a C compiler the native scorer is left out: exporting proves and times onnxruntime's graphs.
WORKDIR /srv
COPY service service
COPY training training
COPY export export
COPY docker/training.toml ./
ENV PYTHONDONTWRITEBYTECODE=1 CTR_BUNDLES=/bundles CTR_RUNS=/runs MPLCONFIGDIR=/tmp ORT_DISABLE_TELEMETRY=1
USER 10001:10001
ENTRYPOINT ["python", "-m", "export.once"]
CMD ["--config", "training.toml"]
