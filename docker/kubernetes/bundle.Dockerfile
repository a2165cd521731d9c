# A bundle as an image, for overlays with the component bundle-from-image. It is read by the service it is based on.
# docker build -f docker/kubernetes/bundle.Dockerfile --build-arg BUNDLE=bundles/student -t REGISTRY/bundle:VERSION .
ARG SERVICE=kd-dagfm-serving/service:0.1.0
FROM ${SERVICE}
ARG BUNDLE=bundles/student
COPY ${BUNDLE} /bundle
