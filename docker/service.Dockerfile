# The service (target `service`, the last) and locust's users (target `load`), without compiler and without torch.
# Built from the repository's root: docker build -f docker/service.Dockerfile .
# What changes least comes first: a change of code reinstalls no dependency and pulls one small layer.
FROM python:3.11.14-slim-bookworm AS python
ENV PYTHONUNBUFFERED=1 PIP_NO_INPUT=1 PIP_DISABLE_PIP_VERSION_CHECK=1

# ---- what is to be installed; where these texts stay the same, nothing is installed again
FROM python AS wanted
WORKDIR /wanted
COPY docker/requirements.py pyproject.toml ./
RUN python requirements.py pyproject.toml postgres otel objects > service.txt \
 && python requirements.py pyproject.toml load > load.txt \
 && python requirements.py pyproject.toml --build > build.txt

# ---- dependencies, exactly those of requirements.lock
FROM python AS dependencies
# A further package index, e.g. a company's own; none by default.
ARG EXTRA_INDEX_URL=""
ENV PIP_EXTRA_INDEX_URL=${EXTRA_INDEX_URL}
WORKDIR /build
RUN python -m venv --without-pip /opt/venv
COPY --from=wanted /wanted/service.txt ./
COPY requirements.lock ./
RUN --mount=type=cache,target=/root/.cache/pip \
    pip --python /opt/venv/bin/python install --requirement service.txt --constraint requirements.lock \
 && find /opt/venv -type d -name tests -path '*/site-packages/*' -prune -exec rm -r {} +

# ---- our own code: the only stage with a compiler
# A base image rebuilt elsewhere may lack CPython's headers: Debian's are of the same 3.11, and come after its own.
FROM python AS code
ARG EXTRA_INDEX_URL=""
ENV PIP_EXTRA_INDEX_URL=${EXTRA_INDEX_URL} CPATH=/usr/include/python3.11
WORKDIR /build
RUN apt-get update \
 && apt-get install --yes --no-install-recommends gcc=4:12.2.0-* libc6-dev=2.36-* \
 && { [ -e /usr/local/include/python3.11/Python.h ] \
      || apt-get install --yes --no-install-recommends libpython3.11-dev=3.11.2-*; } \
 && rm -rf /var/lib/apt/lists/*
COPY --from=wanted /wanted/build.txt ./
RUN --mount=type=cache,target=/root/.cache/pip pip install --requirement build.txt
COPY pyproject.toml README.md ./
COPY service service
RUN pip install --no-cache-dir --no-deps --no-build-isolation --target /opt/code .
# The extensions are optional to pip, not to this image.
COPY --from=dependencies /opt/venv /opt/venv
RUN PYTHONPATH=/opt/code /opt/venv/bin/python -P -c "import service.native._dagfm, service.native._encode"

# ---- locust's users
FROM dependencies AS load-dependencies
COPY --from=wanted /wanted/load.txt ./
RUN --mount=type=cache,target=/root/.cache/pip \
    pip --python /opt/venv/bin/python install --requirement load.txt --constraint requirements.lock

FROM python AS load
COPY --from=load-dependencies /opt/venv /opt/venv
COPY --from=code /opt/code /opt/venv/lib/python3.11/site-packages
ENV PATH=/opt/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=/srv GEVENT_BACKEND=select
WORKDIR /srv
COPY loadtest loadtest
USER 10001:10001
EXPOSE 8089
ENTRYPOINT ["locust"]
CMD ["--locustfile", "loadtest/locustfile.py"]

# ---- the service
FROM python AS service
LABEL org.opencontainers.image.title="kd-dagfm-serving" \
      org.opencontainers.image.description="Click-through-rate prediction by a DAGFM student" \
      org.opencontainers.image.version="0.1.0"
# Volumes mounted here for the first time belong to who writes into them.
RUN install --directory --owner=10001 --group=10001 /bundles /events /secrets
COPY --from=dependencies /opt/venv /opt/venv
COPY --from=code /opt/code /opt/venv/lib/python3.11/site-packages
ARG REVISION=""
LABEL org.opencontainers.image.revision=${REVISION}
# Nothing is imported from the working folder, and nothing is written beside the code: the root may be read-only.
# onnxruntime would report to its maker.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONSAFEPATH=1 \
    ORT_DISABLE_TELEMETRY=1 \
    CTR_HOST=0.0.0.0 \
    CTR_STUDENT_BUNDLE=/bundles/student \
    CTR_EVENTS=sqlite:/events/events.sqlite3
WORKDIR /srv
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=10s --start-period=120s --retries=3 CMD ["python", "-m", "service.health"]
ENTRYPOINT ["python", "-m", "service"]
CMD ["serve"]
