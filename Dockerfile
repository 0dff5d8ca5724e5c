# syntax=docker/dockerfile:1

FROM rust:1.95-bookworm AS build
WORKDIR /src
# The image's own compiler: rust-toolchain.toml also asks for tools that a build does not need.
ENV RUSTUP_TOOLCHAIN=1.95.0
COPY . .
# What cargo downloads and compiles stays between builds; the binary must leave the cache.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --bin retell && cp target/release/retell /usr/local/bin/

FROM debian:bookworm-slim
# Certificates for TLS to brokers and Redis; OpenSSL and zlib are linked by librdkafka.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates libssl3 zlib1g \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --create-home --home-dir /var/lib/retell retell
COPY --from=build /usr/local/bin/retell /usr/local/bin/
COPY config/docker.toml /etc/retell/
# A library that is missing here shall stop this build, not the first start.
RUN ["retell", "--version"]
USER retell
WORKDIR /var/lib/retell
EXPOSE 8080
# Health needs no token, unlike `retell status`, and bash needs no curl.
HEALTHCHECK --interval=5s --timeout=5s --start-period=60s --retries=6 CMD bash -c ' \
    exec 3<>/dev/tcp/127.0.0.1/8080 \
    && printf "GET /health/ready HTTP/1.0\r\n\r\n" >&3 \
    && grep -q "^HTTP/1.. 200" <&3'
ENTRYPOINT ["retell"]
CMD ["serve", "--config", "/etc/retell/docker.toml"]
