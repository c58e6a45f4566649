# shellcheck shell=sh
# For whoever enters the instance by hand: the same environment as the units have.
set -a
# shellcheck source=/dev/null
. /etc/environment
set +a
