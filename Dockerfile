# The HTTP API and the web page:
#   docker build -t facial-expressions .
#   docker run --rm --read-only -p 127.0.0.1:8000:8000 facial-expressions

FROM python:3.13-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /source
RUN python -m venv --without-pip /opt/facial-expressions
COPY requirements/serve.lock requirements/
RUN pip --python /opt/facial-expressions/bin/python install --require-hashes -r requirements/serve.lock
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN pip --python /opt/facial-expressions/bin/python install --no-deps --no-build-isolation .

FROM python:3.13-slim
COPY --from=build /opt/facial-expressions /opt/facial-expressions
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s CMD ["/opt/facial-expressions/bin/python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]
ENTRYPOINT ["/opt/facial-expressions/bin/facial-expressions", "serve", "--host", "0.0.0.0"]
CMD ["--port", "8000"]
