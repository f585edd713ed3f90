# Every command of the project. `make demo` and `make test` each do all their set-up on a fresh machine.
PY := .venv/bin/python
SHELL := /bin/bash

.PHONY: setup demo test check format bench faults soak fuzz screenshots recording system-packages

setup: .venv/.ready

.venv/.ready: pyproject.toml constraints.txt
	test -x $(PY) || python3 -m venv .venv
	$(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	touch $@

demo: setup
	@$(PY) -m rcqueue demo

system-packages:
	@bash tests/system-packages.sh

# Real processes and terminals two at a time: what fails beside others is run again alone, and must pass then.
test: setup system-packages
	$(PY) -m pytest -n 2 --dist loadgroup || $(PY) -m pytest --last-failed --last-failed-no-failures none

check: setup
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	$(PY) -m pytest -n 2 --dist loadgroup -m 'not slow'

format: setup
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

bench: setup
	$(PY) -m benchmarks

faults: setup system-packages
	$(PY) -m tests.faults

soak: setup system-packages
	$(PY) -m tests.soak

fuzz: setup
	$(PY) -m tests.fuzz

screenshots: setup system-packages
	$(PY) -m tests.screenshots

recording: setup system-packages
	RCQUEUE_RECORD=screenshots/shift.svg $(PY) -m pytest -q tests/test_shift.py
