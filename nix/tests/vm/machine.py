# The test of machine.nix: UNITS, BACKENDS, PORTS, ENGINE, SMOKE and DASHBOARDS stand before it; machine, start_all
# and subtest are the test driver's.


def gateway(path: str) -> str:
    return f"http://127.0.0.1:{PORTS['GATEWAY_PORT']}{path}"


def with_key(command: str) -> str:
    return f'{command} -H "X-API-Key: $(cat /run/keys/api-key)"'


def smoke() -> None:
    """What the stack promises, asked from outside: see scripts/smoke.sh."""
    grafana = f"GRAFANA=required GRAFANA_PASSWORD_FILE=/var/lib/grafana/admin_password GRAFANA_DASHBOARDS={DASHBOARDS}"
    machine.succeed(
        f"API_KEY_FILE=/run/keys/api-key {grafana if 'grafana' in BACKENDS else ''} SMOKE_TIMEOUT_S=180 bash {SMOKE} >&2"
    )


def count(what: str) -> int:
    """How many there are: few enough in this test for one page."""
    page = json.loads(machine.succeed(with_key(f"curl -sf '{gateway('/api/v1/' + what)}?limit=100'")))
    assert page["next_cursor"] is None, "more than a page"
    return len(page["items"])


def order(key: str) -> dict[str, object]:
    body = json.dumps({"user_id": 1001, "user_name": "John Doe", "user_email": "john@example.com", "action": "purchase"})
    answer = machine.succeed(
        with_key(f"curl -sf -X POST {gateway('/api/v1/process')}")
        + f" -H 'Content-Type: application/json' -H 'Idempotency-Key: {key}' -d '{body}'"
    )
    answered: dict[str, object] = json.loads(answer)
    return answered


def parts(answer: dict[str, object]) -> list[object]:
    services = answer["services"]
    assert isinstance(services, list)
    return services[1:]


def wait_until_ready() -> None:
    for unit in BACKENDS + UNITS:
        machine.wait_for_unit(unit)
    for variable in ["GATEWAY_PORT", "USER_PORT", "ORDER_PORT", "AUDIT_PORT", "NOTIFIER_PORT", "SIGNAL_PORT",
                     "GENERATOR_PORT", "PIPELINE_PORT", "DISPATCHER_PORT", "WORKER_PORT"]:
        machine.wait_until_succeeds(f"curl -sf http://127.0.0.1:{PORTS[variable]}/health/ready", timeout=180)


def signal(key: str) -> str:
    """A signal by hand, of the kind that sets the first example off; its id."""
    body = json.dumps({"symbol": "BTCUSDT", "action": "buy", "signal_type": "golden_cross"})
    answer = machine.succeed(
        f"curl -sf -X POST http://127.0.0.1:{PORTS['GENERATOR_PORT']}/v1/signals"
        f" -H 'Content-Type: application/json' -H 'Idempotency-Key: {key}' -d '{body}'"
    )
    return str(json.loads(answer)["signal"]["signal_id"])


def wait_until_worked_on(signal_id: str) -> None:
    """It went over the bus, was matched, and what it set off is at its end."""
    pipelines = f"http://127.0.0.1:{PORTS['PIPELINE_PORT']}/v1"
    machine.wait_until_succeeds(
        f"id=$(curl -sf {pipelines}/signals/{signal_id}/matches | jq -er '.items[0].execution_id')"
        f" && curl -sf {pipelines}/executions/$id | jq -e '.status == \"success\"'",
        timeout=120,
    )


start_all()
wait_until_ready()

with subtest("an ask, an order, their traces, logs, metrics and dashboards; nothing without a key"):
    smoke()

with subtest("doctor finds every hop well"):
    machine.succeed("crypto-telemetry doctor >&2")

def places_with(pattern_file: str) -> list[str]:
    """Where one of the file's lines is to be seen: in units, in processes' environments and command lines, in the journal."""
    # Into files first: the journal's end must not hang on when grep has seen enough, and what is looked for stands on no
    # command line, where it would be found.
    machine.succeed(
        "mkdir -p /run/looked-at && cd /run/looked-at && journalctl --no-pager >journal"
        " && cat /etc/systemd/system/*.service /etc/systemd/system.conf >units"
        " && (cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n' >processes || true)"
    )
    return machine.succeed(f"cd /run/looked-at && (grep -laFf {pattern_file} journal units processes || true)").split()


with subtest("secrets are where only their service reads them"):
    # The control: something that is everywhere is found everywhere.
    machine.succeed("printf 'audit-service\\n' >/run/control")
    assert sorted(places_with("/run/control")) == ["journal", "processes", "units"], "the search finds nothing"
    for secret in ["/run/keys/api-key", "/run/keys/bot-token"]:
        found = places_with(secret)
        assert found == [], f"{secret} is to be seen in {found}"
    machine.fail("runuser -u nobody -- cat /run/keys/bot-token")
    machine.fail("runuser -u nobody -- ls /run/credentials/crypto-telemetry-notifier-service.service")
    if "grafana" in BACKENDS:
        machine.fail("runuser -u nobody -- cat /var/lib/grafana/secret_key")
        machine.fail("runuser -u nobody -- cat /var/lib/grafana/admin_password")

with subtest("every unit is shut in"):
    for unit in UNITS:
        machine.succeed(f"systemd-analyze security --threshold=20 --no-pager {unit}.service >&2")

with subtest("nothing listens but on loopback"):
    listening = machine.succeed("ss -Htln | awk '{print $4}'").split()
    outside = [address for address in listening if not address.startswith(("127.", "[::1]"))]
    assert outside == [], f"reached from outside: {outside}"

with subtest("a signal goes over the bus and sets a pipeline off"):
    wait_until_worked_on(signal("before-the-kill"))

first = order("before-the-kill")
orders = count("orders")

with subtest("what is killed comes back, and nothing is lost or doubled"):
    for unit in UNITS + [backend for backend in BACKENDS if backend != "postgresql"]:
        machine.succeed(f"systemctl kill --signal=KILL {unit}.service")
    wait_until_ready()
    assert count("orders") == orders, "an order was lost or doubled"
    again = order("before-the-kill")
    assert count("orders") == orders, "the repetition made a second order"
    # But for the gateway's part, which is about this request.
    assert parts(again) == parts(first), f"{again} is not the answer to {first}"
    wait_until_worked_on(signal("before-the-kill"))
    wait_until_worked_on(signal("after-the-kill"))
    smoke()

with subtest("a reboot loses nothing"):
    trace = f"curl -sf http://127.0.0.1:{PORTS['TEMPO_PORT']}/api/traces/{order('before-the-reboot')['trace_id']}"
    machine.wait_until_succeeds(trace, timeout=180)
    orders = count("orders")
    audit = count("audit")
    machine.shutdown()
    machine.start()
    wait_until_ready()
    assert count("orders") == orders, "orders are missing after the reboot"
    assert count("audit") >= audit, "audit rows are missing after the reboot"
    wait_until_worked_on(signal("after-the-reboot"))
    machine.wait_until_succeeds(trace, timeout=180)
    smoke()

if ENGINE == "postgresql":
    with subtest("each service has its own database, and nobody else's"):
        machine.succeed("runuser -u postgres -- psql -lqt | grep -q crypto-telemetry-audit")
        machine.fail("runuser -u nobody -- psql -h /run/postgresql -U crypto-telemetry-audit crypto-telemetry-audit -c 'select 1'")
        machine.fail("runuser -u nobody -- psql -h /run/postgresql -U crypto-telemetry-bus crypto-telemetry-bus -c 'select 1'")
        machine.succeed("systemctl restart postgresql.service")
        machine.wait_until_succeeds(f"curl -sf http://127.0.0.1:{PORTS['AUDIT_PORT']}/health/ready", timeout=60)
        order("after-the-database-was-away")
        wait_until_worked_on(signal("after-the-database-was-away"))
