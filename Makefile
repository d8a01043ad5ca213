.PHONY: setup wasm script build demo test nightly lint bench release page test-browser

setup:            ## install what is missing
	@scripts/alive.sh setup scripts/setup.sh

wasm: setup       ## the core for JavaScript, in .build/wasm
	@scripts/alive.sh 'the core' scripts/build-wasm.sh

%/node_modules/.package-lock.json: %/package-lock.json
	scripts/alive.sh 'packages of $*' npm --prefix $* ci --loglevel=error --no-audit --no-fund

script: wasm npm/node_modules/.package-lock.json ## npm/dist/decrypt-backup.mjs, which travels in every encrypted archive
	cd npm && npm run --silent build

page: wasm web/node_modules/.package-lock.json ## web/dist/decrypt-backup.html, which travels there too
	cd web && npm run --silent check && npm run --silent build

build: script page ## target/release/pryv-backup
	scripts/alive.sh pryv-backup cargo build --release --package pryv-backup

demo: build       ## from nothing to a decrypted backup, in .build/demo
	scripts/demo.sh

lint: script page
	@node scripts/test/run.mjs lint

test:             ## every part, whatever another came to, and one summary; PARTS="rust npm" runs only these
	@node scripts/test/run.mjs $(PARTS)

nightly: export PRYV_BACKUP_STATE_DIR = /dev/null/state
nightly: export PRYV_BACKUP_TESTS_NIGHTLY = 1
nightly: script page ## 200 random histories of chains, several times as many kills, the whole test kit in every reader, lines of 512 MiB; takes more than an hour
	cargo build --package pryv-backup
	CHAIN_HISTORIES=100 cargo test --package pryv-backup-tests --test chain -- model kills
	cargo test --package pryv-backup-tests --test restore -- kill
	cargo test --package pryv-backup-tests --test influxdb --test s3_files --test raw -- kills
	cargo test --package pryv-backup-tests --test verdicts
	node --test --test-name-pattern '^line-' tests/browser/testkit.test.mjs

test-browser: script page ## the page in real browsers only
	@node scripts/test/run.mjs browsers

release: build    ## lists the hashes of script and page in decryptors.txt and signs it: SIGN_KEY=FILE
	scripts/release.sh

bench: build      ## speed and memory, as ratios within one run; see docs/performance.md
	@scripts/setup-bench.sh
	node tests/bench/decrypt.mjs 1 5
	node tests/browser/bench.mjs
	cargo run --release --package pryv-backup-tests --bin bench-backup
	cargo run --release --package pryv-backup-tests --bin bench-restore
	cargo run --release --package pryv-backup-tests --bin bench-incremental
	cargo run --release --package pryv-backup-tests --bin bench-store
	cargo run --release --package pryv-backup-tests --bin bench-scale
	cargo run --release --package pryv-backup-tests --bin bench-engines
