# The commands of the project. CI runs nothing that is not a target here.

.DEFAULT_GOAL := build
.PHONY: build demo test accuracy bench storm lint clean tools

tools:
	@command -v cargo >/dev/null 2>&1 || { echo "cargo is needed: install Rust with rustup (https://rustup.rs)." >&2; exit 1; }
	@command -v $${CC:-cc} >/dev/null 2>&1 || { echo "A C compiler is needed for SQLite and the TLS library: install one (Debian: build-essential, Fedora: gcc, macOS: xcode-select --install) or name it in CC." >&2; exit 1; }

build: tools
	cargo build --release --locked

lint: tools
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

# Builds a SQLite project with a merge in it, shows a dry run and rolls it back. Installs one Python environment.
demo: tools
	scripts/setup-python alembic-current
	scripts/demo

# Installs real engines into .cache/python and, if they are missing, the server programs; checks the format and the lints;
# runs all tests. The test runner's own summary is the last thing on the screen.
test: tools
	scripts/run-tests

# Runs every downgrade of the real Superset on PostgreSQL and on SQLite, and compares what `rollback plan` says of them
# with what they do. Minutes; no part of the tests, because it measures. `scripts/accuracy PROJECT-DIR URL` takes any project.
accuracy: build
	scripts/setup-python superset
	scripts/setup-servers
	scripts/accuracy-superset

# Measures rollback beside the engine's own one command and other tools, prints the table and writes docs/benchmarks.md and the
# README's figures. Some twenty minutes, on a machine that does nothing else; no part of the tests, because a clock proves nothing.
bench: build
	scripts/setup-python alembic-current superset
	scripts/setup-servers
	scripts/setup-bench
	scripts/bench

# Kills runs at random moments, resumes them, and compares where they end with an undisturbed run. About half an hour.
storm: build
	scripts/setup-python alembic-current
	scripts/setup-servers
	scripts/storm

clean:
	cargo clean
	rm -rf .cache
