# syntax=docker/dockerfile:1

# ---- Build ---------------------------------------------------------------------------------------
# The image holds a C compiler, which is all that the native dependencies need; no cmake, no OpenSSL.
FROM rust:1.95-slim-bookworm AS build
WORKDIR /build
# Queries are checked against .sqlx/: no database is at hand here.
ENV SQLX_OFFLINE=true

# The dependencies in a layer of their own, which lives until the lock file changes: an empty crate
# stands in for ours. Cargo wants every target that the manifest names to exist.
COPY Cargo.toml Cargo.lock ./
COPY bench/baseline/Cargo.toml bench/baseline/
RUN mkdir -p src tests/api benches bench/baseline/src \
    && echo 'fn main() {}' > bench/baseline/src/main.rs \
    && echo 'fn main() {}' > src/main.rs \
    && echo 'fn main() {}' > tests/api/main.rs \
    && echo 'fn main() {}' > benches/parts.rs \
    && touch src/lib.rs \
    && cargo build --release --locked

COPY . .
# Copied files keep the time of their last change, which may be before the layer above: touched, so
# that cargo does not take the empty crate for ours.
RUN touch src/lib.rs src/main.rs \
    && cargo build --release --locked

# ---- Run -----------------------------------------------------------------------------------------
FROM debian:bookworm-slim
# Certificates to fetch the issuer's keys with. The folder is made here so that a volume mounted on
# it belongs to the service's user.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && install --directory --owner=10001 --group=10001 --mode=0700 /var/lib/customer-accounts

COPY --from=build /build/target/release/customer-accounts /usr/local/bin/customer-accounts

# By number, so that an orchestrator can see that it is not root.
USER 10001:10001
ENV LISTEN_ADDR=0.0.0.0:8080 \
    DATA_DIR=/var/lib/customer-accounts
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["/usr/local/bin/customer-accounts", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/customer-accounts"]
CMD ["serve"]
