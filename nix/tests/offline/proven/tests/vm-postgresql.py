import json

UNITS = json.loads('["crypto-telemetry-api-gateway","crypto-telemetry-audit-service","crypto-telemetry-decision-service","crypto-telemetry-market-data-service","crypto-telemetry-notifier-service","crypto-telemetry-order-service","crypto-telemetry-pipeline-service","crypto-telemetry-pipeline-worker","crypto-telemetry-signal-generator","crypto-telemetry-signal-service","crypto-telemetry-simulator","crypto-telemetry-trigger-dispatcher","crypto-telemetry-user-service"]')
BACKENDS = json.loads('["opentelemetry-collector","prometheus","tempo","loki","grafana","alertmanager","postgresql"]')
PORTS = json.loads('{"ALERTMANAGER_PORT":9093,"AUDIT_PORT":5003,"DECISION_PORT":8082,"DISPATCHER_PORT":8004,"GATEWAY_PORT":8080,"GENERATOR_PORT":8003,"GRAFANA_PORT":3000,"LOKI_GRPC_PORT":9096,"LOKI_PORT":3100,"MARKET_DATA_PORT":8081,"NOTIFIER_PORT":9000,"ORDER_PORT":5002,"OTELCOL_GRPC_PORT":4317,"OTELCOL_HEALTH_PORT":13133,"OTELCOL_HTTP_PORT":4318,"OTELCOL_PROM_PORT":8889,"OTELCOL_SELF_PORT":8888,"PIPELINE_PORT":8001,"PROMETHEUS_PORT":9090,"SIGNAL_PORT":8000,"SIMULATOR_PORT":8090,"TEMPO_GRPC_PORT":9095,"TEMPO_OTLP_PORT":14317,"TEMPO_PORT":3200,"USER_PORT":5001,"WORKER_PORT":8002}')
ENGINE = "postgresql"
SMOKE = "/nix/store/smoke.sh"
DASHBOARDS = 1

