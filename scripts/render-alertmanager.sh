#!/usr/bin/env bash
# Writes an Alertmanager configuration with the integrations that variables name to standard output.
#
#   scripts/render-alertmanager.sh alertmanager/alertmanager.yml > .data/alertmanager/alertmanager.yml
#
# Every receiver of the file has variables of its own: ALERT_<RECEIVER>_…, its name in capitals with _ for -. A line
# for each integration goes directly after the receiver's `  - name: <receiver>`:
#
#   e-mail     EMAIL_TO, EMAIL_FROM, EMAIL_SMARTHOST (host:port); EMAIL_USERNAME with EMAIL_PASSWORD_FILE
#   Opsgenie   OPSGENIE_API_KEY_FILE
#   PagerDuty  PAGERDUTY_ROUTING_KEY_FILE
#   Slack      SLACK_API_URL_FILE; SLACK_CHANNEL
#   Telegram   TELEGRAM_CHAT_ID with TELEGRAM_BOT_TOKEN_FILE; TELEGRAM_API_URL
#   webhook    WEBHOOK_URL_FILE
#
# A receiver with none of its own gets the lines of the route's own receiver (platform), and standard error says so.
#
# The receiver `trading` is no person but order-service, which reduces or halts trading when an alert says so. It has one
# variable, ALERT_TRADING_URL (http://127.0.0.1:5002/v1/trading/alerts), and without it nobody is told in its place.
#
# Secrets are files, so that none stands in a configuration. An empty variable counts as none.
# ALERTMANAGER_GROUP_WAIT and ALERTMANAGER_GROUP_INTERVAL replace those of the first route.
#
# nix/ makes the same lines from its options, byte for byte: keys sorted, compact, lines in this order.
set -euo pipefail

source_file=${1:?usage: render-alertmanager.sh <file>}
die() { printf 'render-alertmanager: %s\n' "$*" >&2; exit 1; }

settings=(EMAIL_TO EMAIL_FROM EMAIL_SMARTHOST EMAIL_USERNAME EMAIL_PASSWORD_FILE OPSGENIE_API_KEY_FILE
  PAGERDUTY_ROUTING_KEY_FILE SLACK_API_URL_FILE SLACK_CHANNEL TELEGRAM_API_URL TELEGRAM_BOT_TOKEN_FILE TELEGRAM_CHAT_ID
  WEBHOOK_URL_FILE)
# The receiver that is a service of ours.
trading=trading
trading_settings=(URL)

# value <setting>: of the receiver at hand.
value() {
  local name=$prefix$1
  printf '%s' "${!name:-}"
}
given() { [ -n "$(value "$1")" ]; }

# together <setting…>: all of them or none.
together() {
  local first=$1 other
  shift
  for other in "$@"; do
    if given "$first" && ! given "$other"; then die "$prefix$first is set, and $prefix$other is not: they go together"; fi
    if given "$other" && ! given "$first"; then die "$prefix$other is set, and $prefix$first is not: they go together"; fi
  done
}
# needs <setting> <setting>: the first is of use only with the second.
needs() { if given "$1" && ! given "$2"; then die "$prefix$1 is set, and $prefix$2 is not"; fi; }

check_url() {
  if given "$1"; then
    case $(value "$1") in
      *://*@*) die "$prefix$1 has credentials in it" ;;
      http://?* | https://?*) ;;
      *) die "$prefix$1 has to begin with http:// or https://" ;;
    esac
  fi
}

check_receiver() {
  local setting
  if [ "$receiver" = "$trading" ]; then
    check_url URL
    return
  fi
  together EMAIL_TO EMAIL_FROM EMAIL_SMARTHOST
  together EMAIL_USERNAME EMAIL_PASSWORD_FILE
  needs EMAIL_USERNAME EMAIL_TO
  together TELEGRAM_CHAT_ID TELEGRAM_BOT_TOKEN_FILE
  needs TELEGRAM_API_URL TELEGRAM_CHAT_ID
  needs SLACK_CHANNEL SLACK_API_URL_FILE
  # Alertmanager reads it at the first alert and would only log then that it cannot.
  for setting in "${settings[@]}"; do
    case $setting in
      *_FILE)
        if given "$setting"; then
          { [ -f "$(value "$setting")" ] && [ -r "$(value "$setting")" ]; } ||
            die "$prefix$setting: $(value "$setting") is no file that can be read"
          [ -s "$(value "$setting")" ] || die "$prefix$setting: $(value "$setting") is empty"
        fi
        ;;
    esac
  done
  if given TELEGRAM_CHAT_ID; then
    # As many digits as a number has exactly, which is more than Telegram uses.
    [[ $(value TELEGRAM_CHAT_ID) =~ ^-?[1-9][0-9]{0,14}$ ]] ||
      die "${prefix}TELEGRAM_CHAT_ID is '$(value TELEGRAM_CHAT_ID)'; a chat's id is a number, like -1001234567890"
  fi
  check_url TELEGRAM_API_URL
  if given EMAIL_SMARTHOST; then
    [[ $(value EMAIL_SMARTHOST) =~ ^[^:]+:[0-9]+$|^\[[0-9a-fA-F:]+\]:[0-9]+$ ]] ||
      die "${prefix}EMAIL_SMARTHOST is '$(value EMAIL_SMARTHOST)'; it is a host and a port, like smtp.example.org:587"
  fi
}

# Alertmanager takes a file name as relative to its configuration, which lies in another folder.
path() { case $(value "$1") in /*) value "$1" ;; *) printf '%s/%s' "$PWD" "$(value "$1")" ;; esac; }

# line <integration> <program of jq> [--arg NAME VALUE…]
line() {
  local integration=$1 program=$2 json
  shift 2
  json=$(jq -n -c -S "$@" "{send_resolved: true} + $program") || exit 1
  printf '    %s_configs: [%s]\n' "$integration" "$json"
}

integrations() {
  if [ "$receiver" = "$trading" ]; then
    # That an alert is over does not set trading free again: a person does.
    # shellcheck disable=SC2016 # jq's variables
    if given URL; then line webhook '{url: $url, send_resolved: false}' --arg url "$(value URL)"; fi
    return
  fi
  if given EMAIL_TO; then
    # shellcheck disable=SC2016 # jq's variables
    line email '{to: $to, from: $from, smarthost: $smarthost}
        + if $username == "" then {} else {auth_username: $username, auth_password_file: $password} end' \
      --arg to "$(value EMAIL_TO)" --arg from "$(value EMAIL_FROM)" --arg smarthost "$(value EMAIL_SMARTHOST)" \
      --arg username "$(value EMAIL_USERNAME)" --arg password "$(path EMAIL_PASSWORD_FILE)"
  fi
  # shellcheck disable=SC2016 # jq's variables
  if given OPSGENIE_API_KEY_FILE; then line opsgenie '{api_key_file: $file}' --arg file "$(path OPSGENIE_API_KEY_FILE)"; fi
  # shellcheck disable=SC2016 # jq's variables
  if given PAGERDUTY_ROUTING_KEY_FILE; then
    line pagerduty '{routing_key_file: $file}' --arg file "$(path PAGERDUTY_ROUTING_KEY_FILE)"
  fi
  # shellcheck disable=SC2016 # jq's variables
  if given SLACK_API_URL_FILE; then
    line slack '{api_url_file: $file} + if $channel == "" then {} else {channel: $channel} end' \
      --arg file "$(path SLACK_API_URL_FILE)" --arg channel "$(value SLACK_CHANNEL)"
  fi
  # shellcheck disable=SC2016 # jq's variables
  if given TELEGRAM_CHAT_ID; then
    line telegram '{chat_id: $chat, bot_token_file: $file} + if $url == "" then {} else {api_url: $url} end' \
      --argjson chat "$(value TELEGRAM_CHAT_ID)" --arg file "$(path TELEGRAM_BOT_TOKEN_FILE)" --arg url "$(value TELEGRAM_API_URL)"
  fi
  # shellcheck disable=SC2016 # jq's variables
  if given WEBHOOK_URL_FILE; then line webhook '{url_file: $file}' --arg file "$(path WEBHOOK_URL_FILE)"; fi
}

for name in ALERTMANAGER_GROUP_WAIT ALERTMANAGER_GROUP_INTERVAL; do
  [[ ${!name:-1s} =~ ^[1-9][0-9]*(ms|s|m|h)$ ]] || die "$name is '${!name}'; it is a duration like 30s or 5m"
done

# Everything is checked and made before anything is written: half a configuration would be one, too.
mapfile -t receivers < <(sed -nE 's/^  - name: ([a-z][a-z0-9-]*)$/\1/p' "$source_file")
[ ${#receivers[@]} -gt 0 ] || die "$source_file has no line '  - name: <receiver>'"

fallback=$(sed -nE 's/^  receiver: ([a-z][a-z0-9-]*)$/\1/p' "$source_file")
case " ${receivers[*]} " in
  *" $fallback "*) ;;
  *) die "$source_file has no line '  receiver: <receiver>' that names one of its receivers" ;;
esac

prefix_of() { printf 'ALERT_%s_' "$(printf '%s' "$1" | tr 'a-z-' 'A-Z_')"; }

known=" "
needs_jq=
declare -A lines
for receiver in "${receivers[@]}"; do
  prefix=$(prefix_of "$receiver")
  if [ "$receiver" = "$trading" ]; then
    known+=$(printf "$prefix%s " "${trading_settings[@]}")" "
  else
    known+=$(printf "$prefix%s " "${settings[@]}")" "
  fi
  check_receiver
done
# A variable that nothing reads would be an alert that nobody gets.
for name in $(compgen -e | grep '^ALERT_' || true); do
  [ -n "${!name}" ] || continue
  case $known in
    *" $name "*) needs_jq=yes ;;
    *" ${name}_FILE "*) die "$name: secrets are read from files; put it into one and name that in ${name}_FILE" ;;
    *)
      die "$name is no setting of a receiver: receivers are ${receivers[*]}, and each has ALERT_<RECEIVER>_ with" \
        "${settings[*]}; $trading has ${trading_settings[*]}"
      ;;
  esac
done
if [ -n "$needs_jq" ]; then
  command -v jq >/dev/null || die "ALERT_* variables are set, and writing them down takes jq, which is not on PATH: install it"
fi
for receiver in "${receivers[@]}"; do
  prefix=$(prefix_of "$receiver")
  lines[$receiver]=$(integrations)
done
if [ -n "${lines[$fallback]}" ]; then
  for receiver in "${receivers[@]}"; do
    if [ -z "${lines[$receiver]}" ] && [ "$receiver" != "$trading" ]; then
      lines[$receiver]=${lines[$fallback]}
      printf 'render-alertmanager: %s has no integration of its own (%s…): its messages go where those of %s go\n' \
        "$receiver" "$(prefix_of "$receiver")" "$fallback" >&2
    fi
  done
fi

# The route's own lines have two spaces; what stands deeper has its times on purpose.
while IFS= read -r text || [ -n "$text" ]; do
  case $text in
    '  group_wait: '*) printf '  group_wait: %s\n' "${ALERTMANAGER_GROUP_WAIT:-${text#  group_wait: }}" ;;
    '  group_interval: '*) printf '  group_interval: %s\n' "${ALERTMANAGER_GROUP_INTERVAL:-${text#  group_interval: }}" ;;
    *) printf '%s\n' "$text" ;;
  esac
  if [[ $text =~ ^\ \ -\ name:\ ([a-z][a-z0-9-]*)$ ]] && [ -n "${lines[${BASH_REMATCH[1]}]}" ]; then
    printf '%s\n' "${lines[${BASH_REMATCH[1]}]}"
  fi
done <"$source_file"
