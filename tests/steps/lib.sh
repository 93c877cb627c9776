# Shared by the steps: installing packages, counting cases. Sourced, not run.
set -uo pipefail
passed=0 failed=0 skipped=0

pass() { passed=$((passed + 1)); echo "PASS $*"; }
fail() { failed=$((failed + 1)); echo "FAIL $*"; }
skip() { skipped=$((skipped + 1)); echo "SKIP $*"; }

# check NAME COMMAND...: a case that passes if the command does.
check() {
  local name=$1
  shift
  if "$@"; then pass "$name"; else fail "$name"; fi
}

# finish: the step's counts and exit code.
finish() {
  echo "$passed passed, $failed failed, $skipped skipped"
  [ "$failed" -eq 0 ]
  exit
}

# need COMMAND PACKAGE...: installs Debian packages if the command is missing.
need() {
  local command=$1
  shift
  command -v "$command" >/dev/null && return 0
  apt_install "$@"
  command -v "$command" >/dev/null
}

apt_install() {
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
  if [ ! -e "${TMPDIR:-/tmp}/.tern-apt-updated" ]; then
    apt-get update -qq && touch "${TMPDIR:-/tmp}/.tern-apt-updated"
  fi
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
}
