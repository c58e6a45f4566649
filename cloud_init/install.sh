#!/bin/bash
# Installs the unpacked release that it lies in, and queues the start of everything. Run as root by openclaw-bootstrap;
# running it again is harmless. OPENCLAW_GATEWAY_ENGINE=native (the lab) leaves Docker and its compose plugin out.
set -euo pipefail
umask 022

release=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
readonly release
readonly python=/usr/bin/python3.11
readonly engine=${OPENCLAW_GATEWAY_ENGINE:-docker}
readonly timers=(openclaw-s3-backup.timer openclaw-s3-lifecycle.timer openclaw-s3-drill.timer openclaw-health.timer)
readonly services=(
  openclaw-s3-restore.service openclaw-s3-final.service openclaw.service openclaw-spot-watch.service
  openclaw-swap.service openclaw-state-view.service openclaw-gateway-log.socket
)

doing="starting"
advice="run it as root from an unpacked release"

report_failure() {
  local code=$?
  [ "$code" -ne 0 ] || return 0
  echo "openclaw install.sh: $doing failed; $advice." >&2
  { echo "openclaw install.sh: $doing failed; $advice." >/dev/console; } 2>/dev/null || :
}
trap report_failure EXIT

# step WHAT ADVICE: names what follows, for the log and for the sentence of a failure.
step() {
  doing=$1 advice=$2
  echo "openclaw install.sh: $doing"
}

# retry COMMAND…: up to eight tries, about ten minutes.
retry() {
  local delay=5 tries=1
  until "$@"; do
    [ "$tries" -lt 8 ] || return 1
    echo "openclaw install.sh: $doing did not work yet; trying again in $delay s." >&2
    sleep "$delay"
    tries=$((tries + 1)) delay=$((delay * 2))
  done
}

check_ground() {
  step "checking the machine" "run it as root; OPENCLAW_GATEWAY_ENGINE may be docker or native"
  [ "$(id -u)" -eq 0 ]
  [ "$engine" = docker ] || [ "$engine" = native ]
}

install_packages() {
  step "installing packages" "see what dnf says above, then run openclaw-bootstrap again"
  local packages=(python3.11 jq logrotate amazon-cloudwatch-agent)
  [ "$engine" = native ] || packages+=(docker)
  retry dnf -y install "${packages[@]}"
  "$python" -c ''
}

install_compose_plugin() {
  [ "$engine" = docker ] || return 0
  # The lab's instance brings one, and has no way to the URL.
  [ "${OPENCLAW_COMPOSE_PLUGIN:-}" != installed ] || return 0
  step "installing the compose plugin" "check the way to its URL and the SHA-256 in compose-plugin.json"
  local plugin=/usr/local/lib/docker/cli-plugins/docker-compose url expected
  url=$(jq -re --arg machine "$(uname -m)" '.architectures[$machine].url' "$release/compose-plugin.json")
  expected=$(jq -re --arg machine "$(uname -m)" '.architectures[$machine].sha256' "$release/compose-plugin.json")
  if echo "$expected  $plugin" | sha256sum --check --status 2>/dev/null; then
    return 0
  fi
  mkdir -p "$(dirname "$plugin")"
  retry curl --fail --silent --show-error --location --connect-timeout 15 --max-time 300 --output "$plugin.new" "$url"
  echo "$expected  $plugin.new" | sha256sum --check --quiet
  chmod 0755 "$plugin.new"
  mv "$plugin.new" "$plugin"
}

install_agent() {
  step "installing the agent" "the release is damaged or not built for $(uname -m): upload it again from the platform stack"
  local wheel command name
  rm -rf "$release/lib.new"
  mkdir "$release/lib.new"
  # A debt: this loses a wheel's entry points and .data folders, which nothing here uses. `pip install
  # --no-index --require-hashes --target` would keep them, once Amazon Linux's python3.11-pip is known to be there.
  for wheel in "$release"/wheels/*-any.whl "$release"/wheels/*_"$(uname -m)".whl; do
    "$python" -m zipfile -e "$wheel" "$release/lib.new"
  done
  cp -R "$release/agent/openclaw_agent" "$release/lib.new/"
  # The units see /opt read-only, so byte code is made now.
  "$python" -m compileall -q "$release/lib.new"
  rm -rf "${release:?}/lib"
  mv "$release/lib.new" "$release/lib"
  for command in "$release"/agent/bin/*; do
    name=$(basename "$command")
    sed "1s|^#!.*|#!$python|" "$command" >"/usr/local/bin/.$name.new"
    chmod 0755 "/usr/local/bin/.$name.new"
    mv "/usr/local/bin/.$name.new" "/usr/local/bin/$name"
  done
  install -m 0755 "$release/openclaw.sh" /usr/local/bin/.openclaw.new
  mv /usr/local/bin/.openclaw.new /usr/local/bin/openclaw
}

# The container runs as uid 1000, which would be the first login user's otherwise: ec2-user's with sudo, or that of Session
# Manager. User-data makes a user of ours for it; whoever has it on another image can neither log in nor become root.
close_logins() {
  step "closing logins" "see what useradd or usermod says above"
  local name
  name=$(id -un 1000 2>/dev/null || :)
  if [ -z "$name" ]; then
    useradd --uid 1000 --user-group --no-create-home --home-dir / --shell /sbin/nologin openclaw-gateway
  elif [ "$name" != openclaw-gateway ]; then
    echo "openclaw install.sh: $name has the uid of the gateway's container; it can no longer log in or use sudo." >&2
    usermod --lock --expiredate 1 --shell /sbin/nologin --groups "" "$name"
    rm -f /etc/sudoers.d/90-cloud-init-users
  fi
  # People come by Session Manager, and the container must find no way to a shell of the host.
  systemctl mask sshd.service sshd.socket ssh.service ssh.socket
  systemctl stop sshd.service sshd.socket ssh.service ssh.socket 2>/dev/null || :
}

make_folders() {
  step "making folders" "check that the root volume is writable and not full"
  # The agent's units may write into state/ alone. What is code lies in the release, which none of them may write.
  install -d -o root -g root -m 0755 /opt/openclaw /opt/openclaw/state /opt/openclaw/view /etc/openclaw
  # The gateway's user in the image has uid 1000.
  [ -e /opt/openclaw/state/.openclaw ] || install -d -o 1000 -g 1000 -m 0700 /opt/openclaw/state/.openclaw
  # For an operator's plain copy: root's alone.
  install -d -o root -g root -m 0700 /opt/openclaw/state/.openclaw.incoming
  local link
  # The paths that people type. The workspace lies inside the state, so that it is backed up.
  for link in .openclaw:view/.openclaw .openclaw.incoming:state/.openclaw.incoming workspace:.openclaw/workspace \
    docker-compose.yaml:/opt/openclaw-agent/current/docker-compose.yaml \
    auto-approve-devices.sh:/opt/openclaw-agent/current/auto-approve-devices.sh; do
    [ -e "/opt/openclaw/${link%%:*}" ] || ln -sfn "${link#*:}" "/opt/openclaw/${link%%:*}"
  done
  install -D -m 0644 "$release/tmpfiles.conf" /etc/tmpfiles.d/openclaw.conf
  systemd-tmpfiles --create /etc/tmpfiles.d/openclaw.conf
}

write_settings() {
  step "writing what follows from instance.json" "correct the ec2-spot stack's configuration and deploy it again"
  "$python" "$release/instance_files.py" --release "$release"
  install -D -m 0644 "$release/logrotate.conf" /etc/logrotate.d/openclaw
  if command -v visudo >/dev/null; then
    visudo -cqf "$release/sudoers.conf"
    install -D -m 0440 "$release/sudoers.conf" /etc/sudoers.d/openclaw
  fi
}

refuse_core_dumps() {
  step "refusing core dumps" "see what systemd-sysctl says above"
  install -D -m 0644 "$release/sysctl.conf" /etc/sysctl.d/90-openclaw.conf
  # A container may not set its host's; the units' LimitCORE=0 holds there.
  systemd-detect-virt --quiet --container || /usr/lib/systemd/systemd-sysctl /etc/sysctl.d/90-openclaw.conf
}

install_units() {
  step "installing the systemd units" "see journalctl -b for what systemd says of them"
  cp -R --no-preserve=all "$release/units/." /etc/systemd/system/
  systemctl daemon-reload
  systemctl enable "${services[@]}" "${timers[@]}"
  [ "$engine" = native ] || systemctl enable docker.service
}

# Everything is only queued: this runs inside cloud-init, for which some of it would wait.
start_units() {
  step "starting the units" "see journalctl -b -u openclaw-s3-restore.service"
  if grep -qx OPENCLAW_AUTO_APPROVE=yes /etc/openclaw/gateway.env; then
    systemctl enable openclaw-auto-approve.timer
    systemctl start --no-block openclaw-auto-approve.timer
  else
    systemctl disable --now --no-block openclaw-auto-approve.timer
  fi
  systemctl start --no-block openclaw-state-view.service openclaw-swap.service
  systemctl start openclaw-gateway-log.socket
  # A changed limit, or another release of it.
  systemctl try-restart openclaw-gateway-log.service
  # The restore starts the gateway once it has succeeded.
  systemctl start --no-block openclaw-s3-final.service openclaw-s3-restore.service
  systemctl restart --no-block openclaw-spot-watch.service "${timers[@]}"
  systemctl try-restart --no-block logrotate.timer || :
}

# Last: a gateway without metrics is better than none.
start_cloudwatch_agent() {
  step "starting the CloudWatch agent" "the gateway runs without it; see /opt/aws/amazon-cloudwatch-agent/logs"
  local control=/opt/aws/amazon-cloudwatch-agent/bin/amazon-cloudwatch-agent-ctl
  if [ ! -x "$control" ]; then
    echo "openclaw install.sh: no CloudWatch agent on this machine; its logs and metrics stay here." >&2
    return 0
  fi
  "$control" -a fetch-config -m ec2 -s -c file:/etc/openclaw/amazon-cloudwatch-agent.json
}

check_ground
install_packages
install_compose_plugin
install_agent
close_logins
make_folders
write_settings
refuse_core_dumps
install_units
start_units
start_cloudwatch_agent
echo "openclaw install.sh: done; the gateway starts after its restore (journalctl -f -u openclaw-s3-restore.service)."
