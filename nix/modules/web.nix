# The way in from outside: TLS ends here, and what is behind stays on loopback.
{
  config,
  lib,
  ...
}:
let
  inherit (lib) mkIf mkMerge;
  cfg = config.services.crypto-telemetry;
  inherit (cfg) web;

  local = port: "127.0.0.1:${toString port}";
  gateway = local cfg.ports.GATEWAY_PORT;
  notifier = local cfg.ports.NOTIFIER_PORT;
  grafana = local cfg.ports.GRAFANA_PORT;
  signal = local cfg.ports.SIGNAL_PORT;

  # Only this path of notifier-service; the rest of it is not for the world.
  telegramPath = "/telegram/webhook";
  hasTelegram =
    cfg.telegram.enable
    && cfg.telegram.webhookSecretFile != null
    && cfg.services.notifier-service.enable;
  # Only this path of signal-service, too: who may call it is said by the token behind it.
  hooksPath = "/webhooks/tradingview/";
  hasHooks = cfg.services.signal-service.enable;
  isUsed = web.domain != null || web.grafanaDomain != null;
in
{
  config = mkIf (cfg.enable && isUsed) (mkMerge [
    {
      networking.firewall.allowedTCPPorts = mkIf web.openFirewall [
        80
        443
      ];
    }

    (mkIf (web.proxy == "caddy") {
      services.caddy = {
        enable = true;
        email = web.acmeEmail;
        virtualHosts = mkMerge [
          (mkIf (web.domain != null) {
            ${web.domain}.extraConfig = ''
              encode gzip
              # What is for operators stays inside.
              @inner path /metrics /health/ready
              respond @inner 404
              ${lib.optionalString hasTelegram ''
                handle ${telegramPath} {
                  reverse_proxy ${notifier}
                }
              ''}
              ${lib.optionalString hasHooks ''
                handle ${hooksPath}* {
                  reverse_proxy ${signal}
                }
              ''}
              handle {
                reverse_proxy ${gateway}
              }
            '';
          })
          (mkIf (web.grafanaDomain != null) {
            ${web.grafanaDomain}.extraConfig = ''
              reverse_proxy ${grafana}
            '';
          })
        ];
      };
    })

    (mkIf (web.proxy == "nginx") {
      security.acme = {
        acceptTerms = true;
        defaults.email = web.acmeEmail;
      };
      services.nginx = {
        enable = true;
        recommendedGzipSettings = true;
        recommendedOptimisation = true;
        recommendedProxySettings = true;
        recommendedTlsSettings = true;
        virtualHosts = mkMerge [
          (mkIf (web.domain != null) {
            ${web.domain} = {
              enableACME = true;
              forceSSL = true;
              locations = mkMerge [
                {
                  "/" = {
                    proxyPass = "http://${gateway}";
                    # /v1/stream sends events one by one; a proxy that collects them first makes prices late.
                    extraConfig = "proxy_buffering off;";
                  };
                }
                # What is for operators stays inside.
                {
                  "= /metrics".return = "404";
                  "= /health/ready".return = "404";
                }
                (mkIf hasTelegram { "= ${telegramPath}".proxyPass = "http://${notifier}"; })
                (mkIf hasHooks {
                  ${hooksPath} = {
                    proxyPass = "http://${signal}";
                    # The path holds the hook's token, and errors name the path.
                    extraConfig = "access_log off; error_log /dev/null crit;";
                  };
                })
              ];
            };
          })
          (mkIf (web.grafanaDomain != null) {
            ${web.grafanaDomain} = {
              enableACME = true;
              forceSSL = true;
              locations."/" = {
                proxyPass = "http://${grafana}";
                # Grafana Live.
                proxyWebsockets = true;
              };
            };
          })
        ];
      };
    })
  ]);
}
