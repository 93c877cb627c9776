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

# cross_compiler: Debian's own compiler, which comes with the library's source,
# so that it can compile for targets that are not installed.
cross_compiler() {
  [ -x /usr/bin/rustc ] && [ -d /usr/share/doc/rust-web-src ] || apt_install rustc-web rust-web-src
  [ -x /usr/bin/rustc ] && [ -d /usr/share/doc/rust-web-src ]
}

# sysroot TARGET CRATES: compiles the library's crates for a target, once for
# every version of the compiler, and sets SYSROOT. Code that is compiled against
# it, unlike with -Zbuild-std, is held to what is stable.
sysroot() {
  local target=$1 crates=$2 build=$CARGO_TARGET_DIR/sysroot/$1 version
  version="$(/usr/bin/rustc --version) $crates"
  SYSROOT=$build/root
  [ "$(cat "$SYSROOT/version" 2>/dev/null)" = "$version" ] && return 0
  rm -rf "$build"
  mkdir -p "$build/empty/src" "$SYSROOT/lib/rustlib/$target/lib"
  printf '[package]\nname = "empty"\nedition = "2024"\n[workspace]\n' >"$build/empty/Cargo.toml"
  echo '#![no_std]' >"$build/empty/src/lib.rs"
  (cd "$build/empty" && env RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 RUSTFLAGS= CARGO_TARGET_DIR="$build/target" \
    cargo build --release --target "$target" "-Zbuild-std=$crates") || return 1
  cp "$build/target/$target"/release/deps/*.rlib "$SYSROOT/lib/rustlib/$target/lib/" || return 1
  rm -f "$SYSROOT/lib/rustlib/$target"/lib/libempty-*
  echo "$version" >"$SYSROOT/version"
}

# count_tests LOG: adds the counts of a test runner's summaries to the step's, and
# prints the log so that they are not counted twice.
count_tests() {
  local p f i
  read -r p f i < <(awk '/^test result:/ { gsub(";", ""); p += $4; f += $6; i += $8 }
    END { print p + 0, f + 0, i + 0 }' "$1")
  passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + i))
  sed 's/^test result:/  &/' "$1"
}

# runs_variants LOG VARIANTS: whether the kernels' tests, which say so, ran these
# variants of matrix products and no others.
runs_variants() {
  [ "$(grep -o 'runs: gemm [a-z0-9_]*' "$1" | sort -u | awk '{ print $3 }' | xargs)" = "$2" ]
}
