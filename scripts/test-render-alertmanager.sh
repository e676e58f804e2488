#!/usr/bin/env bash
# Tests render-alertmanager.sh: each integration is the line it should be, Alertmanager's own tool understands it, nothing
# half said gets through, and alerts go where they should.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.build/bin:$PATH"
# What is tested here is set here.
for name in $(compgen -e | grep -E '^ALERT(MANAGER)?_'); do unset "$name"; done

fail() { printf 'test-render-alertmanager: %s\n' "$*" >&2; exit 1; }
command -v jq >/dev/null || fail 'jq is not on PATH: install it'
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
base=alertmanager/alertmanager.yml
rendered=$folder/rendered.yml
secret="$folder/it's a \"secret\""
printf 'https://hooks.example.org/secret' >"$secret"
: >"$folder/empty"
quoted=$(printf '%s' "$secret" | jq -R .)

render() { env "$@" scripts/render-alertmanager.sh "$base" >"$rendered" 2>"$folder/said"; }

people=(platform automation exchange escalation)

# with_lines <receivers> <lines>: the file with these lines after each of these receivers.
with_lines() {
  printf '%s' "$2" >"$folder/lines"
  sed -E "/^  - name: ($1)\$/r $folder/lines" "$base"
}

# adds <lines> <NAME=value…>: exactly these lines come after platform and whoever has none of its own, and the rest is
# the file.
adds() {
  local want=$1
  shift
  render "$@" || fail "$* was refused: $(cat "$folder/said")"
  diff <(with_lines "$(IFS='|'; echo "${people[*]}")" "$want") "$rendered" || fail "with $* (left: wanted)"
  amtool check-config "$rendered" >"$folder/amtool" 2>&1 || fail "amtool refuses it with $*: $(cat "$folder/amtool")"
}

adds '' A=1
adds '' ALERT_PLATFORM_WEBHOOK_URL_FILE= ALERT_PLATFORM_TELEGRAM_CHAT_ID=
email=(ALERT_PLATFORM_EMAIL_TO=on-call@example.org 'ALERT_PLATFORM_EMAIL_FROM="Alerts" <alerts@example.org>'
  ALERT_PLATFORM_EMAIL_SMARTHOST=smtp.example.org:587)
adds '    email_configs: [{"from":"\"Alerts\" <alerts@example.org>","send_resolved":true,"smarthost":"smtp.example.org:587","to":"on-call@example.org"}]
' "${email[@]}"
adds '    email_configs: [{"auth_password_file":'"$quoted"',"auth_username":"me","from":"\"Alerts\" <alerts@example.org>","send_resolved":true,"smarthost":"smtp.example.org:587","to":"on-call@example.org"}]
' "${email[@]}" ALERT_PLATFORM_EMAIL_USERNAME=me "ALERT_PLATFORM_EMAIL_PASSWORD_FILE=$secret"
adds '    opsgenie_configs: [{"api_key_file":'"$quoted"',"send_resolved":true}]
' "ALERT_PLATFORM_OPSGENIE_API_KEY_FILE=$secret"
adds '    pagerduty_configs: [{"routing_key_file":"'"$PWD"'/README.md","send_resolved":true}]
' ALERT_PLATFORM_PAGERDUTY_ROUTING_KEY_FILE=README.md
adds '    slack_configs: [{"api_url_file":'"$quoted"',"send_resolved":true}]
' "ALERT_PLATFORM_SLACK_API_URL_FILE=$secret"
adds '    slack_configs: [{"api_url_file":'"$quoted"',"channel":"#alerts","send_resolved":true}]
' "ALERT_PLATFORM_SLACK_API_URL_FILE=$secret" 'ALERT_PLATFORM_SLACK_CHANNEL=#alerts'
telegram=(ALERT_PLATFORM_TELEGRAM_CHAT_ID=-1001234567890 "ALERT_PLATFORM_TELEGRAM_BOT_TOKEN_FILE=$secret")
adds '    telegram_configs: [{"bot_token_file":'"$quoted"',"chat_id":-1001234567890,"send_resolved":true}]
' "${telegram[@]}"
adds '    telegram_configs: [{"api_url":"http://127.0.0.1:8090","bot_token_file":'"$quoted"',"chat_id":-1001234567890,"send_resolved":true}]
' "${telegram[@]}" ALERT_PLATFORM_TELEGRAM_API_URL=http://127.0.0.1:8090
adds '    webhook_configs: [{"send_resolved":true,"url_file":'"$quoted"'}]
' "ALERT_PLATFORM_WEBHOOK_URL_FILE=$secret"
everything=("${email[@]}" "${telegram[@]}" "ALERT_PLATFORM_OPSGENIE_API_KEY_FILE=$secret"
  "ALERT_PLATFORM_PAGERDUTY_ROUTING_KEY_FILE=$secret" "ALERT_PLATFORM_SLACK_API_URL_FILE=$secret" "ALERT_PLATFORM_WEBHOOK_URL_FILE=$secret")
render "${everything[@]}"
order=$(sed -nE '/^  - name: platform$/,/^  - name: automation$/s/^    ([a-z]+)_configs: .*/\1/p' "$rendered" | tr '\n' ' ')
[ "$order" = 'email opsgenie pagerduty slack telegram webhook ' ] || fail "the integrations come as $order"
amtool check-config "$rendered" >/dev/null || fail 'amtool refuses all integrations together'
if grep -q 'hooks.example.org' "$rendered"; then fail 'a secret stands in the configuration'; fi

# integrations: each receiver with what it has, of what was rendered last.
integrations() { sed -n '/^receivers:/,$p' "$rendered" | sed -E '/^  #/d; s/_configs.*//' | tr -s ' \n' ' '; }

# Every receiver has variables of its own; one without gets platform's messages, and that is said.
for receiver in "${people[@]}"; do
  prefix=ALERT_${receiver^^}_
  render "${everything[@]/#ALERT_PLATFORM_/$prefix}" || fail "$receiver was refused: $(cat "$folder/said")"
  amtool check-config "$rendered" >/dev/null || fail "amtool refuses all integrations of $receiver"
  [ "$(sed -nE "/^  - name: $receiver\$/,/^  - name: trading\$/s/^    ([a-z]+)_configs: .*/\1/p" "$rendered" | head -n 6 | tr '\n' ' ')" = "$order" ] ||
    fail "$receiver has not all integrations: $(integrations)"
done
render ALERT_EXCHANGE_TELEGRAM_CHAT_ID=5 "ALERT_EXCHANGE_TELEGRAM_BOT_TOKEN_FILE=$secret"
[ "$(integrations)" = 'receivers: - name: platform - name: automation - name: exchange telegram - name: escalation - name: trading ' ] ||
  fail "one receiver alone became: $(integrations)"
[ ! -s "$folder/said" ] || fail "where platform has nothing there is nothing to say: $(cat "$folder/said")"
render "ALERT_PLATFORM_SLACK_API_URL_FILE=$secret" "ALERT_ESCALATION_PAGERDUTY_ROUTING_KEY_FILE=$secret" \
  ALERT_TRADING_URL=http://127.0.0.1:5002/v1/trading/alerts
[ "$(integrations)" = 'receivers: - name: platform slack - name: automation slack - name: exchange slack - name: escalation pagerduty - name: trading webhook ' ] ||
  fail "several receivers became: $(integrations)"
[ "$(sed -nE 's/^render-alertmanager: ([a-z]+) has no integration of its own .* those of platform go$/\1/p' "$folder/said" | tr '\n' ' ')" = 'automation exchange ' ] ||
  fail "said of those without: $(cat "$folder/said")"

# order-service is told that an alert begins, not that it ends; and nobody in its place.
render ALERT_TRADING_URL=http://127.0.0.1:5002/v1/trading/alerts
diff <(with_lines trading '    webhook_configs: [{"send_resolved":false,"url":"http://127.0.0.1:5002/v1/trading/alerts"}]
') "$rendered" || fail 'ALERT_TRADING_URL (left: wanted)'
amtool check-config "$rendered" >/dev/null || fail 'amtool refuses ALERT_TRADING_URL'

# A receiver that is new in the file has variables with no change here.
sed 's/^  - name: platform$/&\n  - name: night-shift/' "$base" >"$folder/two.yml"
base=$folder/two.yml
render "ALERT_NIGHT_SHIFT_WEBHOOK_URL_FILE=$secret" "ALERT_PLATFORM_SLACK_API_URL_FILE=$secret"
case $(integrations) in
  'receivers: - name: platform slack - name: night-shift webhook - name: automation slack '*) ;;
  *) fail "a new receiver became: $(integrations)" ;;
esac
base=alertmanager/alertmanager.yml

# Only the times of the first route are replaced.
render ALERTMANAGER_GROUP_WAIT=1s ALERTMANAGER_GROUP_INTERVAL=2s
[ "$(diff "$base" "$rendered" | grep '^>' | tr -s ' \n' ' ')" = '> group_wait: 1s > group_interval: 2s ' ] ||
  fail "the times became: $(diff "$base" "$rendered")"

refused() {
  local said=$1
  shift
  if render "$@"; then fail "$* was let through"; fi
  [ ! -s "$rendered" ] || fail "$* was refused after something was written"
  grep -q "^render-alertmanager: .*$said" "$folder/said" || fail "$*: wanted a sentence with '$said', got: $(cat "$folder/said")"
}
refused 'EMAIL_FROM is not: they go together' "${email[0]}"
refused 'EMAIL_TO is not: they go together' "${email[1]}" "${email[2]}"
refused 'EMAIL_USERNAME is not' "${email[@]}" "ALERT_PLATFORM_EMAIL_PASSWORD_FILE=$secret"
refused 'EMAIL_TO is not' ALERT_PLATFORM_EMAIL_USERNAME=me "ALERT_PLATFORM_EMAIL_PASSWORD_FILE=$secret"
refused 'a host and a port' "${email[@]}" ALERT_PLATFORM_EMAIL_SMARTHOST=smtp.example.org
refused 'TELEGRAM_BOT_TOKEN_FILE is not' "${telegram[0]}"
refused 'TELEGRAM_CHAT_ID is not' "${telegram[1]}"
refused 'is a number' "${telegram[1]}" ALERT_PLATFORM_TELEGRAM_CHAT_ID=@alerts
refused 'TELEGRAM_CHAT_ID is not' ALERT_PLATFORM_TELEGRAM_API_URL=http://127.0.0.1
refused 'begin with http' "${telegram[@]}" ALERT_PLATFORM_TELEGRAM_API_URL=127.0.0.1:8090
refused 'SLACK_API_URL_FILE is not' 'ALERT_PLATFORM_SLACK_CHANNEL=#alerts'
refused 'no file that can be read' ALERT_PLATFORM_WEBHOOK_URL_FILE=/no/such/file
refused 'no file that can be read' "ALERT_PLATFORM_WEBHOOK_URL_FILE=$folder"
refused 'is empty' "ALERT_PLATFORM_WEBHOOK_URL_FILE=$folder/empty"
refused 'secrets are read from files' ALERT_PLATFORM_TELEGRAM_BOT_TOKEN=1:token
refused 'no setting of a receiver' "ALERT_PLATFROM_WEBHOOK_URL_FILE=$secret"
refused 'is a duration' ALERTMANAGER_GROUP_WAIT=soon
refused 'ESCALATION_EMAIL_FROM is not' ALERT_ESCALATION_EMAIL_TO=on-call@example.org
refused 'begin with http' ALERT_TRADING_URL=127.0.0.1:5002
refused 'has credentials in it' ALERT_TRADING_URL=http://me:secret@127.0.0.1:5002/v1/trading/alerts
refused 'no setting of a receiver' ALERT_PLATFORM_URL=http://127.0.0.1:5002
refused 'trading has URL' "ALERT_TRADING_WEBHOOK_URL_FILE=$secret"

# Where alerts go. Whatever no other route takes is the platform's.
goes() {
  local to=$1
  shift
  amtool config routes test --config.file="$base" --verify.receivers="$to" "$@" >"$folder/amtool" 2>&1 ||
    fail "an alert with $* should go to $to: $(cat "$folder/amtool")"
}
# Every alert there is, with the labels that its rule gives it. It goes to its team's receiver, to trading besides where it
# says so, and to escalation alone once it is unresolved.
alerts=0
while read -r alert labels; do
  mapfile -t labels < <(tr ' ' '\n' <<<"$labels" | grep .)
  team=platform trading=
  for label in "${labels[@]}"; do
    case $label in
      team=*) team=${label#team=} ;;
      trading_action=*) trading=trading, ;;
    esac
  done
  case $alert in
    TradingViewSignal* | TradingHalted) want=automation ;;
    BingXOrderFailures) want=trading,exchange ;;
    PositionDiffers) want=exchange ;;
    AlertUnresolved) want= ;;
    *) want=platform ;;
  esac
  if [ -n "$want" ]; then
    [ "$trading$team" = "$want" ] || fail "the rule of $alert says $trading$team; it is $want's"
    goes "$want" "alertname=$alert" "${labels[@]}" deployment_environment=production
  fi
  goes escalation "alertname=$alert" "${labels[@]}" unresolved="$alert" deployment_environment=production
  alerts=$((alerts + 1))
done < <(awk '
  function tell() { if (alert != "") print alert, labels; alert = labels = "" }
  /^ *- (alert|record): / { tell(); inside = 0 }
  /^ *- alert: / { alert = $3 }
  /^ *labels:$/ { inside = 1; next }
  /^ *annotations:$/ { inside = 0 }
  inside && NF == 2 { sub(/:$/, "", $1); if ($2 !~ /[{]/) labels = labels " " $1 "=" $2 }
  END { tell() }
' prometheus/rules/*.rules.yml)
[ "$alerts" -ge 20 ] || fail "only $alerts alerts were found in prometheus/rules"
goes platform alertname=SomethingNew
goes platform alertname=SomethingNew team=nobody
